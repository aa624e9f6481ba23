"""Growth, compared with all candidates, and the kinds of variants."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refine_cases import (
    SMALL_FIT,
    is_possible,
    make_networks,
    make_small_problem,
    one_layer,
    outputs,
    score_small,
    to_single,
)

from swajax.network import count_weights, pack, unpack
from swajax.refine import growth
from swajax.refine.quadratic import RIDGES

grow = functools.partial(jax.jit(growth.grow, static_argnames="fit"), fit=SMALL_FIT)


@pytest.fixture(scope="module")
def networks(draw_network):
    with jax.enable_x64(True):
        return make_networks(draw_network)


def test_the_weight_that_gains_most_is_added(x64, networks):
    problem, num_better = make_small_problem(), 0
    for network in networks:
        larger = grow(network, problem)
        before, after = np.asarray(pack(network)), np.asarray(pack(larger))
        (index,) = np.flatnonzero(before != after)
        assert before[index] == 0
        gradient, curvature = derivatives(pack(network), network, problem)
        is_free = (before == 0) & is_possible(network)
        gains = np.where(is_free, gradient**2 / curvature, -1.0)
        assert index == np.argmax(gains)
        np.testing.assert_allclose(
            after[index], -gradient[index] / curvature[index], rtol=1e-6
        )
        num_better += score_small(larger, problem) < score_small(network, problem)
        assert count_weights(larger) == count_weights(network) + 1
    assert num_better > 0.8 * len(networks)


@jax.jit
def derivatives(vector, network, problem):
    """Gradient and Gauss-Newton diagonal, with the ridge, of the squared error."""

    def out(vector):
        return outputs(unpack(vector, network), problem)[:, 0]

    jacobian, residual = jax.jacobian(out)(vector), out(vector) - problem.y[:, 0]
    curvature = 2 * problem.weight @ jacobian**2
    gradient = 2 * (residual * problem.weight) @ jacobian
    return gradient, curvature + RIDGES[0] * curvature.max() + 1e-14


def test_a_barred_weight_is_not_added(x64, networks):
    problem = make_small_problem()
    for network in networks:
        vector = np.asarray(pack(network))
        first = np.flatnonzero(pack(grow(network, problem)) != vector)
        is_barred = jnp.zeros(len(vector), bool).at[first].set(True)
        second = np.flatnonzero(
            pack(grow(network, problem, is_barred=is_barred)) != vector
        )
        num_free = np.count_nonzero(is_possible(network) & (vector == 0))
        assert len(second) == (num_free > 1) and set(second).isdisjoint(first)


@pytest.fixture(scope="module")
def variants(networks):
    """Networks with an absent weight, their variants and the kind of each."""
    fn = functools.partial(growth.perturb, fit=SMALL_FIT)
    fn = jax.jit(jax.vmap(fn, in_axes=(0, None, None)))
    found = []
    with jax.enable_x64(True):
        roomy = [n for n in networks if is_possible(n).sum() - 1 > count_weights(n)]
        for index, network in enumerate(roomy[:4]):
            keys = jax.random.split(jax.random.key(index), 150)
            variants = jax.device_get(fn(keys, network, make_small_problem()))
            vectors = np.asarray(jax.vmap(pack)(variants))
            found.append(
                (network, vectors, kinds_of(network, variants, vectors), variants)
            )
    return found


def kinds_of(network, variants, vectors):
    """Return what each variant changes: an activation, a weight or only values."""
    changed = (variants.activation != np.asarray(network.activation)).any(-1)
    flips = changed.sum((1, 2))
    moved = ((vectors != 0) != (np.asarray(pack(network)) != 0)).sum(1)
    assert set(flips) == {0, 1} and set(moved) == {0, 2}
    return np.select([flips > 0, moved > 0], ["activation", "weight"], "values")


def test_a_third_of_the_variants_is_of_each_kind(variants):
    kinds = np.concatenate([kinds for _, _, kinds, _ in variants])
    for kind in ("activation", "weight", "values"):
        assert abs((kinds == kind).mean() - 1 / 3) < 0.08, kind


def test_a_variant_has_another_activation_at_a_neuron_that_is_present(variants):
    for network, _, kinds, varied in variants:
        own = varied.activation[kinds == "activation"]
        changed = (own != np.asarray(network.activation)).any(-1)
        is_present = np.asarray(network.mask) > 0
        is_present[int(network.depth) :] = False
        # Every neuron is drawn at least once, and the mixture stays one-hot.
        np.testing.assert_array_equal(changed.any(0), is_present)
        assert (own.sum(-1) == 1).all() and set(own.ravel()) == {0, 1}


def test_a_variant_has_one_weight_replaced(variants):
    for network, vectors, kinds, _ in variants:
        before = np.asarray(pack(network)) != 0
        after = vectors[kinds == "weight"] != 0
        removed, new = before & ~after, after & ~before
        assert (removed.sum(1) == 1).all() and (new.sum(1) == 1).all()
        assert (removed.any(0) == before).mean() > 0.8  # nearly all are drawn
        assert not (new.any(0) & ~is_possible(network)).any()


def test_noise_on_the_weights_of_a_variant_is_small_or_large(variants):
    for network, vectors, kinds, _ in variants:
        before = np.asarray(pack(network))
        factor = vectors[:, before != 0] / before[before != 0]
        own = factor[kinds == "values"] - 1
        np.testing.assert_allclose(own.std(), growth.LARGE_NOISE, rtol=0.25)
        own = factor[kinds == "activation"] - 1
        np.testing.assert_allclose(own.std(), growth.SMALL_NOISE, rtol=0.25)


def test_on_a_quadratic_problem_the_new_weight_is_the_best_one(x64):
    network = one_layer([(1.0, 0.0, 0.0, 1.0)])
    network = network._replace(activation=jnp.zeros((2, 4, 2)).at[..., 1].set(1.0))
    x = make_small_problem().x
    problem = make_small_problem(y=x[:, :1] + 0.5 * x[:, 1:] + 0.01)
    larger = grow(network, problem)
    assert larger.first[1, 0] != 0 and count_weights(larger) == 3
    x, rest = np.asarray(x[:, 1]), np.asarray(problem.y[:, 0] - x[:, 0])
    np.testing.assert_allclose(larger.first[1, 0], rest @ x / (x @ x), rtol=1e-4)
    np.testing.assert_allclose(
        score_small(larger, problem),
        np.mean((rest - x * (rest @ x) / (x @ x)) ** 2),
        rtol=1e-6,
    )


def test_a_network_with_all_its_weights_stays(x64):
    network = one_layer([(1.0, 2.0, 0.3, 1.0), (0.5, -1.0, 0.1, -2.0)], 0.2)
    np.testing.assert_array_equal(
        pack(grow(network, make_small_problem())), pack(network)
    )


def test_weights_of_absent_neurons_are_ignored(x64, networks):
    problem, network = make_small_problem(), networks[1]
    is_present = np.asarray(network.mask)[0] > 0
    garbage = network._replace(bias=network.bias.at[0].add(np.where(is_present, 0, 7)))
    assert not is_present.all()
    larger, wanted = grow(garbage, problem), grow(network, problem)
    np.testing.assert_array_equal(pack(larger), pack(wanted))


def test_single_precision_stays_single(x64):
    args = one_layer([(1.0, 2.0, 0.3, 1.0), (0.5, -1.0, 0.0, -2.0)])
    args = to_single((args, make_small_problem()))
    larger = jax.eval_shape(functools.partial(growth.grow, fit=SMALL_FIT), *args)
    fn = functools.partial(growth.perturb, fit=SMALL_FIT)
    variant = jax.eval_shape(fn, jax.random.key(0), *args)
    for network in (larger, variant):
        assert {leaf.dtype for leaf in network[:-1]} == {np.dtype("float32")}
