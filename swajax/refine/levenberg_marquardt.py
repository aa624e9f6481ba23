"""Levenberg-Marquardt fits of the non-zero weights of a network.

Tiny networks have few weights, so the exact Gauss-Newton matrix costs little more than
a gradient, and one step replaces hundreds of gradient steps. Zero weights stay zero:
the structure does not change.

The Gauss-Newton matrix squares the condition number of the problem, so float32
converges more slowly near the optimum. For full accuracy, pass network and problem in
float64 (`jax.enable_x64`), at twice the time per step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax.data.problem import Problem
from swajax.network import pack, unpack
from swajax.refine import linalg
from swajax.refine.checks import check_and_mask
from swajax.refine.quadratic import (
    Fit,
    Quadratic,
    active_indices,
    expand_loss,
    transpose,
)
from swajax.types import Network

DAMPING_FALL, DAMPING_RISE = 0.5, 4.0
DAMPING_RANGE = (1e-12, 1e6)


class PolishState(NamedTuple):
    """All P weights of one network, the loss near the active ones, and the damping."""

    weights: Float[Array, "*B P"]
    quadratic: Quadratic
    damping: Float[Array, "*B"]


def polish(
    network: Network,
    problem: Problem,
    *,
    fit: Fit,
    capacity: int,
    num_steps: int | Int[Array, ""],
) -> tuple[Network, Float[Array, ""]]:
    """Run `num_steps` Levenberg-Marquardt steps on the non-zero weights of a network.

    A step s solves (C + d max(diag C) I) s = -g with the gradient g and the
    Gauss-Newton matrix C of `swajax.refine.quadratic.expand_loss` (Levenberg, 1944;
    Marquardt, 1963). It is accepted if the loss decreases; the damping d is then halved
    and otherwise multiplied by 4. The loss therefore never increases.

    Args:
      network: one network with a hard mask (0 or 1), in any floating-point type.
      problem: rows to fit, in the floating-point type of the network; the weights of
        the rows should sum to 1.
      fit: the settings of the fit.
      capacity: K, at least the number of non-zero weights of the network (static). Time
        per step grows with its square. If it is too small, the surplus weights stay
        fixed; under `jit` or `vmap` this raises no error.
      num_steps: number of steps; each step is one evaluation.

    Returns:
      The fitted network, with the weights of absent neurons zeroed, and its loss
      INCLUDING the weight decay of `fit`; `swajax.refine.quadratic.evaluate` computes
      the loss without it.

    Raises:
      ValueError: the shapes of network, problem and fit do not match, or a network that
        is not traced has more weights than the capacity.

    >>> x = jnp.linspace(-1, 1, 9)[:, None]
    >>> problem = Problem(x, 2 * x + 1, jnp.full(9, 1 / 9))
    >>> from swajax.network import make_dense
    >>> from swajax.types import NetworkSpec
    >>> spec = NetworkSpec(1, 1, max_width=1, max_depth=1, activations=("linear",))
    >>> fit = Fit(activations=spec.activations)
    >>> fn = jax.jit(polish, static_argnames=("fit", "capacity"))
    >>> fitted, loss = fn(make_dense(spec), problem, fit=fit, capacity=4, num_steps=20)
    >>> bool(loss < 1e-6), round(float(fitted.first[0, 0] * fitted.readout[0, 0]), 2)
    (True, 2.0)
    """
    network = check_and_mask(network, problem, fit.activations, capacity)
    indices, is_active = active_indices(network, capacity)
    columns = transpose(problem)

    def expand(weights: Float[Array, " P"]) -> Quadratic:
        changed = unpack(weights, network)
        return expand_loss(changed, indices, is_active, columns, fit=fit)

    def step(_: Array, state: PolishState) -> PolishState:
        change = solve(state.quadratic, is_active, state.damping)
        weights = state.weights.at[indices].add(change)
        quadratic = expand(weights)
        is_better = quadratic.loss < state.quadratic.loss  # never for NaN
        damping = state.damping * jnp.where(is_better, DAMPING_FALL, DAMPING_RISE)
        weights, quadratic = jax.tree.map(
            lambda new, old: jnp.where(is_better, new, old),
            (weights, quadratic),
            (state.weights, state.quadratic),
        )
        return PolishState(weights, quadratic, jnp.clip(damping, *DAMPING_RANGE))

    weights = pack(network)
    damping = jnp.asarray(fit.first_damping, weights.dtype)
    state = PolishState(weights, expand(weights), damping)
    state = jax.lax.fori_loop(0, num_steps, step, state)
    return unpack(state.weights, network), state.quadratic.loss


def solve(
    quadratic: Quadratic, is_active: Bool[Array, " K"], damping: Float[Array, ""]
) -> Float[Array, " K"]:
    """Return the damped step -(C + d max(diag C) I)^-1 g, zero where not active."""
    diagonal = jnp.diagonal(quadratic.curvature)
    extra = damping * diagonal.max() + 1e-14
    damped = quadratic.curvature + jnp.diag(jnp.where(is_active, extra, 1.0))
    return -linalg.solve(damped, quadratic.gradient) * is_active
