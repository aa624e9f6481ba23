"""Table files: all formats give the same table, every fault a one-line message."""

import bz2
import gzip
import io
import zipfile

import numpy as np
import pandas as pd
import pytest

from swajax.data import loading, readers, streaming, tables

HEADER = "a,b,c,y"
LINES = [f"{i},{i * i},{i % 3},{2 * i + 0.5}" for i in range(12)]
ROWS = np.arange(12.0)
COLUMNS = {"a": ROWS, "b": ROWS**2, "c": ROWS % 3, "y": 2 * ROWS + 0.5}


@pytest.fixture
def write(tmp_path):
    def _write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return _write


def _text(lines=LINES, header=HEADER):
    return "\n".join([header, *lines]) + "\n"


def _with_line(line, at=5):
    """A valid table with one line replaced; `at` counts from 1, header included."""
    lines = _text().splitlines()
    lines[at - 1] = line
    return "\n".join(lines) + "\n"


def _npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _parquet(columns, **options):
    file = io.BytesIO()
    pd.DataFrame(columns).to_parquet(file, **options)
    return file.getvalue()


def _assert_is_the_table(table):
    assert tuple(table.frame) == ("a", "b", "c")
    assert (table.target_name, table.task) == ("y", "regression")
    for name in "abc":
        assert table.frame[name].dtype == np.float64
        np.testing.assert_array_equal(table.frame[name], COLUMNS[name])
    np.testing.assert_array_equal(table.target, COLUMNS["y"])
    assert table.target.dtype == np.float64 and table.weight is None


INPUTS = np.stack([COLUMNS[name] for name in "abc"], axis=1)

SAME_TABLE = {
    "table.csv": _text(),
    "table.tsv": _text().replace(",", "\t"),
    "semicolons.csv": _text().replace(",", ";"),
    "bom.csv": b"\xef\xbb\xbf" + _text().encode(),
    "windows.csv": _text().replace("\n", "\r\n"),
    "blank_end.csv": _text() + "\n  \n",
    "quoted.csv": _text(header='"a", b ,c,y'),
    "table.csv.gz": gzip.compress(_text().encode(), mtime=0),
    "table.parquet.gz": gzip.compress(_parquet(COLUMNS), mtime=0),
    "utf16.csv": _text().encode("utf-16"),
    "utf16_big.csv": b"\xfe\xff" + _text().encode("utf-16-be"),
    "utf32.csv": _text().encode("utf-32"),
    "index.csv": _text([f"{i},{line}" for i, line in enumerate(LINES)], "," + HEADER),
    "no_suffix": _text(),
    "table.parquet": _parquet(COLUMNS),
    "index.parquet": _parquet(COLUMNS, index=True),
    "parquet_by_content": _parquet(COLUMNS),
    "columns.npz": _npz(**COLUMNS),
    "x_y.npz": _npz(x=INPUTS, y=COLUMNS["y"], feature_names=np.array(list("abc"))),
    "x_y2.npz": _npz(x=INPUTS, y=COLUMNS["y"][:, None], feature_names=["a", "b", "c"]),
}


@pytest.mark.parametrize("name", SAME_TABLE)
def test_every_format_reads_the_same(write, name):
    path = write(SAME_TABLE[name], name)
    table = tables.load_table(path, target="y")
    _assert_is_the_table(table)
    assert table.source == path
    pieces = list(streaming.read_chunks(path, ["c", "a"], num_rows=5))
    assert [len(piece) for piece in pieces] == [5, 5, 2]
    whole = readers.read_source(path).frame[["c", "a"]]
    pd.testing.assert_frame_equal(pd.concat(pieces), whole, check_index_type=False)


@pytest.mark.parametrize("start", [0, 1])
def test_names_that_count_the_columns_are_names(write, start):
    names = [str(start + i) for i in range(4)]
    table = tables.load_table(write(_text(header=",".join(names))), target=names[3])
    assert tuple(table.frame) == tuple(names[:3])
    assert table.notes[0].startswith(f"line 1 holds the column names: '{start}', ")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_names_in_quotes_may_hold_line_breaks(write, delimiter):
    header = delimiter.join(['"size, in\nmm; ""wide"""', "b", "c", "y"])
    path = write(_text([line.replace(",", delimiter) for line in LINES], header))
    name = 'size, in\nmm; "wide"'
    source = readers.read_source(path)
    assert list(source.frame) == [name, "b", "c", "y"]
    assert source.frame.index.tolist() == list(range(3, 15))
    pieces = list(streaming.read_chunks(path, [name]))
    assert pieces[0][name].tolist() == [str(i) for i in range(12)]


def test_a_quote_that_never_ends_is_no_long_header(write):
    path = write(_text(header='a",b,c,y'))
    assert list(readers.read_source(path).frame) == ['a"', "b", "c", "y"]


@pytest.mark.parametrize("first", [0, 1])
def test_saved_row_numbers_are_left_out_with_a_note(write, first):
    lines = [f"{i + first},{line}" for i, line in enumerate(LINES)]
    path = write(_text(lines, "Unnamed: 0," + HEADER))
    table = tables.load_table(path, target="y")
    assert "features left out, saved row numbers: 'Unnamed: 0'" in table.notes
    _assert_is_the_table(table)
    chosen = tables.load_table(path, target="y", features=["Unnamed: 0"])
    assert tuple(chosen.frame) == ("Unnamed: 0",)
    again = write(_text(lines[::-1], "Unnamed: 0.1," + HEADER))  # saved twice, shuffled
    assert tuple(tables.load_table(again, target="y").frame) == ("a", "b", "c")
    lines[3] = lines[2]
    other = tables.load_table(write(_text(lines, "Unnamed: 0," + HEADER)), target="y")
    assert "Unnamed: 0" in other.frame


def test_a_note_names_features_that_number_the_rows(write):
    lines = [f"{i + 5},{line}" for i, line in enumerate(LINES)]
    table = tables.load_table(write(_text(lines, "id," + HEADER)), target="y")
    assert table.notes[-1].startswith("features that number the rows: 'id', 'a' (")
    lines[-1] = "0" + lines[-1][2:]
    other = tables.load_table(write(_text(lines, "id," + HEADER)), target="y")
    assert "'id'" not in other.notes[-1]


def test_columns_without_a_name_are_left_out_with_a_note(write):
    lines = [f"{i},{line}" for i, line in enumerate(LINES)]
    table = tables.load_table(write(_text(lines, "," + HEADER)), target="y")
    assert table.notes[0] == "columns without a name left out: 1"


def test_npz_defaults(write):
    arrays = {"x": INPUTS, "y": COLUMNS["y"], "w": ROWS + 1, "x_test": INPUTS[:5]}
    path = write(_npz(**arrays), "data.npz")
    table = tables.load_table(path)
    assert (table.target_name, tuple(table.frame)) == ("y", ("x1", "x2", "x3"))
    assert "'x_test'" in table.notes[0] and len(table.notes) == 3
    weighted = tables.load_table(path, weight="w")
    np.testing.assert_array_equal(weighted.weight, ROWS + 1)
    assert "w" not in weighted.frame


def test_npz_feature_without_a_name_is_no_feature(write):
    arrays = {"x": INPUTS, "y": ROWS, "feature_names": np.array(["", "b", "c"])}
    table = tables.load_table(write(_npz(**arrays), "data.npz"))
    assert tuple(table.frame) == ("b", "c")


def test_lines_are_counted_as_in_an_editor(write):
    text = _text(
        [f'"name\n{i % 2}",{line}' for i, line in enumerate(LINES)], "n,a,b,c,y"
    )
    source = readers.read_source(write(text))
    assert source.frame.index.name == "line"
    assert source.frame.index.tolist() == list(range(2, 26, 2))


def test_parquet_types(write):
    columns = {
        "whole": pd.array([None, *range(11)], dtype="Int64"),
        "flag": pd.array([True, False, None] * 4, dtype="boolean"),
        "kind": pd.Categorical(["3", "1", "2"] * 4),
        "word": ["u", "v", None] * 4,
        "small": ROWS.astype(np.float32),
        "y": ROWS**2,
    }
    table = tables.load_table(write(_parquet(columns), "t.parquet"), target="y")
    assert np.isnan(table.frame["whole"][0]) and table.frame["whole"][11] == 10
    np.testing.assert_array_equal(table.frame["flag"][:3], [1, 0, np.nan])
    assert table.frame["kind"].tolist()[:3] == ["3", "1", "2"]
    assert table.frame["word"].tolist()[:3] == ["u", "v", None]
    numeric = table.frame[["whole", "flag", "small"]]
    assert (numeric.dtypes == np.float64).all()
    assert {str(table.frame[name].dtype) for name in ("kind", "word")} == {"object"}


def test_an_index_of_pandas_is_a_column_like_others(write):
    rows = pd.DataFrame({"a": ROWS, "b": ROWS**2, "y": ROWS})
    wanted = readers.read_source(write(rows.to_parquet(), "plain.parquet")).frame
    for names in (["b"], ["a", "b"]):
        raw = rows.set_index(names).to_parquet()
        found = readers.read_source(write(raw, "index.parquet")).frame
        pd.testing.assert_frame_equal(found[["a", "b", "y"]], wanted)


def _zip(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


GOOD_NPZ = _npz(x=INPUTS, y=COLUMNS["y"])
TWICE = {"a": ROWS, "a ": ROWS, "y": ROWS}

BAD_FILES = {
    "empty.csv": ("", "empty"),
    "blank.csv": ("\n \n", "empty"),
    "header only.csv": (HEADER + "\n", "no data rows"),
    "blank first line.csv": ("\n" + _text(), "line 1 .* blank"),
    "no header.csv": (_text(LINES, "1,2,4,3"), "line 1 .* column names"),
    "no comma header.csv": ("1,5;2;4\n" * 12, "line 1 .* column names"),
    "duplicate names.csv": (_text(header="a,a,c,y"), "'a' appears more than once"),
    "blank line inside.csv": (_with_line(""), "line 5 is blank"),
    "short line.csv": (_with_line("3,9,0"), "line 5 has 3 cells, .* 4"),
    "long line.csv": (_with_line("3,9,0,7,8"), "line 5 has 5 cells, .* 4"),
    "open quote.csv": (_with_line('3,"9,0,7'), "line 5 is not a line of a table"),
    "open last quote.csv": (_with_line('3,9,0,"7'), "line 5 is not a line of a table"),
    "long field.csv": (_with_line(f"3,{'9' * 200_000},0,7"), "line 5 .* limit"),
    "latin.csv": (_with_line("3,9,0,X").encode().replace(b"X", b"\xff"), "line 5"),
    "UTF-16 without mark.csv": (_text().encode("utf-16-le"), "zero bytes"),
    "odd UTF-16.csv": (_text().encode("utf-16")[:-1], "is not UTF-16 text"),
    "zero bytes.csv": (_text() + "\0", "zero bytes"),
    "few.csv": (_text(LINES[:9]), "9 data rows, at least 10"),
    "text.parquet": (_text(), "not a readable Parquet file"),
    "cut.parquet": (_parquet(COLUMNS)[:-100], "not a readable Parquet file"),
    "twice.parquet": (_parquet(TWICE), "'a' appears more than once"),
    "dates.parquet": (
        _parquet(COLUMNS | {"d": pd.date_range("2020-01-01", periods=12)}),
        "column 'd' holds dates",
    ),
    "lists.parquet": (_parquet(COLUMNS | {"d": [[1, 2]] * 12}), "'d' holds ndarray"),
    "bytes.parquet": (_parquet(COLUMNS | {"d": [b"1"] * 12}), "'d' holds bytes"),
    "text.npz": (_text(), "not a readable NPZ file: File is not a zip file"),
    "cut.npz": (GOOD_NPZ[:-40], "not a readable NPZ file"),
    "damaged.npz": (GOOD_NPZ.replace(b"NUMPY", b"NUMPi"), "not a readable NPZ file"),
    "workbook.xlsx": (_zip(**{"xl/workbook.xml": ""}), "an Excel workbook"),
    "sheet.ods": (_zip(**{"content.xml": ""}), "an OpenDocument file"),
    "table.zip": (_zip(**{"table.csv": _text()}), "a ZIP archive without arrays"),
    "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file"),
    "table.csv.bz2": (bz2.compress(_text().encode()), "a bzip2 archive"),
    "array.npy": (b"\x93NUMPY\x01\x00", "a single NumPy array, expected a CSV"),
    "cut.csv.gz": (
        gzip.compress(_text().encode(), mtime=0)[:-9],
        "not a readable gzip file",
    ),
    "damaged.csv.gz": (b"\x1f\x8b" + _text().encode(), "not a readable gzip file"),
    "pickle.npz": (_npz(x=INPUTS, y=np.array([{}] * 12)), "not a readable NPZ file"),
    "lengths.npz": (_npz(a=ROWS, y=ROWS[1:]), r"'y' has the shape \(11,\)"),
    "names.npz": (_npz(x=INPUTS, y=ROWS, feature_names=["a"]), "feature_names"),
    "target name.npz": (
        _npz(x=INPUTS, y=ROWS, feature_names=list("aby")),
        "'y' appears more than once",
    ),
    "complex.npz": (_npz(a=ROWS * 1j, b=ROWS, y=ROWS), "'a' holds complex128"),
    "record.npz": (
        _npz(a=np.zeros(12, "i4,f4"), b=ROWS, y=ROWS),
        "'a' is not an array",
    ),
    "none.npz": (_zip(), "no column"),
}


@pytest.mark.parametrize("load", [tables.load_table, loading.load_parts])
@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_file_is_one_clear_line(write, case, load):
    content, cause = BAD_FILES[case]
    path = write(content, case)
    options = {"seed": 0} if load is loading.load_parts else {}
    with pytest.raises(ValueError, match=cause) as caught:
        load(path, target="y", **options)
    message = str(caught.value)
    assert message.startswith(path)
    assert "\n" not in message and len(message) < 400 + len(path)


def test_no_such_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="did you mean 'diabetes'"):
        tables.load_table("diabetis")
    with pytest.raises(ValueError, match="folder"):
        tables.load_table(str(tmp_path), target="y")


def test_built_in_name_with_a_folder_is_a_file(write):
    table = tables.load_table(write(_text(), "sphere"), target="y")
    assert table.frame.shape == (12, 3)


def test_marks_in_quoted_names_separate_nothing(write):
    lines = [f"{i},{i * i},{i % 3}" for i in range(12)]
    path = write(_text(lines, '"a; b; c;",b,y'))
    source = readers.read_source(path)
    assert list(source.frame) == ["a; b; c;", "b", "y"]
    pieces = streaming.read_chunks(path, ["a; b; c;"])
    assert next(pieces)["a; b; c;"].tolist() == [str(i) for i in range(12)]


def test_ten_thousand_columns_are_refused_by_their_number(write):
    rng = np.random.default_rng(0)
    names = [f"c{i}" for i in range(10_000)]
    frame = pd.DataFrame(rng.integers(0, 1000, size=(20, 10_000)), columns=names)
    path = write(frame.to_csv(index=False))
    with pytest.raises(ValueError, match=r"9,999 features .* at most 2,000") as caught:
        tables.load_table(path, target="c0")
    assert len(str(caught.value)) < 400


def test_wide_file_with_chosen_features(write):
    row = ",".join(str(i) for i in range(3000))
    lines = [f"{i},{i * i},{row}" for i in range(12)]
    path = write(_text(lines, ",".join(f"c{i}" for i in range(3002))))
    assert tables.load_table(path, target="c0", features=["c1"]).frame.shape == (12, 1)
    with pytest.raises(ValueError, match="no column 'zz'") as caught:
        tables.load_table(path, target="zz")
    assert len(str(caught.value)) < 800
