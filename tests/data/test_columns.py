"""Conversion of columns of any type."""

import numpy as np
import pandas as pd
import pytest

from swajax.data import columns


def test_other_types_of_columns():
    kinds = columns.parse(pd.Series(pd.Categorical([3, 1, None]), name="k"))
    assert kinds.tolist() == ["3", "1", None]
    mixed = columns.parse(pd.Series([True, None, False], dtype=object, name="m"))
    np.testing.assert_array_equal(mixed, [1, np.nan, 0])
    for cells in ([1 + 2j], [pd.Timedelta(1)], [pd.Period("2020")], [b"1"], [{}]):
        with pytest.raises(columns.UnusableColumnError, match="column 'k' holds"):
            columns.parse(pd.Series(cells, name="k"))


def test_numbers_as_text_are_short():
    cells = pd.Series([1.0, -0.0, 2.5, 1e15, np.nan, " x ", True, None], dtype=object)
    expected = ["1", "0", "2.5", "1000000000000000", None, "x", "True", None]
    assert columns.to_text(cells).tolist() == expected


def test_places_are_named_by_the_index():
    index = pd.Index([7, 9], name="line")
    column = pd.Series(["1", "\x1b"], index=index, name="a\nb")
    assert columns.describe_text(column) == (
        r"line 9, column 'a\nb': '\x1b' is not a number"
    )


def test_mostly_numbers():
    mostly = pd.Series(["1", "2", "x", ""], name="a")
    assert columns.is_mostly_numbers(mostly)
    assert not columns.is_mostly_numbers(pd.Series(["1", "x", "y", ""], name="a"))
    assert not columns.is_mostly_numbers(pd.Series(["", None], name="a"))
    assert not columns.is_mostly_numbers(pd.Series(pd.Categorical([1, 2, 2])))


EPS = np.finfo(float).eps


@pytest.mark.parametrize("unit", [1e-80, 1.0, 1e90, 1e290])
@pytest.mark.parametrize(
    ("offset", "spread", "is_constant"),
    [
        (0.0, 0.0, True),
        (0.0, 1.0, False),
        (7.0, 0.0, True),
        (1.0, 63 * EPS, True),
        (1.0, 65 * EPS, False),
        (-1e9, 1.0, False),
    ],
)
def test_one_rule_of_what_is_constant(unit, offset, spread, is_constant):
    values = unit * (offset + spread * np.array([0.0, 0.5, 1.0]))
    assert columns.is_constant(values) == is_constant
    table = np.stack([values, np.arange(3.0)], axis=1)
    center, half_range = columns.fit_range(table)
    assert (half_range == 0).tolist() == [is_constant, False]
    np.testing.assert_allclose(center[1], 1.0)
    np.testing.assert_allclose(center[0], unit * (offset + spread / 2), rtol=1e-12)


def test_ranges_do_not_overflow():
    center, half_range = columns.fit_range(np.array([-1.7e308, 1.7e308]))
    assert (center, half_range) == (0.0, 1.7e308)


def test_cells_are_read_one_by_one():
    cells = pd.Series(["1", "TRUE", "", "x", "false", " 2e3"], name="a")
    values, is_text = columns.parse_cells(cells)
    np.testing.assert_array_equal(values, [1, 1, np.nan, np.nan, 0, 2000])
    assert is_text.tolist() == [False, False, False, True, False, False]
