"""Columns, targets and weights of a table: read, left out with a note, or rejected."""

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from swajax.data import encoding, functions, tables

NUM_ROWS = 40
ROWS = np.arange(NUM_ROWS)


@pytest.fixture
def write(tmp_path):
    """Write a valid table with columns replaced, added or (None) removed."""

    def _write(**changes):
        cells = {"a": ROWS, "b": ROWS**2, "y": 2 * ROWS + 0.5, **changes}
        kept = {name: list(cell) for name, cell in cells.items() if cell is not None}
        path = tmp_path / "table.csv"
        pd.DataFrame(kept).to_csv(path, index=False)
        return str(path)

    return _write


def _with(values, row, cell):
    """Replace one of the values."""
    return [cell if i == row else value for i, value in enumerate(values)]


def _cycle(*values):
    return [values[i % len(values)] for i in range(NUM_ROWS)]


def _note(table, words):
    found = [note for note in table.notes if words in note]
    assert len(found) == 1 and "\n" not in found[0], table.notes
    return found[0]


def test_chosen_features_keep_their_order(write):
    table = tables.load_table(write(c=ROWS % 5), target="y", features=["c", "a"])
    assert tuple(table.frame) == ("c", "a")
    np.testing.assert_array_equal(table.frame["a"], ROWS)


def test_cells_of_every_kind(write):
    blanks = _cycle("", "NA", "nan", "NULL", "none", "?", " n/a ", "1.5", "-2e3", "7")
    flags = _cycle("TRUE", "false", "")
    colors = _cycle(" red", "blue", "red", "NA")
    path = write(blanks=blanks, flags=flags, colors=colors)
    frame = tables.load_table(path, target="y").frame
    np.testing.assert_array_equal(frame["blanks"][:10], [np.nan] * 7 + [1.5, -2e3, 7])
    np.testing.assert_array_equal(frame["flags"][:3], [1, 0, np.nan])
    assert frame["colors"].tolist()[:4] == ["red", "blue", "red", None]
    assert str(frame["colors"].dtype) == "object"


def test_text_of_other_columns_does_not_matter(write):
    path = write(name=[f"name {i}" for i in ROWS], b=_with(ROWS, 3, "oops"))
    table = tables.load_table(path, target="y", features=["a"])
    assert table.frame.shape == (NUM_ROWS, 1)


def test_useless_columns_are_left_out_with_a_note(write):
    path = write(
        empty=[""] * NUM_ROWS,
        same=[3] * NUM_ROWS,
        word=["x"] * NUM_ROWS,
        half=_cycle(7, ""),
        mark=_cycle("x", ""),
        copy=ROWS * 1.0,
        copied_mark=_cycle("x", ""),
    )
    table = tables.load_table(path, target="y")
    assert tuple(table.frame) == ("a", "b", "mark")
    assert "'empty'" in _note(table, "no values")
    assert "'same', 'word', 'half'" in _note(table, "constant")
    assert "'copy', 'copied_mark'" in _note(table, "copies")


def test_text_columns_are_told(write):
    path = write(color=_cycle("red", "blue", ""), kind=_cycle("u", "v", "w"))
    note = _note(tables.load_table(path, target="y"), "read as categories")
    assert note.endswith("'color' (2 values), 'kind' (3 values)")


def test_columns_of_a_large_offset_are_used(write):
    wave = np.round(500 * np.sin(ROWS)).astype(int)
    path = write(ns=1_700_000_000_000_000_000 + 10**6 * wave, y=1e9 + wave / 1e3)
    table = tables.load_table(path, target="y", features=["ns"])
    encoder, _ = encoding.fit_encoder(table.frame)
    x = encoding.encode(encoder, table.frame)[:, 0]
    middle, half = (wave.max() + wave.min()) / 2, np.ptp(wave) / 2
    np.testing.assert_allclose(x, (wave - middle) / half, atol=1e-5)


def test_columns_that_vary_less_than_float64_resolves_are_told(write):
    path = write(ns=1_700_000_000_000_000_000 + ROWS * 256)
    note = _note(tables.load_table(path, target="y"), "precision of float64")
    assert note.endswith(": 'ns'")
    with pytest.raises(
        ValueError, match=r"constant \(.*\) to the precision of float64"
    ):
        tables.load_table(path, target="ns")


def test_a_copy_of_the_target_is_told(write):
    table = tables.load_table(write(leak=2 * ROWS + 0.5), target="y")
    assert "'leak'" in _note(table, "same values as the target")


def test_rows_without_target_or_weight_are_left_out(write):
    path = write(y=_with(_with(2.0 * ROWS, 3, "NA"), 4, ""), w=_cycle(0, 1, 2, 3))
    table = tables.load_table(path, target="y", weight="w")
    assert "2 of 40" in _note(table, "target 'y' is missing")
    assert "9 of 38" in _note(table, "weight is 0")
    kept = [i for i in ROWS if i not in (3, 4) and i % 4]
    np.testing.assert_array_equal(table.frame["a"], kept)
    np.testing.assert_array_equal(table.target, 2 * np.array(kept))
    np.testing.assert_array_equal(table.weight, np.array(kept) % 4)
    assert table.frame.index.tolist() == list(range(len(kept)))
    assert "w" not in table.frame


TASKS = {  # target, task asked for: task, classes
    "words": (_cycle("no", "yes", "maybe"), "auto", ("maybe", "no", "yes")),
    "flags": (_cycle("True", "False"), "auto", ("False", "True")),
    "two numbers": (_cycle(5, 3), "auto", ("3", "5")),
    "five of 40": (_cycle(1, 2, 3, 4, 5), "auto", ()),
    "two fractions": (_cycle(0.5, 1.5), "auto", ()),
    "many": (ROWS, "auto", ()),
    "chosen numbers": (_cycle(0, 1, 2), "regression", ()),
    "chosen flags": (_cycle("true", "false"), "regression", ()),
    "chosen classes": (_cycle(10, 9, 1.0, 2.5), "classification", None),
}


@pytest.mark.parametrize("case", TASKS)
def test_task(write, case):
    values, task, classes = TASKS[case]
    table = tables.load_table(write(y=values), target="y", task=task)
    if classes is None:
        classes = ("1", "2.5", "9", "10")
    assert table.classes == classes
    assert table.task == ("classification" if classes else "regression")
    if classes:
        assert table.target.dtype == np.int64
        texts = [str(value).removesuffix(".0") for value in values]
        assert [classes[code] for code in table.target] == texts
    else:
        assert table.target.dtype == np.float64
    notes = [note for note in table.notes if note.startswith(table.task)]
    assert len(notes) == (task == "auto")


def test_few_whole_numbers_are_classes_of_a_long_table(write):
    long = {"a": range(100), "b": range(100, 0, -1)}
    values = [i % 5 for i in range(100)]
    table = tables.load_table(write(y=values, **long), target="y")
    assert table.classes == ("0", "1", "2", "3", "4")
    assert "--task regression" in _note(table, "classification")
    one_more = [i % 6 for i in range(100)]
    table = tables.load_table(write(y=one_more, **long), target="y")
    assert "--task classification" in _note(table, "regression")


def test_as_many_categories_as_possible(write):
    table = tables.load_table(write(n=_cycle(*NAMES[:19])), target="y")
    assert table.frame["n"].nunique() == 19


def test_mixed_categories_are_told(write):
    table = tables.load_table(write(c=_cycle("1", "2", "3+")), target="y")
    assert table.frame["c"].tolist()[:3] == ["1", "2", "3+"]
    assert "line 4, column 'c': '3+'" in _note(table, "3 categories")


NAMES = [f"name {i}" for i in ROWS]
BAD_COLUMNS = {
    "word": ({"b": _with(ROWS, 3, "oops")}, "line 5, column 'b': 'oops' is not a num"),
    "long cell": ({"b": _with(ROWS, 3, "q" * 999)}, r"line 5, column 'b': 'q+\.\.\.'"),
    "escapes": ({"b": _with(ROWS, 3, "\x1b[31m")}, r"line 5, column 'b': '\\x1b\[31m'"),
    "code": ({"b": _with(ROWS, 3, "__import__('os').abort()")}, "line 5, .* not a num"),
    "infinite": ({"b": _with(ROWS, 3, "-inf")}, "line 5, column 'b': -inf is infinite"),
    "too large": ({"b": _with(ROWS, 3, 1e200)}, r"line 5, .* 1e\+200 is .* 1e\+100"),
    "text": ({"n": NAMES}, "'n' holds text with 40 .* --features among 'a', 'b'"),
    "20 words": ({"n": _cycle(*NAMES[:20])}, "'n' holds text with 20 different values"),
    "21 words": ({"n": _cycle(*NAMES[:21])}, "'n' holds text with 21 different values"),
    "dates": ({"n": [f"2020-01-{i:02}" for i in ROWS]}, "'n' holds dates"),
    "many texts": ({f"n{i}": NAMES for i in range(99)}, "'n0' .* and 96 more"),
    "no feature": ({"a": None, "b": None}, "no feature varies"),
    "only constants": ({"a": [1] * NUM_ROWS, "b": None}, "no feature varies"),
    "word in target": ({"y": _with(ROWS, 3, "oops")}, "line 5, .*--task classific"),
    "huge target": ({"y": _with(ROWS, 3, 1e101)}, "line 5, column 'y': 1e"),
    "no target cell": ({"y": [""] * NUM_ROWS}, "no row is left"),
    "one class": ({"y": ["x"] * NUM_ROWS}, r"'y' has only one class \('x'\)"),
    "one row of a class": ({"y": _with(_cycle("u", "v"), 3, "w")}, "one row .* 'w'"),
    "few targets": ({"y": _with(ROWS[:9], 0, 7).__add__([""] * 31)}, "9 data rows"),
    "constant target": ({"y": [4] * NUM_ROWS}, r"'y' is constant \(4\)"),
    "names": ({"y": NAMES}, "only one row of class"),
    "long name": ({"n" * 999: NAMES}, "n{40,60}\\.\\.\\."),
    "bad name": ({"n\n\x1b[2J": NAMES}, r"'n\\n\\x1b\[2J' holds"),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_bad_column_is_one_clear_line(write, case):
    changes, cause = BAD_COLUMNS[case]
    path = write(**changes)
    with pytest.raises(ValueError, match=cause) as caught:
        tables.load_table(path, target="y")
    message = str(caught.value)
    assert message.startswith(path)
    assert "\n" not in message and "\x1b" not in message
    assert len(message) < 500 + len(path)


BAD_TASKS = {
    "numbers as 40 classes": (ROWS, "classification", "only one row"),
    "words as numbers": (_cycle("u", "v"), "regression", "line 2, .*'u' is not a num"),
}


@pytest.mark.parametrize("case", BAD_TASKS)
def test_bad_task(write, case):
    values, task, cause = BAD_TASKS[case]
    with pytest.raises(ValueError, match=cause):
        tables.load_table(write(y=values), target="y", task=task)


def test_too_many_classes(write):
    twice = [f"class {i // 2}" for i in range(102)]
    path = write(a=range(102), b=None, y=twice)
    with pytest.raises(ValueError, match="51 classes, at most 50"):
        tables.load_table(path, target="y")


def test_too_many_inputs_of_categories(write):
    words = [f"word {i % 20}" for i in range(60)]
    rng = np.random.default_rng(0)
    many = {f"c{i}": rng.permutation(words) for i in range(101)}
    path = write(a=range(60), b=None, y=range(60), **many)
    with pytest.raises(ValueError, match="2,021 features"):
        tables.load_table(path, target="y")


BAD_CHOICES = {
    "no target": ({}, "--target among 'a', 'b', 'y', 'w'"),
    "unknown target": ({"target": "Y2"}, "did you mean 'y'"),
    "unknown feature": ({"target": "y", "features": ["zz"]}, "no column 'zz'; the t"),
    "unknown weight": ({"target": "y", "weight": "zz"}, "no column 'zz'"),
    "empty": ({"target": "y", "features": []}, "no feature"),
    "twice": ({"target": "y", "features": ["a", "a"]}, "twice"),
    "leak": ({"target": "y", "features": ["a", "y"]}, "target 'y' is among the feat"),
    "weight": (
        {"target": "y", "features": ["a", "w"], "weight": "w"},
        "weight 'w' is among the features",
    ),
    "weight is target": ({"target": "y", "weight": "y"}, "also the weight"),
    "unknown group": ({"target": "y", "group": "A"}, "no column 'A' .*mean 'a'"),
    "group is a feature": (
        {"target": "y", "features": ["a", "b"], "group": "b"},
        "group 'b' is among the features",
    ),
    "group is target": ({"target": "y", "group": "y"}, "target 'y' is also the group"),
    "no group": ({"target": "y", "group": "w"}, "line 2, column 'w': the group is mis"),
    "chosen and empty": ({"target": "y", "features": ["a", "w"]}, "no values .* 'w'"),
}


@pytest.mark.parametrize("case", BAD_CHOICES)
def test_bad_choice_of_columns(write, case):
    arguments, cause = BAD_CHOICES[case]
    with pytest.raises(ValueError, match=cause):
        tables.load_table(write(w=[""] * NUM_ROWS), **arguments)


BAD_WEIGHTS = {
    "missing": (_with(ROWS + 1, 3, "nan"), "line 5, column 'w': the weight is missing"),
    "negative": (_with(ROWS + 1, 3, -1), "line 5, column 'w': the weight is negative"),
    "infinite": (_with(ROWS + 1, 3, "inf"), "line 5, column 'w': inf is infinite"),
    "huge": (_with(ROWS + 1, 3, 1e9), "line 5, .* exceeds 1e\\+06 times the median"),
    "text": (_with(ROWS + 1, 3, "x"), "line 5, column 'w': 'x' is not a number"),
    "zero": ([0] * NUM_ROWS, "all weights in column 'w' are 0"),
    "mostly zero": (_cycle(0, 0, 0, 0, 5), "8 data rows"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights(write, case):
    weights, cause = BAD_WEIGHTS[case]
    with pytest.raises(ValueError, match=cause):
        tables.load_table(write(w=weights), target="y", weight="w")


def test_groups_are_read_and_are_no_feature(write):
    words = [f"person {i // 2}" for i in ROWS]  # too many for a feature
    target = _with(ROWS * 0.5, 5, "")
    table = tables.load_table(write(who=words, y=target), target="y", group="who")
    assert tuple(table.frame) == ("a", "b") and table.group_name == "who"
    kept = [word for row, word in enumerate(words) if row != 5]
    same = np.equal.outer(table.group, table.group)
    np.testing.assert_array_equal(same, np.equal.outer(kept, kept))
    assert tables.load_table(write(), target="y").group is None


def test_diabetes_is_in_its_own_units():
    table = tables.load_table("diabetes")
    frame = datasets.load_diabetes(as_frame=True, scaled=False).frame
    assert tuple(table.frame) == tuple(frame)[:-1]
    np.testing.assert_array_equal(table.frame, frame.drop(columns="target"))
    np.testing.assert_array_equal(table.target, frame["target"])
    assert table.target.min() == 25.0 and table.target.max() == 346.0
    chosen = tables.load_table("diabetes", target="bp", features=["age"])
    assert chosen.target_name == "bp" and chosen.frame.shape == (442, 1)


@pytest.mark.parametrize(
    ("name", "shape", "target", "classes"),
    [
        ("breast_cancer", (569, 30), "diagnosis", ("benign", "malignant")),
        ("Wine", (178, 13), "cultivar", ("class_0", "class_1", "class_2")),
        ("iris", (150, 4), "species", ("setosa", "versicolor", "virginica")),
        ("digits", (1797, 61), "digit", tuple("0123456789")),
    ],
)
def test_built_in_classes(name, shape, target, classes):
    table = tables.load_table(name)
    assert table.frame.shape == shape
    assert (table.target_name, table.classes) == (target, classes)
    assert np.bincount(table.target).min() > 0


def test_built_in_functions_know_their_values():
    table = tables.load_table("Ackley N.2")
    expected = functions.FUNCTIONS["ackley-n2"].fn(*table.frame.to_numpy().T)
    np.testing.assert_array_equal(table.target, expected)
    assert tables.load_table("xin_she_yang_n4").frame.shape == (5000, 2)
