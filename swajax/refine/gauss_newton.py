"""Fits of networks of thousands of weights: Gauss-Newton steps by conjugate gradients.

A network is a tuple of matrices [1 + fan_in, fan_out], the bias in row 0. Zero weights
stay zero. The Gauss-Newton matrix is never formed but for its diagonal.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.sparse.linalg import cg
from jaxtyping import Array, Float, Int

from swajax.data.problem import Problem
from swajax.network.layered import activate
from swajax.objectives import local_form, losses
from swajax.refine.levenberg_marquardt import DAMPING_FALL, DAMPING_RANGE, DAMPING_RISE
from swajax.refine.quadratic import Fit

Matrices = tuple[Float[Any, "_ _"], ...]
Names = tuple[str | tuple[str, ...], ...]
RIDGE = 1e-6  # relative to the largest diagonal entry of the Gauss-Newton matrix


class Trace(NamedTuple):
    """What each layer reads, and how much the loss curves with what it computes."""

    inputs: tuple[Float[Any, "N _"], ...]  # with a column of ones
    curvatures: tuple[Float[Any, "N _"], ...]  # w.r.t. pre-activations, by row


def apply(matrices: Matrices, x: Float[Any, "N I"], names: Names) -> Array:
    """Compute the outputs of a network."""
    for matrix, name in zip(matrices[:-1], names, strict=True):
        x = activate(x @ matrix[1:] + matrix[:1], name)
    return x @ matrices[-1][1:] + matrices[-1][:1]


def trace(matrices: Matrices, problem: Problem, names: Names, *, fit: Fit) -> Trace:
    """Compute the Gauss-Newton factors of all layers.

    With the inputs a and the curvatures q of a layer, the Gauss-Newton matrix of the
    weights into neuron j is sum_n q_nj a_n a_n'.
    """
    one = jnp.ones_like(problem.x[:, :1])

    def forward(shifts: Matrices) -> tuple[Array, Matrices]:
        x, inputs = problem.x, []
        for matrix, shift, name in zip(
            matrices, shifts, (*names, "linear"), strict=True
        ):
            inputs.append(jnp.concatenate([one, x], axis=1))
            x = activate(inputs[-1] @ matrix + shift, name)
        return x, tuple(inputs)

    num = len(problem.x)
    shifts = tuple(jnp.zeros((num, m.shape[1]), m.dtype) for m in matrices)
    out, backward, inputs = jax.vjp(forward, shifts, has_aux=True)
    form = local_form(out.T, problem.y.T, objective=fit.objective)
    factor = form.factor * jnp.sqrt(problem.weight)[None, None]
    (slopes,) = jax.vmap(backward)(jnp.transpose(factor, (1, 2, 0)))
    return Trace(inputs, tuple(jnp.square(slope).sum(axis=0) for slope in slopes))


def mean_loss(
    matrices: Matrices, problem: Problem, names: Names, *, fit: Fit
) -> Float[Array, ""]:
    """Return the mean loss with the weight decay."""
    each = losses(
        apply(matrices, problem.x, names).T, problem.y.T, objective=fit.objective
    )
    squares = sum(jnp.square(matrix).sum() for matrix in matrices)
    return (problem.weight * each).sum() + fit.weight_decay / 2 * squares


class _State(NamedTuple):
    vector: Float[Array, " K"]
    loss: Float[Array, ""]
    damping: Float[Array, ""]


def refit(
    matrices: Matrices,
    problem: Problem,
    names: Names,
    *,
    fit: Fit,
    num_steps: int | Int[Array, ""],
    num_products: int = 20,
) -> tuple[Matrices, Float[Array, ""]]:
    """Run damped Gauss-Newton steps on the non-zero weights; the loss never increases.

    A step s solves (C + d diag C) s = -g by at most `num_products` products with the
    Gauss-Newton matrix C, preconditioned by the diagonal at the start. Damping d is
    that of `swajax.refine.levenberg_marquardt.polish`.

    Args:
      matrices: the network.
      problem: rows to fit, whose weights sum to 1.
      names: activations of the hidden layers (static).
      fit: objective and weight decay.
      num_steps: number of steps.
      num_products: products with the Gauss-Newton matrix per step (static).

    Returns:
      The fitted network, and its loss with the weight decay.
    """
    first, unravel = ravel_pytree(matrices)
    is_active = first != 0

    diagonal = jnp.where(is_active, _diagonal(matrices, problem, names, fit=fit), 1.0)

    def loss_fn(vector: Array) -> Array:
        return mean_loss(unravel(vector), problem, names, fit=fit)

    def step(_: Array, state: _State) -> _State:
        out, forward = jax.linearize(
            lambda vector: apply(unravel(vector), problem.x, names), state.vector
        )
        backward = jax.linear_transpose(forward, state.vector)
        form = local_form(out.T, problem.y.T, objective=fit.objective)
        ridge = state.damping * diagonal + RIDGE * diagonal.max()

        def pull(directions: Float[Array, "M N"]) -> Array:
            at_outputs = jnp.einsum("omn,mn->no", form.factor, directions)
            (at_weights,) = backward(at_outputs * problem.weight[:, None])
            return at_weights * is_active

        def multiply(vector: Array) -> Array:
            directions = jnp.einsum("omn,no->mn", form.factor, forward(vector))
            return pull(directions) + (fit.weight_decay + ridge) * vector

        gradient = pull(form.residual) + fit.weight_decay * state.vector
        change, _ = cg(
            multiply,
            -gradient,
            maxiter=num_products,
            tol=1e-3,
            M=lambda vector: vector / (diagonal + fit.weight_decay + ridge),
        )
        vector = state.vector + change
        loss = loss_fn(vector)
        is_better = loss < state.loss  # never for NaN
        damping = state.damping * jnp.where(is_better, DAMPING_FALL, DAMPING_RISE)
        return _State(
            jnp.where(is_better, vector, state.vector),
            jnp.where(is_better, loss, state.loss),
            jnp.clip(damping, *DAMPING_RANGE),
        )

    damping = jnp.asarray(fit.first_damping, first.dtype)
    state = _State(first, loss_fn(first), damping)
    state = jax.lax.fori_loop(0, num_steps, step, state)
    return unravel(state.vector), state.loss


def _diagonal(
    matrices: Matrices, problem: Problem, names: Names, *, fit: Fit
) -> Float[Array, " K"]:
    """Return the diagonal of the Gauss-Newton matrix."""
    inputs, curvatures = trace(matrices, problem, names, fit=fit)
    layers = (
        jnp.square(values).T @ curvature
        for values, curvature in zip(inputs, curvatures, strict=True)
    )
    return ravel_pytree(tuple(layers))[0]
