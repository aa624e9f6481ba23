"""Cross-validated searches: what they show and pick, and how they end."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.network import apply
from swajax.search import folds as folding
from swajax.search.config import SearchConfig
from swajax.search.cross_validation import Curve, held_folds
from swajax.search.run import find_front

CONFIG = SearchConfig(
    max_weights=8,
    max_width=3,
    max_depth=1,
    num_starts=16,
    num_rounds=0,
    num_kept=4,
    sources=("random", "linear"),
)


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (90, 3))
    y = x[:, :1] - 0.5 * x[:, 1:2] + 0.3 * rng.normal(size=(90, 1))
    rows = Problem(x, y / y.std(), np.ones(90))
    folds = np.arange(90) % 5
    return rows, folds, find_front(jax.random.key(0), rows, folds=folds, config=CONFIG)


def test_every_size_has_an_error_on_rows_that_were_held_out(found):
    rows, _, front = found
    assert front.num_weights.tolist() == sorted(set(front.num_weights.tolist()))
    assert len(front.num_weights) >= 6 and front.num_weights[-1] <= 8
    y = rows.y[front.held_rows]
    errors = np.square(front.held_outputs - y[None]).mean(axis=(1, 2))
    np.testing.assert_allclose(front.valid_loss, errors, rtol=1e-5)
    low, high = front.valid_interval.T
    assert (low < front.valid_loss).all() and (front.valid_loss < high).all()
    assert sorted(front.held_rows.tolist()) == list(range(90))


def test_networks_are_fitted_to_all_rows(found):
    rows, _, front = found
    x = jnp.asarray(rows.x)
    fn = jax.vmap(lambda n: apply(n, x, activations=CONFIG.activations))
    loss = np.square(np.asarray(fn(front.network)) - rows.y[None]).mean(axis=(1, 2))
    np.testing.assert_allclose(front.train_loss, loss, rtol=1e-4)
    # No worse than least squares but for a little decay.
    x = np.insert(rows.x, 0, 1, axis=1)
    best = np.square(x @ np.linalg.lstsq(x, rows.y)[0] - rows.y).mean()
    assert loss[front.pick] < 1.05 * best and not front.is_dominated[front.pick]


def make_curve(losses):
    losses = np.array(losses, float)
    outputs = np.zeros((*losses.shape, 1))
    num = losses.shape[1]
    sizes = np.arange(1, len(losses) + 1)
    return Curve(sizes, outputs, losses, np.ones(num), np.arange(num), 0.0)


def test_a_linear_model_is_picked_unless_another_is_clearly_better():
    noise = np.random.default_rng(0).normal(size=400)
    linear = [2 + 0 * noise, 1 + 0 * noise, 1.01 + noise[::-1], 1.5 + 0 * noise]
    is_linear = np.array([True, True, True, True, False])
    near = make_curve([*linear, 0.95 + noise])
    assert folding.pick(near, is_linear, None) == 2  # the largest one near the best
    clear = make_curve([*linear, 0.5 + 0.1 * noise])
    assert folding.pick(clear, is_linear, None) == 4
    assert folding.pick(near, is_linear, 2.5) == 0  # the user's own limit


def test_only_some_folds_of_many_rows_are_held_out():
    assert held_folds(np.arange(1000) % 5) == [0, 1, 2, 3, 4]
    assert held_folds(np.arange(4000) % 5) == [0, 1]
    assert held_folds(np.arange(20_000) % 5) == [0]


def test_folds_that_do_not_fit_are_refused():
    rows = Problem(np.ones((9, 1)), np.ones((9, 1)), np.ones(9))
    with pytest.raises(ValueError, match="at least two folds"):
        find_front(jax.random.key(0), rows, folds=np.zeros(9, int))
