"""Linear models as starts and as what a network has to beat."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.network import apply
from swajax.search.linear_path import find_linear_models
from swajax.search.sources.linear import count, select_forward, to_network
from swajax.types import NetworkSpec

SPEC = NetworkSpec(
    4, 3, max_width=3, max_depth=2, activations=("tanh", "linear", "leaky_relu")
)


def draw(objective, num=200):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (num, 4))
    y = 2 * x[:, :1] - x[:, 1:2] + 0.1 * rng.normal(size=(num, 1))
    if objective == "softmax":
        y = np.eye(3)[np.digitize(y[:, 0], (-0.7, 0.7))]
    return Problem(x, y, np.ones(num))


def test_inputs_come_by_their_use_and_weights_are_those_of_ridge():
    rows = draw("squared")
    first, second, *_ = select_forward(rows, "squared", 1, 0.02)
    assert np.flatnonzero(first[1:]).tolist() == [0]
    assert np.flatnonzero(second[1:]).tolist() == [0, 1]
    x = np.insert(rows.x[:, :2], 0, 1, axis=1)
    matrix = x.T @ x + 0.01 * len(x) * np.diag([0, 1, 1])
    np.testing.assert_allclose(
        second[:3, 0], np.linalg.solve(matrix, x.T @ rows.y)[:, 0], rtol=1e-6
    )


def test_classes_are_separated():
    rows = draw("softmax")
    *_, last = select_forward(rows, "softmax", 3)
    out = rows.x @ last[1:] + last[0]
    assert (out.argmax(axis=1) == rows.y.argmax(axis=1)).mean() > 0.93


@pytest.mark.parametrize("activations", [SPEC.activations, ("leaky_relu",)])
def test_networks_compute_the_model(activations):
    rows = draw("softmax")
    spec = NetworkSpec(4, 3, max_width=3, max_depth=2, activations=activations)
    for weights in select_forward(rows, "softmax", 3):
        network = jax.tree.map(jnp.asarray, to_network(weights, spec))
        out = apply(network, jnp.asarray(rows.x), activations=activations)
        np.testing.assert_allclose(out, rows.x @ weights[1:] + weights[0], atol=1e-4)
        if "linear" in activations:
            sizes = (np.count_nonzero(leaf) for leaf in network[:5])
            assert sum(sizes) == count(weights)


def test_losses_are_those_of_rows_held_out():
    rows, folds = draw("squared"), np.arange(200) % 5
    spec = NetworkSpec(4, 1, max_width=2, max_depth=1, activations=("linear",))
    options = ([0, 1, 2, 3, 4], "squared", spec, 10, 0.01)
    networks, curve = find_linear_models(rows, folds, *options)
    assert len(networks.depth) == len(curve.sizes) and curve.means[1] < 0.02
    assert curve.outputs.shape[1:] == (200, 1)
    np.testing.assert_array_equal(np.sort(curve.held), np.arange(200))
