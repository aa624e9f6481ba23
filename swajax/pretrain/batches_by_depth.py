"""Batches and loss of `compact` and `paper`, in groups of equal depth."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array, Float

from swajax import autoencoder, prior
from swajax.autoencoder import AutoencoderConfig
from swajax.network.batched import apply_batch
from swajax.pretrain.config import PretrainingConfig
from swajax.pretrain.losses import Metrics, combine
from swajax.types import Key, Network


def batch_loss(
    params: Any,
    groups: tuple[Network, ...],
    x: Float[Array, "N I"],
    *,
    config: PretrainingConfig,
) -> tuple[Float[Array, ""], Metrics]:
    """Return the loss of a batch and its parts.

    Args:
      params: parameters of the autoencoder.
      groups: networks of depth 1 to L, from `sample_groups`.
      x: points at which networks and decoded networks are compared.
      config: settings of the pretraining.
    """
    z, y = encode_groups(params, groups, x, config=config.autoencoder)
    errors = decoder_errors(params, z, x, y, config=config.autoencoder)
    variance = y.var(axis=1).mean(axis=-1)
    return combine(errors, variance, z, y, config=config)


def sample_groups(
    key: Key,
    num: int,
    *,
    config: AutoencoderConfig,
    sharding: NamedSharding | None = None,
) -> tuple[Network, ...]:
    """Sample `num` networks in equal groups of depth 1 to L.

    Args:
      key: consumed.
      num: number of networks, a multiple of L (rounded down).
      config: configuration of the autoencoder.
      sharding: distribution of the networks over devices.
    """

    def sample_group(depth: int) -> Network:
        return prior.sample_batch(
            jax.random.fold_in(key, depth),
            num // config.spec.max_depth,
            spec=config.spec,
            depth=depth,
            sharding=sharding,
        )

    return tuple(sample_group(1 + index) for index in range(config.spec.max_depth))


def encode_groups(
    params: Any,
    groups: tuple[Network, ...],
    x: Float[Array, "N I"],
    *,
    config: AutoencoderConfig,
) -> tuple[Float[Array, "B Z"], Float[Array, "B N O"]]:
    """Embed networks grouped by depth 1 to L and evaluate them at x.

    The networks are evaluated once, at the probe points of the encoder and at x.
    """
    probes = jnp.asarray(autoencoder.probe_points(config))
    points = jnp.concatenate([probes, x])
    outputs = [
        apply_batch(networks, points, activations=config.spec.activations, depth=depth)
        for depth, networks in enumerate(groups, start=1)
    ]
    y = jnp.concatenate(outputs)
    seen = y[:, : len(probes)]
    if config.is_encoder_shared:
        z = _encode(params, _concatenate(groups), seen, config=config)
    else:
        parts = zip(groups, jnp.split(seen, len(groups)), strict=True)
        z = jnp.concatenate(
            [
                _encode(params, group, part, config=config, depth=depth)
                for depth, (group, part) in enumerate(parts, start=1)
            ]
        )
    return z, y[:, len(probes) :]


def decoder_errors(
    params: Any,
    z: Float[Array, "B Z"],
    x: Float[Array, "N I"],
    y: Float[Array, "B N O"],
    *,
    config: AutoencoderConfig,
) -> Float[Array, "L B"]:
    """Return the mean squared error of each decoder relative to y at x."""
    decoded = jax.vmap(lambda one: autoencoder.decode_all(params, one, config=config))
    errors = []
    for depth, networks in enumerate(decoded(z), start=1):
        out = apply_batch(networks, x, activations=config.spec.activations, depth=depth)
        errors.append(jnp.square(out - y).mean(axis=(1, 2)))
    return jnp.stack(errors)


def _encode(
    params: Any,
    networks: Network,
    probes: Float[Array, "B N O"],
    *,
    config: AutoencoderConfig,
    depth: int | None = None,
) -> Float[Array, "B Z"]:
    def encode(network: Network, seen: Float[Array, "N O"]) -> Float[Array, " Z"]:
        return autoencoder.encode(
            params, network, config=config, depth=depth, probes=seen
        )

    return jax.vmap(encode)(networks, probes)


def _concatenate(groups: tuple[Network, ...]) -> Network:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *groups)
