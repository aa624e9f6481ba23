"""Candidate losses: soft and hard, single and batched."""

import dataclasses
import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from latent_cases import CONFIG, SIZE, SPACE, STATIC, decode, jitted, template

from swajax import latent_search, network
from swajax.latent_search import Point
from swajax.latent_search.candidates import over_depths


@pytest.mark.parametrize("depth", [1, 2])
def test_batched_loss_equals_that_of_each_candidate(params, data, starts, depth):
    points = Point(starts, jnp.asarray([0.0, 0.3, 2.0]))
    weight = jnp.asarray([1e-3, 1e-2, 0.1])
    args = (points, weight, params, data.x, data.y)
    together = jitted(latent_search.loss_fn, depth=depth)(*args)
    one_fn = jitted(latent_search.candidate_loss, depth=depth)
    for index in range(3):
        point = jax.tree.map(operator.itemgetter(index), points)
        one = one_fn(point, weight[index], params, data.x, data.y)
        np.testing.assert_allclose(together[index], one, rtol=1e-5)


def test_candidate_loss_against_numpy(params, data, starts):
    params = [params[0] | {"mask": jnp.zeros((SIZE, 8))}]
    point = Point(starts[0], jnp.asarray(0.5))
    static = STATIC | {"depth": 1}
    loss = latent_search.candidate_loss(
        point, jnp.asarray(0.01), params, data.x, data.y, **static
    )
    sigmoid = lambda value: 1 / (1 + np.exp(-np.float64(value)))  # noqa: E731
    net = jax.tree.map(np.float64, decode(params, starts[0], 1))
    soft = [w * sigmoid(100 * (abs(w) - 0.5)) for w in net[:5]]
    first, _, readout, bias, readout_bias = soft
    x, y = np.asarray(data.x), np.asarray(data.y)
    out = sigmoid(x @ first + bias[0]) @ readout + readout_bias
    used = (net.first, net.readout, net.bias[0], net.readout_bias)
    size = np.concatenate([abs(w).ravel() for w in used])
    cost = (0.5 * sigmoid(10 * (size - 0.5)) + 0.1 * size).sum()
    expected = np.mean((out - y) ** 2) + 0.01 * cost
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_gradient_against_finite_differences():
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        num = network.pack(template()).size
        weights = jnp.asarray(rng.normal(size=(SIZE, num)))
        # Constant masks: their declared gradient is not that of the forward rule.
        own = {"weights": weights, "mask": jnp.zeros((SIZE, 8))}
        x, y = (
            jnp.asarray(rng.normal(size=(5, 3))),
            jnp.asarray(rng.normal(size=(5, 1))),
        )
        config = dataclasses.replace(CONFIG, gate_sharpness=5.0)

        def loss(z, threshold):
            point, weight = Point(z, threshold), jnp.asarray(0.01)
            static = {"space": SPACE, "config": config, "depth": 2}
            args = (point, weight, [own, own], x, y)
            return latent_search.candidate_loss(*args, **static)

        args = (jnp.asarray(rng.normal(size=SIZE)), jnp.asarray(0.4))
        check_grads(jax.jit(loss), args, order=1, modes=["rev"], rtol=1e-5)


def test_penalty_has_nothing_for_absent_neurons_and_a_gradient_by_masks():
    net = template()._replace(
        first=jnp.ones((3, 4)), readout=jnp.ones((4, 1)), depth=jnp.asarray(1)
    )

    def cost(mask):
        own = net._replace(mask=mask)
        return latent_search.penalty(own, jnp.asarray(0.0), config=CONFIG)

    one_off = jnp.ones((2, 4)).at[0, 1].set(0.0)
    weight = 0.5 / (1 + np.exp(-10)) + 0.1
    np.testing.assert_allclose(cost(one_off), 3 * 4 * weight, rtol=1e-5)
    gradient = jax.grad(cost)(one_off)
    # The gradient of a present neuron is the cost of its three inputs and one output.
    slope = 0.5 * 10 * np.exp(-10)
    np.testing.assert_allclose(gradient[0, 0], 4 * (weight + slope), rtol=1e-3)
    np.testing.assert_array_equal(gradient[0, 1], 0.0)


@pytest.mark.parametrize("max_block", [1, 4, 6, 100])
def test_blocks_hold_at_most_so_many_and_change_nothing(max_block):
    args = (jnp.arange(24.0).reshape(2, 2, 3, 2), jnp.arange(12.0).reshape(2, 2, 3))

    def fn(a, b, *, depth):
        assert b.shape[0] <= max_block
        return {"sum": depth * (a.sum(axis=1) + b), "same": a}

    out = over_depths(fn, args, num_depths=2, max_block=max_block)
    np.testing.assert_array_equal(out["same"], args[0])
    depth = np.array([1, 2])[:, None, None]
    np.testing.assert_array_equal(out["sum"], depth * (args[0].sum(-1) + args[1]))
