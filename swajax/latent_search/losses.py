"""Candidate losses: soft gates for training, hard thresholds for validation."""

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
    """Return the training loss of ONE candidate: error plus sparsity penalty.

    The error is the mean loss (`space.objective`) of the soft-thresholded network. This
    is the reference implementation; `loss_fn` computes the same loss for a batch.

    Args:
      point: z and threshold of the candidate.
      penalty_weight: weight of the penalty.
      params: parameters of the decoders.
      x: inputs of the training rows.
      y: targets of the training rows.
      space: decoders, family of networks and objective.
      config: gates and costs.
      depth: number of hidden layers of the decoded network.
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
    """Return the sparsity penalty: soft count of large weights plus their size.

    The penalty is the sum of 0.5 sigmoid(10 (|W| - t)) + 0.1 |W| over weights and
    biases, except those of absent neurons (arXiv:2410.08339, search). The gradient
    w.r.t. a neuron mask is the summed cost of the neuron's weights; in the paper, masks
    have no gradient.
    """
    weights = pack(mask_weights(network))
    is_there = jax.lax.stop_gradient((weights != 0).astype(weights.dtype))
    gate = pack(mask_weights(unpack(is_there, network)))
    # In JAX |W| has slope 1 at zero, which must not reach absent neurons.
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
    """Return `candidate_loss` of B candidates with one decoder, evaluated together."""
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
    """Return the limit of `loss_fn` for steep gates.

    Args:
      networks: B hard-thresholded networks, from `make_hard_networks`.
      penalty_weight: weights of the penalty.
      x: inputs of the validation rows.
      y: targets of the validation rows.
      space: family of networks and objective.
      config: costs.
      depth: number of hidden layers of the networks.
    """
    size = jnp.abs(jax.vmap(pack)(networks))
    costs = config.count_cost * (size > 0) + config.size_cost * size
    mse = _batch_error(networks, x, y, space=space, depth=depth)
    return mse + penalty_weight * costs.sum(axis=1)


def make_hard_networks(
    points: Point, params: Any, *, space: Space, depth: int
) -> Network:
    """Decode B candidates; remove absent neurons and weights below the threshold."""

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
    """Return the mean loss over the points, for B networks of one depth."""
    out = apply_batch(networks, x, activations=space.spec.activations, depth=depth)
    each = functools.partial(losses, objective=space.objective)
    return jax.vmap(each, in_axes=(0, None))(out.mT, y.T).mean(axis=1)


def _soften(
    network: Network, threshold: Float[Array, ""], config: DescentConfig
) -> Network:
    sharpness = config.gate_sharpness
    weights = soft_threshold(pack(network), threshold, sharpness=sharpness)
    return unpack(weights, network)
