"""Sparse networks of the paper: invariants, and statistics of many draws."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax import prior
from swajax.types import NetworkSpec

SPEC = NetworkSpec()  # as in the paper: 3 inputs, up to 4 layers of up to 7 neurons
NUM = 3000


@pytest.fixture(scope="module")
def networks():
    sample = functools.partial(prior.sample_batch, num=NUM, spec=SPEC)
    return jax.device_get(jax.jit(sample)(jax.random.key(1)))


def edges(networks):
    """Flag non-zero weights: first, hidden, readout."""
    return networks.first != 0, networks.hidden != 0, networks.readout != 0


def count_kept(networks):
    return sum(part.reshape(len(part), -1).sum(axis=1) for part in edges(networks))


def count_possible(networks):
    """Count the weights of the dense networks of these widths."""
    widths = networks.mask.sum(axis=2).astype(int)
    last = np.take_along_axis(widths, networks.depth[:, None] - 1, axis=1)[:, 0]
    between = (widths[:, :-1] * widths[:, 1:]).sum(axis=1)
    num_inputs, num_outputs = SPEC.num_inputs, SPEC.num_outputs
    return num_inputs * widths[:, 0] + between + last * num_outputs


def test_every_input_has_a_path_to_the_output(networks):
    first, hidden, readout = edges(networks)
    is_open = np.zeros((NUM, SPEC.max_width), bool)
    for layer in reversed(range(SPEC.max_depth)):
        if layer + 1 < SPEC.max_depth:
            is_open = (hidden[:, layer] & is_open[:, None]).any(axis=2)
        is_last = (networks.depth == layer + 1)[:, None]
        is_open = np.where(is_last, readout.any(axis=2), is_open)
    # All inputs feed one and the same neuron of the first layer.
    assert (first.all(axis=1) & is_open).any(axis=1).all()


def test_the_number_of_kept_weights_is_exact_for_each_sparsity(networks):
    total, kept = count_possible(networks), count_kept(networks)
    path = SPEC.num_inputs + networks.depth - 1 + SPEC.num_outputs
    # Exact fractions, so that the floor is exact.
    density = [1 - Fraction(str(sparsity)) for sparsity in prior.SPARSITIES]
    wanted = [[int(num * share) for share in density] for num in total.tolist()]
    fits = kept[:, None] == np.maximum(wanted, path[:, None])
    assert fits.any(axis=1).all()
    # With many weights the four numbers differ, and show which sparsity was drawn.
    shares = fits[total > 60].mean(axis=0)
    np.testing.assert_allclose(shares, 0.25, atol=0.04)
    assert (kept == path).any() and (total % 10 == 0).any()


def test_depths_and_widths_are_uniform(networks):
    shares = np.bincount(networks.depth, minlength=5)[1:] / NUM
    np.testing.assert_allclose(shares, 0.25, atol=0.03)
    widths = networks.mask.sum(axis=2).astype(int)
    is_used = np.arange(SPEC.max_depth) < networks.depth[:, None]
    assert set(widths[is_used]) == {3, 4, 5, 6, 7} and not widths[~is_used].any()
    shares = np.bincount(widths[is_used], minlength=8)[3:] / is_used.sum()
    np.testing.assert_allclose(shares, 0.2, atol=0.03)


def test_absent_neurons_and_unused_layers_have_no_weights(networks):
    first, hidden, readout = edges(networks)
    is_there = networks.mask > 0
    last = is_there[np.arange(NUM), networks.depth - 1]
    assert not (first & ~is_there[:, 0][:, None]).any()
    assert not (hidden & ~is_there[:, :-1, :, None]).any()
    assert not (hidden & ~is_there[:, 1:, None, :]).any()
    assert not (readout & ~last[..., None]).any()


def test_every_possible_weight_is_sometimes_kept_and_dropped(networks):
    first, hidden, readout = (part.mean(axis=0) for part in edges(networks))
    for share in (first, hidden, readout):
        assert (share > 0.0005).all() and (share < 0.6).all()


def test_weights_are_uniform_and_biases_zero(networks):
    parts = (networks.first, networks.hidden, networks.readout)
    weights = np.concatenate([part[part != 0] for part in parts])
    assert np.abs(weights).max() <= 10
    shares = np.histogram(weights, bins=10, range=(-10, 10))[0] / len(weights)
    np.testing.assert_allclose(shares, 0.1, atol=0.01)
    assert not networks.bias.any() and not networks.readout_bias.any()


def test_a_depth_can_be_fixed(key):
    sample = functools.partial(prior.sample_batch, num=20, spec=SPEC, depth=2)
    networks = jax.jit(sample)(key)
    assert (networks.depth == 2).all() and networks.depth.dtype == jnp.int32
    assert networks.mask[:, :2].any(axis=2).all() and not networks.mask[:, 2:].any()
    assert networks.hidden[:, 0].any() and not networks.hidden[:, 1:].any()


def test_one_network_equals_that_of_the_batch(maybe_jit, networks):
    sample = maybe_jit(functools.partial(prior.sample, spec=SPEC))
    # It depends on its index, not on the size of the batch.
    one = sample(jax.random.fold_in(jax.random.key(1), 7))
    for a, b in zip(one, networks, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape[1:]
        np.testing.assert_allclose(a, b[7], rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(a == 0, b[7] == 0)


def test_other_families_are_legal_records(key, mixed_spec):
    sample = functools.partial(prior.sample_batch, num=50, spec=mixed_spec)
    networks = jax.jit(sample)(key)
    # Two outputs: the last neuron of the path feeds both.
    assert (networks.readout != 0).all(axis=2).any(axis=1).all()
    assert (networks.mask.sum(axis=2)[:, 0] == 3).all()  # both limits are 3
    np.testing.assert_array_equal(networks.activation[..., 0], 1)
    np.testing.assert_array_equal(networks.activation[..., 1:], 0)


@pytest.mark.parametrize("depth", [0, 5])
def test_a_depth_outside_of_the_limits_is_refused(key, depth):
    with pytest.raises(ValueError, match=rf"depth must be in 1\.\.4, got {depth}"):
        prior.sample(key, spec=SPEC, depth=depth)
