"""Networks with a weight less, a weight more or a variation (optimal brain surgeon).

Near the optimum the loss is a quadratic form of the weights. It tells what each weight
costs to remove when all others are corrected in closed form (Hassibi and Stork, 1993),
the same for all weights of a neuron at once, and what a weight that is absent would
gain. Where that leads nowhere, a variation may. All functions take ONE network;
`jax.vmap` makes a batch.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from swajax.data.problem import Problem
from swajax.network import pack, simplify, unpack
from swajax.network.packing import endpoints
from swajax.refine.linalg import invert
from swajax.refine.quadratic import RIDGES, Fit, evaluate, expand_loss, find_places
from swajax.types import Network

MAX_GROUP = 8  # weights of a neuron that may be removed together


def remove(network: Network, problem: Problem, *, fit: Fit, num_places: int) -> Network:
    """The network without the weight, or the neuron, that is cheapest a weight.

    What remains is corrected in closed form, and what then no longer connects an input
    to an output is removed as well.

    Args:
      network: polished, with at least one weight.
      problem: what it fits.
      fit: how.
      num_places: room for at least as many weights as it has.
    """
    places, is_open = find_places(network, num_places)
    curvature = expand_loss(network, places, is_open, problem, fit=fit).curvature
    weights = jnp.where(is_open, pack(network)[places], 0.0)
    members = _neurons(network, places, is_open)

    def propose(ridge: Float[Array, ""]) -> tuple[Float[Array, ""], Network]:
        size = ridge * jnp.diagonal(curvature).max() + 1e-14
        inverse = invert(curvature + jnp.diag(jnp.where(is_open, size, 1.0)))
        kept = _remove_cheapest(inverse, weights, is_open, *members)
        vector = jnp.zeros_like(pack(network)).at[places].add(kept)
        left = unpack(vector, network)
        loss, _ = evaluate(left, problem, fit=fit)
        return jnp.where(jnp.isfinite(loss), loss, jnp.inf), left

    ridges = jnp.asarray(RIDGES, weights.dtype)
    loss, proposals = jax.vmap(propose)(ridges)
    left = jax.tree.map(lambda leaf: leaf[jnp.argmin(loss)], proposals)
    return simplify(left, activations=fit.activations)


def _neurons(
    network: Network, places: Int[Array, " K"], is_open: Bool[Array, " K"]
) -> tuple[Int[Array, "T G"], Bool[Array, "T G"]]:
    """Indices into the places of the weights into and out of each hidden neuron.

    Neurons with more than `MAX_GROUP` weights have none here: they are dear.
    """
    source, target = (nodes[places] for nodes in endpoints(network))
    nodes = 1 + network.first.shape[0] + jnp.arange(network.mask.size)[:, None]
    touches = is_open[None] & ((source[None] == nodes) | (target[None] == nodes))
    touches &= touches.sum(axis=1, keepdims=True) <= MAX_GROUP
    members = jnp.argsort(~touches, axis=1, stable=True)[:, :MAX_GROUP]
    return members, jnp.take_along_axis(touches, members, axis=1)


def _remove_cheapest(
    inverse: Float[Array, "K K"],
    weights: Float[Array, " K"],
    is_open: Bool[Array, " K"],
    members: Int[Array, "T G"],
    is_member: Bool[Array, "T G"],
) -> Float[Array, " K"]:
    """Corrected weights, with zeros for the weight or the neuron that is gone."""
    single = jnp.square(weights) / jnp.diagonal(inverse)
    single = jnp.where(is_open, single, jnp.inf)
    group, corrections = jax.vmap(_remove_group, in_axes=(None, None, 0, 0))(
        inverse, weights, members, is_member
    )
    cheapest, neuron = jnp.argmin(single), jnp.argmin(group)
    correction = -inverse[cheapest] * weights[cheapest] / inverse[cheapest, cheapest]
    gone = jnp.zeros_like(is_open).at[members[neuron]].max(is_member[neuron])
    is_single = single[cheapest] <= group[neuron]
    change = jnp.where(is_single, correction, corrections[neuron])
    gone = jnp.where(is_single, jnp.arange(len(weights)) == cheapest, gone)
    return jnp.where(is_open & ~gone, weights + change, 0.0)


def _remove_group(
    inverse: Float[Array, "K K"],
    weights: Float[Array, " K"],
    members: Int[Array, " G"],
    is_member: Bool[Array, " G"],
) -> tuple[Float[Array, ""], Float[Array, " K"]]:
    """Cost a weight of removing some weights together, and the change of all."""
    pairs = is_member[:, None] & is_member[None]
    eye = jnp.eye(len(members), dtype=inverse.dtype)
    block = jnp.where(pairs, inverse[members][:, members], eye)
    values = jnp.where(is_member, weights[members], 0.0)
    forces = invert(block) @ values
    cost = values @ forces / jnp.maximum(is_member.sum(), 1)
    change = -inverse[:, members] @ (forces * is_member)
    return jnp.where(is_member.any(), cost, jnp.inf), change
