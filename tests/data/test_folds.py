"""Folds: even, by class, by group."""

import numpy as np
import pytest

from swajax.data.folds import divide_into_folds


def test_folds_are_even_in_rows_and_classes():
    codes = np.repeat([0, 1, 2], [40, 21, 11])
    folds, notes = divide_into_folds(codes, seed=3)
    assert notes == () and np.ptp(np.bincount(folds)) <= 1
    for code in range(3):
        assert np.ptp(np.bincount(folds[codes == code], minlength=5)) <= 1
    again, _ = divide_into_folds(codes, seed=3)
    np.testing.assert_array_equal(folds, again)
    assert (folds != divide_into_folds(codes, seed=4)[0]).any()


def test_groups_are_in_one_fold_each():
    groups = np.repeat(np.arange(7), [9, 1, 4, 4, 2, 6, 8])
    folds, notes = divide_into_folds(np.zeros(34), seed=0, groups=groups)
    assert notes == () and set(folds) == set(range(5))
    assert all(len(set(folds[groups == group])) == 1 for group in range(7))
    assert np.bincount(folds).max() <= 10


def test_few_rows_groups_and_classes_are_said():
    folds, notes = divide_into_folds(np.zeros(3), seed=0)
    assert sorted(folds) == [0, 1, 2] and notes == ("3 folds, one for each row",)
    folds, notes = divide_into_folds(np.zeros(9), seed=0, groups=np.arange(9) // 3)
    assert len(set(folds)) == 3 and notes == ("3 folds, one for each group",)
    _, notes = divide_into_folds(np.repeat([0, 1], [20, 3]), seed=0)
    assert notes[0].startswith("classes with fewer rows than the 5 folds: 1")
    with pytest.raises(ValueError, match="1 group cannot be divided"):
        divide_into_folds(np.zeros(4), seed=0, groups=np.zeros(4))
