"""Programs that execute exported files, independently of the exporters."""

import csv
import importlib.util
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

import swajax
from swajax.data import columns
from swajax.export import jax_function
from swajax.export.formats import FORMATS
from swajax.model.fitted import to_probabilities

FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wdouble-promotion"]
MAIN = """
#include <stdio.h>
#include "net.h"

int main(void)
{
    CELL number[40];
    int category[40];
    while (fread(number, sizeof number, 1, stdin) == 1 &&
           fread(category, sizeof category, 1, stdin) == 1) {
        const CELL *n = number; const int *c = category;
        (void)n; (void)c;
        CODE
    }
    return 0;
}
"""
REGRESSION = "CELL y = net_predict(ARGS); fwrite(&y, sizeof y, 1, stdout);"
CLASSIFICATION = """
        REAL p[NUM];
        int k = net_predict(ARGS);
        net_probabilities(ARGS, p);
        fwrite(p, sizeof p[0], NUM, stdout);
        fwrite(net_label(k), 1, strlen(net_label(k)) + 1, stdout);
"""


def run(format, data, model, frame, folder):
    """Return the answers of an exported file: numbers [N, 1] or probabilities [N, C].

    Tests are skipped if the program that executes a format is missing.
    """
    return RUNNERS[format](data, model, frame, folder)


def run_c(data, model, frame, folder):
    """Compile the header without warnings, answer, and check the labels."""
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    source, num = data.decode("ascii"), len(model.scaling.classes)
    cell = "double" if "const double number" in source else "float"
    real = re.search(r"(float|double) (?:probability\[|x1|h1|\w+_predict)", source)[1]
    used = re.search(r"_predict\((.*)\)$", source, re.MULTILINE)[1]
    args = ", ".join(["n"] * ("number" in used) + ["c"] * ("category" in used))
    code = CLASSIFICATION if num else REGRESSION
    words = {"CODE": code, "CELL": cell, "REAL": real, "ARGS": args, "NUM": str(num)}
    main = "#include <string.h>" + MAIN
    for word, text in words.items():
        main = main.replace(word, text)
    (folder / "net.h").write_bytes(data)
    (folder / "main.c").write_text(main, encoding="ascii")
    command = ["gcc", *FLAGS, "-O1", str(folder / "main.c"), "-lm"]
    subprocess.run([*command, "-o", str(folder / "main")], check=True)
    numbers, codes = jax_function.read_cells(model, frame)
    kind = "f4" if cell == "float" else "f8"
    rows = np.zeros(len(frame), [("number", kind, 40), ("category", "i4", 40)])
    rows["number"][:, : numbers.shape[1]] = numbers
    rows["category"][:, : codes.shape[1]] = codes
    out = subprocess.run(
        [str(folder / "main")], input=rows.tobytes(), capture_output=True, check=True
    ).stdout
    if not num:
        return np.frombuffer(out, kind)[:, None].astype(float)
    return _read_classes(out, model, "f4" if real == "float" else "f8")


def _read_classes(out, model, kind):
    """Return the probabilities after checking that labels are the most probable."""
    classes, answers = model.scaling.classes, []
    size = np.dtype(kind).itemsize * len(classes)
    while out:
        row = np.frombuffer(out[:size], kind).astype(float)
        label, _, out = out[size:].partition(b"\0")
        close = np.flatnonzero(row > row.max() - 1e-5)
        assert label.decode() in [classes[i] for i in close]
        answers.append(row)
    return np.stack(answers)


def load_module(data, folder):
    """Import an exported Python module."""
    path = folder / "net.py"
    path.write_bytes(data)
    spec = importlib.util.spec_from_file_location("net", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_numpy(data, model, frame, folder):
    """Read the rows from CSV text, cell by cell, and check the predicted classes."""
    module = load_module(data, folder)
    text = frame.astype(object).where(frame.notna(), "").to_csv(index=False)
    rows = list(csv.DictReader(io.StringIO(text)))
    if not model.scaling.classes:
        return module.predict(rows)[:, None]
    answers = module.predict_proba(rows)
    best = [model.scaling.classes[i] for i in answers.argmax(axis=1)]
    assert module.predict(rows).tolist() == best
    return answers


def run_onnx(data, model, frame, folder):
    """Run onnxruntime, feed inputs by the metadata, and check the labels."""
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    stored = session.get_modelmeta().custom_metadata_map
    names = {key: json.loads(stored[key]) for key in ("numbers", "categories")}
    types = {value.name: value.type for value in session.get_inputs()}
    kind = np.float64 if types.get("numbers") == "tensor(double)" else np.float32
    feed = {
        "numbers": frame[names["numbers"]].to_numpy(kind),
        "categories": frame[names["categories"]].fillna("").to_numpy(dtype=object),
    }
    outputs = [value.name for value in session.get_outputs()]
    values = session.run(outputs, {name: feed[name] for name in types})
    found = dict(zip(outputs, values, strict=True))
    if not model.scaling.classes:
        return found["prediction"][:, None].astype(float)
    best = found["probabilities"].argmax(axis=1)
    assert found["label"].tolist() == [model.scaling.classes[i] for i in best]
    return found["probabilities"].astype(float)


def run_formula(data, model, frame, folder):
    """Evaluate the SymPy expressions of the text."""
    sympy = pytest.importorskip("sympy")
    from swajax.export.formula import make_formula

    made = make_formula(model)
    cells = read_symbols(made, frame)
    symbols = {name: sympy.Symbol(name, real=True) for name in made.symbols}
    lines = data.decode("ascii").partition("SymPy:\n")[2].partition("\n\n")[0]
    outputs = []
    for line in lines.splitlines():
        expression = sympy.sympify(line.partition(" = ")[2], locals=symbols)
        outputs.append(evaluate(expression, cells, len(frame)))
    outputs = np.stack(outputs, axis=1)
    return to_probabilities(outputs) if model.scaling.classes else outputs


def read_symbols(made, frame):
    """Return the values of the symbols of a formula, following their descriptions."""
    cells = {}
    for name, symbol in made.symbols.items():
        column = frame[symbol.column.name]
        if symbol.category is None:
            cells[name] = column.fillna(symbol.column.fill).to_numpy()
        else:
            cells[name] = (columns.to_text(column) == symbol.category).astype(float)
    return cells


def evaluate(expression, cells, num_rows):
    """Evaluate a SymPy expression with NumPy."""
    import sympy

    symbols = sorted(expression.free_symbols, key=str)
    fn = sympy.lambdify(symbols, expression, "numpy")
    values = fn(*(cells[str(symbol)] for symbol in symbols))
    return np.broadcast_to(np.asarray(values, float), num_rows)


def run_safetensors(data, model, frame, folder):
    """Load the file."""
    path = folder / "net.safetensors"
    path.write_bytes(data)
    loaded = swajax.load(path)
    if loaded.scaling.classes:
        return loaded.predict_proba(frame)
    return loaded.predict(frame)[:, None]


def skip_without_package(format):
    """Skip a test if the package of a format is not installed."""
    if FORMATS[format].package is not None:
        pytest.importorskip(FORMATS[format].package)


def predict(model, frame):
    """Return the predictions of the model."""
    if model.scaling.classes:
        return model.predict_proba(frame)
    return model.predict(pd.DataFrame(frame))[:, None]


RUNNERS = {
    "c": run_c,
    "numpy": run_numpy,
    "onnx": run_onnx,
    "formula": run_formula,
    "safetensors": run_safetensors,
}
