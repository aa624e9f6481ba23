"""Gauss-Newton steps by conjugate gradients, and the factors of the matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from swajax.data.problem import Problem
from swajax.refine import gauss_newton
from swajax.refine.gauss_newton import apply, mean_loss, trace
from swajax.refine.quadratic import Fit

NAMES = (("tanh", "sin", "tanh"),)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
WEIGHT = np.full(60, 1 / 60, np.float32)
refit = jax.jit(gauss_newton.refit, static_argnames=("names", "num_products"))


def draw(num_outputs):
    shapes = ((5, 3), (4, num_outputs))
    return tuple(RNG.normal(size=shape).astype(np.float32) for shape in shapes)


def make_problem(objective):
    out = np.asarray(apply(draw(3 if objective == "softmax" else 1), X, NAMES))
    if objective == "logistic":
        out = np.float32(out > 0)
    elif objective == "softmax":
        out = np.float32(np.eye(3)[out.argmax(axis=1)])
    return Problem(*map(jnp.asarray, (X, out, WEIGHT)))


@pytest.mark.parametrize("objective", ["squared", "logistic", "softmax"])
def test_the_loss_falls_and_zero_weights_stay(objective):
    problem, fit = make_problem(objective), Fit(objective, weight_decay=1e-4)
    matrices = list(draw(problem.y.shape[1]))
    matrices[0][2, 1] = 0
    start = float(mean_loss(tuple(matrices), problem, NAMES, fit=fit))
    fitted, loss = refit(tuple(matrices), problem, NAMES, fit=fit, num_steps=30)
    assert loss < 0.3 * start
    assert fitted[0][2, 1] == 0 and np.count_nonzero(fitted[0]) == 14
    assert loss == pytest.approx(float(mean_loss(fitted, problem, NAMES, fit=fit)))


def test_one_step_solves_a_linear_least_squares_problem():
    matrices = (RNG.normal(size=(5, 1)).astype(np.float32),)
    y = RNG.normal(size=(60, 1)).astype(np.float32)
    fit = Fit(weight_decay=0.0, first_damping=1e-6)
    fitted, _ = refit(
        matrices, Problem(*map(jnp.asarray, (X, y, WEIGHT))), (), fit=fit, num_steps=1
    )
    wanted, *_ = np.linalg.lstsq(np.insert(X, 0, 1, axis=1), y)
    np.testing.assert_allclose(fitted[0], wanted, atol=1e-3)


def test_the_factors_are_those_of_the_gauss_newton_matrix():
    """The Hessian of the logistic loss w.r.t. the output is p (1 - p)."""
    matrices, problem = draw(1), make_problem("logistic")
    traced = trace(matrices, problem, NAMES, fit=Fit("logistic"))
    vector, unravel = ravel_pytree(matrices)
    out = lambda vector: apply(unravel(vector), X, NAMES)[:, 0]  # noqa: E731
    jacobian = np.asarray(jax.jacobian(out)(vector))
    p = jax.nn.sigmoid(out(vector))
    wanted = (jacobian.T * (p * (1 - p) * WEIGHT)[None]) @ jacobian
    values, curvature = traced.inputs[0], traced.curvatures[0]
    for neuron in range(3):
        block = (values * curvature[:, neuron, None]).T @ values
        own = np.arange(5) * 3 + neuron
        np.testing.assert_allclose(
            block, wanted[np.ix_(own, own)], rtol=1e-3, atol=1e-6
        )
