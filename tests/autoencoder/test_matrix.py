"""Round trip of a network through the matrix form of the paper."""

import jax.numpy as jnp
import numpy as np
import pytest
from network_cases import make_network, make_points

from swajax import network as network_lib
from swajax.autoencoder import matrix as matrix_lib
from swajax.network import apply
from swajax.types import NetworkSpec


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_matrix_form(key, maybe_jit, depth):
    spec, x = NetworkSpec(), make_points()
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


def test_shapes_that_do_not_fit_are_refused():
    spec = NetworkSpec(max_width=3, max_depth=2)
    with pytest.raises(ValueError, match=r"shape \(3, 9\), got \(3, 5\)"):
        matrix_lib.from_matrix(jnp.ones((3, 5)), depth=2, spec=spec)
    for depth in (0, 3):
        with pytest.raises(ValueError, match=rf"depth must be in 1\.\.2, got {depth}"):
            matrix_lib.from_matrix(jnp.ones((3, 5)), depth=depth, spec=spec)
    network = matrix_lib.from_matrix(jnp.ones((3, 5)), depth=1, spec=spec)
    network = network._replace(readout=jnp.ones((3, 2)), readout_bias=jnp.zeros(2))
    with pytest.raises(ValueError, match="must have one output, got 2"):
        matrix_lib.to_matrix(network, depth=1)
