"""Gradients of architecture vectors against finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from swajax.tangle.samplers import make_sampler
from swajax.tangle.spaces import make_space
from swajax.tangle.train import gradients

RATE, DECAY, MOMENTUM = 0.3, 0.1, 0.9
SPACE = {
    "num_inputs": 2,
    "widths": (1, 2),
    "depths": (1, 2),
    "activations": ("sigmoid", "tanh"),
}
STEP = 1e-5  # of finite differences


def make_problem(projection):
    """Loss, map from vectors to probabilities, and a point in float64."""
    space, rng = make_space("mlp", **SPACE), np.random.default_rng(0)
    sampler = make_sampler("darts", projection=projection)

    def loss_fn(params, p, batch):
        x, y = batch
        return jnp.square(space.apply(params, p, x) - y).mean()

    def draw(tree, scale=1.0):
        return jax.tree.map(
            lambda a: jnp.asarray(scale * rng.normal(size=a.shape)), tree
        )

    alphas = draw(sampler.init(jax.random.key(0), space.choices), 0.2)
    params = draw(jax.eval_shape(space.init, jax.random.key(0)))
    batches = [(rng.normal(size=(6, 2)), rng.normal(size=(6, 1))) for _ in range(2)]
    sample_fn = functools.partial(sampler.sample, jax.random.key(0), progress=0.0)
    how = {"loss_fn": loss_fn, "sample_fn": sample_fn}
    return alphas, params, jax.tree.map(jnp.asarray, batches), how, draw


def differ(value_fn, tree, direction):
    """Return the central difference of a function along a direction."""
    ends = [
        value_fn(jax.tree.map(lambda a, d, s=sign: a + s * STEP * d, tree, direction))
        for sign in (1, -1)
    ]
    return (ends[0] - ends[1]) / (2 * STEP)


def dot(first, second):
    products = jax.tree.map(lambda a, b: (a * b).sum(), first, second)
    return sum(jax.tree.leaves(products))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("projection", ["softmax", "sparsemax"])
def test_the_first_order_gradient_is_that_of_the_loss(projection):
    alphas, params, (batch, _), how, draw = make_problem(projection)
    first = jax.jit(functools.partial(gradients.first_order, **how))
    loss, gradient = first(alphas, params, batch)

    @jax.jit
    def value(alphas):
        return how["loss_fn"](params, how["sample_fn"](alphas), batch)

    assert loss == pytest.approx(float(value(alphas)), rel=1e-9)
    for _ in range(3):
        direction = draw(alphas)
        wanted = differ(value, alphas, direction)
        np.testing.assert_allclose(dot(gradient, direction), wanted, rtol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("projection", ["softmax", "sparsemax"])
def test_the_second_order_gradient_is_that_of_the_loss_after_a_step(projection):
    alphas, params, (batch, weight_batch), how, draw = make_problem(projection)
    optimizer = optax.chain(
        optax.add_decayed_weights(DECAY), optax.sgd(RATE, momentum=MOMENTUM)
    )
    # One step first, so that there is momentum.
    buffer = draw(params, 0.1)
    _, state = optimizer.update(buffer, optimizer.init(params), params)
    buffer = jax.tree.map(lambda b, w: b + DECAY * w, buffer, params)
    # Weights outside the drawn network do not change.
    mask = jax.tree.map(lambda w: jnp.asarray(w > -0.5, w.dtype), params)
    second = functools.partial(
        gradients.second_order, mask_fn=lambda p: mask, optimizer=optimizer, **how
    )
    loss, gradient = jax.jit(second)(alphas, params, batch, weight_batch, state)

    @jax.jit
    def value(alphas):
        """Compute w - rate (momentum buffer + gradient + decay w) by hand."""
        p = how["sample_fn"](alphas)
        slope = jax.grad(how["loss_fn"])(params, p, weight_batch)
        moved = jax.tree.map(
            lambda w, b, g, m: w - m * RATE * (MOMENTUM * b + g + DECAY * w),
            params,
            buffer,
            slope,
            mask,
        )
        return how["loss_fn"](moved, p, batch)

    assert loss == pytest.approx(float(value(alphas)), rel=1e-9)
    for _ in range(3):
        direction = draw(alphas)
        wanted = differ(value, alphas, direction)
        np.testing.assert_allclose(dot(gradient, direction), wanted, rtol=1e-5)
    _, first = jax.jit(functools.partial(gradients.first_order, **how))(
        alphas, params, batch
    )
    assert abs(dot(first, direction) / dot(gradient, direction) - 1) > 1e-2
