"""The preset `paper` against arrays of the original and against layers of flax."""

import json
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from swajax.autoencoder import paper, paper_layers
from swajax.autoencoder.matrix import from_matrix, to_matrix
from swajax.network import apply
from swajax.network.gates import binarize
from swajax.types import NetworkSpec

GOLDEN = Path(__file__).parents[1] / "golden"
SPEC = NetworkSpec()
DEPTHS = range(1, SPEC.max_depth + 1)
MODULE = paper.PaperAutoencoder(SPEC)


def test_golden_embeddings_and_decodings(variables):
    arrays = np.load(GOLDEN / "paper_forward.npz")
    inputs = [jnp.asarray(arrays[f"input_depth{depth}"]) for depth in DEPTHS]
    z, raw, decoded = jax.jit(_embed_and_decode)(variables, inputs)
    for i, depth in enumerate(DEPTHS):
        _assert_close(z[i], arrays[f"z_depth{depth}"])
        for k, decoder in enumerate(DEPTHS):
            name = f"depth{depth}_decoder{decoder}"
            _assert_close(raw[k][i], arrays[f"raw_{name}"])
            _assert_close(decoded[k][i], arrays[f"decoded_{name}"])


def test_number_of_parameters(variables, key):
    network = from_matrix(jnp.ones((7, 9)), depth=1, spec=SPEC)
    fresh = jax.eval_shape(MODULE.init, key, network)
    assert sum(leaf.size for leaf in jax.tree.leaves(fresh["params"])) == 10_927_404
    assert _shapes(fresh) == _shapes(variables)


def test_initialisation_is_xavier_uniform_over_the_whole_layer(key):
    """Check part of a dense layer 6144 -> 512 and a convolution 32 -> 64."""
    part = paper.part_of_xavier(6144, 512)(key, (768, 512))
    conv = paper_layers.Conv(64).init(key, jnp.zeros((4, 5, 32)))["params"]
    for kernel, fans in ((part, 6144 + 512), (conv["kernel"], 9 * (32 + 64))):
        np.testing.assert_allclose(jnp.abs(kernel).max(), (6 / fans) ** 0.5, rtol=1e-3)
    assert not conv["bias"].any()


@pytest.mark.parametrize(
    ("shape", "channels", "stride"),
    [((2, 3, 4), 5, 1), ((4, 5, 3), 4, 2), ((8, 6, 1), 1, 1), ((7, 9, 2), 3, 2)],
)
def test_convolution_is_that_of_flax(key, shape, channels, stride):
    """Folded: two rows, two rows with stride 2, one channel. The last is not folded."""
    ours = paper_layers.Conv(channels, stride=stride)
    theirs = nn.Conv(channels, (3, 3), strides=stride, padding=1)
    x = jax.random.normal(key, shape)
    variables = theirs.init(key, x)
    expected, pull_expected = jax.vjp(theirs.apply, variables, x)
    actual, pull = jax.vjp(jax.jit(ours.apply), variables, x)
    _assert_close(actual, expected)
    cotangent = jax.random.normal(key, expected.shape)
    jax.tree.map(_assert_close, pull(cotangent), pull_expected(cotangent))


def test_decoded_record_is_padded(variables, key):
    network = jax.jit(lambda z: MODULE.apply(variables, z, 2, method="decode"))(
        jax.random.normal(key, (128,))
    )
    assert int(network.depth) == 2
    assert set(np.unique(network.mask)) == {0.0, 1.0}
    assert not network.mask[2:].any()
    assert not network.hidden[1:].any()
    assert not network.bias.any()


def test_the_flattened_form_refuses_what_it_would_drop():
    network = from_matrix(jnp.ones((7, 9)), depth=1, spec=SPEC)
    wanted = np.ones((7, 9))
    wanted[[0, 1, 5, 6], :7] = 0  # the three inputs are in the middle rows
    np.testing.assert_array_equal(to_matrix(network, depth=1), wanted)
    with pytest.raises(ValueError, match="depth must be 1, got 2"):
        to_matrix(network, depth=2)
    biased = network._replace(bias=network.bias.at[0, 3].set(0.5))
    with pytest.raises(ValueError, match="a neuron has a bias"):
        to_matrix(biased, depth=1)
    # Biases of unused layers and absent neurons have no effect.
    unused = network._replace(bias=network.bias.at[1].set(0.5))
    np.testing.assert_array_equal(to_matrix(unused, depth=1), wanted)
    # Traced values are not checked.
    flat = jax.jit(to_matrix, static_argnames="depth")(biased, depth=1)
    np.testing.assert_array_equal(flat, wanted)


def test_a_gradient_can_bring_an_absent_neuron_back():
    network = from_matrix(jnp.ones((7, 9)), depth=1, spec=SPEC)
    x = jnp.linspace(-1, 1, 15).reshape(5, 3)

    def output(mask):
        changed = network._replace(mask=binarize(mask))
        return apply(changed, x, activations=SPEC.activations, depth=1).sum()

    absent = network.mask.at[0, 2].set(0.2)
    assert jax.grad(output)(absent)[0, 2] != 0


@pytest.mark.parametrize("is_mask_trained", [True, False])
def test_gradient_of_mask_rounding(variables, key, is_mask_trained):
    module = paper.PaperAutoencoder(SPEC, is_mask_trained=is_mask_trained)

    def num_neurons(z):
        return module.apply(variables, z, 1, method="decode").mask.sum()

    def probabilities(z):
        raw = MODULE.apply(variables, z, 1, method="decode_matrix")
        return nn.sigmoid(raw[:, -1]).sum()

    z = jax.random.normal(key, (128,))
    declared = jax.jit(jax.grad(probabilities))(z) * float(is_mask_trained)
    _assert_close(jax.jit(jax.grad(num_neurons))(z), declared)


def test_stored_statistics_are_not_trained(key):
    norm, x = paper_layers.StoredNorm(), jax.random.normal(key, (2, 3, 4))
    variables = norm.init(key, x)
    oracle = nn.BatchNorm(use_running_average=True, epsilon=paper_layers.NORM_EPSILON)
    stats = {"mean": jnp.arange(4.0), "var": jnp.arange(1.0, 5)}
    variables = {**variables, "batch_stats": stats}
    _assert_close(norm.apply(variables, x), oracle.apply(variables, x))
    grads = jax.grad(lambda v: norm.apply(v, x).sum())(variables)
    assert not any(leaf.any() for leaf in jax.tree.leaves(grads["batch_stats"]))


def test_upsampling_is_a_transposed_convolution(key, maybe_jit):
    def oracle(x, kernel):
        return jax.lax.conv_transpose(x[None], kernel, (2, 2), ((1, 2), (1, 2)))[0]

    keys = jax.random.split(key, 3)
    x, kernel = (
        jax.random.normal(k, shape)
        for k, shape in zip(keys, [(2, 3, 4), (3, 3, 4, 5)], strict=False)
    )
    expected, pull_expected = jax.vjp(oracle, x, kernel)
    actual, pull = jax.vjp(maybe_jit(paper_layers.upsample), x, kernel)
    _assert_close(actual, expected)
    cotangent = jax.random.normal(keys[2], expected.shape)
    jax.tree.map(_assert_close, pull(cotangent), pull_expected(cotangent))


@pytest.fixture(scope="module")
def variables():
    """The golden variables, faster than drawing eleven million numbers."""
    return jax.tree.map(jnp.asarray, _golden_variables())


def _embed_and_decode(variables, matrices):
    """z [d, Z], and the output of each decoder for each z, before and after masks."""
    module = MODULE.bind(variables)
    z = jnp.stack(
        [module.embed_matrix(m, d) for d, m in zip(DEPTHS, matrices, strict=True)]
    )
    raw, decoded = [], []
    for k in DEPTHS:
        raw.append(jax.vmap(lambda one, k=k: module.decode_matrix(one, k))(z))
        networks = jax.vmap(lambda one, k=k: module.decode(one, k))(z)
        matrix = jax.vmap(lambda network, k=k: to_matrix(network, depth=k))(networks)
        decoded.append(matrix[..., :-k])
    return z, raw, decoded


def _golden_variables():
    """Parameters by the rule of the golden arrays, in the layout of flax.

    The original has convolutions [out, in, h, w], transposed convolutions
    [in, out, h, w] with reversed kernels, and dense layers [out, in]; its two largest
    dense layers are split by depth here.
    """
    listing = json.loads((GOLDEN / "paper_forward_parameters.json").read_text())
    flat, columns = {}, [paper.feature_shape(depth, SPEC)[1] for depth in DEPTHS]
    ends = np.cumsum([paper.FEATURE_CHANNELS * 2 * c for c in columns])[:-1]
    for index, entry in enumerate(listing):
        name = entry["name"]
        leaf = _to_flax(name, _fill(index, name, entry["shape"]))
        if name == "embed.linear1.weight":
            for i, part in enumerate(np.split(leaf, ends)):
                flat["params", f"encoders_{i}", "embed", "kernel"] = part
        elif name.startswith("unembed.linear3"):
            for i, part in enumerate(np.split(leaf, ends, axis=-1)):
                path = ("params", f"decoders_{i}", "unembed", _leaf_name(name))
                flat[path] = part
        else:
            flat[_path(name)] = leaf
    return unflatten_dict(flat)


def _fill(index, name, shape):
    wave = np.sin(0.37 * np.arange(np.prod(shape)) + 0.11 * index)
    fan_in = shape[0] * 9 // 4 if "upsample" in name else np.prod(shape[1:])
    if name.endswith("norm.var"):
        values = 1 + 0.2 * wave
    elif name.endswith("norm.weight"):
        values = 1 + 0.1 * wave
    elif len(shape) == 1:
        values = 0.05 * wave
    else:
        values = np.sqrt(3 / fan_in) * np.sin(1e4 * wave)
    return values.astype(np.float32).reshape(shape)


def _to_flax(name, array):
    if "shortcut_conv.weight" in name:
        return array[:, :, 0, 0].T
    if "upsample" in name and array.ndim == 4:
        return array[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _path(name):
    if name == "embed.linear1.bias":
        return "params", "embed_bias"
    group, *middle, _ = name.split(".")
    leaf = _leaf_name(name)
    collection = "batch_stats" if leaf in ("mean", "var") else "params"
    if group in ("embed", "unembed"):
        first = {"embed": 2, "unembed": 1}[group]
        return collection, f"{group}_{int(middle[0][-1]) - first}", leaf
    renamed = {"shortcut_conv": "shortcut", "shortcut_norm": "norm"}
    middle = [renamed.get(part, part) for part in middle]
    return collection, f"{group[:-1]}s_{int(group[-1]) - 1}", *middle, leaf


def _leaf_name(name):
    leaf = name.split(".")[-1]
    return {"weight": "scale" if "norm" in name else "kernel"}.get(leaf, leaf)


def _shapes(tree):
    return jax.tree.map(lambda leaf: tuple(leaf.shape), tree)


def _assert_close(actual, expected):
    expected = np.asarray(expected)
    scale = max(np.abs(expected).max(), 1e-3)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * scale)
