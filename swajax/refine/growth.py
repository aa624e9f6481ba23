"""Growth and perturbation: networks with one more weight, and random variants.

The gradient and the diagonal of the Gauss-Newton matrix predict how much an absent
weight would lower the loss. Polishing a random variant leads to another optimum.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from swajax.data.problem import Problem
from swajax.network import pack, unpack
from swajax.network.packing import endpoints
from swajax.refine.checks import check_and_mask
from swajax.refine.quadratic import RIDGES, Fit, linearize, transpose
from swajax.types import Key, Network

# Standard deviations of the relative noise on the weights of a variant: small if it
# accompanies another change, large if it is the only change.
SMALL_NOISE, LARGE_NOISE = 0.1, 0.5


def grow(
    network: Network,
    problem: Problem,
    *,
    fit: Fit,
    is_barred: Bool[Array, " P"] | bool = False,
) -> Network:
    """Add the absent weight with the largest Newton gain, g^2 / c, at -g / c.

    g is the derivative of the loss with respect to the weight and c its diagonal entry
    of the Gauss-Newton matrix, plus a small ridge. Only present neurons are connected.

    Args:
      network: one network with a hard mask (0 or 1).
      problem: rows to fit; the weights of the rows should sum to 1.
      fit: the settings of the fit.
      is_barred: mask over `pack(network)` of weights that must not be added.

    Returns:
      The network with one more weight, or unchanged if none can be added.

    Raises:
      ValueError: the shapes of network, problem and fit do not match.

    >>> x = jnp.linspace(-1, 1, 9)[:, None]
    >>> problem = Problem(x, x + 3, jnp.full(9, 1 / 9))
    >>> from swajax.network import make_dense
    >>> from swajax.types import NetworkSpec
    >>> spec = NetworkSpec(1, 1, max_width=1, max_depth=1, activations=("linear",))
    >>> network = make_dense(spec)._replace(readout_bias=jnp.zeros(1))  # x + 1
    >>> fn = jax.jit(grow, static_argnames="fit")
    >>> larger = fn(network, problem, fit=Fit(activations=("linear",)))
    >>> round(float(larger.readout_bias[0]), 3)
    2.0
    """
    network = check_and_mask(network, problem, fit.activations)
    local = linearize(network, transpose(problem), fit=fit)
    # Sums over rows of products, for all pairs of nodes at once.
    curvatures = jnp.square(local.values) @ jnp.square(local.to_targets).sum(1).T
    source, target = endpoints(network)
    first_target = 1 + network.first.shape[0]
    gradient = local.gradients[source, target - first_target]
    curvature = curvatures[source, target - first_target]
    vector = pack(network)
    is_free = (vector == 0) & ~jnp.asarray(is_barred)
    is_free &= _is_present(network, source) & _is_present(network, target)
    gain = jnp.square(gradient) / (curvature + RIDGES[0] * curvature.max() + 1e-14)
    best = jnp.argmax(jnp.where(is_free, gain, -1.0))
    step = -gradient[best] / (curvature[best] + RIDGES[0] * curvature.max() + 1e-14)
    return unpack(vector.at[best].add(jnp.where(is_free[best], step, 0.0)), network)


def perturb(key: Key, network: Network, problem: Problem, *, fit: Fit) -> Network:
    """Draw a random variant of a network, to be polished to another optimum.

    All weights get noise, and one of three changes has equal probability: a neuron gets
    another activation (if there is more than one kind); one weight is replaced by the
    one that `grow` then adds (if any); or the noise is larger, without other changes.

    Args:
      key: consumed.
      network: one network with a hard mask and at least one weight, at an optimum.
      problem: rows to fit; the weights of the rows should sum to 1.
      fit: the settings of the fit.

    Raises:
      ValueError: the shapes of network, problem and fit do not match.
    """
    network = check_and_mask(network, problem, fit.activations)
    kind_key, change_key, noise_key = jax.random.split(key, 3)
    has_one_activation = network.activation.shape[-1] == 1
    kind = jax.random.randint(kind_key, (), int(has_one_activation), 3)
    changes = (
        lambda: _change_activation(change_key, network),
        lambda: _rewire(change_key, network, problem, fit=fit),
        lambda: network,
    )
    variant = jax.lax.switch(kind, changes)
    vector = pack(variant)
    noise = jax.random.normal(noise_key, vector.shape, vector.dtype)
    scale = jnp.asarray((SMALL_NOISE, SMALL_NOISE, LARGE_NOISE), vector.dtype)[kind]
    return unpack(vector * (1 + scale * noise), variant)


def _change_activation(key: Key, network: Network) -> Network:
    """Give one present neuron another activation."""
    neuron_key, kind_key = jax.random.split(key)
    is_chosen = _draw_one(neuron_key, network.mask > 0)
    num = network.activation.shape[-1]
    shift = jax.random.randint(kind_key, (), 1, num)
    other = jnp.roll(network.activation, shift, axis=-1)
    return network._replace(
        activation=jnp.where(is_chosen[..., None], other, network.activation)
    )


def _rewire(key: Key, network: Network, problem: Problem, *, fit: Fit) -> Network:
    """Replace one weight by the best absent one."""
    vector = pack(network)
    is_removed = _draw_one(key, vector != 0)
    smaller = unpack(jnp.where(is_removed, 0.0, vector), network)
    return grow(smaller, problem, fit=fit, is_barred=is_removed)


def _draw_one(key: Key, is_candidate: Bool[Array, "..."]) -> Bool[Array, "..."]:
    """Return a mask of one candidate, drawn uniformly."""
    scores = jnp.where(is_candidate, jax.random.uniform(key, is_candidate.shape), -1.0)
    return is_candidate & (scores == scores.max())


def _is_present(network: Network, node: Int[Array, " P"]) -> Bool[Array, " P"]:
    """Return whether nodes are present; all except masked neurons are."""
    num_inputs, num_outputs = network.first.shape[0], network.readout.shape[1]
    neurons = (network.mask > 0).ravel()
    ones = jnp.ones(1 + num_inputs, bool), jnp.ones(num_outputs, bool)
    return jnp.concatenate([ones[0], neurons, ones[1]])[node]
