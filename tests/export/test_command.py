"""The export command: one file per format, errors in one line."""

import importlib
import re
import shutil

import numpy as np
import pytest
from export_cases import make_frame, make_model, write_run
from export_runners import skip_without_package

import swajax
from swajax.data.problem import Problem
from swajax.data.splits import Dataset
from swajax.export import __main__
from swajax.export.formats import FORMATS
from swajax.io import checkpoints, commands
from swajax.model import results

NAME = "python -m swajax.export"


@pytest.fixture(scope="module")
def members(draw_network):
    return [make_model(draw_network, depth=depth) for depth in (1, 2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, members):
    """A run of two networks, the larger one picked, with its rows."""
    folder = write_run(tmp_path_factory.mktemp("export") / "run", members)
    model, frame = members[1], make_frame(100)
    scaling = model.scaling
    outputs = model.outputs(model.encode(frame))
    y = (outputs - scaling.target_offset) / scaling.target_scale
    y = (y + 0.1 * np.random.default_rng(0).normal(size=y.shape)).astype(np.float32)
    part = Problem(model.encode(frame), y, np.ones(100, np.float32))
    results.write_rows(folder, Dataset(part, part, None))
    return folder


def _run(*arguments):
    arguments = [str(argument) for argument in arguments]
    config_class = __main__.ExportCommand
    return commands.run_command(
        __main__.main, config_class, name=NAME, arguments=arguments
    )


NOTES = {
    "c": r"[\d,]+ bytes of object code|without gcc",
    "onnx": "inputs numbers, categories",
}


@pytest.mark.parametrize("format", FORMATS)
def test_formats(capsys, tmp_path, folder, members, format):
    skip_without_package(format)
    out = tmp_path / f"exported{FORMATS[format].ending}"
    assert _run(folder, "--format", format, "--out", out) == 0
    printed, err = capsys.readouterr()
    assert err == "" and printed.count("\n") == 2
    assert f"with {members[1].num_weights} weights, written to {out}" in printed
    assert re.search(NOTES.get(format, ""), printed)
    assert re.search(r"largest difference from predict .* on 100 val\w+ rows", printed)
    assert out.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [out]


def test_a_size_is_the_maximum_number_of_weights(capsys, tmp_path, folder, members):
    small, large = (model.num_weights for model in members)
    out = tmp_path / "net.safetensors"
    arguments = ("--size", large - 1, "--format", "safetensors", "--out", out)
    assert _run(folder, *arguments) == 0
    assert f"with {small} weights" in capsys.readouterr().out
    assert swajax.load(out).num_weights == small


def test_formulas_tell_their_digits(tmp_path, folder):
    pytest.importorskip("sympy")
    for name, more in (("short", []), ("digits", ["--digits", 5])):
        assert _run(folder, "--format", "formula", "--out", tmp_path / name, *more) == 0
    short, digits = ((tmp_path / n).read_text() for n in ("short", "digits"))
    assert re.search(r"1 to \d significant digits; rounding changes the val", short)
    assert "5 significant digits." in digits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("RUN --format java --out OUT/net", "'java'"),
        ("RUN --format c --size 2 --out OUT/net", "at most 2 weights; the front has"),
        ("OUT/absent --format c --out OUT/net", "absent: no such folder or file"),
        ("OUT --format c --out OUT/net", "no run of a search"),
        ("RUN --format c --out RUN/networks.safetensors", "choose another --out"),
        ("RUN --format c --out RUN", "exists: choose another --out"),
        ("RUN --format c --out OUT/absent/net", "there is no folder"),
        ("RUN --format formula --digits 0 --out OUT/net", "digits must be in 1..17"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    capsys, tmp_path, folder, arguments, message
):
    folders = {"RUN": str(folder), "OUT": str(tmp_path)}
    text = re.sub("RUN|OUT", lambda match: folders[match[0]], arguments)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert _run(*text.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"{NAME}: error: ")
    assert message in err
    assert not list(tmp_path.iterdir())
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


def test_rows_that_are_damaged_are_named(capsys, tmp_path, folder):
    run = shutil.copytree(folder, tmp_path / "run")
    (run / "rows.safetensors").write_bytes(b"damaged")
    assert _run(run, "--format", "c", "--out", tmp_path / "net.h") == 2
    assert f"{run / 'rows.safetensors'}: damaged" in capsys.readouterr().err


def test_a_run_without_rows_is_compared_on_random_rows(capsys, tmp_path, folder):
    run = shutil.copytree(folder, tmp_path / "run")
    (run / "rows.safetensors").unlink()
    assert _run(run, "--format", "numpy", "--out", tmp_path / "net.py") == 0
    assert "on 1,000 random rows within the training" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["unfinished", "older", "damaged"])
def test_runs_that_cannot_be_read(capsys, monkeypatch, tmp_path, folder, members, kind):
    run = tmp_path / "run"
    if kind == "unfinished":
        run.mkdir()
        (run / "config.json").write_text("{}")
    elif kind == "older":
        monkeypatch.setattr(checkpoints, "VERSION", 0)
        write_run(run, members)
        monkeypatch.undo()
    else:
        run.mkdir()
        raw = (folder / "networks.safetensors").read_bytes()
        (run / "networks.safetensors").write_bytes(raw[:-9])
    out = tmp_path / "net.h"
    assert _run(run, "--format", "c", "--out", out) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith(f"{NAME}: error: {run}")
    messages = {
        "unfinished": "an unfinished run of a search",
        "older": "format version 0, this swajax reads 1",
        "damaged": "damaged",
    }
    assert messages[kind] in err and not out.exists()


def test_a_formula_without_validation_rows_has_few_digits(capsys, tmp_path, folder):
    pytest.importorskip("sympy")
    model = tmp_path / "net.safetensors"
    assert _run(folder, "--format", "safetensors", "--out", model) == 0
    assert _run(model, "--format", "formula", "--out", tmp_path / "net") == 0
    text = (tmp_path / "net").read_text()
    assert 1 < int(re.search(r"Constants have (\d+) significant", text)[1]) < 8
    share = re.search(r"([\d.e-]+)\s+standard\s+deviations", text)[1]
    assert 0 < float(share) <= 0.01


def test_packages_that_are_not_installed_are_named(
    capsys, monkeypatch, tmp_path, folder
):
    def refuse(name):
        assert name == "swajax.export.onnx"
        raise ModuleNotFoundError("No module named 'onnx'", name="onnx")

    monkeypatch.setattr(importlib, "import_module", refuse)
    assert _run(folder, "--format", "onnx", "--out", tmp_path / "net") == 2
    err = capsys.readouterr().err
    assert "package onnx is needed: pip install 'swajax[export]'" in err


def test_a_folder_that_cannot_be_written(capsys, monkeypatch, tmp_path, folder):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert _run(folder, "--format", "c", "--out", tmp_path / "net.h") == 2
    assert f"{tmp_path / 'net.h'}: Permission denied" in capsys.readouterr().err
