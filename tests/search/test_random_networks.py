"""Odds of inputs, by what each of them tells of the outputs."""

import tracemalloc

import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.search.sources.random_networks import sampling_weights


def make_wide_problem(num_inputs=10, num_classes=0):
    """Of the inputs the first one counts by its line, the second by its bend."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (num_inputs, 2000)) + 3.0
    y = x[:1] + 2 * np.square(x[1:2] - 3.0)
    if num_classes:
        y = np.eye(num_classes)[:, np.digitize(y[0], [3.2, 4.0])]
    return Problem(x, y, np.ones(2000))


@pytest.mark.parametrize("num_classes", [0, 3])
def test_inputs_that_tell_something_have_better_odds(num_classes):
    problem = make_wide_problem(num_classes=num_classes)
    odds = sampling_weights(problem, 10)
    assert odds.mean() == pytest.approx(1.0, abs=1e-6)
    assert odds[:2].min() > 1.5 and odds[2:].max() < 0.7
    assert odds.min() >= 0.5  # what tells nothing alone may do so beside another
    if not num_classes:  # variances of the two terms: 1 / 3 and 16 / 45
        assert (odds[1] - 0.5) / (odds[0] - 0.5) == pytest.approx(16 / 15, rel=0.1)
    # Points that weigh nothing do not count.
    weight = np.where(np.arange(2000) < 1000, 1.0, 0.0)
    half = Problem(problem.x[:, :1000], problem.y[:, :1000], np.ones(1000))
    np.testing.assert_allclose(
        sampling_weights(problem._replace(weight=weight), 10),
        sampling_weights(half, 10),
        rtol=1e-4,
    )


def test_odds_are_alike_where_there_is_nothing_to_tell_them_by():
    assert (sampling_weights(make_wide_problem(3), 3) == 1).all()
    problem = make_wide_problem()
    flat = problem._replace(y=np.zeros_like(problem.y))
    assert (sampling_weights(flat, 10) == 1).all()
    padded = problem._replace(x=np.pad(problem.x, ((0, 6), (0, 0))))
    odds = sampling_weights(padded, 10)
    assert odds.shape == (16,) and (odds[10:] == 1).all()
    np.testing.assert_array_equal(odds[:10], sampling_weights(problem, 10))


def test_a_line_counts_once_however_skewed_its_input_is():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4, 4000))
    x[0] = rng.exponential(3**-0.5, 4000)  # of the variance of the others
    odds = sampling_weights(Problem(x, x[:1] + x[1:2], np.ones(4000)), 4)
    assert odds[0] == pytest.approx(odds[1], rel=0.1)


def test_what_cannot_be_told_from_huge_numbers_is_left_to_chance():
    problem = make_wide_problem()
    x = np.where(problem.x > 3.9, np.inf, problem.x)
    assert (sampling_weights(problem._replace(x=x), 10) == 1).all()


def test_many_inputs_and_points_take_little_room():
    tracemalloc.start()
    x = np.zeros((200, 2000))
    sampling_weights(Problem(x, np.zeros((50, 2000)), np.ones(2000)), 200)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * x.nbytes
