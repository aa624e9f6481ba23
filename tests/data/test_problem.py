"""Padding, thinning and selection of rows."""

import numpy as np
import pytest

from swajax.data import problem
from swajax.data.problem import Problem


def _make(num_rows, num_inputs=3):
    rng = np.random.default_rng(0)
    return Problem(
        rng.normal(size=(num_rows, num_inputs)),
        rng.normal(size=(num_rows, 1)),
        rng.uniform(1, 2, num_rows),
    )


ONE_HOT = _make(4)._replace(y=np.eye(2)[[0, 1, 0, 1]])
SUMS = ONE_HOT._replace(y=np.ones((4, 2)))


@pytest.mark.parametrize("num_rows", [5, 32, 33, 1000])
def test_padding_adds_rows_without_weight(num_rows):
    rows = _make(num_rows)
    padded = problem.pad(rows)
    assert len(padded.x) % 32 == 0 and padded.x.shape[1] == 4
    np.testing.assert_array_equal(padded.x[:num_rows, :3], rows.x)
    np.testing.assert_array_equal(padded.y[:num_rows], rows.y)
    assert not padded.x[:, 3].any() and not padded.weight[num_rows:].any()
    np.testing.assert_allclose(padded.weight.sum(), 1)


def test_numbers_beyond_float32_become_infinite():
    rows = _make(5)
    rows.x[0, 0] = -1e31
    assert problem.pad(rows).x[0, 0] == np.inf


def test_thinning_takes_the_same_rows_of_all():
    rows = _make(100)
    assert problem.thin(rows, 100) is rows
    few = problem.thin(rows, 10)
    index = [np.flatnonzero(rows.weight == w)[0] for w in few.weight]
    assert len(set(index)) == 10
    np.testing.assert_array_equal(few.x, rows.x[index])
    np.testing.assert_array_equal(few.y, rows.y[index])


@pytest.mark.parametrize(
    ("classes", "objective"),
    [((), "squared"), (("a", "b"), "logistic"), (("a", "b", "c"), "softmax")],
)
def test_objectives(classes, objective):
    assert problem.choose_objective(classes) == objective


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objective": "mse"}, "objective must be one of squared, .* got 'mse'"),
        ({"train": Problem(*(leaf.T for leaf in _make(5)))}, "as first axis"),
        ({"valid": _make(5, 2)}, r"same numbers of inputs .* \(3, 1\) and \(2, 1\)"),
        ({"valid": _make(5)._replace(weight=np.zeros(5))}, "weights of valid must be"),
        ({"train": _make(5)._replace(weight=-np.ones(5))}, "weights of train must be"),
        ({"train": _make(5)._replace(weight=np.full(5, np.nan))}, "weight of train"),
        ({"train": _make(5)._replace(x=np.full((5, 3), "1"))}, "x of train must hold"),
        ({"train": _make(5)._replace(y=np.ones((5, 1)) * 1j)}, "y of train must hold"),
        ({"objective": "logistic"}, "logistic needs y between 0 and 1 in train"),
        ({"objective": "softmax"}, r"an output per class, got y of shape \(7, 1\)"),
        ({"objective": "logistic", "train": ONE_HOT}, "logistic needs one output"),
        ({"objective": "softmax", "train": SUMS}, "softmax needs y one-hot in train"),
    ],
)
def test_rows_that_no_search_can_use_are_refused(changes, message):
    good = {"train": _make(7), "valid": _make(5), "objective": "squared"}
    problem.check_parts(**good)
    with pytest.raises(ValueError, match=message):
        problem.check_parts(**good | changes)
    problem.check_parts(ONE_HOT, ONE_HOT, "softmax")
    two = ONE_HOT._replace(y=ONE_HOT.y[:, :1])
    problem.check_parts(two, two, "logistic")
