"""Properties of every preset in the registry."""

import functools
import inspect
import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoencoder_cases import TINY, make_params, sample_networks, take

from swajax import autoencoder, pretrain
from swajax.autoencoder import AutoencoderConfig
from swajax.autoencoder.presets import PRESETS
from swajax.io import checkpoints
from swajax.network import pack
from swajax.pretrain.config import PRESET_DEFAULTS
from swajax.pretrain.presets import PRESETS as PRETRAIN_PRESETS

DEPTHS = (1, 2)


class Case(typing.NamedTuple):
    encode: typing.Any
    decode: typing.Any
    config: AutoencoderConfig
    params: typing.Any
    networks: typing.Any
    z: typing.Any  # of all networks
    decoded: tuple  # by depth: one batch of networks


@pytest.fixture(scope="module", params=PRESETS)
def case(request):
    config, params = TINY[request.param], make_params(request.param)
    networks = sample_networks(request.param)
    encode = functools.partial(autoencoder.encode, config=config)
    decode = functools.partial(autoencoder.decode, config=config)
    decode_all = functools.partial(autoencoder.decode_all, config=config)

    @jax.jit
    def run(params, networks):
        z = jax.vmap(functools.partial(encode, params))(networks)
        return z, jax.vmap(functools.partial(decode_all, params))(z)

    return Case(encode, decode, config, params, networks, *run(params, networks))


def assert_close(a, b):
    for one, other in zip(*map(jax.tree.leaves, (a, b)), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_both_registries_have_the_same_presets():
    assert PRESETS.keys() == PRETRAIN_PRESETS.keys() == PRESET_DEFAULTS.keys()
    for preset in PRESETS:
        config = AutoencoderConfig(preset=preset)
        pretrain.PretrainingConfig(autoencoder=config)
        assert config.max_inputs >= config.num_inputs


def test_shapes_and_finite_numbers(case):
    spec = case.config.spec
    for leaf in jax.tree.leaves((case.z, case.decoded)):
        assert leaf.shape[0] == 3 and np.isfinite(leaf).all()
    assert jax.tree.leaves(case.z)[0].shape == (3, case.config.embedding_size)
    assert len(case.decoded) == len(DEPTHS)
    for depth, networks in zip(DEPTHS, case.decoded, strict=True):
        assert (networks.depth == depth).all()
        assert networks.first.shape == (3, spec.num_inputs, spec.max_width)
        assert networks.readout.shape == (3, spec.max_width, spec.num_outputs)
        assert networks.mask.shape == (3, spec.max_depth, spec.max_width)
        assert set(np.unique(networks.mask)) <= {0.0, 1.0}
        np.testing.assert_allclose(networks.activation.sum(axis=-1)[:, :depth], 1)
        # Padded layers are empty.
        for leaf in (networks.hidden[:, depth - 1 :], networks.bias[:, depth:]):
            assert not leaf.any()


def test_the_plain_function_is_that_of_a_compiled_batch(case):
    one = case.encode(case.params, take(case.networks, 0))
    assert_close(one, take(case.z, 0))
    network = case.decode(case.params, one, depth=2)
    assert_close(network, take(case.decoded[1], 0))


def test_given_depth_and_outputs_do_not_change_the_embedding(case):
    depth = int(case.networks.depth[0])  # known at compile time

    @jax.jit
    def encode(params, network):
        probes = autoencoder.probe(network, config=case.config)
        return case.encode(params, network, depth=depth, probes=probes)

    found = encode(case.params, take(case.networks, 0))
    assert_close(found, take(case.z, 0))


def test_parameters_survive_a_file(case, tmp_path):
    path = tmp_path / "params.safetensors"
    checkpoints.save(path, case.params, header={})
    init = functools.partial(autoencoder.init, config=case.config)
    restored = checkpoints.restore(path, jax.eval_shape(init, jax.random.key(0)))
    assert jax.tree.structure(restored) == jax.tree.structure(case.params)
    for a, b in zip(*map(jax.tree.leaves, (restored, case.params)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_are_finite_and_reach_every_embedding(case):
    def size(params, z):
        return jnp.square(pack(case.decode(params, z, depth=2))).sum()

    gradient = jax.jit(jax.grad(size, argnums=(0, 1)))(case.params, take(case.z, 0))
    for leaf in jax.tree.leaves(gradient):
        assert np.isfinite(leaf).all()
    for leaf in jax.tree.leaves(gradient[1]):
        assert leaf.any()


def test_probe_points_are_fixed_and_in_the_cube(case):
    points = autoencoder.probe_points(case.config)
    assert points.shape[1] == case.config.num_inputs and points.dtype == np.float32
    assert np.abs(points).max(initial=0) <= 1
    np.testing.assert_array_equal(points, autoencoder.probe_points(case.config))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("depth", [-1, 0, 3])
def test_a_depth_out_of_range_is_refused(preset, depth):
    config = TINY[preset]
    with pytest.raises(ValueError, match=rf"depth must be in 1\.\.2, got {depth}"):
        autoencoder.decode(None, jnp.zeros(128), config=config, depth=depth)
    with pytest.raises(ValueError, match=rf"depth must be in 1\.\.2, got {depth}"):
        autoencoder.encode(
            None, take(sample_networks(preset), 0), config=config, depth=depth
        )


@pytest.mark.parametrize("preset", PRESETS)
def test_another_depth_or_a_batch_is_refused(preset):
    config, networks = TINY[preset], sample_networks(preset)
    encode = inspect.unwrap(autoencoder.encode)
    one = take(networks, 0)
    other = 3 - int(one.depth)
    with pytest.raises(ValueError, match=f"depth must be .* {one.depth}, got {other}"):
        encode(None, one, config=config, depth=other)
    with pytest.raises(ValueError, match="one network is expected"):
        encode(None, networks, config=config)


@pytest.mark.parametrize(
    "preset", [n for n, p in PRESETS.items() if not p.is_any_table]
)
def test_what_a_preset_would_ignore_is_refused(preset):
    config, network = TINY[preset], take(sample_networks(preset), 0)
    biased = network._replace(readout_bias=network.readout_bias + 1)
    with pytest.raises(ValueError, match=r"without biases .* an output has a bias"):
        autoencoder.encode(None, biased, config=config)
    biased = network._replace(bias=network.bias + 1)
    with pytest.raises(ValueError, match=r"without biases .* a neuron has a bias"):
        autoencoder.encode(None, biased, config=config)
    narrow = network._replace(mask=network.mask[:, :-1])
    with pytest.raises(ValueError, match=r"neurons per layer .* in the autoencoder"):
        autoencoder.encode(None, narrow, config=config)
    with pytest.raises(ValueError, match=f"{preset} decodes an array of 128 numbers"):
        autoencoder.decode(None, jnp.zeros(5), config=config, depth=1)
    with pytest.raises(ValueError, match=r"array of 128 numbers, got Embedding"):
        point = autoencoder.Embedding(jnp.zeros(128), *[jnp.zeros((1, 1))] * 2)
        autoencoder.decode_all(None, point, config=config)
    with pytest.raises(ValueError, match=f"{preset} does not support num_weights"):
        autoencoder.decode(None, jnp.zeros(128), config=config, depth=1, num_weights=9)
    point = autoencoder.Embedding(*[jnp.zeros((1, 1))] * 3)._replace(z=jnp.zeros(128))
    with pytest.raises(ValueError, match=f"{preset} has no respond function"):
        autoencoder.respond(None, point, config=config)


def test_a_preset_for_any_table_decodes_embeddings_only():
    with pytest.raises(ValueError, match=r"tabular decodes an Embedding .* \(128,\)"):
        autoencoder.decode(None, jnp.zeros(128), config=TINY["tabular"], depth=1)
