"""Decimal commas and percent signs: converted with a note, or left unchanged."""

import numpy as np
import pandas as pd
import pytest

from swajax.data import streaming, tables
from swajax.data.number_formats import convert_cells, convert_columns


def _convert(cells, decimal=","):
    frame = pd.DataFrame({"a": cells})
    converted, notes = convert_columns(frame, ["a"], decimal=decimal)
    return converted["a"].tolist(), notes


COMMAS = "commas read as decimal marks: 'a'"
PERCENTS = "percentages read as numbers, 10% as 10: 'a'"


@pytest.mark.parametrize(
    ("cells", "decimal", "plain", "notes"),
    [
        (["0,5", "-1", "", "NA"], ",", ["0.5", "-1", "", "NA"], (COMMAS,)),
        ([" ,5", "+2,5e-3", "3,"], ",", [".5", "+2.5e-3", "3."], (COMMAS,)),
        (["10%", " -2.5 %", "?"], ".", ["10", "-2.5", "?"], (PERCENTS,)),
        (["10,5%", "2%"], ",", ["10.5", "2"], (COMMAS, PERCENTS)),
        (["12.5%", "2%"], ",", ["12.5", "2"], (PERCENTS,)),
    ],
)
def test_marked_numbers_become_plain(cells, decimal, plain, notes):
    assert _convert(cells, decimal) == (plain, notes)


@pytest.mark.parametrize(
    ("cells", "decimal"),
    [
        (["1,234", "5,678"], "."),  # may be thousands
        (["0,5", "low"], ","),
        (["0,5", "0.5"], ","),
        (["1.234,5", "1"], ","),
        (["10%", "0.1"], "."),
        (["10%", "%"], "."),
        (["1,2,3", "1"], ","),
        ([0.5, 1.0], ","),
        (["a", "b"], ","),
    ],
)
def test_other_cells_stay(cells, decimal):
    assert _convert(cells, decimal) == (cells, ())


def test_cells_of_a_numeric_column_are_read_one_by_one():
    cells = pd.Series(["0,5", "x", "10%", "1.5", "", "2,5 %"])
    plain, num_percents = convert_cells(cells, decimal=",")
    assert plain.tolist() == ["0.5", "x", "10", "1.5", "", "2.5"] and num_percents == 2
    assert convert_cells(pd.Series(["1,5", "2"]), decimal=".")[0].tolist() == [
        "1,5",
        "2",
    ]


ROWS = np.arange(20)


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_file_with_decimal_commas(tmp_path, delimiter):
    lines = [f"{i / 2:.1f};{i % 3 + 0.5:.1f};{i * i / 10:.1f}" for i in ROWS]
    text = "\n".join(["a;note;y", *lines]).replace(".", ",").replace(";", delimiter)
    path = tmp_path / "table.csv"
    path.write_text(text)
    table = tables.load_table(str(path), target="y")
    np.testing.assert_array_equal(table.frame["a"], ROWS / 2)
    np.testing.assert_array_equal(table.frame["note"], ROWS % 3 + 0.5)
    np.testing.assert_allclose(table.target, ROWS**2 / 10)
    assert table.notes[0] == "commas read as decimal marks: 'y', 'a', 'note'"
    assert streaming.find_decimal(str(path)) == ","


def test_a_file_with_percents(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["a,b,y", *(f"{i}%,{i % 7},{i * i}" for i in ROWS)]))
    table = tables.load_table(str(path), target="y")
    np.testing.assert_array_equal(table.frame["a"], ROWS)
    assert table.notes[0] == "percentages read as numbers, 10% as 10: 'a'"
    assert streaming.find_decimal(str(path)) == streaming.find_decimal("iris") == "."
