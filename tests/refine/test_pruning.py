"""Optimal brain surgeon, compared with all candidates."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refine_cases import (
    NUM_SMALL,
    SMALL,
    SMALL_CAPACITY,
    SMALL_FIT,
    STATIC,
    expand,
    find_active,
    fit_small,
    make_networks,
    make_small_problem,
    one_layer,
    outputs,
    score_small,
    stack,
    tidy,
    to_single,
)

from swajax.network import count_neurons, count_weights, pack, unpack
from swajax.network.packing import endpoints
from swajax.refine import pruning
from swajax.refine.quadratic import RIDGES, transpose

remove = functools.partial(
    jax.jit(pruning.remove, **STATIC), fit=SMALL_FIT, capacity=SMALL_CAPACITY
)


@pytest.fixture(scope="module")
def networks(draw_network):
    with jax.enable_x64(True):
        return make_networks(draw_network)


def test_a_useless_weight_is_removed_first_however_large(x64):
    # x1 is 0 in all rows, so that its weight of 7 has no effect.
    x = np.stack([np.linspace(-1, 1, NUM_SMALL), np.zeros(NUM_SMALL)], axis=1)
    problem = make_small_problem(x, 1.5 * np.tanh(2 * x[:, :1] + 0.5) + 0.3)
    network = one_layer([(2.0, 7.0, 0.5, 1.5)], readout_bias=0.3)
    left = remove(network, problem)
    assert left.first[1, 0] == 0 and count_weights(left) == 4
    np.testing.assert_allclose(outputs(left, problem), problem.y, atol=1e-4)


def test_the_other_weights_replace_the_removed_one(x64):
    # x1 is 1 in all rows: its weight and the bias have the same effect.
    x = np.stack([np.linspace(-1, 1, NUM_SMALL), np.ones(NUM_SMALL)], axis=1)
    problem = make_small_problem(x, 1.5 * np.tanh(2 * x[:, :1] + 0.9) + 0.3)
    network = one_layer([(2.0, 0.5, 0.4, 1.5)], readout_bias=0.3)
    left = remove(network, problem)
    assert count_weights(left) == 4 and (left.first[1, 0] == 0) != (
        left.bias[0, 0] == 0
    )
    np.testing.assert_allclose(left.first[1, 0] + left.bias[0, 0], 0.9, rtol=1e-3)
    plain = unpack(pack(network) * (pack(left) != 0), network)
    assert score_small(left, problem) < 1e-6 < 1e-2 < score_small(plain, problem)


def test_correction_beats_plain_deletion(x64, networks):
    problem, rises = make_small_problem(), []
    for network in networks:
        network, before = fit_small(network, problem)
        left = remove(network, problem)
        plain = unpack(pack(network) * (pack(left) != 0), network)
        rises.append([score_small(other, problem) - before for other in (left, plain)])
    own, plain = np.transpose(rises)
    assert np.mean(own < plain) > 0.7 and own.sum() < 0.3 * plain.sum()


@jax.jit
def candidates(network):
    """Structures without each weight or neuron, and without their dead parts."""
    vector, (source, target) = pack(network), endpoints(network)
    nodes = (
        1 + SMALL.num_inputs + jnp.arange(SMALL.max_width * SMALL.max_depth)[:, None]
    )
    of_node = (source[None] == nodes) | (target[None] == nodes)
    goes = jnp.concatenate([jnp.eye(len(vector), dtype=bool), of_node])
    smaller = jnp.where(goes, 0.0, vector[None])
    return jax.vmap(lambda own: pack(tidy(unpack(own, network))) != 0)(smaller)


def test_one_weight_or_neuron_fewer_and_no_dead_parts(x64, networks):
    problem = make_small_problem()
    for network in networks:
        left = remove(network, problem)
        assert 0 < count_weights(left) < count_weights(network)
        np.testing.assert_array_equal(pack(tidy(left)), pack(left))
        structure = np.asarray(pack(left) != 0)
        assert (np.asarray(candidates(network)) == structure).all(axis=1).any()
        np.testing.assert_array_equal(left.activation, network.activation)


def surgeon(network, problem, ridge):
    """Return the number of removed weights and the resulting network, in NumPy."""
    vector = np.array(pack(network))
    indices, is_active = find_active(network, capacity=SMALL_CAPACITY)
    form = expand(network, indices, is_active, transpose(problem), fit=SMALL_FIT)
    num = int(is_active.sum())
    indices, curvature = np.asarray(indices)[:num], np.array(form.curvature)[:num, :num]
    inverse = np.linalg.inv(curvature + ridge * np.diag(curvature).max() * np.eye(num))
    source, target = (np.asarray(nodes)[indices] for nodes in endpoints(network))
    groups = [np.array([index]) for index in range(num)]
    for node in 1 + SMALL.num_inputs + np.arange(SMALL.max_width * SMALL.max_depth):
        own = np.flatnonzero((source == node) | (target == node))
        if 0 < len(own) <= pruning.MAX_GROUP:
            groups.append(own)
    weights = vector[indices]
    forces = [np.linalg.solve(inverse[np.ix_(g, g)], weights[g]) for g in groups]
    costs = [weights[g] @ f / len(g) for g, f in zip(groups, forces, strict=True)]
    best = int(np.argmin(costs))
    weights = weights - inverse[:, groups[best]] @ forces[best]
    weights[groups[best]] = 0.0
    vector[indices] = weights
    return len(groups[best]), unpack(jnp.asarray(vector), network)


def make_faint():
    """A steep neuron of small effect that needs all its weights."""
    network = one_layer([(2.0, 0.0, 0.3, 1.0), (0.0, 5.62, 5.91, 0.0142)])
    problem = make_small_problem()
    return network, problem._replace(y=outputs(network, problem))


def test_the_lowest_cost_per_weight_is_removed(x64, networks):
    problem = make_small_problem()
    for network in networks:
        options = [surgeon(network, problem, ridge) for ridge in RIDGES]
        best = np.argmin([score_small(other, problem) for _, other in options])
        left = remove(network, problem)
        wanted = pack(tidy(options[best][1]))
        np.testing.assert_allclose(pack(left), wanted, rtol=1e-5, atol=1e-7)


def test_a_neuron_is_removed_as_a_whole_if_cheaper_per_weight(x64, monkeypatch):
    # One ridge only: with several, a single weight may be the best proposal.
    monkeypatch.setattr(pruning, "RIDGES", RIDGES[:1])
    network, problem = make_faint()
    num_removed, wanted = surgeon(network, problem, RIDGES[0])
    assert num_removed == 3
    fn = functools.partial(pruning.remove, fit=SMALL_FIT, capacity=7)
    left = jax.jit(fn)(network, problem)
    np.testing.assert_allclose(pack(left), pack(tidy(wanted)), rtol=1e-5, atol=1e-7)
    assert count_neurons(left) == 1 and count_weights(left) == 3


def test_duplicate_neurons_become_one(x64):
    problem = make_small_problem(y=2 * np.tanh(make_small_problem().x[:, :1] + 0.4))
    network = one_layer([(1.0, 0.0, 0.4, 0.7), (1.0, 0.0, 0.4, 1.3)])
    while count_weights(network) > 3:
        network, loss = fit_small(remove(network, problem), problem)
    assert count_neurons(network) == 1 and count_weights(network) == 3
    assert loss < 1e-6


def test_a_batch_is_a_loop(x64, networks):
    problem = make_small_problem()
    fn = functools.partial(pruning.remove, fit=SMALL_FIT, capacity=SMALL_CAPACITY)
    together = jax.jit(jax.vmap(fn, in_axes=(0, None)))(stack(*networks[:4]), problem)
    for index, network in enumerate(networks[:4]):
        own = jax.tree.map(lambda leaf, index=index: leaf[index], together)
        alone = pack(remove(network, problem))
        np.testing.assert_allclose(pack(own), alone, rtol=1e-6, atol=1e-9)


def test_weights_of_absent_neurons_are_ignored(x64, networks):
    problem, network = make_small_problem(), networks[1]
    is_present = np.asarray(network.mask)[0] > 0
    garbage = network._replace(bias=network.bias.at[0].add(np.where(is_present, 0, 7)))
    assert not is_present.all()
    left, wanted = remove(garbage, problem), remove(network, problem)
    np.testing.assert_array_equal(pack(left), pack(wanted))


def test_single_precision_stays_single(x64):
    args = one_layer([(1.0, 2.0, 0.3, 1.0), (0.5, -1.0, 0.0, -2.0)])
    args = to_single((args, make_small_problem()))
    fn = functools.partial(pruning.remove, fit=SMALL_FIT, capacity=SMALL_CAPACITY)
    left = jax.eval_shape(fn, *args)
    assert {leaf.dtype for leaf in left[:-1]} == {np.dtype("float32")}
