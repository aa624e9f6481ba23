"""Networks of any width and depth, by hand and from scikit-learn."""

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from swajax.network import from_layers, from_network, from_sklearn, make_layered

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(60, 3))


@pytest.mark.parametrize("name", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("hidden", [(4,), (5, 3)])
def test_a_regressor_predicts_the_same(name, hidden):
    model = MLPRegressor(hidden_layer_sizes=hidden, activation=name, max_iter=5).fit(
        X, X[:, 0]
    )
    network = from_sklearn(model)
    out = network.apply(np.float32(X))[:, 0]
    np.testing.assert_allclose(out, model.predict(X), rtol=1e-4, atol=1e-5)
    assert (network.num_inputs, network.num_outputs) == (3, 1)


@pytest.mark.parametrize("num", [2, 3])
def test_a_classifier_gives_logits(num):
    y = np.digitize(X[:, 0], np.linspace(-0.5, 0.5, num - 1))
    model = MLPClassifier((4,), max_iter=9).fit(X, y)
    network = from_sklearn(model)
    assert network.link == ("sigmoid" if num == 2 else "softmax")
    out = np.asarray(network.apply(np.float32(X)))
    if num == 2:
        out = np.concatenate([np.zeros_like(out), out], axis=1)
    probability = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probability, model.predict_proba(X), atol=1e-5)


def test_neurons_of_a_layer_may_differ():
    layers = [[[1.0, -1.0]], [[2.0], [3.0]]], [[0.0, 0.5], [0.5]], [("relu", "sin")]
    network, (padded, spec) = make_layered(*layers), from_layers(*layers)
    out = network.apply(np.array([[2.0], [-1.0]]))
    wanted = [[4.5 + 3 * np.sin(-1.5)], [0.5 + 3 * np.sin(1.5)]]
    np.testing.assert_allclose(out, wanted, rtol=1e-5)
    again = from_network(padded, spec.activations)
    np.testing.assert_allclose(again.apply(np.array([[2.0], [-1.0]])), out)


def test_a_linear_model_gets_a_hidden_layer():
    network = make_layered([[[2.0], [1.0]]], [[3.0]], [])
    assert network.activations == ("linear",)
    assert network.apply(np.array([[1.0, 1.0]])).tolist() == [[6.0]]


def test_bad_networks_are_refused():
    with pytest.raises(ValueError, match="MLPRegressor or MLPClassifier, got Standard"):
        from_sklearn(StandardScaler())
    with pytest.raises(ValueError, match="not fitted"):
        from_sklearn(MLPRegressor())
    several = MLPClassifier(max_iter=1).fit(X, np.float64(X[:, :2] > 0))
    with pytest.raises(ValueError, match="one target"):
        from_sklearn(several)
    with pytest.raises(ValueError, match=r"weights\[0\] holds NaN"):
        make_layered([[[np.nan]], [[1.0]]], [[0.0], [0.0]], ["tanh"])
    huge = np.broadcast_to(np.float32(1), (10**6, 10**6))
    with pytest.raises(ValueError, match="GB of memory"):
        make_layered([huge, huge], [huge[0], huge[0]], ["tanh"])
    wide = [np.ones((1, 10**6)), np.ones((10**6, 1))]
    with pytest.raises(ValueError, match="GB of memory"):
        from_layers(
            [wide[0], *wide[::-1], wide[1]],
            [wide[0][0], [0], wide[0][0], [0]],
            ["tanh"] * 3,
        )
    with pytest.raises(ValueError, match="link must be"):
        make_layered([[[1.0]], [[1.0]]], [[0.0], [0.0]], ["tanh"], "probit")
