"""One space for networks of any inputs, outputs and size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoencoder_cases import TINY, make_params, take

from swajax import autoencoder
from swajax.autoencoder import AutoencoderConfig, Embedding, Present, tabular_tokens
from swajax.network import count_weights, make_dense, pack
from swajax.network.batched import apply_batch
from swajax.pretrain import PretrainingConfig
from swajax.pretrain.batches_tabular import batch_loss, sample_batch
from swajax.pretrain.geometry import shuffle_neurons
from swajax.types import NetworkSpec

CONFIG = TINY["tabular"]
SPEC = CONFIG.spec
NUM = 8

encode = functools.partial(autoencoder.encode, config=CONFIG)
decode = functools.partial(autoencoder.decode, config=CONFIG)


@pytest.fixture(scope="module")
def params():
    return make_params("tabular")


@pytest.fixture(scope="module")
def batch():
    return jax.jit(functools.partial(sample_batch, num=NUM, config=CONFIG))(
        jax.random.key(1)
    )


@pytest.fixture(scope="module")
def z(params, batch):
    each = lambda n, p: encode(params, n, present=p)  # noqa: E731
    return jax.jit(jax.vmap(each))(batch.network, batch.present)


def draw_point(seed, num_inputs, num_outputs):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.float32(rng.normal(size=shape))  # noqa: E731
    return Embedding(draw(128), draw(num_inputs, 24), draw(num_outputs, 24))


def test_parameters_fit_in_ten_megabytes_at_half_precision():
    config = AutoencoderConfig(preset="tabular")
    init = functools.partial(autoencoder.init, config=config)
    params = jax.eval_shape(init, jax.random.key(0))
    assert 2 * sum(leaf.size for leaf in jax.tree.leaves(params)) <= 10e6


@pytest.mark.parametrize("depth", [1, 2])
def test_exactly_the_given_number_of_weights_is_active(params, depth):
    point = draw_point(0, 3, 2)
    sizes = jnp.array([1.0, 7.0, 12.0, 20.0, 1e4])
    all_of = jax.vmap(lambda k: decode(params, point, depth=depth, num_weights=k))
    found = jax.vmap(count_weights)(jax.jit(all_of)(sizes))
    most = 4 * 3 + (depth - 1) * 16 + 4 * 2 + depth * 4 + 2
    np.testing.assert_array_equal(found, np.minimum(sizes, most))


@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(1, 1), (5, 4)])
def test_one_set_of_parameters_serves_any_table(params, num_inputs, num_outputs):
    spec = NetworkSpec(num_inputs, num_outputs, 4, 2, SPEC.activations)
    z = jax.jit(encode)(params, make_dense(spec))
    assert z.inputs.shape == (num_inputs, 24) and z.outputs.shape == (num_outputs, 24)
    network = jax.jit(functools.partial(decode, depth=2))(params, z)
    assert network.first.shape == (num_inputs, 4)
    assert network.readout.shape == (4, num_outputs)


def test_permuting_inputs_and_outputs_permutes_the_result(params, batch):
    network = take(batch.network, 0)
    inputs, outputs = jnp.array([2, 0, 1]), jnp.array([1, 0])
    permuted = network._replace(
        first=network.first[inputs],
        readout=network.readout[:, outputs],
        readout_bias=network.readout_bias[outputs],
    )
    there_and_back = jax.jit(
        lambda n: (z := encode(params, n), decode(params, z, depth=2, num_weights=15))
    )
    (z, decoded), (z2, decoded2) = there_and_back(network), there_and_back(permuted)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-3)
    close(z2.z, z.z)
    close(z2.inputs, z.inputs[inputs])
    close(z2.outputs, z.outputs[outputs])
    close(decoded2.first, decoded.first[inputs])
    close(decoded2.readout, decoded.readout[:, outputs])
    assert not np.allclose(decoded2.first, decoded.first)


def test_the_order_of_the_neurons_does_not_matter(params, batch, z):
    shuffled = shuffle_neurons(jax.random.key(5), batch.network)
    assert not np.array_equal(shuffled.first, batch.network.first)
    each = jax.vmap(lambda n, p: encode(params, n, present=p))
    again = jax.jit(each)(shuffled, batch.present)
    for one, other in zip(again, z, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_what_is_padding_does_not_matter(params, batch, z):
    """A padded network is embedded and decoded as the same network without padding."""
    there = functools.partial(jax.jit(encode), params)
    decode_two = jax.jit(functools.partial(decode, depth=2, num_weights=9))
    back = functools.partial(decode_two, params)
    for index in range(3):
        network, present, padded = take((batch.network, batch.present, z), index)
        num_inputs, num_outputs = (int(leaf.sum()) for leaf in present)
        ones = Present(jnp.ones(num_inputs), jnp.ones(num_outputs))
        cut = network._replace(
            first=network.first[:num_inputs],
            readout=network.readout[:, :num_outputs],
            readout_bias=network.readout_bias[:num_outputs],
        )
        small = there(cut, present=ones)
        close = functools.partial(np.testing.assert_allclose, rtol=2e-3, atol=2e-3)
        close(small.z, padded.z)
        close(small.inputs, padded.inputs[:num_inputs])
        assert not padded.inputs[num_inputs:].any()
        wide, narrow = back(padded, present=present), back(small)
        assert int(count_weights(wide)) == 9
        assert not wide.first[num_inputs:].any()
        assert not wide.readout[:, num_outputs:].any()
        close(wide.first[:num_inputs], narrow.first)


def test_the_readout_follows_the_function_that_a_point_stands_for(params):
    """The corrected readout at full size is far better than the draft."""
    point = draw_point(1, 2, 1)
    wanted = jax.jit(functools.partial(autoencoder.respond, config=CONFIG))(
        params, point
    )
    network = jax.jit(functools.partial(decode, depth=2))(params, point)
    batch = jax.tree.map(lambda leaf: leaf[None], network)
    x = jnp.asarray(tabular_tokens.probe_points(2))
    out = apply_batch(batch, x, activations=SPEC.activations)[0]
    design = np.concatenate(
        [np.asarray(last_layer(network, x)), np.ones((len(x), 1))], 1
    )
    best = design @ np.linalg.lstsq(design, np.asarray(wanted), rcond=None)[0]
    rest, least = (np.mean((a - np.asarray(wanted)) ** 2) for a in (out, best))
    assert rest <= 1.05 * least + 1e-3 * np.var(wanted)


def last_layer(network, x):
    eye = network._replace(readout=jnp.eye(4), readout_bias=jnp.zeros(4))
    batch = jax.tree.map(lambda leaf: leaf[None], eye)
    return apply_batch(batch, x, activations=SPEC.activations)[0]


def test_every_part_of_a_point_and_every_parameter_has_a_gradient(params, batch):
    config = PretrainingConfig(CONFIG, batch_size=NUM, num_points=8)
    x = jax.random.uniform(jax.random.key(2), (8, 3), minval=-1.0)
    loss = lambda p: batch_loss(p, batch, x, config=config)[0]  # noqa: E731
    gradient = jax.jit(jax.grad(loss))(params)
    for path, leaf in jax.tree_util.tree_flatten_with_path(gradient)[0]:
        assert np.isfinite(leaf).all() and np.any(leaf), jax.tree_util.keystr(path)

    def error(point):
        return jnp.square(pack(decode(params, point, depth=1, num_weights=9))).sum()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(error))(draw_point(2, 3, 2))):
        assert np.isfinite(leaf).all() and np.any(leaf)


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "tabular", "activation": "sigmoid"},
        {"preset": "compact", "activation": "mixed"},
        {"preset": "compact", "num_outputs": 2},
    ],
)
def test_what_does_not_go_together_is_refused(wrong):
    with pytest.raises(ValueError, match=r"activation|num_outputs"):
        AutoencoderConfig(**wrong)


def test_present_inputs_alone_count_for_the_embedding(params, batch):
    network = take(batch.network, 0)
    seen = jnp.asarray(np.random.default_rng(0).normal(size=(30, 2)), jnp.float32)
    present = Present(jnp.array([1.0, 0.0, 1.0]), jnp.array([1.0, 0.0]))
    changed = seen.at[10:20].set(5.0).at[:, 1].set(-3.0)
    embed = functools.partial(jax.jit(encode), params, network, present=present)
    a, b = embed(probes=seen), embed(probes=changed)
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
