"""Networks to pretrain `tabular` on: statistics of many, standardised outputs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from prior_cases import all_weights

from swajax import prior
from swajax.network import pack
from swajax.network.batched import apply_batch
from swajax.types import NetworkSpec


@pytest.fixture(scope="module")
def varied():
    spec = NetworkSpec(
        num_inputs=5,
        num_outputs=3,
        max_width=4,
        max_depth=3,
        activations=("sigmoid", "tanh", "leaky_relu", "linear"),
    )
    keys = jax.random.split(jax.random.key(3), 1000)
    sample = functools.partial(prior.sample_varied, spec=spec)
    return spec, *jax.device_get(jax.jit(jax.vmap(sample))(keys))


def test_numbers_of_inputs_outputs_and_layers_are_uniform(varied):
    spec, networks, is_input, is_output = varied
    counts = (is_input.sum(axis=1), is_output.sum(axis=1), networks.depth)
    limits = (spec.num_inputs, spec.num_outputs, spec.max_depth)
    for count, limit in zip(counts, limits, strict=True):
        shares = np.bincount(count.astype(int), minlength=limit + 1)[1:] / len(count)
        np.testing.assert_allclose(shares, 1 / limit, atol=0.05)
    widths = networks.mask.sum(axis=2)
    assert set(np.unique(widths)) == {0, 1, 2, 3, 4}


def test_all_outputs_and_most_inputs_are_used(varied):
    _, networks, is_input, is_output = varied
    uses_input = (networks.first != 0).any(axis=2)
    assert not (uses_input & (is_input == 0)).any()
    assert uses_input.any(axis=1).all(), "one path is always kept"
    share = uses_input.sum() / is_input.sum()
    assert 0.4 < share < 0.9, "some inputs are irrelevant"
    uses_output = (networks.readout != 0).any(axis=1)
    np.testing.assert_array_equal(uses_output, is_output == 1)
    full = jax.device_get(
        jax.jit(
            jax.vmap(
                lambda n, i, o: pack(
                    prior.make_family(n.mask, n.activation, n.depth, i, o)
                )
            )
        )(networks, is_input, is_output)
    )
    density = (all_weights(networks) != 0).sum(axis=1) / full.sum(axis=1)
    assert np.quantile(density, 0.1) < 0.35 and np.quantile(density, 0.9) > 0.6


def test_standardised_networks_have_mean_0_and_variance_1(varied):
    spec, networks, *_ = varied
    networks = jax.tree.map(jnp.asarray, networks)
    x = jax.random.uniform(jax.random.key(4), (300, spec.num_inputs), minval=-1.0)
    kinds = {"activations": spec.activations}
    y = np.asarray(apply_batch(prior.standardise(networks, x, **kinds), x, **kinds))
    spread = np.asarray(apply_batch(networks, x, **kinds)).std(axis=1)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=2e-3)
    is_flat = spread < prior.MIN_STD
    np.testing.assert_allclose(y.std(axis=1)[~is_flat], 1, rtol=2e-3)
    np.testing.assert_allclose(
        y.std(axis=1)[is_flat], spread[is_flat] / prior.MIN_STD, rtol=0.1, atol=1e-3
    )
