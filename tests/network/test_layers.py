"""Round trip between lists of matrices and networks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_cases import NUMPY_FNS

from swajax.network import apply, count_weights, from_layers, simplify, to_layers
from swajax.types import NetworkSpec

KINDS = ["tanh", ("sin", "linear", "tanh", "gelu"), "sigmoid"]


def draw_layers(seed=0):
    """Draw 2 inputs, layers of 3, 4 and 2 neurons, and 2 outputs."""
    rng, sizes = np.random.default_rng(seed), (2, 3, 4, 2, 2)
    weights = [rng.normal(size=shape) for shape in itertools.pairwise(sizes)]
    return weights, [rng.normal(size=size) for size in sizes[1:]]


def numpy_outputs(weights, biases, activations, x):
    for matrix, vector, kinds in zip(weights, biases, activations, strict=False):
        pre = x @ matrix + vector
        names = [kinds] * len(vector) if isinstance(kinds, str) else kinds
        columns = [NUMPY_FNS[name](row) for name, row in zip(names, pre.T, strict=True)]
        x = np.stack(columns, axis=1)
    return x @ weights[-1] + biases[-1]


def test_a_network_of_layers_computes_what_they_do():
    weights, biases = draw_layers()
    network, spec = from_layers(weights, biases, KINDS)
    kinds = ("tanh", "sin", "linear", "gelu", "sigmoid")
    assert spec == NetworkSpec(2, 2, 4, 3, kinds)
    assert count_weights(network) == 6 + 12 + 8 + 4 + 3 + 4 + 2 + 2
    x = np.random.default_rng(1).uniform(-1, 1, (7, 2))
    out = apply(network, jnp.asarray(x, jnp.float32), activations=spec.activations)
    wanted = numpy_outputs(weights, biases, KINDS, x)
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)


def test_layers_come_back():
    weights, biases = draw_layers()
    network, spec = from_layers(weights, biases, KINDS)
    layers = to_layers(network, activations=spec.activations)
    for found, wanted in ((layers.weights, weights), (layers.biases, biases)):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, np.float32(b))
    assert layers.activations == KINDS
    again, _ = from_layers(*layers)
    assert jax.tree.all(jax.tree.map(np.array_equal, again, network))


def test_absent_neurons_and_unused_layers_are_left_out(draw_network):
    spec = NetworkSpec(3, 2, 5, 4, ("tanh", "sin"))
    x = np.random.default_rng(1).uniform(-1, 1, (7, 3))
    for seed, depth in enumerate((1, 2, 3)):
        network = draw_network(seed, spec=spec, depth=depth)
        layers = to_layers(network, activations=spec.activations)
        assert len(layers.activations) == depth
        sizes = [len(vector) for vector in layers.biases[:-1]]
        assert sizes == [int(mask.sum()) for mask in network.mask[:depth]]
        out = apply(network, jnp.asarray(x, float), activations=spec.activations)
        np.testing.assert_allclose(numpy_outputs(*layers, x), out, rtol=1e-5, atol=1e-5)


def test_a_constant_has_layers_without_neurons():
    network, spec = from_layers([[[0.0]], [[2.0]]], [[1.0], [3.0]], ["square"])
    network = simplify(network, activations=spec.activations)
    layers = to_layers(network, activations=spec.activations)
    assert layers.biases[0].shape == (0,) and layers.biases[1].tolist() == [5.0]
    again, spec = from_layers(*layers)
    out = apply(again, jnp.ones((2, 1)), activations=spec.activations)
    np.testing.assert_array_equal(out, [[5.0], [5.0]])


GOOD = ([np.ones((2, 3)), np.ones((3, 1))], [np.ones(3), np.ones(1)], ["tanh"])
BAD = {
    "no hidden layer": (([np.ones((2, 1))], [np.ones(1)], []), "D >= 1 hidden layers"),
    "biases missing": ((GOOD[0], GOOD[1][:1], GOOD[2]), r"got 1, 2 and 1$"),
    "transposed": (
        ([np.ones((2, 3)), np.ones((1, 3))], *GOOD[1:]),
        r"weights\[1\] must have the shape \[3, fan_out\], got \(1, 3\)",
    ),
    "a vector": (([np.ones(3), GOOD[0][1]], *GOOD[1:]), r"weights\[0\] .*\[fan_in"),
    "bias": (
        (GOOD[0], [np.ones(3), np.ones(2)], GOOD[2]),
        r"biases\[1\] must have the shape \[1\], got \(2,\)",
    ),
    "name": ((*GOOD[:2], ["swish"]), r"activations\[0\]: .* got \('swish'"),
    "names": ((*GOOD[:2], [["tanh", "sin"]]), r"activations\[0\] .* or 3, got 2"),
    "NaN": (([np.full((2, 3), np.nan), GOOD[0][1]], *GOOD[1:]), r"weights\[0\] holds"),
    "inf": (
        (GOOD[0], [np.ones(3), [np.inf]], GOOD[2]),
        r"biases\[1\] holds NaN or inf",
    ),
    "no inputs": (
        ([np.ones((0, 3)), GOOD[0][1]], *GOOD[1:]),
        "num_inputs must be >= 1",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_together_is_named(case):
    arguments, message = BAD[case]
    from_layers(*GOOD)
    with pytest.raises(ValueError, match=message):
        from_layers(*arguments)


@pytest.mark.parametrize(
    ("changes", "activations", "message"),
    [
        ({}, ("tanh", "sin"), "has 1 activations, got 2 names"),
        ({}, ("swish",), "activations must be among"),
        ({"mask": jnp.full((1, 3), 0.5)}, ("tanh",), "masks must be 0 or 1"),
        ({"activation": jnp.full((1, 3, 1), 0.5)}, ("tanh",), "no mixtures"),
    ],
)
def test_soft_networks_have_no_layers(changes, activations, message):
    network = from_layers(*GOOD)[0]._replace(**changes)
    with pytest.raises(ValueError, match=message):
        to_layers(network, activations=activations)
