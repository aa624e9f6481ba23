"""Tables with every fault a user's file can have, functions, splits and scaling."""

import numpy as np
import pytest
from sklearn import datasets

from swajax.data import functions, splits, tables

HEADER = "a,b,c,y"
LINES = [f"{i},{i * i},{i % 3},{2 * i + 1}" for i in range(12)]


@pytest.fixture
def write(tmp_path):
    def _write(content, name="table.csv"):
        path = tmp_path / name
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(data)
        return str(path)

    return _write


def _text(lines=LINES, header=HEADER):
    return "\n".join([header, *lines]) + "\n"


def _with_line(line, at=5):
    """A good table with one line replaced; `at` counts from 1, the header included."""
    lines = _text().splitlines()
    lines[at - 1] = line
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_file_round_trip(write, separator):
    path = write(_text().replace(",", separator))
    table = tables.load_table(path, target="y")
    rows = np.arange(12.0)
    assert table.features == ("a", "b", "c")
    assert (table.target, table.source) == ("y", path)
    np.testing.assert_array_equal(table.x, np.stack([rows, rows**2, rows % 3], 1))
    np.testing.assert_array_equal(table.y, 2 * rows + 1)
    assert table.x.dtype == table.y.dtype == np.float64


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + _text().encode(),  # byte order mark
        _text().replace("\n", "\r\n"),
        _text() + "\n\n",  # blank lines at the end
        _text(header='"a", b ,c,y'),
        _text([f"{i},{line}" for i, line in enumerate(LINES)], "," + HEADER),  # index
    ],
)
def test_harmless_variants_read_the_same(write, content):
    plain = tables.load_table(write(_text(), "plain.csv"), target="y")
    other = tables.load_table(write(content), target="y")
    assert other.features == plain.features
    np.testing.assert_array_equal(other.x, plain.x)


def test_chosen_features_keep_their_order(write):
    table = tables.load_table(write(_text()), target="b", features=["c", "a"])
    assert table.features == ("c", "a")
    np.testing.assert_array_equal(table.x[:, 1], np.arange(12.0))


def test_text_in_other_columns_does_not_matter(write):
    path = write(_with_line("3,x,0,7"))
    assert tables.load_table(path, target="y", features=["a"]).x.shape == (12, 1)


BAD_FILES = {
    "empty": ("", ["empty"]),
    "blank": ("\n \n", ["empty"]),
    "header only": (HEADER + "\n", ["no rows"]),
    "blank first line": ("\n" + _text(), ["line 1", "blank"]),
    "no header": (_text(LINES, "1,2,3,4"), ["line 1", "column names"]),
    "duplicate names": (_text(header="a,a,c,y"), ["'a'", "more than once"]),
    "word": (_with_line("3,oops,0,7"), ["line 5", "'b'", "'oops'", "not a number"]),
    "long cell": (_with_line(f"3,{'q' * 999},0,7"), ["line 5", "qqq...'"]),
    "escapes": (_with_line("3,\x1b[31m,0,7"), ["line 5", r"\x1b"]),
    "code": (_with_line("3,__import__('os').abort(),0,7"), ["line 5", "not a number"]),
    "missing": (_with_line("3,,0,7"), ["line 5", "'b'", "missing"]),
    "named missing": (_with_line("3,NaN,0,7"), ["line 5", "'b'", "missing"]),
    "infinite": (_with_line("3,-inf,0,7"), ["line 5", "'b'", "infinite"]),
    "too large": (_with_line("3,1e200,0,7"), ["line 5", "1e200", "1e+100"]),
    "blank line inside": (_with_line(""), ["line 5", "'a'", "missing"]),
    "short line": (_with_line("3,9,0"), ["line 5", "'y'", "missing"]),
    "long line": (_with_line("3,9,0,7,8"), ["line 5", "saw 5"]),
    "open quote": (_with_line('3,"9,0,7'), ["not a table"]),
    "too few rows": (_text(LINES[:9]), ["9 rows", "10"]),
    "not UTF-8": (_with_line("3,9,0,X").encode().replace(b"X", b"\xff"), ["line 5"]),
    "UTF-16": (_text().encode("utf-16"), ["line 1", "UTF-8"]),
    "zero bytes": (_text() + "\0", ["zero bytes"]),
    "constant target": (
        _text([line.rpartition(",")[0] + ",4" for line in LINES]),
        ["'y'", "constant (4)"],
    ),
    "constant feature": (
        _text([f"{i},{i * i},5,{i}" for i in range(12)]),
        ["'c'", "constant (5)"],
    ),
    "many features": (
        _text([f"word,{i},{line}" for i, line in enumerate(LINES)], "w,d," + HEADER),
        ["5 features", "--features", "'d', 'a', 'b', 'c'"],
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_one_clear_line(write, case):
    content, words = BAD_FILES[case]
    path = write(content)
    with pytest.raises(ValueError, match=r".") as caught:
        tables.load_table(path, target="y")
    message = str(caught.value)
    assert "\n" not in message and len(message) < 400 + len(path)
    for word in ["table.csv", *words]:
        assert word in message


BAD_CHOICES = {
    "no target": ({}, "--target"),
    "unknown target": ({"target": "Y2"}, "did you mean 'y'"),
    "unknown feature": ({"target": "y", "features": ["zz"]}, "no column 'zz'; there"),
    "empty": ({"target": "y", "features": []}, "0 features"),
    "twice": ({"target": "y", "features": ["a", "a"]}, "twice"),
    "leak": ({"target": "y", "features": ["a", "y"]}, "among the features"),
}


@pytest.mark.parametrize("case", BAD_CHOICES)
def test_bad_choice_of_columns(write, case):
    arguments, words = BAD_CHOICES[case]
    with pytest.raises(ValueError, match=words):
        tables.load_table(write(_text()), **arguments)


def test_no_such_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="did you mean 'diabetes'"):
        tables.load_table("diabetis")
    with pytest.raises(ValueError, match="folder"):
        tables.load_table(str(tmp_path), target="y")


def test_diabetes_is_in_its_own_units():
    table = tables.load_table("diabetes")
    frame = datasets.load_diabetes(as_frame=True, scaled=False).frame
    assert table.features == ("bmi", "bp", "s5")
    np.testing.assert_array_equal(table.x, frame[["bmi", "bp", "s5"]])
    np.testing.assert_array_equal(table.y, frame["target"])
    assert table.y.min() == 25.0 and table.y.max() == 346.0
    chosen = tables.load_table("diabetes", target="bp", features=["age"])
    assert chosen.target == "bp" and chosen.x.shape == (442, 1)
    with pytest.raises(ValueError, match="10 features"):
        tables.load_table("diabetes", target="bp")


@pytest.mark.parametrize(
    "name", ["iris", "Himmelblau", "Ackley N.2", "xin_she_yang_n4"]
)
def test_other_built_in_tables(name):
    table = tables.load_table(name)
    assert table.x.shape[1] in (2, 3)
    assert np.isfinite(table.x).all() and np.isfinite(table.y).all()


def test_built_in_name_with_a_folder_is_a_file(write):
    path = write(_text(), "sphere")
    assert tables.load_table(path, target="y").x.shape == (12, 3)


KNOWN_VALUES = {  # published optima, and values worked out by hand
    "ackley-n2": [(0, 0, -200.0), (3, 4, -73.5758882)],
    "alpine-n2": [(7.9170526982, 7.9170526982, 7.8856007), (0, 5, 0.0)],
    "booth": [(1, 3, 0.0), (0, 0, 74.0)],
    "brent": [(-10, -10, 0.0), (0, 0, 201.0)],
    "cross-in-tray": [(1.3494066, -1.3494066, -2.0626118), (0, 0, -1e-4)],
    "deckkers-aarts": [(0, 0, 0.0), (1, 0, 99999.00001), (0, 2, 399984.00256)],
    "drop-wave": [(0, 0, -1.0), (np.pi / 6, 0, -0.9358784)],
    "easom": [(np.pi, np.pi, -1.0), (0, 0, -2.675288e-9)],
    "goldstein-price": [(0, 0, 600.0), (0, -1, 399.0)],
    "himmelblau": [(3, 2, 0.0), (-2.805118, 3.131312, 0.0), (0, 0, 170.0)],
    "mccormick": [(-0.5471976, -1.5471976, -1.9132230), (0, 0, 1.0)],
    "rosenbrock": [(1, 1, 0.0), (0, 0, 1.0), (-1, 2, 104.0)],
    "schaffer-n2": [(0, 0, 0.0), (0, 1.2533141, 0.9984329)],
    "schwefel-2.22": [(0, 0, 0.0), (-2, 3, 11.0)],
    "shubert-3": [(5.791794, 5.791794, 24.062499), (0, 0, -9.4768172)],
    "sphere": [(0, 0, 0.0), (-3, 4, 25.0)],
    "sum-squares": [(0, 0, 0.0), (1, -2, 9.0)],
    "xin-she-yang-n4": [(0, 0, -1.0), (np.pi**2 / 4, 0, 0.1425309)],
}


@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_function_has_its_known_values(name):
    for x1, x2, expected in KNOWN_VALUES[name]:
        value = functions.FUNCTIONS[name].fn(np.array([x1 * 1.0]), np.array([x2 * 1.0]))
        np.testing.assert_allclose(value, [expected], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_sample_is_scaled_by_domain_and_training_labels(name):
    sample = functions.sample_function(name, seed=3, num_train=400, num_test=100)
    function = functions.FUNCTIONS[name]
    points, values = functions.sample_points(name, seed=3, num_points=500)
    x = np.concatenate([sample.x_train, sample.x_test])
    low, high = np.array(function.low), np.array(function.high)
    np.testing.assert_allclose(low + (x + 1) / 2 * (high - low), points, atol=1e-9)
    assert np.abs(x).max() <= 1 and np.abs(x).max() > 0.95
    assert (sample.y_train.min(), sample.y_train.max()) == (-1.0, 1.0)
    train, test = values[:400], values[400:]
    expected = np.interp(test, [train.min(), train.max()], [-1, 1])
    inside = (test >= train.min()) & (test <= train.max())
    np.testing.assert_allclose(sample.y_test[inside, 0], expected[inside], atol=1e-9)
    assert sample.x_test.shape == (100, 2) and sample.y_test.shape == (100, 1)


def test_sample_defaults_seeds_and_names():
    sample = functions.sample_function("Booth", seed=0)
    assert sample.x_train.shape == (3750, 2) and sample.x_test.shape == (1250, 2)
    again = functions.sample_function("booth", seed=0)
    np.testing.assert_array_equal(sample.y_test, again.y_test)
    assert (functions.sample_function("booth", seed=1).x_test != sample.x_test).all()
    with pytest.raises(ValueError, match=r"'griewank'.*himmelblau"):
        functions.sample_function("griewank", seed=0)
    with pytest.raises(ValueError, match="num_train"):
        functions.sample_function("booth", seed=0, num_train=1)


def _numbered_table(num_rows=100):
    rows = np.arange(num_rows, dtype=np.float64)
    x = np.stack([rows, rows % 7], axis=1)
    return tables.Table(x, 3 * rows + 5, ("row", "mod"), "y", "numbered")


def test_split_is_a_reproducible_partition_in_table_units():
    table = _numbered_table()
    dataset, scalers = splits.split_table(table, seed=4)
    parts = []
    for name, size in (("train", 60), ("valid", 20), ("test", 20)):
        x, y = getattr(dataset, f"x_{name}"), getattr(dataset, f"y_{name}")
        assert x.shape == (size, 2) and y.shape == (size, 1)
        assert x.dtype == y.dtype == np.float32
        rows = scalers.inputs.inverse_transform(x)[:, 0]
        targets = scalers.target.inverse_transform(y)[:, 0]
        np.testing.assert_allclose(targets, 3 * rows + 5, atol=1e-3)
        parts.append(np.rint(rows).astype(int))
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(100))
    again, _ = splits.split_table(table, seed=4)
    other, _ = splits.split_table(table, seed=5)
    np.testing.assert_array_equal(again.x_test, dataset.x_test)
    assert (other.x_test != dataset.x_test).any()


def test_scaling_is_fitted_on_the_training_part_only():
    table = _numbered_table()
    dataset, _ = splits.split_table(table, seed=4)
    np.testing.assert_allclose(dataset.x_train.min(axis=0), -1, atol=1e-6)
    np.testing.assert_allclose(dataset.x_train.max(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(dataset.y_train.mean(), 0, atol=1e-6)
    np.testing.assert_allclose(dataset.y_train.std(), 1, atol=1e-6)
    outside = table.y.copy()
    test_rows = np.rint(_rows_of(dataset.x_test, table)).astype(int)
    outside[test_rows] += 1000.0
    changed, _ = splits.split_table(table._replace(y=outside), seed=4)
    np.testing.assert_array_equal(changed.y_train, dataset.y_train)
    np.testing.assert_array_equal(changed.y_valid, dataset.y_valid)
    assert (changed.y_test > dataset.y_test + 1).all()


def _rows_of(x, table):
    _, scalers = splits.split_table(table, seed=4)
    return scalers.inputs.inverse_transform(x)[:, 0]


@pytest.mark.parametrize("unit", [1e-30, 1e-19, 1.0, 1e30])
def test_scaling_does_not_depend_on_units(unit):
    table = _numbered_table()
    expected, _ = splits.split_table(table, seed=0)
    scaled, _ = splits.split_table(
        table._replace(x=table.x * unit, y=table.y * unit), seed=0
    )
    for one, other in zip(scaled, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_split_refuses_what_it_cannot_scale():
    table = _numbered_table()
    rare = np.zeros(100)
    rare[
        np.rint(_rows_of(splits.split_table(table, seed=4)[0].x_test, table))[
            0:1
        ].astype(int)
    ] = 1
    with pytest.raises(ValueError, match=r"numbered: column 'y' is constant in the tr"):
        splits.split_table(table._replace(y=rare), seed=4)
    with pytest.raises(ValueError, match="valid_share"):
        splits.split_table(table, seed=0, valid_share=0.6, test_share=0.4)


def test_scalers_as_numbers_do_the_same():
    table = _numbered_table()
    dataset, scalers = splits.split_table(table, seed=0)
    numbers = {
        name: np.array(value)
        for name, value in splits.describe_scalers(scalers).items()
    }
    x = table.x * numbers["input_scale"] + numbers["input_offset"]
    np.testing.assert_allclose(x, scalers.inputs.transform(table.x), atol=1e-12)
    y = dataset.y_test * numbers["target_scale"] + numbers["target_offset"]
    expected = scalers.target.inverse_transform(dataset.y_test)
    np.testing.assert_allclose(y, expected, rtol=1e-6)
