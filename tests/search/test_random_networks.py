"""Input sampling weights, from univariate fits."""

import tracemalloc

import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.search.sources.random_networks import sampling_weights


def make_wide_problem(num_inputs=10, num_classes=0):
    """Of the inputs the first one counts by its line, the second by its bend."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (num_inputs, 2000)).T + 3.0
    y = x[:, :1] + 2 * np.square(x[:, 1:2] - 3.0)
    if num_classes:
        y = np.eye(num_classes)[np.digitize(y[:, 0], [3.2, 4.0])]
    return Problem(x, y, np.ones(2000))


@pytest.mark.parametrize("num_classes", [0, 3])
def test_inputs_that_tell_something_have_better_weights(num_classes):
    problem = make_wide_problem(num_classes=num_classes)
    weights = sampling_weights(problem)
    assert weights.mean() == pytest.approx(1.0, abs=1e-6)
    assert weights[:2].min() > 1.5 and weights[2:].max() < 0.7
    assert weights.min() >= 0.5  # what tells nothing alone may do so beside another
    if not num_classes:  # variances of the two terms: 1 / 3 and 16 / 45
        ratio = (weights[1] - 0.5) / (weights[0] - 0.5)
        assert ratio == pytest.approx(16 / 15, rel=0.1)
    # Points that weigh nothing do not count.
    weight = np.where(np.arange(2000) < 1000, 1.0, 0.0)
    half = Problem(problem.x[:1000], problem.y[:1000], np.ones(1000))
    np.testing.assert_allclose(
        sampling_weights(problem._replace(weight=weight)),
        sampling_weights(half),
        rtol=1e-4,
    )


def test_weights_are_uniform_without_information():
    assert (sampling_weights(make_wide_problem(3)) == 1).all()
    problem = make_wide_problem()
    flat = problem._replace(y=np.zeros_like(problem.y))
    assert (sampling_weights(flat) == 1).all()
    x = np.where(problem.x > 3.9, np.inf, problem.x)
    assert (sampling_weights(problem._replace(x=x)) == 1).all()


def test_a_linear_effect_counts_once_however_skewed_its_input_is():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (4000, 4))
    x[:, 0] = rng.exponential(3**-0.5, 4000)  # same variance as the others
    x = np.pad(x, ((0, 0), (0, 6)))  # more inputs than a neuron has room for
    weights = sampling_weights(Problem(x, x[:, :1] + x[:, 1:2], np.ones(4000)))
    assert weights[0] == pytest.approx(weights[1], rel=0.1)
    assert weights[0] > 2 * weights[2]


def test_many_inputs_and_rows_need_little_memory():
    tracemalloc.start()
    x = np.zeros((2000, 200))
    sampling_weights(Problem(x, np.zeros((2000, 50)), np.ones(2000)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * x.nbytes
