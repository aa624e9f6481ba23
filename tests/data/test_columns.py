"""Single columns of any type."""

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
    assert columns.describe_word(column) == (
        r"line 9, column 'a\nb': '\x1b' is not a number"
    )


def test_mostly_numbers():
    mostly = pd.Series(["1", "2", "x", ""], name="a")
    assert columns.is_mostly_numbers(mostly)
    assert not columns.is_mostly_numbers(pd.Series(["1", "x", "y", ""], name="a"))
    assert not columns.is_mostly_numbers(pd.Series(["", None], name="a"))
    assert not columns.is_mostly_numbers(pd.Series(pd.Categorical([1, 2, 2])))
