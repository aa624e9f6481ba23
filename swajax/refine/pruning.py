"""Optimal brain surgeon: remove weights and correct the others in closed form.

Near the optimum the loss is a quadratic form of the weights with the Gauss-Newton
matrix C. Removing the weight w_q costs w_q^2 / (2 [C^-1]_qq) after the correction
-(w_q / [C^-1]_qq) C^-1 e_q of the other weights (Hassibi and Stork, 1993). All weights
of a neuron are removed together by the same formula in blocks.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax.data.problem import Problem
from swajax.network import pack, simplify, unpack
from swajax.network.packing import endpoints
from swajax.refine.checks import check_and_mask
from swajax.refine.linalg import invert
from swajax.refine.quadratic import (
    RIDGES,
    Fit,
    active_indices,
    expand_loss,
    row_losses,
    transpose,
)
from swajax.types import Network

MAX_GROUP = 8  # neurons with more weights than this are not removed as a whole


def remove(network: Network, problem: Problem, *, fit: Fit, capacity: int) -> Network:
    """Remove the weight, or the whole neuron, with the lowest cost per weight.

    The other weights are corrected in closed form. Each ridge on the Gauss-Newton
    matrix gives one proposal; the one with the lowest loss is returned, without dead
    parts (`swajax.network.simplify`).

    Args:
      network: one network with a hard mask and at least one weight, at an optimum
        (`swajax.refine.levenberg_marquardt.polish`).
      problem: rows that it is fitted to; the weights of the rows should sum to 1.
      fit: the settings of the fit.
      capacity: K, at least the number of non-zero weights of the network (static). If
        it is too small, the surplus weights are removed as well; under `jit` or `vmap`
        this raises no error.

    Returns:
      A network with at least one weight fewer.

    Raises:
      ValueError: the shapes of network, problem and fit do not match, or a network that
        is not traced has more weights than the capacity.

    >>> x = jnp.linspace(-1, 1, 9)[:, None] * jnp.array([[1.0, 0.0]])  # x1 is 0
    >>> problem = Problem(x, x[:, :1] + 2, jnp.full(9, 1 / 9))
    >>> from swajax.network import make_dense
    >>> from swajax.types import NetworkSpec
    >>> spec = NetworkSpec(2, 1, max_width=1, max_depth=1, activations=("linear",))
    >>> network = make_dense(spec)  # x0 + x1 + 2
    >>> fn = jax.jit(remove, static_argnames=("fit", "capacity"))
    >>> smaller = fn(network, problem, fit=Fit(activations=("linear",)), capacity=5)
    >>> [round(float(weight), 3) for weight in smaller.first[:, 0]]
    [1.0, 0.0]
    """
    network = check_and_mask(network, problem, fit.activations, capacity)
    indices, is_active = active_indices(network, capacity)
    columns = transpose(problem)
    curvature = expand_loss(network, indices, is_active, columns, fit=fit).curvature
    weights = jnp.where(is_active, pack(network)[indices], 0.0)
    members = _neurons(network, indices, is_active)

    def propose(ridge: Float[Array, ""]) -> tuple[Float[Array, ""], Network]:
        size = ridge * jnp.diagonal(curvature).max() + 1e-14
        inverse = invert(curvature + jnp.diag(jnp.where(is_active, size, 1.0)))
        kept = _remove_cheapest(inverse, weights, is_active, *members)
        vector = jnp.zeros_like(pack(network)).at[indices].add(kept)
        smaller = unpack(vector, network)
        loss = (columns.weight * row_losses(smaller, columns, fit=fit)).sum()
        return jnp.where(jnp.isfinite(loss), loss, jnp.inf), smaller

    ridges = jnp.asarray(RIDGES, weights.dtype)
    loss, proposals = jax.vmap(propose)(ridges)
    smaller = jax.tree.map(lambda leaf: leaf[jnp.argmin(loss)], proposals)
    return simplify(smaller, activations=fit.activations)


def _neurons(
    network: Network, indices: Int[Array, " K"], is_active: Bool[Array, " K"]
) -> tuple[Int[Array, "T G"], Bool[Array, "T G"]]:
    """Return the positions in `indices` of the weights of each hidden neuron, padded.

    Weights of a neuron are those into and out of it. Neurons with more than `MAX_GROUP`
    weights get none: their removal is expensive.
    """
    source, target = (nodes[indices] for nodes in endpoints(network))
    nodes = 1 + network.first.shape[0] + jnp.arange(network.mask.size)[:, None]
    touches = is_active[None] & ((source[None] == nodes) | (target[None] == nodes))
    touches &= touches.sum(axis=1, keepdims=True) <= MAX_GROUP
    members = jnp.argsort(~touches, axis=1, stable=True)[:, :MAX_GROUP]
    return members, jnp.take_along_axis(touches, members, axis=1)


def _remove_cheapest(
    inverse: Float[Array, "K K"],
    weights: Float[Array, " K"],
    is_active: Bool[Array, " K"],
    members: Int[Array, "T G"],
    is_member: Bool[Array, "T G"],
) -> Float[Array, " K"]:
    """Return the corrected weights, zero for the removed weight or neuron."""
    # Twice the cost per weight, both for single weights and for neurons.
    single = jnp.square(weights) / jnp.diagonal(inverse)
    single = jnp.where(is_active, single, jnp.inf)
    group, corrections = jax.vmap(_remove_group, in_axes=(None, None, 0, 0))(
        inverse, weights, members, is_member
    )
    cheapest, neuron = jnp.argmin(single), jnp.argmin(group)
    correction = -inverse[cheapest] * weights[cheapest] / inverse[cheapest, cheapest]
    is_removed = jnp.zeros_like(is_active).at[members[neuron]].max(is_member[neuron])
    is_single = single[cheapest] <= group[neuron]
    change = jnp.where(is_single, correction, corrections[neuron])
    is_removed = jnp.where(is_single, jnp.arange(len(weights)) == cheapest, is_removed)
    return jnp.where(is_active & ~is_removed, weights + change, 0.0)


def _remove_group(
    inverse: Float[Array, "K K"],
    weights: Float[Array, " K"],
    members: Int[Array, " G"],
    is_member: Bool[Array, " G"],
) -> tuple[Float[Array, ""], Float[Array, " K"]]:
    """Return twice the cost per weight of removing a group, and all weight changes.

    With the rows and columns G of the inverse, the cost is w_G' [C^-1]_GG^-1 w_G / 2
    and the change -C^-1[:, G] [C^-1]_GG^-1 w_G.
    """
    pairs = is_member[:, None] & is_member[None]
    eye = jnp.eye(len(members), dtype=inverse.dtype)
    block = jnp.where(pairs, inverse[members][:, members], eye)
    values = jnp.where(is_member, weights[members], 0.0)
    forces = invert(block) @ values
    cost = values @ forces / jnp.maximum(is_member.sum(), 1)
    change = -inverse[:, members] @ (forces * is_member)
    return jnp.where(is_member.any(), cost, jnp.inf), change
