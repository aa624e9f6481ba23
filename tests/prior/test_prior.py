"""The networks that pretraining draws: what every one of them obeys, and how many."""

import functools
from fractions import Fraction

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax import prior
from swajax.network import mask_weights, pack
from swajax.network.batched import apply_batch
from swajax.types import NetworkSpec

SPEC = NetworkSpec()  # the paper's: 3 inputs, up to 4 layers of up to 7 neurons
NUM = 3000


@pytest.fixture(scope="module")
def networks():
    sample = functools.partial(prior.sample_batch, num=NUM, spec=SPEC)
    return jax.device_get(jax.jit(sample)(jax.random.key(1)))


def edges(networks):
    """Non-zero weights: first, hidden, readout."""
    return networks.first != 0, networks.hidden != 0, networks.readout != 0


def count_kept(networks):
    return sum(part.reshape(len(part), -1).sum(axis=1) for part in edges(networks))


def count_possible(networks):
    """Weights of the dense network of these widths."""
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
    # Exact fractions, so that floor is the true floor.
    density = [1 - Fraction(str(sparsity)) for sparsity in prior.SPARSITIES]
    wanted = [[int(num * share) for share in density] for num in total.tolist()]
    fits = kept[:, None] == np.maximum(wanted, path[:, None])
    assert fits.any(axis=1).all()
    # Many weights: then the four numbers differ and tell what has been drawn.
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


def test_every_weight_that_can_be_there_is_kept_and_dropped(networks):
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


def test_one_network_is_that_of_the_batch(maybe_jit, networks):
    sample = maybe_jit(functools.partial(prior.sample, spec=SPEC))
    # It depends on its place alone, whatever the size of the batch.
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
    assert (networks.mask.sum(axis=2)[:, 0] == 3).all()  # 3 is least and most here
    np.testing.assert_array_equal(networks.activation[..., 0], 1)
    np.testing.assert_array_equal(networks.activation[..., 1:], 0)


SMALL_LIMITS = (2, 5, 9, 14, 22, 35, 60)
KINDS = ("sigmoid", "tanh", "linear")


@pytest.fixture(
    scope="module",
    params=[(1, 1), (20, 1), (3, 3)],
    ids=lambda sizes: "{} to {}".format(*sizes),
)
def small(request):
    """Specification, limits and networks, of each limit 200."""
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


def numbers(networks):
    parts = (networks.first, networks.hidden, networks.readout)
    parts += (networks.bias, networks.readout_bias)
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def test_small_networks_have_at_most_so_many_weights(small):
    spec, limits, networks = small
    counts = (numbers(networks) != 0).sum(axis=1)
    # From one input over a neuron a layer to every output.
    path = networks.depth + spec.num_outputs
    assert (counts <= np.maximum(limits, path)).all() and (counts >= path).all()
    # Where not one neuron a layer would be dense, the limit is met exactly.
    is_tight = limits < 20
    if spec.num_inputs == 20:
        wanted = np.maximum(limits, path)[is_tight]
        np.testing.assert_array_equal(counts[is_tight], wanted)
    dense = [np.mean(counts[limits == limit] / limit) for limit in (22, 35, 60)]
    assert dense[0] > 0.55, "networks are about as large as they may be"


def test_every_output_of_a_small_network_has_a_path_from_an_input(small):
    spec, _, networks = small
    reached = (networks.first != 0).any(axis=1)
    at_last = np.zeros_like(reached)
    for layer in range(spec.max_depth):
        if layer:
            steps = networks.hidden[:, layer - 1] != 0
            reached = (steps & reached[:, :, None]).any(axis=1)
        at_last = np.where((networks.depth == layer + 1)[:, None], reached, at_last)
    assert ((networks.readout != 0) & at_last[..., None]).any(axis=1).all()


def test_small_networks_are_legal_records(small):
    spec, limits, networks = small
    widths = networks.mask.sum(axis=2).astype(int)
    is_used = np.arange(spec.max_depth) < networks.depth[:, None]
    assert ((widths >= 1) == is_used).all() and widths.max() <= spec.max_width
    # Neurons are there from the first on.
    first = np.arange(spec.max_width) < widths[..., None]
    np.testing.assert_array_equal(networks.mask, first)
    assert not networks.bias[networks.mask == 0].any()
    clean = jax.device_get(jax.jit(jax.vmap(mask_weights))(networks))
    np.testing.assert_array_equal(numbers(clean), numbers(networks))
    assert set(np.unique(networks.activation)) == {0.0, 1.0}
    np.testing.assert_array_equal(networks.activation.sum(axis=-1), 1)
    shares = np.bincount(networks.depth, minlength=4)[1:] / len(limits)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.05)
    assert set(np.unique(widths)) >= {0, 1, 2, 3, 4}


def test_half_of_the_small_networks_have_one_activation(small):
    _, _, networks = small
    kinds = networks.activation.argmax(axis=-1).reshape(len(networks.depth), -1)
    is_one = (kinds == kinds[:, :1]).all(axis=1)
    np.testing.assert_allclose(is_one.mean(), 0.5, atol=0.05)
    np.testing.assert_allclose(
        np.bincount(kinds.ravel()) / kinds.size, 1 / 3, atol=0.04
    )


def test_weights_of_small_networks_shrink_with_the_fan_in(small):
    _, limits, networks = small
    fan_in = (networks.first != 0).sum(axis=1)
    large = networks.first[(limits == 60)]
    rms = [
        np.sqrt(np.mean(np.square(part[part != 0])))
        for part in (large, networks.bias[limits == 60])
    ]
    # Twice the variance of 1 / fan in, against biases of variance 1.
    wanted = np.sqrt(2 / np.maximum(fan_in[limits == 60].max(axis=1), 2)).mean()
    np.testing.assert_allclose(rms[0] / rms[1], wanted, rtol=0.2)


def test_relevant_inputs_are_drawn_more_often_by_their_odds(key):
    spec = NetworkSpec(num_inputs=6, max_width=2, max_depth=1)
    odds = jnp.array([1.0, 1.0, 4.0, 1.0, 1.0, 4.0])
    how = {"num": 2000, "spec": spec, "max_weights": 12, "num_inputs": 5}
    drawn = prior.sample_starts(key, odds=odds, **how).first != 0
    counts = drawn.sum((0, 2))
    assert counts[5] == 0  # an input that is not there
    others = counts[jnp.array([0, 1, 3, 4])]
    assert 1.3 * others.max() < counts[2] < 4 * others.min()
    assert others.max() < 1.2 * others.min()
    # One weight from an input: that of the path.
    alone = drawn[drawn.sum((1, 2)) == 1].sum((0, 2))
    assert 2 * alone[0] < alone[2] < 7 * alone[0]
    same = prior.sample_starts(key, odds=jnp.ones(6), **how)
    chex.assert_trees_all_equal(same, prior.sample_starts(key, **how))


@pytest.mark.parametrize("small", [(3, 3)], indirect=True)
def test_a_small_network_depends_on_its_key_alone(small):
    spec, limits, networks = small
    key = jax.random.split(jax.random.key(2), len(limits))[700]
    sample = jax.jit(functools.partial(prior.sample_small, spec=spec))
    one = sample(key, jnp.asarray(limits[700]))
    for a, b in zip(one, networks, strict=True):
        np.testing.assert_allclose(a, b[700], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(a == 0, b[700] == 0)


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


def test_varied_networks_have_all_numbers_of_inputs_outputs_layers(varied):
    spec, networks, is_input, is_output = varied
    counts = (is_input.sum(axis=1), is_output.sum(axis=1), networks.depth)
    mosts = (spec.num_inputs, spec.num_outputs, spec.max_depth)
    for count, most in zip(counts, mosts, strict=True):
        shares = np.bincount(count.astype(int), minlength=most + 1)[1:] / len(count)
        np.testing.assert_allclose(shares, 1 / most, atol=0.05)
    widths = networks.mask.sum(axis=2)
    assert set(np.unique(widths)) == {0, 1, 2, 3, 4}


def test_varied_networks_use_what_they_have_and_some_inputs_not(varied):
    _, networks, is_input, is_output = varied
    uses_input = (networks.first != 0).any(axis=2)
    assert not (uses_input & (is_input == 0)).any()
    assert uses_input.any(axis=1).all(), "one path is always there"
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
    density = (numbers(networks) != 0).sum(axis=1) / full.sum(axis=1)
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
