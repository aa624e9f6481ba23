"""The prediction command: files of any size, columns found by name."""

import csv
import re

import numpy as np
import pandas as pd
import pytest
from export_cases import HOSTILE, TARGET, make_frame, make_model, write_run

from swajax import predict
from swajax.data import streaming
from swajax.io import commands

NAME = "python -m swajax.predict"


@pytest.fixture(scope="module")
def frame():
    frame = make_frame(25)
    # Non-text cells are returned as text.
    return frame.assign(**{HOSTILE[1]: frame[HOSTILE[1]].fillna("?")})


@pytest.fixture(scope="module")
def members(draw_network):
    """A regression and a classification model."""
    return [make_model(draw_network, depth=2, num_classes=num) for num in (0, 3)]


@pytest.fixture(scope="module", params=[0, 1], ids=["numbers", "classes"])
def fitted(request, tmp_path_factory, members):
    """A run of one network, and that network."""
    model = members[request.param]
    folder = tmp_path_factory.mktemp("predict") / "run"
    return write_run(folder, [model], pick=0), model


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Read several chunks, the last one incomplete."""
    whole = streaming.read_chunks
    monkeypatch.setattr(predict, "read_chunks", lambda *a: whole(*a, num_rows=10))


def _run(*arguments):
    arguments = [str(argument) for argument in arguments]
    config_class = predict.PredictCommand
    return commands.run_command(
        predict.main, config_class, name=NAME, arguments=arguments
    )


def _write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".npz":
        np.savez(path, **{name: np.array(frame[name].tolist()) for name in frame})
    else:
        separator = {".csv": ",", ".tsv": "\t", ".txt": ";"}[path.suffix]
        frame.to_csv(path, index=False, sep=separator)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "txt", "parquet"])
def test_predictions_are_those_of_the_model(capsys, tmp_path, fitted, frame, kind):
    folder, model = fitted
    data = _write(frame, tmp_path / f"new.{kind}")
    out = tmp_path / "out.csv"
    assert _run(folder, "--data", data, "--out", out) == 0
    printed, err = capsys.readouterr()
    assert err == "" and printed.startswith("25 rows: ") and str(out) in printed
    with out.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    want = model.predict(frame)
    assert header[0] == TARGET and len(rows) == len(frame)
    if not model.scaling.classes:
        assert [float(row[0]) for row in rows] == want.tolist()
        return
    assert [row[0] for row in rows] == want.tolist()
    assert header[1:] == [f"probability of {name}" for name in model.scaling.classes]
    got = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(got, model.predict_proba(frame), rtol=1e-5)


def test_columns_stand_in_any_order(tmp_path, fitted, frame):
    folder, _ = fitted
    others = frame[frame.columns[::-1]].assign(more="text", date="2020-01-01")
    outs = []
    for number, table in enumerate((frame, others)):
        data = _write(table, tmp_path / f"{number}.csv")
        outs.append(tmp_path / f"out{number}.csv")
        assert _run(folder, "--data", data, "--out", outs[-1]) == 0
    first, second = (out.read_bytes() for out in outs)
    assert first == second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: text.replace("lambda", "lamda"),
            "missing columns 'lambda'; the t",
        ),
        (lambda text: text.replace("never read", "lambda"), "missing columns 'never"),
        (lambda text: text + "1,2\n", "has 2 cells, the first line has 5"),
        (lambda text: text + "\n\nx,a,1,c,1\n", "is blank, between data rows"),
        (lambda text: text + '"x,a,1,c,1\n', "is not a line of a table"),
        (lambda text: "", "missing columns"),
    ],
)
def test_tables_that_do_not_fit(capsys, tmp_path, fitted, frame, change, message):
    folder, model = fitted
    order = [model.feature_names[place] for place in (4, 1, 0, 3, 2)]
    data, out = tmp_path / "new.csv", tmp_path / "out.csv"
    data.write_text(change(frame[order].to_csv(index=False)), encoding="utf-8")
    assert _run(folder, "--data", data, "--out", out) == 2
    printed, err = capsys.readouterr()
    assert printed == "" and err.count("\n") == 1
    assert err.startswith(f"{NAME}: error: {data}: ") and message in err
    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.parametrize(
    ("cell", "fault"), [("word", "'word' is not a number"), ("inf", "inf is infinite")]
)
def test_a_cell_that_cannot_be_read_empties_its_row(
    capsys, tmp_path, fitted, frame, cell, fault
):
    folder, model = fitted
    names = [*model.feature_names[:1], *model.feature_names[2:]]
    plain = frame[names].assign(**{HOSTILE[1]: "a"})[list(model.feature_names)]
    text = plain.to_csv(index=False)
    line = text.count("\n") + 1
    data, out = tmp_path / "new.csv", tmp_path / "out.csv"
    data.write_text(text + f"{cell},a,1,*/,1\n1,a,1,*/,1\n", encoding="utf-8")
    assert _run(folder, "--data", data, "--out", out, "--strict") == 2
    err = capsys.readouterr().err
    assert f"line {line}, column " in err and fault in err and not out.exists()
    assert _run(folder, "--data", data, "--out", out) == 0
    printed = capsys.readouterr().out
    note = "note: rows with an empty prediction: 1; the first: "
    assert f"{note}line {line}, column " in printed and fault in printed
    with out.open(newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    width = 1 + len(model.scaling.classes)
    assert rows[25] == [""] * width and len(rows) == 27
    assert all(cell for row in rows[:25] + rows[26:] for cell in row)
    assert [row[0] for row in rows[:25]] == [str(one) for one in model.predict(plain)]


def test_a_table_without_a_row_to_predict_is_refused(capsys, tmp_path, fitted, frame):
    folder, model = fitted
    words = frame.assign(**{model.feature_names[0]: "word"})
    data, out = _write(words, tmp_path / "new.csv"), tmp_path / "out.csv"
    assert _run(folder, "--data", data, "--out", out) == 2
    err = capsys.readouterr().err
    assert "no row can be predicted: line" in err and "'word' is not a number" in err
    assert not out.exists()


def test_fills_and_unseen_categories_are_counted(capsys, tmp_path, fitted):
    folder, model = fitted
    number, kind = model.feature_names[0], model.feature_names[1]
    frame = make_frame(25).assign(**{number: 1.0, kind: "a\nb"})
    frame.loc[:2, number] = np.nan
    frame.loc[:11, kind] = "new"
    data = _write(frame, tmp_path / "new.parquet")
    assert _run(folder, "--data", data, "--out", tmp_path / "out.csv") == 0
    out = capsys.readouterr().out
    assert f"missing cells replaced: {number!r} 3 by 3" in out
    assert f"categories not seen in training: {kind!r} 12" in out


def test_kept_columns_come_first(tmp_path, members, frame):
    folder = write_run(tmp_path / "run", members[:1], pick=0)
    number = members[0].feature_names[0]
    ids = [f"NA {i}" for i in range(25)]
    data = _write(frame.assign(id=ids, **{TARGET: 5}), tmp_path / "new.csv")
    out = tmp_path / "out.csv"
    keep = ("id", TARGET, number)
    assert _run(folder, "--data", data, "--out", out, "--keep", *keep, "id") == 0
    with out.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == [*keep, f"predicted {TARGET}"]
    assert [row[0] for row in rows] == ids and {row[1] for row in rows} == {"5"}
    assert [float(row[3]) for row in rows] == members[0].predict(frame).tolist()
    arguments = ("--data", data, "--out", tmp_path / "more.csv", "--keep", "Id")
    assert _run(folder, *arguments) == 2


def test_kept_cells_of_any_type_are_text(tmp_path, members, frame):
    folder = write_run(tmp_path / "run", members[:1], pick=0)
    dates = pd.date_range("2020-01-01", periods=25)
    typed = frame.assign(day=dates, n=pd.array([None, *range(24)], dtype="Int64"))
    data, out = _write(typed, tmp_path / "new.parquet"), tmp_path / "out.csv"
    assert _run(folder, "--data", data, "--out", out, "--keep", "day", "n") == 0
    lines = out.read_text().splitlines()
    assert lines[1].startswith("2020-01-01") and ",," in lines[1]


def test_decimal_commas_and_percents_are_read(capsys, tmp_path, members, frame):
    folder = write_run(tmp_path / "run", members[:1], pick=0)
    number = members[0].feature_names[0]
    plain = frame.assign(**{number: np.arange(25) / 4})
    marked = [f"{value:.2f}".replace(".", ",") + "%" for value in plain[number]]
    data = _write(frame.assign(**{number: marked}), tmp_path / "new.txt")
    out = tmp_path / "out.csv"
    assert _run(folder, "--data", data, "--out", out) == 0
    want = members[0].predict(plain)
    assert [float(line) for line in out.read_text().splitlines()[1:]] == want.tolist()
    note = f"percentages read as numbers, 10% as 10: {number!r} 25"
    assert note in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("RUN --data absent.csv --out OUT/out.csv", "no such file: 'absent.csv'"),
        ("RUN --data iris --out OUT/out.csv", "iris: missing columns"),
        ("RUN --data OUT --out OUT/out.csv", "is a folder"),
        ("RUN --data iris --out OUT/absent/out.csv", "there is no folder"),
        ("RUN --data iris --out RUN/networks.safetensors", "choose another --out"),
        ("OUT --data iris --out OUT/out.csv", "no run of a search"),
        ("RUN --size 1 --data iris --out OUT/out.csv", "at most 1 weights"),
        ("RUN --out OUT/out.csv", "Missing: --data"),
    ],
)
def test_bad_options(capsys, tmp_path, fitted, arguments, message):
    places = {"RUN": str(fitted[0]), "OUT": str(tmp_path)}
    text = re.sub("RUN|OUT", lambda match: places[match[0]], arguments)
    assert _run(*text.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and message in err
    assert not list(tmp_path.iterdir())
