"""Starts of a search: size limits, valid records, statistics of many draws."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from prior_cases import all_weights

from swajax import prior
from swajax.network import mask_weights
from swajax.types import NetworkSpec

SMALL_LIMITS = (2, 5, 9, 14, 22, 35, 60)
KINDS = ("sigmoid", "tanh", "linear")


@pytest.fixture(
    scope="module",
    params=[(1, 1), (20, 1), (3, 3)],
    ids=lambda sizes: "{} to {}".format(*sizes),
)
def small(request):
    """Specification, limits, and 200 networks per limit."""
    num_inputs, num_outputs = request.param
    spec = NetworkSpec(
        num_inputs=num_inputs,
        num_outputs=num_outputs,
        max_width=5,
        max_depth=3,
        activations=KINDS,
    )
    limits = np.repeat(SMALL_LIMITS, 200)
    keys = jax.random.split(jax.random.key(2), len(limits))
    sample = jax.jit(jax.vmap(functools.partial(prior.sample_small, spec=spec)))
    return spec, limits, jax.device_get(sample(keys, jnp.asarray(limits)))


def test_sizes_are_at_most_the_limits(small):
    spec, limits, networks = small
    counts = (all_weights(networks) != 0).sum(axis=1)
    # From one input through one neuron per layer to every output.
    path = networks.depth + spec.num_outputs
    assert (counts <= np.maximum(limits, path)).all() and (counts >= path).all()
    # If one neuron per layer already exceeds the limit, the limit is met exactly.
    is_tight = limits < 20
    if spec.num_inputs == 20:
        wanted = np.maximum(limits, path)[is_tight]
        np.testing.assert_array_equal(counts[is_tight], wanted)
    dense = [np.mean(counts[limits == limit] / limit) for limit in (22, 35, 60)]
    assert dense[0] > 0.55, "networks are about as large as allowed"


def test_every_output_has_a_path_from_an_input(small):
    spec, _, networks = small
    reached = (networks.first != 0).any(axis=1)
    at_last = np.zeros_like(reached)
    for layer in range(spec.max_depth):
        if layer:
            steps = networks.hidden[:, layer - 1] != 0
            reached = (steps & reached[:, :, None]).any(axis=1)
        at_last = np.where((networks.depth == layer + 1)[:, None], reached, at_last)
    assert ((networks.readout != 0) & at_last[..., None]).any(axis=1).all()


def test_networks_are_legal_records(small):
    spec, limits, networks = small
    widths = networks.mask.sum(axis=2).astype(int)
    is_used = np.arange(spec.max_depth) < networks.depth[:, None]
    assert ((widths >= 1) == is_used).all() and widths.max() <= spec.max_width
    # The first neurons are the present ones.
    first = np.arange(spec.max_width) < widths[..., None]
    np.testing.assert_array_equal(networks.mask, first)
    assert not networks.bias[networks.mask == 0].any()
    clean = jax.device_get(jax.jit(jax.vmap(mask_weights))(networks))
    np.testing.assert_array_equal(all_weights(clean), all_weights(networks))
    assert set(np.unique(networks.activation)) == {0.0, 1.0}
    np.testing.assert_array_equal(networks.activation.sum(axis=-1), 1)
    shares = np.bincount(networks.depth, minlength=4)[1:] / len(limits)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)
    assert set(np.unique(widths)) >= {0, 1, 2, 3, 4}


def test_half_of_the_networks_have_one_activation(small):
    _, _, networks = small
    kinds = networks.activation.argmax(axis=-1).reshape(len(networks.depth), -1)
    is_one = (kinds == kinds[:, :1]).all(axis=1)
    np.testing.assert_allclose(is_one.mean(), 0.5, atol=0.05)
    np.testing.assert_allclose(
        np.bincount(kinds.ravel()) / kinds.size, 1 / 3, atol=0.04
    )


def test_weights_shrink_with_the_fan_in(small):
    _, limits, networks = small
    fan_in = (networks.first != 0).sum(axis=1)
    large = networks.first[(limits == 60)]
    rms = [
        np.sqrt(np.mean(np.square(part[part != 0])))
        for part in (large, networks.bias[limits == 60])
    ]
    # Variance 2 / fan-in, relative to biases of variance 1.
    wanted = np.sqrt(2 / np.maximum(fan_in[limits == 60].max(axis=1), 2)).mean()
    np.testing.assert_allclose(rms[0] / rms[1], wanted, rtol=0.2)


def test_inputs_are_drawn_by_their_sampling_weights(key):
    spec = NetworkSpec(num_inputs=6, max_width=2, max_depth=1)
    weights = jnp.array([1.0, 1.0, 4.0, 1.0, 1.0, 4.0])
    settings = {"num": 2000, "spec": spec, "max_weights": 12, "num_inputs": 5}
    drawn = prior.sample_starts(key, sampling_weights=weights, **settings).first != 0
    counts = drawn.sum((0, 2))
    assert counts[5] == 0  # not among the first 5 inputs
    others = counts[jnp.array([0, 1, 3, 4])]
    assert 1.3 * others.max() < counts[2] < 4 * others.min()
    assert others.max() < 1.2 * others.min()
    # A single weight of the first layer is that of the path.
    single = drawn[drawn.sum((1, 2)) == 1].sum((0, 2))
    assert 2 * single[0] < single[2] < 7 * single[0]
    same = prior.sample_starts(key, sampling_weights=jnp.ones(6), **settings)
    chex.assert_trees_all_equal(same, prior.sample_starts(key, **settings))


@pytest.mark.parametrize("small", [(3, 3)], indirect=True)
def test_a_network_depends_on_its_key_only(small):
    spec, limits, networks = small
    key = jax.random.split(jax.random.key(2), len(limits))[700]
    sample = jax.jit(functools.partial(prior.sample_small, spec=spec))
    one = sample(key, jnp.asarray(limits[700]))
    for a, b in zip(one, networks, strict=True):
        np.testing.assert_allclose(a, b[700], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(a == 0, b[700] == 0)
