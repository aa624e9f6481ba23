"""Optimizers of weights and vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from swajax.tangle.train import gradients
from swajax.tangle.train.optimizers import (
    SupernetConfig,
    make_alpha_optimizer,
    scale_by_per_weight_adam,
)


def test_adam_counts_the_steps_of_each_weight():
    own, plain = scale_by_per_weight_adam(), optax.scale_by_adam(eps_root=1e-12)
    rng = np.random.default_rng(0)
    slopes = jnp.asarray(rng.normal(size=(12, 3)), jnp.float32)
    params = {"w": jnp.ones(3)}
    state = own.init(params)
    for step, slope in enumerate(slopes):
        # The first in every step, the second in every third step, the last never.
        mask = {"w": jnp.asarray([1.0, step % 3 == 1, 0.0])}
        params, state = gradients.masked_update(
            {"w": slope}, state, params, mask, optimizer=own
        )
    for place, steps in enumerate([range(12), range(1, 12, 3), ()]):
        wanted = jnp.ones(1)
        plain_state = plain.init(wanted)
        for step in steps:
            move, plain_state = plain.update(slopes[step, [place]], plain_state)
            wanted = wanted + move
        np.testing.assert_allclose(params["w"][place], wanted[0], rtol=1e-5)
    np.testing.assert_array_equal(state.count["w"], [12, 4, 0])


def test_the_architecture_optimizer_decays_vectors_by_their_gradient():
    """As in torch's Adam, a pure decay moves by the full learning rate."""
    config = SupernetConfig(alpha_learning_rate=0.01)
    optimizer = make_alpha_optimizer(config)
    alphas = {"a": jnp.asarray([2.0, -3.0])}
    zero = jax.tree.map(jnp.zeros_like, alphas)
    updates, _ = optimizer.update(zero, optimizer.init(alphas), alphas)
    np.testing.assert_allclose(updates["a"], [-0.01, 0.01], rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps must be > 0, got 0"),
        ({"weight_decay": -1.0}, "weight_decay must be >= 0, got -1.0"),
        ({"order": "third"}, "order(?s:.*)'third'"),
    ],
)
def test_bad_searches_are_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        SupernetConfig(**options)
