"""The loss near a network as a quadratic form of its non-zero weights.

Problems have rows on the first axis and are transposed here, once per call: with the
rows on the last axis, XLA's CPU compiler turns every layer into long vector loops.
"""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax.data.problem import Problem
from swajax.network import pack
from swajax.network.activations import RECORDS, tanh_coefficients
from swajax.network.batched import MAX_WRITTEN_OUT
from swajax.network.packing import endpoints
from swajax.objectives import Objective, check_objective, local_form, losses
from swajax.refine.checks import check_and_mask
from swajax.types import Network, check_activations

# Ridges added to the curvature, relative to its largest diagonal entry. In flat
# directions the minimum of the quadratic form lies where it is inaccurate; the loss
# itself decides which ridge is best.
RIDGES = (1e-6, 1e-4, 1e-2)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["weight_decay"],
    meta_fields=["objective", "activations", "first_damping"],
)
@dataclasses.dataclass(frozen=True)
class Fit:
    """Settings of a fit; all but the weight decay are static under `jax.jit`."""

    objective: Objective = "squared"
    """loss per row: squared error, or cross-entropy (logistic, softmax)"""
    activations: tuple[str, ...] = ("sigmoid",)
    """names of the A activation kinds of the networks"""
    # Any: JAX also rebuilds a fit with what describes an array.
    weight_decay: Any = 1e-9
    """L2 penalty: half of this times the sum of squared weights is added to the loss"""
    first_damping: float = 1e-2
    """damping of the first polish step, relative to the largest curvature"""

    def __post_init__(self) -> None:
        """Check the objective and the activations."""
        check_objective(self.objective)
        check_activations(self.activations)


class Quadratic(NamedTuple):
    """A loss near K weights w: loss(w + d) ~ loss + g'd + d'Cd / 2."""

    loss: Float[Array, "*B"]
    gradient: Float[Array, "*B K"]  # g
    curvature: Float[Array, "*B K K"]  # C, the Gauss-Newton matrix


class Columns(NamedTuple):
    """The rows of a problem, transposed."""

    x: Float[Array, "I N"]
    y: Float[Array, "O N"]
    weight: Float[Array, " N"]


class Linearization(NamedTuple):
    """Node values and derivatives of a network on all rows.

    V source nodes (the constant, inputs, neurons), T target nodes (neurons, outputs), M
    directions of the local form of the loss (see `swajax.objectives.LocalForm`).
    """

    values: Float[Array, "V N"]
    to_targets: Float[Array, "T M N"]  # times the square roots of the row weights
    gradients: Float[Array, "V T"]  # of the loss, w.r.t. the weight of each node pair
    loss: Float[Array, ""]  # weighted mean, without weight decay


def transpose(problem: Problem) -> Columns:
    """Return the problem with its rows on the last axis."""
    x, y = (jnp.asarray(leaf).T for leaf in (problem.x, problem.y))
    return Columns(x, y, jnp.asarray(problem.weight))


def active_indices(
    network: Network, capacity: int
) -> tuple[Int[Array, " K"], Bool[Array, " K"]]:
    """Return the indices of the non-zero weights in `pack(network)`, padded to K.

    Args:
      network: one network.
      capacity: K, at least the number of non-zero weights; surplus weights are left
        out.

    Returns:
      K distinct indices in ascending order, first of the non-zero (active) weights,
      then of zero weights as padding; and a mask of the active ones.
    """
    is_absent = pack(network) == 0
    indices = jnp.argsort(is_absent, stable=True)[:capacity]
    return indices, ~is_absent[indices]


def expand_loss(
    network: Network,
    indices: Int[Array, " K"],
    is_active: Bool[Array, " K"],
    columns: Columns,
    *,
    fit: Fit,
) -> Quadratic:
    """Compute loss, gradient and Gauss-Newton matrix of the active weights.

    With row weights p, Jacobians J [O, K] of the outputs, factors F and residuals r of
    the local form (`swajax.objectives.local_form`) and weight decay c:

        g = sum_n p_n J_n' F_n r_n + c w
        C = sum_n p_n J_n' F_n F_n' J_n + c I

    The derivative of an output w.r.t. a weight is the value of the weight's source node
    times the derivative w.r.t. the pre-activation of its target node, so one forward
    and one backward pass give all of them.

    Args:
      network: weights of absent neurons must be zero (`swajax.network.mask_weights`).
      indices: K indices into `pack(network)`, from `active_indices`.
      is_active: mask of the indices; entries of the others are 0.
      columns: rows to fit, from `transpose`.
      fit: the settings of the fit.
    """
    local = linearize(network, columns, fit=fit)
    source, target = (nodes[indices] for nodes in endpoints(network))
    target = target - 1 - network.first.shape[0]
    jacobian = local.values[source][:, None] * local.to_targets[target]
    jacobian = jacobian.reshape(len(indices), -1) * is_active[:, None]
    gradient = local.gradients[source, target] * is_active
    weights = pack(network)[indices] * is_active
    decay = fit.weight_decay
    return Quadratic(
        local.loss + decay / 2 * jnp.square(weights).sum(),
        gradient + decay * weights,
        jacobian @ jacobian.T + decay * jnp.diag(is_active.astype(weights.dtype)),
    )


def linearize(network: Network, columns: Columns, *, fit: Fit) -> Linearization:
    """Compute the loss of a network and its derivatives for all pairs of nodes.

    Args:
      network: weights of absent neurons must be zero (`swajax.network.mask_weights`).
      columns: rows to fit, from `transpose`.
      fit: the settings of the fit.
    """
    x, y, weight = columns
    values, slopes, out = _trace(network, x, fit.activations)
    form = local_form(out, y, objective=fit.objective)
    root = jnp.sqrt(weight)
    to_targets = sensitivities(network, slopes, form.factor * root[None, None])
    gradients = weight_gradients(values, to_targets, form.residual * root[None])
    return Linearization(values, to_targets, gradients, (weight * form.loss).sum())


def evaluate(
    network: Network, problem: Problem, *, fit: Fit
) -> tuple[Float[Array, ""], Float[Array, " N"]]:
    """Return the weighted mean loss, without weight decay, and the loss per row.

    Args:
      network: one network with a hard mask (0 or 1).
      problem: rows to evaluate; the weights of the rows should sum to 1.
      fit: the settings of the fit.

    Raises:
      ValueError: the shapes of network, problem and fit do not match.
    """
    network = check_and_mask(network, problem, fit.activations)
    each = row_losses(network, transpose(problem), fit=fit)
    return (problem.weight * each).sum(), each


def row_losses(network: Network, columns: Columns, *, fit: Fit) -> Float[Array, " N"]:
    """Return the loss per row of a network; weights of absent neurons must be zero."""
    _, _, out = _trace(network, columns.x, fit.activations)
    return losses(out, columns.y, objective=fit.objective)


def trace(
    network: Network, x: Float[Array, "N I"], *, activations: tuple[str, ...]
) -> tuple[Float[Array, "V N"], Float[Array, "L H N"], Float[Array, "O N"]]:
    """Return node values, slopes of the neurons and outputs, rows on the last axis.

    The outputs are those of `swajax.network.apply` if the weights of absent neurons
    are zero (`swajax.network.mask_weights`: masks are not read here) and each neuron
    has one activation kind. All kinds with a tanh form together cost one tanh per
    neuron; the others are evaluated one by one.

    Args:
      network: one network.
      x: inputs.
      activations: names of the A activation kinds.

    Returns:
      The values of the constant 1, the I inputs and the L H neurons; the derivatives
      of the neurons w.r.t. their pre-activations; the outputs.
    """
    return _trace(network, x.T, activations)


def _trace(
    network: Network, x: Float[Array, "I N"], activations: tuple[str, ...]
) -> tuple[Float[Array, "V N"], Float[Array, "L H N"], Float[Array, "O N"]]:
    table = jnp.asarray(tanh_coefficients(activations), x.dtype)
    others = [i for i, n in enumerate(activations) if RECORDS[n].tanh_form is None]
    coefficients = jnp.moveaxis(network.activation @ table, -1, 0)[..., None]
    hidden = x
    values, slopes = [jnp.ones_like(hidden[:1]), hidden], []
    last = jnp.zeros((network.mask.shape[1], x.shape[1]), x.dtype)
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
    """Differentiate M functions of the outputs w.r.t. pre-activations and outputs.

    Args:
      network: one network.
      slopes: slopes of the neurons, from `trace`.
      at_outputs: derivatives of the functions w.r.t. the outputs.
    """
    # Matrix products: XLA would fuse unrolled sums into the Jacobian and recompute them
    # for each weight.
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
    to_targets: Float[Array, "T M N"],
    residual: Float[Array, "M N"],
) -> Float[Array, "V T"]:
    """Differentiate the loss w.r.t. the weight between each source and target node.

    The result equals the product of Jacobian and residual but needs one small matrix
    product; the direct product takes as long as the rest of the expansion without the
    Gauss-Newton matrix.
    """
    if len(residual) == 1:  # faster than a sum of one term
        at_nodes = jnp.einsum("tmn,mn->tn", to_targets, residual)
    else:
        at_nodes = sum(to_targets[:, m] * row[None] for m, row in enumerate(residual))
    return values @ at_nodes.T


def _product(
    weights: Float[Array, "K J"], values: Float[Array, "K N"]
) -> Float[Array, "J N"]:
    """Sum over K, unrolled where that is faster (see `swajax.network.batched`)."""
    if weights.shape[0] > MAX_WRITTEN_OUT:
        return jnp.tensordot(weights, values, axes=(0, 0))
    pairs = zip(weights[..., None], values[:, None], strict=True)
    return sum(row * value for row, value in pairs)
