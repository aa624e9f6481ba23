"""Language models: context and causal attention."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_cases import NUM, TOLERANCE, draw_probabilities, make_case, make_small

from swajax.tangle.choices import extreme


def test_a_language_model_refuses_more_than_its_context():
    space, params, _ = make_case("chars-gpt")
    long = jnp.zeros((1, 5), jnp.uint8)
    with pytest.raises(ValueError, match=r"must have <= 4 tokens.* got 5"):
        space.apply(params, draw_probabilities(space), long)
    network = extreme(space.choices, is_largest=True)
    with pytest.raises(ValueError, match="must have <= 4 tokens"):
        space.apply_standalone(space.take(params, network), network, long)


def test_a_language_model_sees_what_came_before_and_nothing_else():
    space, params, x = make_case("chars-gpt")
    apply = jax.jit(functools.partial(space.apply, params, draw_probabilities(space)))
    change = apply(x.at[:, 1].set((x[:, 1] + 1) % 5)) - apply(x)
    change = np.abs(change).reshape(NUM, 3, 5).max(axis=2)
    np.testing.assert_array_equal(change[:, 0], 0)
    assert change[:, 1:].min() > 1e-4
    unrolled = make_small("chars-gpt", is_unrolled=True)
    found = jax.jit(unrolled.apply)(params, draw_probabilities(space), x)
    np.testing.assert_allclose(found, apply(x), **TOLERANCE)
