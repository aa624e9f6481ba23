"""Properties of every activation of the table.

The fast form (`test_batched.py`), the forward pass (`test_forward.py`), fitting
(`tests/refine/test_activations.py`) and the exports (`tests/export/`) also have tests
over all members.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from network_cases import NUMPY_FNS

from swajax.model.fitted import evaluate
from swajax.network import apply
from swajax.network.activations import RECORDS, tanh_coefficients
from swajax.types import ACTIVATIONS, DEFAULT_ACTIVATIONS, NetworkSpec

POINTS = np.array([-10.0, -5.0, -1.3, -0.2, 0.4, 1.0, 3.7, 10.0])


def test_the_table_has_all_names():
    assert tuple(RECORDS) == ACTIVATIONS
    assert DEFAULT_ACTIVATIONS == ("sigmoid", "tanh", "leaky_relu", "linear")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values(name, maybe_jit):
    points = np.append(POINTS, 0.0)
    wanted = NUMPY_FNS[name](points)
    out = maybe_jit(RECORDS[name].fn)(jnp.asarray(points, jnp.float32))
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-6)
    for dtype, tolerance in (np.float32, 1e-5), (np.float64, 1e-12):
        out = RECORDS[name].numpy_fn(points.astype(dtype))
        assert isinstance(out, np.ndarray) and out.dtype == dtype
        np.testing.assert_allclose(out, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slope_is_the_derivative(x64, name):
    record, x = RECORDS[name], jnp.asarray(POINTS)
    out = record.fn(x)
    slope = record.slope_fn(x if record.needs_pre else None, out)
    assert slope.dtype == out.dtype == jnp.float64
    step = 1e-6
    difference = (NUMPY_FNS[name](x + step) - NUMPY_FNS[name](x - step)) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-6, atol=1e-7)
    by_jax = jax.vmap(jax.grad(record.fn))(x)
    np.testing.assert_allclose(slope, by_jax, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_tanh_form_is_the_function(name):
    form = RECORDS[name].tanh_form
    if form is None:
        assert not tanh_coefficients((name,)).any()
        return
    line = np.where(POINTS >= 0, form.d, form.e)
    values = form.a * np.tanh(form.b * POINTS) + form.c + line * POINTS
    np.testing.assert_allclose(values, NUMPY_FNS[name](POINTS), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(tanh_coefficients(("sin", name)), [[0] * 5, form])


def test_prediction_in_numpy_equals_jax(x64, draw_network):
    spec = NetworkSpec(3, 2, 8, 3, ACTIVATIONS)
    network = draw_network(0, spec=spec, depth=2)
    kinds = np.eye(8)[np.arange(24).reshape(3, 8) % 8]  # all take part
    network = network._replace(activation=jnp.asarray(kinds), mask=jnp.ones((3, 8)))
    x = jax.random.normal(jax.random.key(0), (9, 3))
    wanted = apply(network, x, activations=ACTIVATIONS)
    host = jax.device_get((network, x))
    out = evaluate(*host, activations=ACTIVATIONS)
    np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-12)
