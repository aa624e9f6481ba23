"""Benchmark functions: known values and points."""

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
def test_points_fill_the_domain(name):
    function = functions.FUNCTIONS[name]
    points, values = functions.sample_points(name, seed=3, num_points=500)
    assert points.shape == (500, 2) and values.shape == (500,)
    low, high = np.array(function.low), np.array(function.high)
    unit = (points - low) / (high - low)
    assert (unit.min(axis=0) >= 0).all() and (unit.max(axis=0) <= 1).all()
    assert (np.ptp(unit, axis=0) > 0.95).all()
    np.testing.assert_array_equal(values, function.fn(*points.T))
    assert np.isfinite(values).all()


def test_seeds_and_names():
    points, _ = functions.sample_points("Booth", seed=0, num_points=9)
    again, _ = functions.sample_points("booth", seed=0, num_points=20)
    np.testing.assert_array_equal(points, again[:9])
    assert (functions.sample_points("booth", seed=1, num_points=9)[0] != points).all()
    with pytest.raises(ValueError, match=r"'griewank'.*himmelblau"):
        functions.sample_points("griewank", seed=0, num_points=9)
