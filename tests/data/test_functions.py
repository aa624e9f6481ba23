"""Benchmark functions: known values, sampling and scaling."""

import numpy as np
import pytest

from swajax.data import functions

KNOWN_VALUES = {  # published optima, and values worked out by hand
    "ackley-n2": [(0, 0, -200.0), (3, 4, -73.5758882)],
    "alpine-n2": [(7.9170526982, 7.9170526982, 7.8856007), (0, 5, 0.0)],
    "booth": [(1, 3, 0.0), (0, 0, 74.0)],
    "brent": [(-10, -10, 0.0), (0, 0, 201.0)],
    "cross-in-tray": [(1.3494066, -1.3494066, -2.0626118), (0, 0, -1e-4)],
    "deckkers-aarts": [(0, 0, 0.0), (1, 0, 99999.00001), (0, 2, 399984.00256)],
    "drop-wave": [(0, 0, -1.0), (np.pi / 6, 0, -0.9358784)],
    "easom": [(np.pi, np.pi, -1.0), (0, 0, -2.675288e-9)],
    "goldstein-price": [(0, 0, 600.0), (0, -1, 399.0)],
    "himmelblau": [(3, 2, 0.0), (-2.805118, 3.131312, 0.0), (0, 0, 170.0)],
    "mccormick": [(-0.5471976, -1.5471976, -1.9132230), (0, 0, 1.0)],
    "rosenbrock": [(1, 1, 0.0), (0, 0, 1.0), (-1, 2, 104.0)],
    "schaffer-n2": [(0, 0, 0.0), (0, 1.2533141, 0.9984329)],
    "schwefel-2.22": [(0, 0, 0.0), (-2, 3, 11.0)],
    "shubert-3": [(5.791794, 5.791794, 24.062499), (0, 0, -9.4768172)],
    "sphere": [(0, 0, 0.0), (-3, 4, 25.0)],
    "sum-squares": [(0, 0, 0.0), (1, -2, 9.0)],
    "xin-she-yang-n4": [(0, 0, -1.0), (np.pi**2 / 4, 0, 0.1425309)],
}


@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_function_has_its_known_values(name):
    for x1, x2, expected in KNOWN_VALUES[name]:
        value = functions.FUNCTIONS[name].fn(np.array([x1 * 1.0]), np.array([x2 * 1.0]))
        np.testing.assert_allclose(value, [expected], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_sample_is_scaled_by_domain_and_training_labels(name):
    sample = functions.sample_function(name, seed=3, num_train=400, num_test=100)
    function = functions.FUNCTIONS[name]
    points, values = functions.sample_points(name, seed=3, num_points=500)
    x = np.concatenate([sample.x_train, sample.x_test])
    low, high = np.array(function.low), np.array(function.high)
    np.testing.assert_allclose(low + (x + 1) / 2 * (high - low), points, atol=1e-9)
    assert np.abs(x).max() <= 1 and np.abs(x).max() > 0.95
    assert (sample.y_train.min(), sample.y_train.max()) == (-1.0, 1.0)
    train, test = values[:400], values[400:]
    expected = np.interp(test, [train.min(), train.max()], [-1, 1])
    inside = (test >= train.min()) & (test <= train.max())
    np.testing.assert_allclose(sample.y_test[inside, 0], expected[inside], atol=1e-9)
    assert sample.x_test.shape == (100, 2) and sample.y_test.shape == (100, 1)


def test_sample_defaults_seeds_and_names():
    sample = functions.sample_function("Booth", seed=0)
    assert sample.x_train.shape == (3750, 2) and sample.x_test.shape == (1250, 2)
    again = functions.sample_function("booth", seed=0)
    np.testing.assert_array_equal(sample.y_test, again.y_test)
    assert (functions.sample_function("booth", seed=1).x_test != sample.x_test).all()
    with pytest.raises(ValueError, match=r"'griewank'.*himmelblau"):
        functions.sample_function("griewank", seed=0)
    with pytest.raises(ValueError, match="num_train"):
        functions.sample_function("booth", seed=0, num_train=1)
