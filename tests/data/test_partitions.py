"""Row indices of parts: at random, in time order, or by group."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from swajax.data import partitions

CODES = {
    "numbers": np.zeros(20),
    "even": np.repeat([0, 1], 10),
    "rare": np.array([0] * 18 + [1] * 2),
    "single": np.array([0] * 18 + [1, 2]),
}


@pytest.mark.parametrize("case", CODES)
@pytest.mark.parametrize("number", [1, 4, 17])
def test_held_out_rows_are_others_and_every_class_stays(case, number):
    codes = CODES[case]
    for seed in range(3):
        kept, held = partitions.hold_out(codes, number, seed)
        np.testing.assert_array_equal(np.sort([*kept, *held]), np.arange(20))
        assert len(held) == number and set(codes[kept]) == set(codes)
        again = partitions.hold_out(codes, number, seed)
        np.testing.assert_array_equal(kept, again[0])


def test_numbers_are_held_out_as_by_scikit_learn():
    for seed in range(3):
        want = train_test_split(np.arange(20), test_size=4, random_state=seed)
        found = partitions.hold_out(CODES["numbers"], 4, seed)
        for own, other in zip(found, want, strict=True):
            np.testing.assert_array_equal(own, other)


def test_rows_in_order():
    parts = partitions.divide_last(10, (2, 3), seed=0)
    assert [sorted(part) for part in parts] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]
    again = partitions.divide_last(10, (2, 3), seed=0)
    np.testing.assert_array_equal(parts[0], again[0])


GROUPS = {
    "one per part": np.repeat([5, 3, 9], [1, 1, 1]),
    "of one size": np.arange(100) % 10,
    "one is large": np.array([0] * 80 + [*range(1, 21)]),
    "words": np.array(["a", "b", "c", "d"] * 10),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", GROUPS)
def test_groups_are_not_divided(case, seed):
    groups = GROUPS[case]
    number = max(len(groups) // 5, 1)
    parts = partitions.divide_groups(groups, groups == 0, (number, number), seed)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), range(len(groups)))
    owners = [set(groups[part]) for part in parts]
    assert all(owners) and sum(map(len, owners)) == len(set(groups))
    again = partitions.divide_groups(groups, groups == 0, (number, number), seed)
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(parts))


def test_groups_keep_shares_of_rows_and_classes():
    rng = np.random.default_rng(0)
    groups = rng.integers(30, size=600)
    codes = (rng.uniform(size=600) < np.where(groups % 3, 0.1, 0.9)).astype(int)
    parts = partitions.divide_groups(groups, codes, (120, 120), seed=0)
    np.testing.assert_allclose([len(part) for part in parts], [360, 120, 120], atol=20)
    shares = [codes[part].mean() for part in parts]
    np.testing.assert_allclose(shares, codes.mean(), atol=0.05)


def test_a_class_of_one_group_is_in_training():
    groups = np.arange(100) % 10
    for seed in range(10):
        parts = partitions.divide_groups(groups, groups == 3, (20, 20), seed)
        assert 3 in groups[parts[0]]
