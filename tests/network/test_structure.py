"""Permutation, simplification and counts of networks."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_cases import MIX, hand_network, make_network, make_points

from swajax import network as network_lib
from swajax.network import apply
from swajax.types import ACTIVATIONS, NetworkSpec


@pytest.fixture
def x():
    return make_points()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_permuting_neurons_changes_no_output(key, x, maybe_jit, depth):
    spec = NetworkSpec(num_outputs=2, max_width=4, max_depth=3, activations=MIX)
    network = make_network(key, depth=depth, spec=spec)
    order = jnp.asarray([[2, 0, 3, 1], [3, 2, 1, 0], [1, 2, 3, 0]])
    other = maybe_jit(network_lib.permute)(network, order)
    np.testing.assert_array_equal(other.bias[0], network.bias[0, order[0]])
    assert not np.array_equal(other.readout, network.readout)
    outs = [apply(n, x, activations=MIX) for n in (network, other)]
    np.testing.assert_allclose(outs[1], outs[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([[0, 1, 2]], r"order must have the shape \(3, 4\), got \(1, 3\)"),
        ([0, 1, 2, 3], r"order must have the shape \(3, 4\), got \(4,\)"),
        ([[0, 1, 2, 3]] * 2 + [[0, 1, 1, 3]], r"permutation of 0\.\.3 per layer"),
        ([[0, 1, 2, 3]] * 2 + [[1, 2, 3, 4]], r"permutation of 0\.\.3 per layer"),
    ],
)
def test_an_order_that_is_no_permutation_is_refused(key, order, message):
    spec = NetworkSpec(max_width=4, max_depth=3)
    network = make_network(key, depth=3, spec=spec)
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(network_lib.permute)(network, jnp.asarray(order))


@pytest.mark.parametrize(
    "name",
    """apply mask_weights simplify permute remove_dead_ends count_weights count_neurons
    pack unpack""".split(),
)
def test_a_batch_is_refused_where_one_network_is_expected(key, x, name):
    network = make_network(key, depth=1)
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), network)
    function = inspect.unwrap(getattr(network_lib, name))
    arguments = {
        "apply": ((batch, x), {"activations": ("tanh",)}),
        "simplify": ((batch,), {"activations": ("tanh",)}),
        "permute": ((batch, jnp.zeros((3, 7), int)), {}),
        "unpack": ((network_lib.pack(network), batch), {}),
    }
    args, options = arguments.get(name, ((batch,), {}))
    with pytest.raises(ValueError, match=r"one network is expected, .* shape \(2,\)"):
        function(*args, **options)


def sparse(network, key):
    """Remove two thirds of all weights at random; keep depth and masks."""
    vector = network_lib.pack(network)
    kept = jax.random.bernoulli(key, 1 / 3, vector.shape)
    return network_lib.unpack(vector * kept, network)


def test_simplify_keeps_the_function_and_finds_the_least_parts(key, x):
    kinds = ACTIVATIONS
    spec = NetworkSpec(num_outputs=2, max_width=4, max_depth=3, activations=kinds)
    keys = jax.random.split(key, 60)
    networks = jax.jit(
        jax.vmap(
            lambda key, depth: sparse(make_network(key, depth=depth, spec=spec), key)
        )
    )(keys, 1 + jnp.arange(60) % 3)
    simplify = functools.partial(network_lib.simplify, activations=kinds)
    simplify = jax.jit(jax.vmap(simplify))
    smaller = simplify(networks)
    evaluate = jax.vmap(functools.partial(apply, activations=kinds), in_axes=(0, None))
    np.testing.assert_allclose(
        evaluate(smaller, x), evaluate(networks, x), rtol=1e-4, atol=1e-5
    )
    again = simplify(smaller)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, smaller))
    for index in range(len(keys)):
        one = jax.tree.map(lambda leaf, index=index: np.asarray(leaf)[index], smaller)
        assert_all_parts_are_on_a_path(one)


def assert_all_parts_are_on_a_path(network):
    """Check, layer by layer, that each neuron has an input and an output weight."""
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
    # The third neuron of layer 2 is a constant, not a dead end.
    np.testing.assert_array_equal(small.mask, [[1, 0, 0], [1, 0, 1]])


@pytest.mark.parametrize(
    ("activations", "message"),
    [(("swish",), "among .* got .'swish',"), (("tanh", "sin"), "mixes 1 .* 2 names")],
)
def test_simplify_refuses_activations_that_do_not_fit(activations, message):
    network = network_lib.make_dense(NetworkSpec())
    with pytest.raises(ValueError, match=message):
        network_lib.simplify(network, activations=activations)
