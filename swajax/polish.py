"""Levenberg-Marquardt on the weights that a network has.

Tiny networks have few weights, so the exact Gauss-Newton matrix costs little more than
a gradient, and a step by it is worth hundreds of gradient steps. Only weights that are
not zero are fitted: the structure stays. All functions take ONE network; `jax.vmap`
makes a batch, of any structures.

The matrix squares the condition of the problem, so float32 converges more slowly near
the end; for the last digits give networks and problem in float64 (`jax.enable_x64`), at
twice the time a step.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax import linalg
from swajax.network import LEAKY_SLOPE, pack, unpack
from swajax.objectives import Objective, local_form, losses
from swajax.types import Network
from swajax.wiring import endpoints

# Each kind is a tanh(b x) + c + (d x where x >= 0 else e x): any mix of kinds costs one
# tanh a neuron. Columns a to e.
KINDS = {
    "sigmoid": (0.5, 0.5, 0.5, 0.0, 0.0),
    "tanh": (1.0, 1.0, 0.0, 0.0, 0.0),
    "leaky_relu": (0.0, 0.0, 0.0, 1.0, LEAKY_SLOPE),
    "linear": (0.0, 0.0, 0.0, 1.0, 1.0),
}
MAX_WRITTEN_OUT = 12  # sums over more neurons than this are left to matrix products
DAMPING_FALL, DAMPING_RISE = 0.5, 4.0
DAMPING_RANGE = (1e-12, 1e6)


class Problem(NamedTuple):
    """Points to fit, on the last axis."""

    x: Float[Array, "*B I N"]
    y: Float[Array, "*B O N"]
    weight: Float[Array, "*B N"]  # sum 1


@dataclasses.dataclass(frozen=True)
class Fit:
    """How networks are fitted (static)."""

    objective: Objective = "squared"
    """loss of a point"""
    activations: tuple[str, ...] = ("sigmoid",)
    """names of the activation kinds"""
    weight_decay: float = 1e-9
    """half of this times the sum of the squared weights is added to the loss"""
    first_damping: float = 1e-2
    """damping of the first step, relative to the largest curvature"""


class Quadratic(NamedTuple):
    """The loss near K weights, in their order: loss + gradient.d + d.curvature.d/2."""

    loss: Float[Array, "*B"]
    gradient: Float[Array, "*B K"]
    curvature: Float[Array, "*B K K"]


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


def find_places(
    network: Network, num_places: int
) -> tuple[Int[Array, " K"], Bool[Array, " K"]]:
    """Indices of the non-zero weights in `pack(network)`, and which of them are real.

    What is left over of K points at weights that are zero.
    """
    is_absent = pack(network) == 0
    places = jnp.argsort(is_absent, stable=True)[:num_places]
    return places, ~is_absent[places]


def solve(
    quadratic: Quadratic, is_open: Bool[Array, " K"], damping: Float[Array, ""]
) -> Float[Array, " K"]:
    """The damped Newton step; places that are not open stay."""
    diagonal = jnp.diagonal(quadratic.curvature)
    extra = damping * diagonal.max() + 1e-14
    damped = quadratic.curvature + jnp.diag(jnp.where(is_open, extra, 1.0))
    return -linalg.solve(damped, quadratic.gradient) * is_open


def expand_loss(
    network: Network,
    places: Int[Array, " K"],
    is_open: Bool[Array, " K"],
    problem: Problem,
    *,
    fit: Fit,
) -> Quadratic:
    """Loss, gradient and Gauss-Newton matrix by the weights at some places.

    The derivative of an output by a weight is the value of the node where the weight
    starts times the derivative by the node where it ends, so that one pass forward and
    one backward give all of them.
    """
    values, slopes, out = trace(network, problem.x, activations=fit.activations)
    form = local_form(out, problem.y, objective=fit.objective)
    root = jnp.sqrt(problem.weight)
    to_nodes = sensitivities(network, slopes, form.factor * root[None, None])
    source, target = endpoints(network)
    first_target = 1 + problem.x.shape[0]
    jacobian = values[source[places]][:, None] * to_nodes[target[places] - first_target]
    jacobian = jacobian.reshape(len(places), -1) * is_open[:, None]
    gradients = weight_gradients(values, to_nodes, form.residual * root[None])
    gradient = gradients[source[places], target[places] - first_target] * is_open
    weights = pack(network)[places] * is_open
    decay = fit.weight_decay
    return Quadratic(
        (problem.weight * form.loss).sum() + decay / 2 * jnp.square(weights).sum(),
        gradient + decay * weights,
        jacobian @ jacobian.T + decay * jnp.diag(is_open.astype(weights.dtype)),
    )


def evaluate(
    network: Network, problem: Problem, *, fit: Fit
) -> tuple[Float[Array, ""], Float[Array, " N"]]:
    """Weighted mean of the losses, without weight decay, and the losses."""
    _, _, out = trace(network, problem.x, activations=fit.activations)
    each = losses(out, problem.y, objective=fit.objective)
    return (problem.weight * each).sum(), each


def trace(
    network: Network, x: Float[Array, "I N"], *, activations: tuple[str, ...]
) -> tuple[Float[Array, "V N"], Float[Array, "L H N"], Float[Array, "O N"]]:
    """Values of constant, inputs and neurons, slopes of the neurons, and outputs.

    As `swajax.network.apply`, but for masks, which are taken for granted (absent
    neurons have no weights), and for neurons of one kind each.
    """
    table = jnp.asarray([KINDS[name] for name in activations], x.dtype)
    coefficients = jnp.moveaxis(network.activation @ table, -1, 0)[..., None]
    hidden, values, slopes = x, [jnp.ones_like(x[:1]), x], []
    last = jnp.zeros((network.mask.shape[1], x.shape[1]), x.dtype)
    for layer in range(network.mask.shape[0]):
        weights = network.first if layer == 0 else network.hidden[layer - 1]
        pre = _product(weights, hidden) + network.bias[layer][:, None]
        size, scale, offset, right, left = coefficients[:, layer]
        bent, line = jnp.tanh(scale * pre), jnp.where(pre >= 0, right, left)
        hidden = size * bent + offset + line * pre
        slopes.append(size * scale * (1 - bent * bent) + line)
        values.append(hidden)
        last = jnp.where(layer == network.depth - 1, hidden, last)
    out = _product(network.readout, last) + network.readout_bias[:, None]
    return jnp.concatenate(values), jnp.stack(slopes), out


def sensitivities(
    network: Network,
    slopes: Float[Array, "L H N"],
    at_outputs: Float[Array, "O M N"],
) -> Float[Array, "T M N"]:
    """Derivatives by the sums of neurons and outputs, of M functions of the outputs.

    Args:
      network: the network.
      slopes: of `trace`.
      at_outputs: derivatives of the functions by the outputs.
    """
    # Matrix products: sums written out would be computed anew for each weight below.
    rows, above = [at_outputs], None
    from_readout = jnp.tensordot(network.readout, at_outputs, axes=1)
    for layer in reversed(range(network.mask.shape[0])):
        row = jnp.where(layer == network.depth - 1, from_readout, 0.0)
        if above is not None:
            row = row + jnp.tensordot(network.hidden[layer], above, axes=1)
        above = row * slopes[layer][:, None]
        rows.append(above)
    return jnp.concatenate(rows[::-1])


def weight_gradients(
    values: Float[Array, "V N"],
    to_nodes: Float[Array, "T M N"],
    residual: Float[Array, "M N"],
) -> Float[Array, "V T"]:
    """Derivatives of the loss by the weights between all pairs of nodes.

    A small matrix product; the product of the Jacobian and the residual, which it
    equals, takes as long as all else but the Gauss-Newton matrix.
    """
    if len(residual) == 1:  # a product of its own is faster than a sum of one term
        at_nodes = jnp.einsum("tmn,mn->tn", to_nodes, residual)
    else:
        at_nodes = sum(to_nodes[:, m] * row[None] for m, row in enumerate(residual))
    return values @ at_nodes.T


def _product(
    weights: Float[Array, "K J"], values: Float[Array, "K N"]
) -> Float[Array, "J N"]:
    """Sums over K, written out where that is faster (see `swajax.batched`)."""
    if weights.shape[0] > MAX_WRITTEN_OUT:
        return jnp.tensordot(weights, values, axes=(0, 0))
    pairs = zip(weights[..., None], values[:, None], strict=True)
    return sum(row * value for row, value in pairs)
