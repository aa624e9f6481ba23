"""Pools: what is kept, marked and merged, and the front that is drawn from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.network import permute
from swajax.search.pool import Pool, front_of, make_pool, merge
from swajax.types import Network


def make_networks(num, first_name=0):
    """Records that only tell which they are, by the first weight."""
    name = 1.0 + first_name + np.arange(num)
    return Network(
        first=name[:, None, None],
        hidden=np.zeros((num, 0, 1, 1)),
        readout=np.zeros((num, 1, 1)),
        bias=np.zeros((num, 1, 1)),
        readout_bias=np.zeros((num, 1)),
        mask=np.ones((num, 1, 1)),
        activation=np.ones((num, 1, 1, 1)),
        depth=np.ones(num, np.int32),
    )


def pool_of(sizes, loss, first_name=0):
    networks = make_networks(len(sizes), first_name)
    return make_pool(networks, np.array(sizes), np.array(loss, float))


def names(networks):
    return (networks.first[:, 0, 0] - 1).astype(int).tolist()


def test_a_pool_has_sound_networks_only():
    sizes = np.array([0, 1, 5, 6, 3, 3, 3])
    loss = np.array([0.1, 0.2, 0.3, 0.1, np.nan, np.inf, 0.7])
    pool = make_pool(make_networks(7), sizes, loss)
    assert names(pool.network) == [1, 2, 3, 6]
    np.testing.assert_array_equal(pool.num_weights, [1, 5, 6, 3])
    np.testing.assert_array_equal(pool.loss, [0.2, 0.3, 0.1, 0.7])
    assert not pool.is_pruned.any() and not pool.is_grown.any()


def test_the_front_of_a_pool_has_its_networks_and_losses():
    pool = pool_of([2, 4, 6, 8], [0.9, 0.5, 0.31, 0.3])
    loss = np.array([0.9, 0.5, 0.6, 0.3])
    front = front_of(pool, loss, np.zeros(4), max_error=0.5)
    assert names(front.network) == [0, 1, 3] and front.pick == 1
    np.testing.assert_array_equal(front.num_weights, [2, 4, 8])
    np.testing.assert_array_equal(front.train_loss, [0.9, 0.5, 0.3])
    np.testing.assert_array_equal(front.valid_loss, loss[[0, 1, 3]])


def test_marks_are_of_the_new_pool_only():
    pool = pool_of([1, 2, 3], [0.3, 0.2, 0.1])
    marked = pool.mark_pruned(np.array([0, 2]))
    np.testing.assert_array_equal(marked.is_pruned, [True, False, True])
    assert not pool.is_pruned.any() and not marked.is_grown.any()


@pytest.mark.parametrize("num_each", [1, 3, 100])
def test_the_best_of_each_size_stay(num_each):
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 13, 120)
    loss = 1.1 ** rng.permutation(120)  # none is like another
    pools = [pool_of(sizes[:60], loss[:60]), pool_of(sizes[60:], loss[60:], 60)]
    wanted = []
    for size in np.unique(sizes):
        own = np.flatnonzero(sizes == size)
        wanted += own[np.argsort(loss[own])][:num_each].tolist()
    pool = merge(pools, num_each=num_each)
    assert names(pool.network) == wanted
    np.testing.assert_array_equal(pool.num_weights, sizes[wanted])
    np.testing.assert_array_equal(pool.loss, loss[wanted])


def test_duplicates_are_one_with_the_marks_of_all():
    # The three of size 2 with like losses are one; the best of them stays.
    pool = pool_of([2, 2, 2, 2, 3], [0.601, 0.6, 0.602, 0.7, 0.8])
    pool = pool.mark_pruned(np.array([2])).mark_grown(np.array([0, 3]))
    merged = merge([pool, pool], num_each=9)
    assert names(merged.network) == [1, 3, 4]
    np.testing.assert_array_equal(merged.is_pruned, [True, False, False])
    np.testing.assert_array_equal(merged.is_grown, [True, True, False])
    assert names(merge([pool], num_each=2).network) == [1, 3, 4], "counted afterwards"
    assert not pool.is_grown[1], "the pools that go in stay as they are"


def draw_network(seed):
    """Two layers of three neurons, all weights at random."""
    rng = np.random.default_rng(seed)
    return Network(
        first=rng.normal(size=(2, 3)),
        hidden=rng.normal(size=(1, 3, 3)),
        readout=rng.normal(size=(3, 1)),
        bias=rng.normal(size=(2, 3)),
        readout_bias=rng.normal(size=1),
        mask=np.ones((2, 3)),
        activation=np.eye(2)[[[0, 0, 1], [1, 0, 1]]],
        depth=np.int32(2),
    )


def edit(network, **changes):
    """The network with an entry of some of its arrays changed."""
    for name, (place, value) in changes.items():
        array = np.array(getattr(network, name))
        array[place] = value
        network = network._replace(**{name: array})
    return network


@pytest.mark.parametrize(
    ("other", "num"),
    [
        (
            lambda n: permute(
                jax.tree.map(jnp.asarray, n), jnp.array([[2, 0, 1], [1, 2, 0]])
            ),
            1,
        ),
        (lambda n: n._replace(first=-2 * n.first), 1),
        (lambda n: edit(n, first=((0, 0), 0.0)), 2),
        (lambda n: edit(n, hidden=((0, 0, 0), 0.0)), 2),
        (lambda n: edit(n, bias=((1, 0), 0.0)), 2),
        (lambda n: edit(n, readout=((0, 0), 0.0)), 2),
        (lambda n: edit(n, readout_bias=(0, 0.0)), 2),
        (lambda n: edit(n, activation=((0, 0), [0.0, 1.0])), 2),
        (lambda n: n._replace(depth=np.int32(1)), 2),
    ],
    ids="order scale input hidden bias readout readout_bias activation depth".split(),
)
def test_networks_are_alike_by_structure(other, num):
    network = draw_network(0)
    both = [network, jax.tree.map(np.asarray, other(network))]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *both)
    pool = make_pool(stacked, np.array([9, 9]), np.array([0.6, 0.601]))
    assert len(merge([pool], num_each=9).loss) == num


def test_which_input_a_weight_reads_tells_networks_apart():
    network = draw_network(0)
    both = [edit(network, first=((i, 0), 0.0)) for i in (0, 1)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *both)
    pool = make_pool(stacked, np.array([9, 9]), np.array([0.6, 0.601]))
    assert len(merge([pool], num_each=9).loss) == 2


def test_nothing_can_be_merged():
    nothing = pool_of([1], [np.nan])
    assert isinstance(merge([nothing, nothing], num_each=3), Pool)
    assert len(merge([nothing], num_each=3).loss) == 0
