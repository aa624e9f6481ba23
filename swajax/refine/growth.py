"""TODO swajax/refine/growth.py."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from swajax.data.problem import Problem
from swajax.network import pack, unpack
from swajax.network.packing import endpoints
from swajax.objectives import local_form
from swajax.refine.quadratic import RIDGES, Fit, sensitivities, trace, weight_gradients
from swajax.types import Key, Network

# Relative noise on the weights of a variant, small beside another change.
SMALL_NOISE, LARGE_NOISE = 0.1, 0.5


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
    form = local_form(out, problem.y.T, objective=fit.objective)
    root = jnp.sqrt(problem.weight)
    to_nodes = sensitivities(network, slopes, form.factor * root[None, None])
    # Sums over points of products, for all pairs of nodes at once.
    gradients = weight_gradients(values, to_nodes, form.residual * root[None])
    curvatures = jnp.square(values) @ jnp.square(to_nodes).sum(1).T
    source, target = endpoints(network)
    first_target = 1 + problem.x.shape[1]
    gradient = gradients[source, target - first_target]
    curvature = curvatures[source, target - first_target]
    vector = pack(network)
    is_free = (vector == 0) & ~jnp.asarray(is_barred)
    is_free &= _is_present(network, source) & _is_present(network, target)
    gain = jnp.square(gradient) / (curvature + RIDGES[0] * curvature.max() + 1e-14)
    best = jnp.argmax(jnp.where(is_free, gain, -1.0))
    step = -gradient[best] / (curvature[best] + RIDGES[0] * curvature.max() + 1e-14)
    return unpack(vector.at[best].add(jnp.where(is_free[best], step, 0.0)), network)


def perturb(key: Key, network: Network, problem: Problem, *, fit: Fit) -> Network:
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
