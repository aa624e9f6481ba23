"""The front, compared with brute force, and the pick."""

import numpy as np
import pytest

from swajax.model.front import make_front
from swajax.types import Network


def make(sizes, train_loss, *losses, **options):
    """A front of networks whose leaves hold their index."""
    network = Network(*(np.arange(len(sizes)) for _ in Network._fields))
    return make_front(
        network, np.array(sizes), np.array(train_loss), *losses, **options
    )


def draw(seed, num=60):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 13, num)
    loss = rng.uniform(size=num) / sizes
    return sizes, loss, rng.uniform(0, 0.05, num)


def brute_force(sizes, loss):
    """Pareto-optimal networks by comparison of all pairs."""
    kept = []
    for i in np.lexsort((loss, sizes)):
        others = np.arange(len(sizes)) != i
        is_beaten = others & (sizes <= sizes[i]) & (loss <= loss[i])
        if np.isfinite(loss[i]) and not is_beaten.any():
            kept.append(int(i))
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_that_of_brute_force(seed):
    sizes, loss, error = draw(seed)
    loss[::7], loss[3] = np.nan, np.inf
    front = make(sizes, np.ones(60), loss, error)
    kept = brute_force(sizes, np.where(np.isfinite(loss), loss, np.inf))
    assert len(kept) > 2
    for leaf in front.network:
        np.testing.assert_array_equal(leaf, kept)
    np.testing.assert_array_equal(front.num_weights, sizes[kept])
    np.testing.assert_array_equal(front.valid_loss, loss[kept])
    np.testing.assert_array_equal(front.valid_loss_diff_se, error[kept])
    assert (np.diff(front.num_weights) > 0).all()
    assert (np.diff(front.valid_loss) < 0).all()


def test_the_pick_is_the_smallest_within_one_standard_error_of_the_best():
    train_loss = [0.9, 0.5, 0.31, 0.3]
    loss = np.array([0.9, 0.5, 0.32, 0.3])
    for errors, pick in (
        ((0.5, 0.1, 0.01), 3),
        ((0.5, 0.1, 0.03), 2),
        ((0.5, 0.25, 0.01), 1),
        ((0.7, 0.1, 0.03), 0),
    ):
        # The difference of the best network from itself has no error.
        front = make([2, 4, 6, 8], train_loss, loss, np.array([*errors, 0.0]))
        assert front.pick == pick
        np.testing.assert_array_equal(front.train_loss, train_loss)


@pytest.mark.parametrize(
    ("max_error", "pick"), [(1.0, 0), (0.9, 0), (0.4, 2), (0.3, 3), (0.1, 3)]
)
def test_the_pick_is_the_smallest_with_the_error_asked_for(max_error, pick):
    loss = np.array([0.9, 0.5, 0.32, 0.3])
    front = make([2, 4, 6, 8], np.ones(4), loss, np.full(4, 0.5), max_error=max_error)
    assert front.pick == pick


def test_no_finite_loss_is_an_error():
    lost = np.array([np.nan, np.inf])
    with pytest.raises(ValueError, match="no network has a finite validation loss"):
        make([1, 2], [0.1, 0.2], lost, np.zeros(2))
