"""Matrices that lose rows and columns compute what they did."""

import itertools

import numpy as np
import pytest

from swajax.network import make_layered
from swajax.refine.matrices import (
    compact,
    count,
    make_linear,
    simplify,
    to_layered,
    to_stack,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype(np.float32)
KINDS = [("tanh", "relu", "sin"), "sigmoid"]


@pytest.fixture
def stack():
    sizes = (4, 3, 2, 1)
    shapes = itertools.pairwise(sizes)
    weights = [RNG.normal(size=shape) for shape in shapes]
    return to_stack(
        make_layered(weights, [RNG.normal(size=n) for n in (3, 2, 1)], KINDS)
    )


def outputs(stack):
    return np.asarray(to_layered(stack, 4).apply(X))


def test_a_network_comes_back(stack):
    assert (count(stack), stack.widths) == (12 + 6 + 2 + 6, [3, 2])
    assert stack.names == (KINDS[0], ("sigmoid",) * 2)
    assert to_layered(stack, 4).activations == tuple(KINDS)


def test_dead_parts_leave(stack):
    matrices = [matrix.copy() for matrix in stack.matrices]
    matrices[0][1:, 0] = 0  # a constant neuron
    matrices[0][2] = 0  # an input that nothing reads
    matrices[2][1] = 0  # a neuron that nothing reads
    dead = stack._replace(matrices=tuple(matrices))
    simple = simplify(dead)
    np.testing.assert_allclose(outputs(simple), outputs(dead), rtol=1e-5)
    assert count(simple) == 2 * (3 + 1) + 1 * (2 + 1) + 1 + 1
    small = compact(simple)
    np.testing.assert_allclose(outputs(small), outputs(dead), rtol=1e-5)
    assert [m.shape for m in small.matrices] == [(4, 2), (3, 1), (2, 1)]
    assert small.inputs.tolist() == [0, 2, 3] and small.names[0] == ("relu", "sin")
    assert compact(simple, share=0.5) is simple


def test_a_linear_layer_leaves_without_a_trace():
    weights = [RNG.normal(size=shape) for shape in ((4, 3), (3, 5), (5, 1))]
    biases = [RNG.normal(size=num) for num in (3, 5, 1)]
    stack = to_stack(make_layered(weights, biases, ["linear", "tanh"]))
    short = make_linear(stack, X, 0)
    assert short.names == (("tanh",) * 5,)
    np.testing.assert_allclose(outputs(short), outputs(stack), rtol=1e-4, atol=1e-5)
