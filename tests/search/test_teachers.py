"""The option --teacher: ONNX models whose inputs are columns of a table."""

import contextlib
import dataclasses
import io
import json
import sys

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from swajax.data.loading import load_parts
from swajax.export.onnx import to_onnx
from swajax.io import commands
from swajax.model.results import load
from swajax.search import __main__ as search_command
from swajax.search.config import SearchConfig
from swajax.search.onnx_teacher import OnnxTeacher
from swajax.search.teachers import imitate, predict_target

CONFIG = SearchConfig(
    max_weights=10,
    num_starts=24,
    num_rounds=0,
    num_kept=4,
    max_width=3,
    max_depth=2,
    activations=("tanh",),
    sources=("random",),
)
NAMES = ("u", "v")


def write_model(path, inputs, nodes, *, output="out"):
    """Write an ONNX model of float inputs by name and width."""
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])
        for name, width in inputs.items()
    ]
    out = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    matrix = np.array([[1.0], [-1.0], [0.5]], np.float32)[: sum(inputs.values())]
    graph = helper.make_graph(
        nodes, "g", values, [out], initializer=[numpy_helper.from_array(matrix, "w")]
    )
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(proto, path)
    return path


def node(operator, *names, **attributes):
    *inputs, output = names
    return helper.make_node(operator, inputs, [output], **attributes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table with noise in its target, and models of its columns."""
    folder = tmp_path_factory.mktemp("teacher")
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (60, 2))
    y = np.tanh(x[:, 0] - x[:, 1]) + rng.normal(size=60) / 5
    frame = pd.DataFrame({"u": x[:, 0], "v": x[:, 1], "y": y})
    frame["kind"] = np.where(y > 0, "high", "low")
    frame["text"] = rng.choice(["a", "b", "c"], 60)
    frame["same"] = 1
    frame.to_csv(folder / "table.csv", index=False)
    layers = [node("MatMul", "x", "w", "a"), node("Tanh", "a", "out")]
    write_model(folder / "two.onnx", {"x": 2}, layers)
    write_model(folder / "three.onnx", {"x": 3}, layers)
    both = [node("Concat", *NAMES, "x", axis=1), *layers]
    write_model(folder / "named.onnx", dict.fromkeys(NAMES, 1), both)
    others = [node("Concat", "u", "z", "x", axis=1), *layers]
    write_model(folder / "other.onnx", {"u": 1, "z": 1}, others)
    log = [node("MatMul", "x", "w", "a"), node("Log", "a", "out")]
    write_model(folder / "nan.onnx", {"x": 2}, log)
    write_model(folder / "wide.onnx", {"x": 2}, [node("Identity", "x", "out")])
    (folder / "broken.onnx").write_bytes(b"no model")
    return folder


@pytest.fixture
def command(folder, monkeypatch):
    monkeypatch.setattr(commands, "use_compilation_cache", lambda: None)
    return search_command.SearchCommand(
        data=str(folder / "table.csv"),
        target="y",
        features=NAMES,
        teacher=folder / "two.onnx",
        num_made=100,
        search=CONFIG,
    )


def run(command, out):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        search_command.main(dataclasses.replace(command, out=out))
    return json.loads((out / "results.json").read_text()), printed.getvalue()


def test_fidelity_and_accuracy_are_shown(command, tmp_path):
    results, printed = run(command, tmp_path / "run")
    last = results["front"][-1]
    assert last["fidelity_test"] > 0.999
    assert last["r2_test"] < 0.99  # of noisy labels
    assert results["num_rows"] == {"train": 36, "valid": 12, "test": 12}
    assert f"{last['fidelity_test']:.3f}" in printed
    assert "fidelity" in printed
    assert "100 made-up rows" in results["notes"][-1]
    page = (tmp_path / "run/report.html").read_text("utf-8")
    assert '<th scope="colgroup" colspan="2">fidelity</th>' in page
    predicted = load(tmp_path / "run").predict(pd.DataFrame({"u": [1.0], "v": [0.5]}))
    np.testing.assert_allclose(predicted, np.tanh(0.5), atol=0.1)


def test_without_a_target_the_prediction_is_the_target(command, folder, tmp_path):
    command = dataclasses.replace(command, target=None)
    results, _ = run(command, tmp_path / "run")
    assert results["target"] == "prediction"
    for row in results["front"]:
        np.testing.assert_allclose(row["r2_test"], row["fidelity_test"], atol=1e-5)


def test_inputs_are_found_by_place_or_by_name(folder):
    frame = pd.DataFrame({"v": [0.5, 1.0], "u": [1.0, 3.0]})
    want = np.tanh([0.5, 2.0])
    named = OnnxTeacher(folder / "named.onnx", frame)(frame)
    np.testing.assert_allclose(named[:, 0], want, rtol=1e-6)
    in_order = OnnxTeacher(folder / "two.onnx", frame)(frame)
    np.testing.assert_allclose(in_order[:, 0], -want, rtol=1e-6)


def test_an_export_of_a_run_is_a_teacher(command, folder, tmp_path):
    command = dataclasses.replace(
        command, target="kind", features=("u", "v", "text"), teacher=None
    )
    run(command, tmp_path / "run")
    model = load(tmp_path / "run")
    onnx.save(to_onnx(model), tmp_path / "kind.onnx")
    options = {"target": "kind", "features": ("u", "v", "text"), "valid_share": 0.2}
    loaded = load_parts(command.data, seed=0, **options)
    teacher = OnnxTeacher(tmp_path / "kind.onnx", loaded.table.frame)
    assert teacher.classes == ("high", "low")
    found = imitate(loaded, teacher, num_made=30, seed=0)
    want = model.predict_proba(loaded.table.frame)[loaded.rows[2], 1]
    np.testing.assert_allclose(found.dataset.test.y[:, 0], want, atol=1e-5)
    assert [len(part.x) for part in found[:2]] == [36 + 22, 12 + 8]


def test_missing_numbers_are_filled_for_the_teacher(folder, tmp_path):
    frame = pd.read_csv(folder / "table.csv")
    frame.loc[3, "u"] = np.nan
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    path, none = folder / "two.onnx", {"weight": None, "group": None}
    table = predict_target(str(tmp_path / "gaps.csv"), path, features=NAMES, **none)
    want = np.tanh(np.nanmedian(frame["u"]) - frame["v"][3])
    np.testing.assert_allclose(table.target[3], want, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": "none.onnx"}, "none.onnx: no such file"),
        ({"teacher": "broken.onnx"}, "broken.onnx: no ONNX model"),
        ({"teacher": "three.onnx"}, "reads 3 inputs; the table has 2 features"),
        ({"teacher": "other.onnx"}, "reads the columns 'z'; the table has 2 features"),
        ({"features": ("u", "text")}, "these columns hold text: 'text'"),
        ({"teacher": "nan.onnx"}, "is not finite: nan"),
        ({"teacher": "wide.onnx"}, "must predict one number per row"),
        ({"target": "kind", "teacher": "nan.onnx"}, "is not finite: nan"),
        ({"target": None, "features": None}, "the table has 5 features"),
        ({"features": ("u", "same")}, "2 inputs; the table has 1 features: 'u'; feat"),
        ({"num_made": -1}, "num_made must be >= 0"),
    ],
)
def test_bad_teachers_end_before_any_work(
    command, folder, tmp_path, capsys, change, message
):
    change = {"out": tmp_path / "run"} | change
    if "teacher" in change:
        change["teacher"] = folder / change["teacher"]

    def main(_):
        search_command.main(dataclasses.replace(command, **change))

    arguments = ["--data", "x"]
    code = commands.run_command(
        main, search_command.SearchCommand, name="search", arguments=arguments
    )
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_layers_are_read_without_onnxruntime(folder, monkeypatch):
    frame = pd.DataFrame({"u": [1.0], "v": [0.5]})
    with_it = OnnxTeacher(folder / "named.onnx", frame)(frame)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    layers = OnnxTeacher(folder / "two.onnx", frame)(frame)
    np.testing.assert_allclose(layers, with_it, rtol=1e-6)
    with pytest.raises(ValueError, match=r"one input .* pip install onnxruntime"):
        OnnxTeacher(folder / "named.onnx", frame)
