"""TODO swajax/refine/quadratic.py."""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax.data.problem import Problem
from swajax.network import pack
from swajax.network.activations import RECORDS, tanh_coefficients
from swajax.network.packing import endpoints
from swajax.objectives import Objective, local_form, losses
from swajax.types import Network

MAX_WRITTEN_OUT = 12  # sums over more neurons than this are left to matrix products


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


# Added to the curvature, relative to its largest entry. Where the form is flat it asks
# for corrections too large for it to be true, so the best of these is taken by trial.
RIDGES = (1e-6, 1e-4, 1e-2)


def find_places(
    network: Network, num_places: int
) -> tuple[Int[Array, " K"], Bool[Array, " K"]]:
    """Indices of the non-zero weights in `pack(network)`, and which of them are real.

    What is left over of K points at weights that are zero.
    """
    is_absent = pack(network) == 0
    places = jnp.argsort(is_absent, stable=True)[:num_places]
    return places, ~is_absent[places]


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
    form = local_form(out, problem.y.T, objective=fit.objective)
    root = jnp.sqrt(problem.weight)
    to_nodes = sensitivities(network, slopes, form.factor * root[None, None])
    source, target = endpoints(network)
    first_target = 1 + problem.x.shape[1]
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
    each = losses(out, problem.y.T, objective=fit.objective)
    return (problem.weight * each).sum(), each


def trace(
    network: Network, x: Float[Array, "N I"], *, activations: tuple[str, ...]
) -> tuple[Float[Array, "V N"], Float[Array, "L H N"], Float[Array, "O N"]]:
    """Values of constant, inputs and neurons, slopes of the neurons, and outputs.

    As `swajax.network.apply`, but for masks, which are taken for granted (absent
    neurons have no weights), and for neurons of one activation each. All activations
    with a tanh form cost one tanh per neuron; the others are evaluated one by one.
    """
    table = jnp.asarray(tanh_coefficients(activations), x.dtype)
    others = [i for i, n in enumerate(activations) if RECORDS[n].tanh_form is None]
    coefficients = jnp.moveaxis(network.activation @ table, -1, 0)[..., None]
    hidden = x.T
    values, slopes = [jnp.ones_like(hidden[:1]), hidden], []
    last = jnp.zeros((network.mask.shape[1], len(x)), x.dtype)
    for layer in range(network.mask.shape[0]):
        weights = network.first if layer == 0 else network.hidden[layer - 1]
        pre = _product(weights, hidden) + network.bias[layer][:, None]
        size, scale, offset, right, left = coefficients[:, layer]
        bent, line = jnp.tanh(scale * pre), jnp.where(pre >= 0, right, left)
        hidden = size * bent + offset + line * pre
        slope = size * scale * (1 - bent * bent) + line
        for index in others:
            record = RECORDS[activations[index]]
            is_own = network.activation[layer, :, index, None] > 0.5
            out = record.fn(pre)
            slope = jnp.where(is_own, record.slope_fn(pre, out), slope)
            hidden = jnp.where(is_own, out, hidden)
        slopes.append(slope)
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
    """Sums over K, written out where that is faster (see `swajax.network.batched`)."""
    if weights.shape[0] > MAX_WRITTEN_OUT:
        return jnp.tensordot(weights, values, axes=(0, 0))
    pairs = zip(weights[..., None], values[:, None], strict=True)
    return sum(row * value for row, value in pairs)
