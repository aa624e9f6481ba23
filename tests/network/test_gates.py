"""Forward rules and declared gradients of the gates."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from swajax.network import count_weights, gates, make_dense, pack, simplify, unpack
from swajax.types import NetworkSpec

WEIGHTS = jnp.asarray([-2.0, -0.3, 0.0, 0.4, 3.0])


def test_binarize_rounds_exactly_at_half(maybe_jit):
    probability = jnp.asarray([0.0, 0.3, 0.5, 0.7, 1.0, jnp.nan])
    out = maybe_jit(gates.binarize)(probability)
    np.testing.assert_array_equal(out, [0, 0, 0, 1, 1, 0])


def test_binarize_has_the_gradient_of_identity(maybe_jit):
    probability = jnp.asarray([0.1, 0.5, 0.9])
    scale = jnp.asarray([1.0, 2.0, 3.0])
    gradient = jax.grad(lambda p: (scale * gates.binarize(p)).sum())
    np.testing.assert_array_equal(maybe_jit(gradient)(probability), scale)


def test_soft_threshold_by_hand(maybe_jit):
    out = maybe_jit(gates.soft_threshold)(WEIGHTS, jnp.asarray(0.4))
    sigmoid = 1 / (1 + np.exp(10.0))
    np.testing.assert_allclose(out, [-2, -0.3 * sigmoid, 0, 0.2, 3], rtol=1e-5)


def test_soft_threshold_gradient_is_exact():
    with jax.enable_x64(True):
        weights = jnp.asarray([-0.7, -0.35, 0.2, 0.45])
        fn = lambda w, t: gates.soft_threshold(w, t, sharpness=5.0)  # noqa: E731
        check_grads(jax.jit(fn), (weights, jnp.asarray(0.4)), order=1, rtol=1e-6)


def test_soft_threshold_has_a_finite_gradient_at_zero():
    gradient = jax.grad(gates.soft_threshold)(jnp.asarray(0.0), 0.0)
    assert gradient == pytest.approx(0.5)


def test_hard_threshold_forward_and_declared_gradient(maybe_jit):
    threshold = jnp.asarray(0.4)
    out = maybe_jit(gates.hard_threshold)(WEIGHTS, threshold)
    np.testing.assert_array_equal(out, np.float32([-2, 0, 0, 0.4, 3]))
    gradient = jax.grad(lambda w, t: gates.hard_threshold(w, t).sum(), argnums=(0, 1))
    by_weights, by_threshold = maybe_jit(gradient)(WEIGHTS, threshold)
    np.testing.assert_array_equal(by_weights, [1, 0, 0, 1, 1])
    assert by_threshold == 0


def test_soft_threshold_tends_to_the_hard_one():
    threshold = jnp.asarray(0.35)
    soft = gates.soft_threshold(WEIGHTS, threshold, sharpness=1e4)
    hard = gates.hard_threshold(WEIGHTS, threshold)
    np.testing.assert_allclose(soft, hard, atol=1e-6)


def draw_scores(seed):
    """Draw numbers of many magnitudes, some of them equal."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=23) * 10.0 ** rng.integers(-6, 6, size=23)
    scores[rng.integers(23, size=6)] = scores[rng.integers(23, size=6)]
    scores[[3, 17]] = 0.0, -1e9
    return np.float32(scores)


@pytest.mark.parametrize("seed", range(4))
def test_kth_largest_equals_sorting(maybe_jit, seed):
    scores = draw_scores(seed)
    find = maybe_jit(jax.vmap(gates.kth_largest, in_axes=(None, 0)))
    ranks = jnp.arange(-1, 26)
    wanted = np.sort(scores)[::-1][np.clip(ranks, 1, 23) - 1]
    np.testing.assert_array_equal(find(jnp.asarray(scores), ranks), wanted)


@pytest.mark.parametrize("seed", range(4))
def test_exactly_k_gates_are_active(maybe_jit, seed):
    scores = draw_scores(seed)
    top_k_gates = maybe_jit(jax.vmap(gates.top_k_gates, in_axes=(None, 0)))
    numbers = jnp.array([0.0, 1.0, 4.6, 22.0, 23.0, 40.0])
    found = top_k_gates(jnp.asarray(scores), numbers)
    for gate, number in zip(found, (0, 1, 5, 22, 23, 23), strict=True):
        wanted = np.zeros(23)
        wanted[np.argsort(-scores, kind="stable")[:number]] = 1
        np.testing.assert_array_equal(gate, wanted)


def test_active_gates_have_the_gradient_of_a_sigmoid_around_the_limit():
    scores = jnp.array([1.0, 3.0, 2.0, -1.0])
    scale = jnp.array([1.0, 2.0, 3.0, 4.0])
    gradient = jax.grad(lambda s: (scale * gates.top_k_gates(s, 2)).sum())(scores)
    sigmoid = 1 / (1 + np.exp(-(np.asarray(scores) - 2.0)))
    np.testing.assert_allclose(gradient, scale * sigmoid * (1 - sigmoid), rtol=1e-5)


def test_a_choice_is_one_hot_with_the_gradient_of_a_softmax(maybe_jit):
    logits = jnp.array([[0.5, 2.0, -1.0], [3.0, 0.0, 0.0]])
    np.testing.assert_array_equal(maybe_jit(gates.choose)(logits), np.eye(3)[[1, 0]])
    scale = jnp.arange(6.0).reshape(2, 3)
    by_choice = jax.grad(lambda x: (scale * gates.choose(x)).sum())(logits)
    by_softmax = jax.grad(lambda x: (scale * jax.nn.softmax(x)).sum())(logits)
    np.testing.assert_allclose(by_choice, by_softmax, rtol=1e-5)


def _best_paths(scores, depth):
    """Find the best minimum score of each weight by listing all paths."""
    layers = [scores.first, *scores.hidden[: depth - 1], scores.readout]
    best = [np.full(layer.shape, -np.inf) for layer in layers]
    bias = np.full((depth, layers[0].shape[1]), -np.inf)
    for nodes in itertools.product(*(range(len(a)) for a in layers), range(NUM_OUT)):
        edges = list(itertools.pairwise(nodes))
        least = min(a[edge] for a, edge in zip(layers, edges, strict=True))
        for layer, edge in zip(best, edges, strict=True):
            layer[edge] = max(layer[edge], least)
        for row, node in zip(bias, nodes[1:-1], strict=True):
            row[node] = max(row[node], least)
    return best, np.minimum(bias, scores.bias[:depth])


NUM_OUT = 2
SCORED = NetworkSpec(3, NUM_OUT, 4, 3, ("tanh",))


def _draw_scores(seed):
    dense = make_dense(SCORED)
    scores = np.random.default_rng(seed).normal(size=pack(dense).shape)
    return unpack(jnp.asarray(scores, jnp.float32), dense)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_bottlenecks_equal_those_of_all_paths(depth, maybe_jit):
    scores = _draw_scores(depth)
    found = maybe_jit(functools.partial(gates.bottlenecks, depth=depth))(scores)
    layers, bias = _best_paths(jax.tree.map(np.asarray, scores), depth)
    np.testing.assert_array_equal(found.first, layers[0])
    for layer, wanted in zip(found.hidden, layers[1:-1], strict=False):
        np.testing.assert_array_equal(layer, wanted)
    np.testing.assert_array_equal(found.readout, layers[-1])
    np.testing.assert_array_equal(found.bias[:depth], bias)
    np.testing.assert_array_equal(found.readout_bias, scores.readout_bias)


@pytest.mark.parametrize("seed", range(5))
def test_weights_activated_by_bottlenecks_are_on_paths(seed):
    bottlenecks = jax.jit(gates.bottlenecks, static_argnames="depth")
    values = pack(bottlenecks(_draw_scores(seed), depth=3))
    sizes = np.flatnonzero(np.diff(np.sort(values)[::-1]) < 0) + 1
    # One length for all seeds, so that one program is compiled.
    repeated = np.resize(sizes, values.size)
    np.testing.assert_array_equal(_count_on_paths(values, 1.0 * repeated), repeated)
    assert len(sizes) > 10


@jax.jit
def _count_on_paths(values, sizes):
    active = jax.vmap(gates.top_k_gates, (None, 0))(values, sizes)
    networks = jax.vmap(unpack, in_axes=(0, None))(active, make_dense(SCORED))
    simplify_all = jax.vmap(functools.partial(simplify, activations=SCORED.activations))
    return jax.vmap(count_weights)(simplify_all(networks))


def test_an_order_decides_and_scores_have_the_gradient():
    scores, order = jnp.asarray([0.3, -0.2, 2.0, 0.1]), jnp.asarray([1.0, 3.0, 2.0, 0])

    def fn(scores, order):
        return gates.top_k_gates(scores, 2, order=order)

    np.testing.assert_allclose(fn(scores, order), [0, 1, 1, 0], atol=1e-6)
    by_scores, by_order = jax.jacobian(fn, argnums=(0, 1))(scores, order)
    soft = jax.nn.sigmoid(scores - 2.0)  # the second value of the order
    np.testing.assert_allclose(by_scores, jnp.diag(soft * (1 - soft)), rtol=1e-5)
    assert not by_order.any()
