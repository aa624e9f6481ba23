"""Networks that start a search: checked, converted and walked down."""

import math

import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.model.fitted import evaluate
from swajax.network import Layers, from_layers, make_layered
from swajax.search.config import SearchConfig
from swajax.search.given_starts import read_given, walk_starts

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (50, 2))
SMALL = [[[1.0, -1.0], [0.5, 2.0]], [[2.0], [3.0]]], [[0.1, 0.2], [0.5]], ["tanh"]
CONFIG = SearchConfig(max_weights=10, max_width=3, max_depth=2)


def make_rows(y):
    return Problem(X, y, np.ones(len(X)))


ROWS = make_rows(X[:, :1])
KINDS = {
    "layered": make_layered(*SMALL),
    "padded": from_layers(*SMALL),
    "layers": Layers(*SMALL),
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_kinds_of_networks_are_read(kind):
    (network,) = read_given(KINDS[kind], ROWS, "squared")
    np.testing.assert_allclose(network.apply(X), KINDS["layered"].apply(X), rtol=1e-5)


def test_a_small_network_is_a_start_as_it_is():
    network = make_layered(*SMALL[:2], ["relu"])
    rows = make_rows(100 + 9 * np.asarray(make_layered(*SMALL).apply(X)))
    networks = read_given([network, KINDS["layered"]], rows, "squared")
    found = walk_starts(networks, rows, "squared", CONFIG, lambda: math.inf)
    assert found.mask.shape == (2, 2, 3)
    kinds = found.activation[:, 0, :2].argmax(axis=-1)
    names = [CONFIG.activations[kind] for kind in kinds[:, 0]]
    assert names == ["leaky_relu", "tanh"]  # relu is not allowed
    second = type(found)(*(leaf[1] for leaf in found))
    out = evaluate(second, X, activations=CONFIG.activations)
    np.testing.assert_allclose(out, rows.y, rtol=1e-4)  # in the units of the target


def test_outputs_are_those_of_the_objective():
    weights = [np.eye(2), RNG.normal(size=(2, 2))]
    layers = weights, [np.zeros(2), np.zeros(2)], ["tanh"]
    network = make_layered(*layers, "softmax")
    (one,) = read_given(network, make_rows(np.ones((50, 1))), "logistic")
    out = np.asarray(network.apply(X))
    np.testing.assert_allclose(one.apply(X)[:, 0], out[:, 1] - out[:, 0], atol=1e-6)
    linked = make_layered(*SMALL, "sigmoid")
    (one,) = read_given(linked, ROWS, "squared")
    probability = 1 / (1 + np.exp(-np.asarray(linked.apply(X))))
    np.testing.assert_allclose(one.apply(X), probability, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (make_layered([np.ones((3, 1)), [[1.0]]], [[0], [0]], ["tanh"]), "3 inputs"),
        (make_layered([np.ones((2, 1)), np.ones((1, 2))], [[0], [0, 0]], ["tanh"]),
         "2 outputs"),
        (make_layered(*SMALL, "softmax"), "softmax"),
        (Layers([[[np.nan], [1]], [[1.0]]], [[0], [0]], ["tanh"]), "NaN"),
        ([], "at least one network"),
        ("model.onnx", "got str"),
    ],
    ids=str,
)  # fmt: skip
def test_networks_that_do_not_fit_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        read_given(given, ROWS, "squared")
