"""What a candidate is worth: soft while it is trained, hard when it is judged."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.latent_search.config import DescentConfig, Point
from swajax.latent_search.spaces import Space
from swajax.network import apply, mask_weights, pack, unpack
from swajax.network.batched import apply_batch
from swajax.network.gates import hard_threshold, soft_threshold
from swajax.objectives import losses
from swajax.types import Network


def candidate_loss(
    point: Point,
    penalty_weight: Float[Array, ""],
    params: Any,
    x: Float[Array, "N I"],
    y: Float[Array, "N O"],
    *,
    space: Space,
    config: DescentConfig,
    depth: int,
) -> Float[Array, ""]:
    """Loss of ONE candidate: MSE of the soft-thresholded network plus penalty.

    The reference; `loss_fn` has the same numbers for many candidates together.
    """
    network = space.decode_fn(params, point.z, depth)
    soft = _soften(network, point.threshold, config)
    out = apply(soft, x, activations=space.spec.activations, depth=depth)
    cost = penalty(network, point.threshold, config=config)
    error = losses(out.T, y.T, objective=space.objective).mean()
    return error + penalty_weight * cost


def penalty(
    network: Network, threshold: Float[Array, ""], *, config: DescentConfig
) -> Float[Array, ""]:
    """Soft count of the weights above the threshold plus their size.

    The sum of 0.5 sigmoid(10 (|W| - t)) + 0.1 |W| over the weights and biases that are
    there: those of absent neurons cost nothing. The count has a gradient by the masks,
    of what a neuron's weights cost together; the paper's masks have none.
    """
    weights = pack(mask_weights(network))
    is_there = jax.lax.stop_gradient((weights != 0).astype(weights.dtype))
    gate = pack(mask_weights(unpack(is_there, network)))
    # At zero |W| has the slope 1 in JAX: an absent neuron must not feel it.
    size = is_there * jnp.abs(weights)
    above = jax.nn.sigmoid(config.count_sharpness * (size - threshold))
    return jnp.sum(config.count_cost * gate * above + config.size_cost * size)


def loss_fn(
    points: Point,
    penalty_weight: Float[Array, " B"],
    params: Any,
    x: Float[Array, "N I"],
    y: Float[Array, "N O"],
    *,
    space: Space,
    config: DescentConfig,
    depth: int,
) -> Float[Array, " B"]:
    """`candidate_loss` of B candidates with one decoder, evaluated together."""
    networks = jax.vmap(lambda z: space.decode_fn(params, z, depth))(points.z)
    soften = functools.partial(_soften, config=config)
    soft = jax.vmap(soften)(networks, points.threshold)
    costs = jax.vmap(functools.partial(penalty, config=config))
    mse = _batch_error(soft, x, y, space=space, depth=depth)
    return mse + penalty_weight * costs(networks, points.threshold)


def hard_objective(
    networks: Network,
    penalty_weight: Float[Array, " B"],
    x: Float[Array, "N I"],
    y: Float[Array, "N O"],
    *,
    space: Space,
    config: DescentConfig,
    depth: int,
) -> Float[Array, " B"]:
    """The limit of `loss_fn` for steep gates, given hard-thresholded networks."""
    size = jnp.abs(jax.vmap(pack)(networks))
    costs = config.count_cost * (size > 0) + config.size_cost * size
    mse = _batch_error(networks, x, y, space=space, depth=depth)
    return mse + penalty_weight * costs.sum(axis=1)


def make_hard_networks(
    points: Point, params: Any, *, space: Space, depth: int
) -> Network:
    """Decode B candidates, without weights below the threshold or of absent neurons."""

    def decode(point: Point) -> Network:
        network = mask_weights(space.decode_fn(params, point.z, depth))
        return unpack(hard_threshold(pack(network), point.threshold), network)

    return jax.vmap(decode)(points)


def _batch_error(
    networks: Network,
    x: Float[Array, "N I"],
    y: Float[Array, "N O"],
    *,
    space: Space,
    depth: int,
) -> Float[Array, " B"]:
    """Mean loss over the points, of B networks of one depth."""
    out = apply_batch(networks, x, activations=space.spec.activations, depth=depth)
    each = functools.partial(losses, objective=space.objective)
    return jax.vmap(each, in_axes=(0, None))(out.mT, y.T).mean(axis=1)


def _soften(
    network: Network, threshold: Float[Array, ""], config: DescentConfig
) -> Network:
    sharpness = config.gate_sharpness
    weights = soft_threshold(pack(network), threshold, sharpness=sharpness)
    return unpack(weights, network)
