"""Rows of estimators: merged, sorted and split."""

import numpy as np
import pytest

from swajax.data import arrays


def test_equal_rows_are_one_with_the_sum_of_their_weights():
    x = np.array([[2.0, 0.0], [1.0, 5.0], [2.0, 0.0], [3.0, 3.0]])
    rows = arrays.merge(x, np.array([1.0, 2, 1, 9]), np.array([1.0, 3, 2, 0]))
    np.testing.assert_array_equal(rows.x, [[1, 5], [2, 0]])
    np.testing.assert_array_equal(rows.y, [[2], [1]])
    np.testing.assert_array_equal(rows.weight, [0.5, 0.5])
    with pytest.raises(ValueError, match="sample_weight is too large"):
        arrays.merge(x, np.zeros(4), np.full(4, 1e308))


@pytest.mark.parametrize(
    ("codes", "num_valid"),
    [
        (np.zeros(50), 10),
        (np.repeat([0.0, 1.0], 25), 10),
        (np.array([0.0] * 49 + [1.0]), 10),
        (np.arange(50.0), None),
        (np.zeros(9), None),
    ],
)
def test_parts(codes, num_valid):
    parts = arrays.split(codes, 0.2, 3)
    rows = np.arange(len(codes))
    if num_valid is None:  # too few rows: all are in both parts
        for part in parts[:2]:
            np.testing.assert_array_equal(np.sort(part), rows)
    else:
        np.testing.assert_array_equal(np.sort(np.concatenate(parts[:2])), rows)
        assert len(parts.valid) == num_valid
        assert set(codes[parts.train]) == set(codes)
    again = arrays.split(codes, 0.2, np.random.RandomState(3))
    np.testing.assert_array_equal(again.valid, parts.valid)
    assert again.seed == parts.seed != arrays.split(codes, 0.2, 4).seed


def test_single_rows_stay_and_the_others_are_stratified():
    codes = np.repeat([0.0, 1.0, 2.0], [80, 19, 1])
    parts = arrays.split(codes, 0.2, 3)
    np.testing.assert_array_equal(np.bincount(codes[parts.valid].astype(int)), [16, 4])
    assert 99 in parts.train


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_bad_shares(share):
    with pytest.raises(ValueError, match=r"valid_share must be in \(0, 1\), got"):
        arrays.split(np.zeros(50), share, 0)


def test_almost_all_rows_may_be_held_out():
    assert len(arrays.split(np.zeros(50), 0.999, 0).train) == 1
