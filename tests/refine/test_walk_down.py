"""Walks from large networks to small ones."""

import itertools

import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.network import make_layered
from swajax.refine.quadratic import Fit
from swajax.refine.walk_down import Goal, _Pace, walk_down

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (300, 6)).astype(np.float32)
Y = 2 * np.tanh(1.5 * X[:, :1] - 0.5) + 0.7 * np.tanh(X[:, 2:3])
ROWS = Problem(X, Y / Y.std(), np.full(300, 1 / 300))
FIT = Fit(weight_decay=1e-6)


def make_dense(sizes, kind="tanh"):
    weights = [
        RNG.normal(size=shape) / shape[0] ** 0.5 for shape in itertools.pairwise(sizes)
    ]
    biases = [RNG.normal(size=size) * 0.1 for size in sizes[1:]]
    return make_layered(weights, biases, [kind] * (len(sizes) - 2))


def test_a_walk_ends_at_a_small_network_that_fits():
    start, goal = make_dense((6, 20, 1)), Goal(40, 8, 3, 1)
    stops = list(walk_down(start, ROWS, fit=FIT, goal=goal))
    sizes = [stop.num_weights for stop in stops]
    assert sizes == sorted(set(sizes), reverse=True) and sizes[0] <= 40
    assert sizes[-1] <= 8
    good = next(stop for stop in reversed(stops) if stop.num_weights >= 7)
    assert good.loss < 0.02
    for stop in stops:
        assert stop.network.count_weights() == stop.num_weights
        assert stop.network.weights[0].shape[1] <= 3
        out = np.asarray(stop.network.apply(X))
        assert np.square(out - ROWS.y).mean() == pytest.approx(stop.loss, abs=2e-3)
    # The function reads two of six inputs.
    assert np.flatnonzero(good.network.weights[0].any(axis=1)).tolist() == [0, 2]


def test_deep_networks_lose_layers():
    start, goal = make_dense((6, 5, 5, 5, 1)), Goal(40, 20, 5, 1)
    stops = list(walk_down(start, ROWS, fit=FIT, goal=goal))
    assert all(len(stop.network.activations) == 1 for stop in stops)
    assert min(stop.loss for stop in stops) < 0.02


def test_wide_networks_are_narrowed_first(monkeypatch):
    monkeypatch.setattr("swajax.refine.walk_down.MAX_WIDTH", 10)
    start, goal = make_dense((6, 30, 1)), Goal(30, 20, 4, 2)
    stops = list(walk_down(start, ROWS, fit=FIT, goal=goal))
    assert min(stop.loss for stop in stops) < 0.02


def test_little_time_makes_large_steps():
    pace = _Pace(lambda: float("inf"))
    assert pace.share(100.0) == 0.8
    times = iter([10.0, 8.0, 6.0, 1.0])
    pace = _Pace(lambda: next(times))
    assert pace.share(100.0) == 0.8  # nothing is known yet
    assert pace.share(100.0) == pytest.approx(100 ** (-1 / 4))
    assert pace.share(100.0) == pytest.approx(100 ** (-1 / 3))
    assert pace.share(100.0) == pytest.approx(0.01)
