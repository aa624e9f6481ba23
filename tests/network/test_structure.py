"""The network record: evaluated, packed, flattened, simplified and counted."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from swajax import network as network_lib
from swajax.autoencoder import matrix as matrix_lib
from swajax.network import apply
from swajax.types import ACTIVATIONS, Network, NetworkSpec

NUMPY_FNS = {
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "tanh": np.tanh,
    "leaky_relu": lambda v: np.where(v > 0, v, 0.1 * v),
    "linear": lambda v: v,
}
MIX = ("sigmoid", "linear", "tanh")


def make_network(key, *, depth, spec=None, dtype=jnp.float32):
    """Numbers everywhere, also where no function may look; about 2/3 hard masks."""
    spec = spec or NetworkSpec(num_outputs=2, max_width=4, max_depth=3)
    num_i, num_o, num_h = spec.num_inputs, spec.num_outputs, spec.max_width
    num_l, num_a = spec.max_depth, len(spec.activations)
    keys = iter(jax.random.split(key, 7))
    draw = lambda *shape: jax.random.normal(next(keys), shape, dtype)  # noqa: E731
    return Network(
        first=draw(num_i, num_h),
        hidden=draw(num_l - 1, num_h, num_h),
        readout=draw(num_h, num_o),
        bias=draw(num_l, num_h),
        readout_bias=draw(num_o),
        mask=(draw(num_l, num_h) > -0.5).astype(dtype).at[:, 0].set(1.0),
        activation=jax.nn.softmax(draw(num_l, num_h, num_a)),
        depth=jnp.asarray(depth, jnp.int32),
    )


def hand_network(*, first, hidden, readout, bias, mask, depth, readout_bias=0.0):
    """One output, one activation, from nested lists."""
    mask = jnp.asarray(mask, jnp.float32)
    return Network(
        first=jnp.asarray(first, jnp.float32),
        hidden=jnp.asarray(hidden, jnp.float32),
        readout=jnp.asarray(readout, jnp.float32)[:, None],
        bias=jnp.asarray(bias, jnp.float32),
        readout_bias=jnp.asarray([readout_bias], jnp.float32),
        mask=mask,
        activation=jnp.ones((*mask.shape, 1)),
        depth=jnp.asarray(depth, jnp.int32),
    )


def numpy_forward(network, x, activations):
    """Independent: present neurons only, one after the other, in float64."""
    net = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), network)
    values = {i: np.asarray(x[:, i], np.float64) for i in range(x.shape[1])}
    for layer in range(int(net.depth)):
        weights = net.first if layer == 0 else net.hidden[layer - 1]
        following = {}
        for j in np.flatnonzero(net.mask[layer]):
            pre = net.bias[layer, j] + sum(weights[i, j] * v for i, v in values.items())
            following[j] = net.mask[layer, j] * sum(
                net.activation[layer, j, a] * NUMPY_FNS[name](pre)
                for a, name in enumerate(activations)
            )
        values = following
    columns = [
        net.readout_bias[o] + sum(net.readout[i, o] * v for i, v in values.items())
        for o in range(net.readout.shape[1])
    ]
    return np.stack(columns, axis=1)


@pytest.fixture
def x():
    return jax.random.uniform(jax.random.key(7), (11, 3), minval=-1.0, maxval=1.0)


@pytest.mark.parametrize("activations", [*((a,) for a in ACTIVATIONS), MIX], ids=str)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_apply_is_the_numpy_forward_pass(key, x, maybe_jit, depth, activations):
    spec = NetworkSpec(num_outputs=2, max_width=4, max_depth=3, activations=activations)
    network = make_network(key, depth=depth, spec=spec)
    wanted = numpy_forward(network, x, activations)
    evaluate = maybe_jit(apply, static_argnames=("activations", "depth"))
    for static_depth in (None, depth):
        out = evaluate(network, x, activations=activations, depth=static_depth)
        np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)


def test_apply_by_hand():
    network = hand_network(
        first=[[1.0, 2.0], [0.0, -1.0]],
        hidden=[[[0.5, 0.0], [3.0, 0.0]]],
        readout=[2.0, 9.0],
        bias=[[0.0, 1.0], [-1.0, 0.0]],
        mask=[[1, 1], [1, 0]],
        depth=2,
        readout_bias=0.25,
    )
    out = apply(network, jnp.asarray([[1.0, 4.0]]), activations=("leaky_relu",))
    # Layer 1: 1 and leaky(2 - 4 + 1) = -0.1; layer 2: leaky(0.5 - 0.3 - 1) = -0.08.
    np.testing.assert_allclose(out, [[2 * -0.08 + 0.25]], rtol=1e-6)


def test_vmap_is_a_loop_over_networks_of_mixed_depth(key, x):
    networks = [make_network(jax.random.fold_in(key, d), depth=d) for d in (1, 2, 3)]
    evaluate = functools.partial(apply, activations=("tanh",))
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    looped = jnp.stack([evaluate(network, x) for network in networks])
    out = jax.vmap(evaluate, in_axes=(0, None))(batch, x)
    np.testing.assert_allclose(out, looped, rtol=1e-5, atol=1e-6)


def test_gradients_are_finite_differences(key, x):
    with jax.enable_x64(True):
        spec = NetworkSpec(max_width=3, max_depth=3, activations=MIX)
        network = make_network(key, depth=2, spec=spec, dtype=jnp.float64)
        depth, points = network.depth, x[:4].astype(jnp.float64)

        def out(leaves, points):
            return apply(Network(*leaves, depth), points, activations=MIX)

        check_grads(jax.jit(out), (network[:-1], points), order=1, rtol=1e-6, atol=1e-6)


def test_pack_and_unpack_are_inverse(key, maybe_jit):
    network = make_network(key, depth=2)
    vector = maybe_jit(network_lib.pack)(network)
    assert vector.shape == (3 * 4 + 2 * 16 + 4 * 2 + 3 * 4 + 2,)
    back = maybe_jit(network_lib.unpack)(vector, network)
    assert jax.tree.all(jax.tree.map(np.array_equal, back, network))
    doubled = network_lib.unpack(2 * vector, network)
    np.testing.assert_array_equal(doubled.hidden, 2 * network.hidden)
    np.testing.assert_array_equal(doubled.mask, network.mask)


def test_unpack_refuses_a_vector_of_another_length(key):
    network = make_network(key, depth=2)
    with pytest.raises(AssertionError):
        network_lib.unpack(jnp.zeros(3), network)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_matrix_form(key, x, maybe_jit, depth):
    spec = NetworkSpec()
    network = make_network(key, depth=depth, spec=spec)
    network = network._replace(
        bias=jnp.zeros_like(network.bias),
        readout_bias=jnp.zeros(1),
        activation=network_lib.uniform_activation(spec),
    )
    to_matrix = maybe_jit(matrix_lib.to_matrix, static_argnames="depth")
    from_matrix = maybe_jit(matrix_lib.from_matrix, static_argnames=("depth", "spec"))
    matrix = to_matrix(network, depth=depth)

    assert matrix.shape == (7, 7 * depth + 1 + depth)
    clean = network_lib.mask_weights(network)
    np.testing.assert_array_equal(matrix[2:5, :7], clean.first)
    assert not matrix[:2, :7].any() and not matrix[5:, :7].any()
    for layer in range(1, depth):
        block = matrix[:, 7 * layer : 7 * layer + 7]
        np.testing.assert_array_equal(block, clean.hidden[layer - 1])
    np.testing.assert_array_equal(matrix[:, 7 * depth], clean.readout[:, 0])
    np.testing.assert_array_equal(matrix[:, 7 * depth + 1 :].T, clean.mask[:depth])

    back = from_matrix(matrix, depth=depth, spec=spec)
    for leaf, wanted in zip(back, clean, strict=True):
        np.testing.assert_array_equal(leaf, wanted)
    outs = [apply(n, x, activations=("sigmoid",)) for n in (network, back)]
    np.testing.assert_allclose(outs[1], outs[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_absent_parts_change_nothing_and_have_no_gradient(key, x, depth):
    network = make_network(key, depth=depth)
    clean = network_lib.mask_weights(network)
    evaluate = functools.partial(apply, activations=("sigmoid",))
    np.testing.assert_array_equal(evaluate(clean, x), evaluate(network, x))

    gradient = jax.grad(lambda n: (evaluate(n, x) ** 2).sum(), allow_int=True)(network)
    ones = jax.tree.map(jnp.ones_like, network)._replace(
        mask=network.mask, depth=network.depth
    )
    is_there = network_lib.mask_weights(ones)
    for name in ("first", "hidden", "readout", "bias"):
        there = np.asarray(getattr(is_there, name)) != 0
        values = np.asarray(getattr(gradient, name))
        assert (values[~there] == 0).all(), name
        assert (values[there] != 0).all(), name
    for name in ("mask", "activation"):
        assert not getattr(gradient, name)[depth:].any(), name


def test_padding_changes_nothing(key, x):
    network = make_network(key, depth=2)
    pad = lambda leaf, *widths: jnp.pad(leaf, widths, constant_values=3.0)  # noqa: E731
    larger = Network(
        first=pad(network.first, (0, 0), (0, 2)),
        hidden=pad(network.hidden, (0, 1), (0, 2), (0, 2)),
        readout=pad(network.readout, (0, 2), (0, 0)),
        bias=pad(network.bias, (0, 1), (0, 2)),
        readout_bias=network.readout_bias,
        mask=jnp.pad(network.mask, ((0, 1), (0, 2))),
        activation=pad(network.activation, (0, 1), (0, 2), (0, 0)),
        depth=network.depth,
    )
    outs = [apply(n, x, activations=("tanh",)) for n in (network, larger)]
    np.testing.assert_allclose(outs[1], outs[0], rtol=1e-6, atol=1e-6)
    for count in (network_lib.count_weights, network_lib.count_neurons):
        assert count(larger) == count(network)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_permuting_neurons_changes_nothing(key, x, maybe_jit, depth):
    spec = NetworkSpec(num_outputs=2, max_width=4, max_depth=3, activations=MIX)
    network = make_network(key, depth=depth, spec=spec)
    order = jnp.asarray([[2, 0, 3, 1], [3, 2, 1, 0], [1, 2, 3, 0]])
    other = maybe_jit(network_lib.permute)(network, order)
    np.testing.assert_array_equal(other.bias[0], network.bias[0, order[0]])
    assert not np.array_equal(other.readout, network.readout)
    outs = [apply(n, x, activations=MIX) for n in (network, other)]
    np.testing.assert_allclose(outs[1], outs[0], rtol=1e-5, atol=1e-5)


def sparse(network, key):
    """Two thirds of all weights removed at random; depth and masks stay."""
    vector = network_lib.pack(network)
    kept = jax.random.bernoulli(key, 1 / 3, vector.shape)
    return network_lib.unpack(vector * kept, network)


def test_simplify_keeps_the_function_and_finds_the_least_parts(key, x):
    spec = NetworkSpec(num_outputs=2, max_width=4, max_depth=3, activations=MIX)
    keys = jax.random.split(key, 60)
    networks = jax.jit(
        jax.vmap(
            lambda key, depth: sparse(make_network(key, depth=depth, spec=spec), key)
        )
    )(keys, 1 + jnp.arange(60) % 3)
    simplify = functools.partial(network_lib.simplify, activations=MIX)
    simplify = jax.jit(jax.vmap(simplify))
    smaller = simplify(networks)
    evaluate = jax.vmap(functools.partial(apply, activations=MIX), in_axes=(0, None))
    np.testing.assert_allclose(
        evaluate(smaller, x), evaluate(networks, x), rtol=1e-4, atol=1e-5
    )
    again = simplify(smaller)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, smaller))
    for index in range(len(keys)):
        one = jax.tree.map(lambda leaf, index=index: np.asarray(leaf)[index], smaller)
        assert_all_parts_are_on_a_path(one)


def assert_all_parts_are_on_a_path(network):
    """Independent: each neuron left has a weight in and a weight out, by layers."""
    depth = int(network.depth)
    blocks = [network.first, *network.hidden[: depth - 1], network.readout]
    for layer in range(depth):
        present = network.mask[layer] > 0
        assert ((blocks[layer] != 0).any(axis=0) == present).all()
        assert ((blocks[layer + 1] != 0).any(axis=1) == present).all()
        assert (network.bias[layer][~present] == 0).all()
    assert not network.mask[depth:].any() and not network.hidden[depth - 1 :].any()


def test_simplify_and_counts_by_hand(x, maybe_jit):
    # Layer 1: neuron 0 is fed, neuron 1 is sigmoid(0) = 1/2, neuron 2 is absent.
    # Layer 2: neuron 0 is fed, neuron 1 a dead end, neuron 2 the constant sigmoid(2).
    network = hand_network(
        first=[[1.0, 0.0, 5.0], [0.0, 0.0, 5.0], [0.0, 0.0, 5.0]],
        hidden=[[[2.0, 3.0, 0.0], [4.0, 0.0, 4.0], [9.0, 9.0, 9.0]]],
        readout=[7.0, 0.0, 10.0],
        bias=[[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]],
        mask=[[1, 1, 0], [1, 1, 1]],
        depth=2,
        readout_bias=-1.0,
    )
    simplify = maybe_jit(network_lib.simplify, static_argnames="activations")
    small = simplify(network, activations=("sigmoid",))
    # 1 input weight, 4 hidden weights of present neurons, 2 readouts, 1 output bias.
    assert maybe_jit(network_lib.count_weights)(network) == 8
    assert maybe_jit(network_lib.count_neurons)(network) == 5
    # 1 + 1 + 1 weights, the bias 4 * 1/2 = 2 of layer 2, the output bias.
    assert network_lib.count_weights(small) == 5
    assert network_lib.count_neurons(small) == 2
    np.testing.assert_allclose(small.bias, [[0, 0, 0], [2, 0, 0]], rtol=1e-6)
    constant = -1 + 10 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(small.readout_bias, [constant], rtol=1e-6)
    outs = [apply(n, x, activations=("sigmoid",)) for n in (network, small)]
    np.testing.assert_allclose(outs[1], outs[0], rtol=1e-5)


def test_simplify_of_a_constant_leaves_the_output_bias_only():
    network = hand_network(
        first=[[0.0, 1.0]],
        hidden=[[[0.0, 1.0], [0.0, 0.0]]],
        readout=[3.0, 0.0],
        bias=[[0.0, 0.0], [0.0, 0.0]],
        mask=[[1, 1], [1, 1]],
        depth=2,
    )
    small = network_lib.simplify(network, activations=("sigmoid",))
    assert network_lib.count_neurons(small) == 0
    assert network_lib.count_weights(small) == 1
    np.testing.assert_allclose(small.readout_bias, [1.5], rtol=1e-6)


def test_remove_dead_ends_by_hand():
    network = hand_network(
        first=[[1.0, 1.0, 1.0]],
        hidden=[[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]],
        readout=[2.0, 0.0, 2.0],
        bias=np.ones((2, 3)),
        mask=np.ones((2, 3)),
        depth=2,
    )
    small = network_lib.remove_dead_ends(network)
    # The third neuron of layer 2 is a constant, which is no dead end.
    np.testing.assert_array_equal(small.mask, [[1, 0, 0], [1, 0, 1]])
