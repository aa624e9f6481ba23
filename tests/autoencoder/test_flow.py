"""The space `flow`: moments, drafts, and networks sampled from embeddings."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.autoencoder import flow
from swajax.autoencoder.base import Present
from swajax.autoencoder.flow import FlowConfig
from swajax.autoencoder.flow.drafts import make_canonical, to_draft, to_network
from swajax.autoencoder.flow.files import load_flow
from swajax.autoencoder.flow.moments import compute_moments, flip
from swajax.io import checkpoints, configs
from swajax.network import apply, count_weights, pack, simplify

CONFIG = FlowConfig(max_width=4, num_steps=3)
SPEC = CONFIG.make_spec(3, 2)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = np.float32(rng.uniform(-1, 1, (60, 3)))
    y = np.stack([x[:, 0] * x[:, 1], np.sin(3 * x[:, 2]) + 5], axis=1)
    return jnp.asarray(x), jnp.asarray(y, jnp.float32)


@pytest.fixture(scope="module")
def params():
    return jax.jit(functools.partial(flow.init, config=CONFIG))(jax.random.key(0))


def assert_near(a, b, **options):
    for one, other in zip(*map(jax.tree.leaves, (a, b)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, **options)


def test_moments_follow_the_order_and_the_signs_of_inputs(rows):
    x, y = rows
    moments, order = compute_moments(x, y), np.array([2, 0, 1])
    permuted = compute_moments(x[:, order], y[:, ::-1])
    np.testing.assert_allclose(
        permuted.single, moments.single[order][:, ::-1], atol=1e-5
    )
    pair = moments.pair[order][:, order][:, :, ::-1]
    np.testing.assert_allclose(permuted.pair, pair, atol=1e-5)
    signs, output_signs = jnp.array([1.0, -1.0, -1.0]), jnp.array([-1.0, 1.0])
    flipped = compute_moments(x * signs[None], y * output_signs[None])
    assert_near(flip(moments, signs, output_signs), flipped)


def test_moments_ignore_padding_and_the_scale_of_numbers(rows):
    x, y = rows
    weight = np.r_[np.ones(60), np.zeros(4)].astype(np.float32)
    padded = compute_moments(
        jnp.pad(x, ((0, 4), (0, 1)), constant_values=0.5),
        jnp.pad(y, ((0, 4), (0, 0))) * 7 + 3,
        weight=jnp.asarray(weight),
        is_input=jnp.array([1.0, 1.0, 1.0, 0.0]),
    )
    moments = compute_moments(x, y)
    np.testing.assert_allclose(padded.single[:3], moments.single, atol=1e-4)
    np.testing.assert_allclose(padded.pair[:3, :3], moments.pair, atol=1e-4)
    assert not padded.single[3].any() and not padded.pair[3].any()


@pytest.mark.parametrize("depth", [1, 2])
def test_a_network_without_dead_parts_is_its_draft(depth, draw_network):
    drawn = draw_network(1, spec=SPEC, depth=depth, density=0.6)
    network = simplify(drawn, activations=SPEC.activations)
    present = Present(jnp.ones(3), jnp.ones(2))
    back = to_network(
        to_draft(network, depth=depth),
        count_weights(network),
        spec=SPEC,
        present=present,
    )
    np.testing.assert_allclose(pack(back), pack(network), rtol=1e-4, atol=1e-5)
    assert int(back.depth) == depth
    x = jnp.ones((5, 3)) * jnp.arange(5.0)[:, None]
    outputs = (apply(n, x, activations=SPEC.activations) for n in (back, network))
    assert_near(*outputs)


@pytest.mark.parametrize("depth", [1, 2])
def test_the_canonical_form_has_the_same_outputs(depth, draw_network):
    network = draw_network(3, spec=SPEC, depth=depth)
    form = make_canonical(network, activations=SPEC.activations)
    x = jax.random.normal(jax.random.key(0), (9, 3))
    outputs = (apply(n, x, activations=SPEC.activations) for n in (form, network))
    assert_near(*outputs)
    twice = make_canonical(form, activations=SPEC.activations)
    assert_near(twice, form)
    assert np.abs(pack(form) - pack(network)).max() > 0.1


@pytest.mark.parametrize("depth", [1, 2])
def test_samples_have_the_wanted_sizes_and_differ(depth, params, rows):
    z = jax.jit(flow.encode_rows)(params, *rows)
    assert z.z.shape == (128,) and z.inputs.shape == (3, 48)
    options = {"num": 5, "depth": depth, "config": CONFIG}
    draw = jax.jit(functools.partial(flow.sample, **options))
    sizes = jnp.array([1, 3, 7, 12, 16])
    present = Present(jnp.array([1.0, 1.0, 0.0]), jnp.ones(2))
    networks = draw(jax.random.key(1), params, z, num_weights=sizes, present=present)
    counts = jax.vmap(count_weights)(networks)
    assert (counts <= sizes).all() and counts[-1] >= 12
    assert not networks.first[:, 2].any() and (networks.depth == depth).all()
    other = draw(jax.random.key(2), params, z, num_weights=sizes, present=present)
    assert np.abs(networks.first - other.first).max() > 0.1


def test_a_network_lies_where_its_table_lies(params, draw_network):
    network = draw_network(1, spec=SPEC, depth=2)
    x = jnp.asarray(flow.probe_points(3))
    y = apply(network, x, activations=SPEC.activations)
    assert_near(
        flow.encode(params, network, config=CONFIG), flow.encode_rows(params, x, y)
    )


def test_the_depth_is_checked(params, rows):
    z = flow.encode_rows(params, *rows)
    with pytest.raises(ValueError, match=r"depth must be in 1..2, got 3"):
        flow.sample(
            jax.random.key(0), params, z, num=1, depth=3, num_weights=5, config=CONFIG
        )


def test_files_are_read_back_and_others_refused(tmp_path, params):
    path = tmp_path / "flow.safetensors"
    checkpoints.save(path, params, header={"flow": configs.to_dict(CONFIG)})
    found, config = load_flow(path)
    assert config == CONFIG
    for one, other in zip(*map(jax.tree.leaves, (found, params)), strict=True):
        np.testing.assert_array_equal(one, other)
    checkpoints.save(path, params, header={})
    with pytest.raises(ValueError, match="not of the space flow"):
        load_flow(path)
