"""Fitting handles every activation of the table."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.network import apply, pack, unpack
from swajax.refine.levenberg_marquardt import polish
from swajax.refine.quadratic import (
    Fit,
    active_indices,
    evaluate,
    expand_loss,
    trace,
    transpose,
)
from swajax.types import ACTIVATIONS, DEFAULT_ACTIVATIONS, NetworkSpec

CAPACITY = 40  # at least the number of weights of each network


def make_problem():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (15, 2))
    y = np.sin(x @ rng.normal(size=(2, 1)) * 2)
    return Problem(*map(jnp.asarray, (x, y, np.full(15, 1 / 15))))


def compare_with_jax(network, problem, activations):
    """Check outputs, gradient and Gauss-Newton matrix against automatic derivatives."""
    fit = Fit(activations=activations, weight_decay=0.0)

    def outputs(vector):
        return apply(unpack(vector, network), problem.x, activations=activations)[:, 0]

    @jax.jit
    def by_jax():
        vector = pack(network)
        return outputs(vector), jax.jacobian(outputs)(vector)

    @jax.jit
    def by_hand():
        indices, is_active = active_indices(network, CAPACITY)
        _, _, out = trace(network, problem.x, activations=activations)
        columns = transpose(problem)
        form = expand_loss(network, indices, is_active, columns, fit=fit)
        return indices, is_active, out[0], form

    wanted, jacobian = by_jax()
    indices, is_active, out, form = by_hand()
    np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-12)
    own = np.asarray(indices)[np.asarray(is_active)]
    num, weight = len(own), 2 * problem.weight[:, None]
    rows = np.asarray(jacobian)[:, own]
    gradient = (weight * rows * (wanted - problem.y[:, 0])[:, None]).sum(axis=0)
    assert num > 8 and (gradient != 0).all()
    np.testing.assert_allclose(form.gradient[:num], gradient, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        form.curvature[:num, :num], rows.T @ (weight * rows), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_expansion_is_that_of_automatic_derivatives(x64, draw_network, name):
    spec = NetworkSpec(2, 1, 3, 2, (name,))
    network = draw_network(1, spec=spec, depth=2)
    compare_with_jax(network, make_problem(), (name,))


def test_the_expansion_of_all_activations_in_one_network(x64, draw_network):
    spec = NetworkSpec(2, 1, 4, 2, ACTIVATIONS)
    kinds = np.eye(8)[[[0, 1, 2, 3], [4, 5, 6, 7]]]
    network = draw_network(1, spec=spec, depth=2)
    network = network._replace(activation=jnp.asarray(kinds))
    compare_with_jax(network, make_problem(), ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_step_decreases_the_loss(x64, draw_network, name):
    network = draw_network(1, spec=NetworkSpec(2, 1, 3, 2, (name,)), depth=2)
    fit = Fit(activations=(name,))
    score = functools.partial(evaluate, problem=make_problem(), fit=fit)
    step = functools.partial(polish, problem=make_problem(), fit=fit, capacity=CAPACITY)
    before, _ = jax.jit(score)(network)
    fitted, loss = jax.jit(functools.partial(step, num_steps=3))(network)
    assert np.isfinite(loss) and loss < before
    assert jax.jit(score)(fitted)[0] < before


def test_families_of_tanh_forms_cost_one_tanh_per_layer(draw_network):
    spec = NetworkSpec(2, 1, 3, 2, DEFAULT_ACTIVATIONS)
    network = draw_network(1, spec=spec, depth=2)
    fn = functools.partial(trace, activations=DEFAULT_ACTIVATIONS)
    text = str(jax.make_jaxpr(fn)(network, jnp.zeros((5, 2))))
    assert text.count(" tanh ") == 2
    assert not any(f" {name} " in text for name in ("logistic", "sin", "exp"))
