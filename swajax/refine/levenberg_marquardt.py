"""Levenberg-Marquardt on the weights that a network has.

Tiny networks have few weights, so the exact Gauss-Newton matrix costs little more than
a gradient, and a step by it is worth hundreds of gradient steps. Only weights that are
not zero are fitted: the structure stays. All functions take ONE network; `jax.vmap`
makes a batch, of any structures.

The matrix squares the condition of the problem, so float32 converges more slowly near
the end; for the last digits give networks and problem in float64 (`jax.enable_x64`), at
twice the time a step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax.data.problem import Problem
from swajax.network import pack, unpack
from swajax.refine import linalg
from swajax.refine.quadratic import Fit, Quadratic, expand_loss, find_places
from swajax.types import Network

DAMPING_FALL, DAMPING_RISE = 0.5, 4.0
DAMPING_RANGE = (1e-12, 1e6)


class PolishState(NamedTuple):
    """Weights of one network, all P of them, and the loss near them."""

    weights: Float[Array, "*B P"]
    quadratic: Quadratic
    damping: Float[Array, "*B"]


def polish(
    network: Network,
    problem: Problem,
    *,
    fit: Fit,
    num_places: int,
    num_steps: int | Int[Array, ""],
) -> tuple[Network, Float[Array, ""]]:
    """The network after so many steps, and its loss, which never rises.

    Each step minimises the quadratic form plus damping times the largest curvature
    times |d|^2/2; it is taken if the loss falls, and the damping changes accordingly.

    Args:
      network: its non-zero weights are fitted.
      problem: what to fit, in the floating-point type of the network.
      fit: how.
      num_places: K, room for at least as many weights as the network has.
      num_steps: steps, each one evaluation.
    """
    places, is_open = find_places(network, num_places)

    def expand(weights: Float[Array, " P"]) -> Quadratic:
        changed = unpack(weights, network)
        return expand_loss(changed, places, is_open, problem, fit=fit)

    def step(_: Array, state: PolishState) -> PolishState:
        change = solve(state.quadratic, is_open, state.damping)
        weights = state.weights.at[places].add(change)
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
    quadratic: Quadratic, is_open: Bool[Array, " K"], damping: Float[Array, ""]
) -> Float[Array, " K"]:
    """The damped Newton step; places that are not open stay."""
    diagonal = jnp.diagonal(quadratic.curvature)
    extra = damping * diagonal.max() + 1e-14
    damped = quadratic.curvature + jnp.diag(jnp.where(is_open, extra, 1.0))
    return -linalg.solve(damped, quadratic.gradient) * is_open
