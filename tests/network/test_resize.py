"""Networks with fewer weights, and in records with larger limits."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.network import apply, pack
from swajax.network.resize import cut, fit_into
from swajax.types import NetworkSpec

SPEC = NetworkSpec(3, 2, 4, 2, ("tanh", "sin"))
LIMITS = NetworkSpec(3, 2, 6, 3, ("linear", "sin", "gelu", "tanh"))


@pytest.fixture
def networks(draw_network):
    """Four networks of depth 1 and 2, in a batch."""
    each = [draw_network(seed, spec=SPEC, depth=1 + seed % 2) for seed in range(4)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


def test_the_largest_weights_are_kept(networks):
    before = np.asarray(jax.vmap(pack)(networks))
    for num in (0, 5, 1000):
        after = np.asarray(jax.vmap(pack)(cut(networks, num_weights=num)))
        order = np.argsort(-np.abs(before), axis=1)[:, :num]
        wanted = np.zeros_like(before)
        np.put_along_axis(wanted, order, np.take_along_axis(before, order, 1), 1)
        np.testing.assert_array_equal(after, wanted)


def test_a_negative_number_of_weights_is_refused(networks):
    with pytest.raises(ValueError, match="num_weights must be >= 0, got -1"):
        cut(networks, num_weights=-1)


def test_larger_records_are_the_same_functions(networks):
    larger = fit_into(networks, SPEC, LIMITS)
    assert larger.hidden.shape == (4, 2, 6, 6)
    np.testing.assert_array_equal(larger.activation.sum(axis=-1), 1)
    x = jax.random.normal(jax.random.key(0), (7, 3))
    for index in range(4):
        small, large = (
            jax.tree.map(lambda leaf, i=index: jnp.asarray(leaf)[i], n)
            for n in (networks, larger)
        )
        wanted = apply(small, x, activations=SPEC.activations)
        out = apply(large, x, activations=LIMITS.activations)
        np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_inputs": 4}, "num_inputs of the limits must be 3, got 4"),
        ({"num_outputs": 1}, "num_outputs of the limits must be 2, got 1"),
        ({"max_width": 3}, "max_width of the limits must be >= 4, got 3"),
        ({"max_depth": 1}, "max_depth of the limits must be >= 2, got 1"),
        ({"activations": ("tanh",)}, r"lack the activations \['sin'\]"),
    ],
)
def test_limits_that_are_too_small_are_named(networks, changes, message):
    with pytest.raises(ValueError, match=message):
        fit_into(networks, SPEC, dataclasses.replace(LIMITS, **changes))
