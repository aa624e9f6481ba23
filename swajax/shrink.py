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

from swajax.linalg import invert
from swajax.network import pack, simplify, unpack
from swajax.objectives import local_form
from swajax.polish import (
    Fit,
    Problem,
    evaluate,
    expand_loss,
    find_places,
    sensitivities,
    trace,
    weight_gradients,
)
from swajax.types import Key, Network
from swajax.wiring import endpoints

# Added to the curvature, relative to its largest entry. Where the form is flat it asks
# for corrections too large for it to be true, so the best of these is taken by trial.
RIDGES = (1e-6, 1e-4, 1e-2)
MAX_GROUP = 8  # weights of a neuron that may be removed together
# Relative noise on the weights of a variant, small beside another change.
SMALL_NOISE, LARGE_NOISE = 0.1, 0.5


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


def grow(
    network: Network,
    problem: Problem,
    *,
    fit: Fit,
    is_barred: Bool[Array, " P"] | bool = False,
) -> Network:
    """The network with the absent weight that gains most, by its Newton step.

    Only neurons that are there are connected.

    Args:
      network: what gains a weight.
      problem: what it fits.
      fit: how.
      is_barred: weights that it does not gain.
    """
    values, slopes, out = trace(network, problem.x, activations=fit.activations)
    form = local_form(out, problem.y, objective=fit.objective)
    root = jnp.sqrt(problem.weight)
    to_nodes = sensitivities(network, slopes, form.factor * root[None, None])
    # Sums over points of products, for all pairs of nodes at once.
    gradients = weight_gradients(values, to_nodes, form.residual * root[None])
    curvatures = jnp.square(values) @ jnp.square(to_nodes).sum(1).T
    source, target = endpoints(network)
    first_target = 1 + problem.x.shape[0]
    gradient = gradients[source, target - first_target]
    curvature = curvatures[source, target - first_target]
    vector = pack(network)
    is_free = (vector == 0) & ~jnp.asarray(is_barred)
    is_free &= _is_present(network, source) & _is_present(network, target)
    gain = jnp.square(gradient) / (curvature + RIDGES[0] * curvature.max() + 1e-14)
    best = jnp.argmax(jnp.where(is_free, gain, -1.0))
    step = -gradient[best] / (curvature[best] + RIDGES[0] * curvature.max() + 1e-14)
    return unpack(vector.at[best].add(jnp.where(is_free[best], step, 0.0)), network)


def vary(key: Key, network: Network, problem: Problem, *, fit: Fit) -> Network:
    """A network like it, to be polished: from here another optimum may be found.

    One of three, all equally likely: a neuron has another activation, if there is any;
    a weight gives way to the one that then gains most, if there is room; or only the
    values change, and these more.

    Args:
      key: consumed.
      network: polished, with at least one weight.
      problem: what it fits.
      fit: how.
    """
    kind_key, place_key, noise_key = jax.random.split(key, 3)
    has_one_activation = network.activation.shape[-1] == 1
    kind = jax.random.randint(kind_key, (), int(has_one_activation), 3)
    ways = (
        lambda: _change_activation(place_key, network),
        lambda: _rewire(place_key, network, problem, fit=fit),
        lambda: network,
    )
    varied = jax.lax.switch(kind, ways)
    vector = pack(varied)
    noise = jax.random.normal(noise_key, vector.shape, vector.dtype)
    scale = jnp.asarray((SMALL_NOISE, SMALL_NOISE, LARGE_NOISE), vector.dtype)[kind]
    return unpack(vector * (1 + scale * noise), varied)


def _change_activation(key: Key, network: Network) -> Network:
    """The network with another activation at one of its neurons."""
    place_key, kind_key = jax.random.split(key)
    used = jnp.arange(network.mask.shape[0]) < network.depth
    is_chosen = _draw_one(place_key, (network.mask > 0) & used[:, None])
    num = network.activation.shape[-1]
    shift = jax.random.randint(kind_key, (), 1, num)
    other = jnp.roll(network.activation, shift, axis=-1)
    return network._replace(
        activation=jnp.where(is_chosen[..., None], other, network.activation)
    )


def _rewire(key: Key, network: Network, problem: Problem, *, fit: Fit) -> Network:
    """The network with another weight in the place of one of its own."""
    vector = pack(network)
    is_gone = _draw_one(key, vector != 0)
    left = unpack(jnp.where(is_gone, 0.0, vector), network)
    return grow(left, problem, fit=fit, is_barred=is_gone)


def _draw_one(key: Key, is_there: Bool[Array, "..."]) -> Bool[Array, "..."]:
    """One of those that are there, all at even odds."""
    scores = jnp.where(is_there, jax.random.uniform(key, is_there.shape), -1.0)
    return is_there & (scores == scores.max())


def _is_present(network: Network, node: Int[Array, " P"]) -> Bool[Array, " P"]:
    """Whether constant, inputs, neurons and outputs are part of the network."""
    num_inputs, num_outputs = network.first.shape[0], network.readout.shape[1]
    used = jnp.arange(network.mask.shape[0]) < network.depth
    neurons = ((network.mask > 0) & used[:, None]).ravel()
    ones = jnp.ones(1 + num_inputs, bool), jnp.ones(num_outputs, bool)
    return jnp.concatenate([ones[0], neurons, ones[1]])[node]


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
