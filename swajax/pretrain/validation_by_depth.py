"""Validation of `compact` and `paper`: errors on unseen networks, geometry."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from swajax import autoencoder
from swajax.autoencoder import AutoencoderConfig
from swajax.network.batched import apply_batch
from swajax.pretrain import batches_by_depth
from swajax.pretrain.geometry import shuffle_neurons, summarise_geometry
from swajax.types import Key


class Fidelity(NamedTuple):
    """Errors of each decoder for each network."""

    mse: Float[Array, "L B"]
    mpe_percent: Float[Array, "L B"]
    variance: Float[Array, " B"]
    depth: Int[Array, " B"]


def grid(num_inputs: int, *, num_each: int = 10) -> Float[np.ndarray, "N I"]:
    """Return a regular grid over [-1, 1]^I with `num_each` points per axis.

    This is the evaluation grid of arXiv:2410.08339.
    """
    axis = np.linspace(-1, 1, num_each, dtype=np.float32)
    return np.stack(np.meshgrid(*[axis] * num_inputs), axis=-1).reshape(-1, num_inputs)


def validate_by_depth(
    params: Any,
    key: Key,
    *,
    config: AutoencoderConfig,
    num_networks: int,
    num_geometry: int,
) -> dict[str, float]:
    """Return the metrics of `swajax.pretrain.validation.validate`.

    The explained variance of a network is 1 - MSE/variance of its best decoder. Its MPE
    is the median over the points of |prediction - y| / |y| in percent, and the minimum
    over the decoders.
    """
    fidelity_key, geometry_key = jax.random.split(key)
    fidelity = jax.device_get(
        _fidelity(params, fidelity_key, config=config, num=num_networks)
    )
    geometry = jax.device_get(
        _geometry(params, geometry_key, config=config, num=num_geometry)
    )
    return summarise(fidelity) | summarise_geometry(*geometry)


def summarise(fidelity: Fidelity) -> dict[str, float]:
    """Return medians and means over networks, and how often each decoder is best."""
    best, mpe = fidelity.mse.min(axis=0), fidelity.mpe_percent.min(axis=0)
    # The floor keeps the values finite for networks of constant output.
    explained = 1 - best / np.maximum(fidelity.variance, 1e-12)
    num_decoders = len(fidelity.mse)
    wins = np.bincount(fidelity.mse.argmin(axis=0), minlength=num_decoders)
    summary = {
        "explained_variance": np.median(explained),
        "explained_variance_q25": np.quantile(explained, 0.25),
        "mpe_percent": np.median(mpe),
        "mpe_percent_mean": mpe.mean(),
        "mse": best.mean(),
    }
    for depth in range(1, num_decoders + 1):
        is_depth = fidelity.depth == depth
        summary[f"explained_variance_depth_{depth}"] = np.median(explained[is_depth])
        summary[f"mpe_percent_depth_{depth}"] = np.median(mpe[is_depth])
        summary[f"wins_decoder_{depth}"] = wins[depth - 1] / wins.sum()
    return {name: float(value) for name, value in summary.items()}


@functools.partial(jax.jit, static_argnames=("config", "num"))
def _fidelity(
    params: Any, key: Key, *, config: AutoencoderConfig, num: int
) -> Fidelity:
    points = jnp.asarray(grid(config.spec.num_inputs))
    groups = batches_by_depth.sample_groups(key, num, config=config)
    z, y = batches_by_depth.encode_groups(params, groups, points, config=config)
    decoded = jax.vmap(lambda one: autoencoder.decode_all(params, one, config=config))(
        z
    )
    mse, mpe = [], []
    for depth, networks in enumerate(decoded, start=1):
        out = apply_batch(
            networks, points, activations=config.spec.activations, depth=depth
        )
        mse.append(jnp.square(out - y).mean(axis=(1, 2)))
        relative = jnp.abs(out - y) / jnp.maximum(jnp.abs(y), 1e-12)
        mpe.append(100 * jnp.median(relative, axis=(1, 2)))
    depth = jnp.concatenate([group.depth for group in groups])
    variance = y.var(axis=1).mean(axis=-1)
    return Fidelity(jnp.stack(mse), jnp.stack(mpe), variance, depth)


@functools.partial(jax.jit, static_argnames=("config", "num"))
def _geometry(
    params: Any, key: Key, *, config: AutoencoderConfig, num: int
) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"], Float[Array, "B D"]]:
    points = jnp.asarray(grid(config.spec.num_inputs))
    groups = batches_by_depth.sample_groups(key, num, config=config)
    z, y = batches_by_depth.encode_groups(params, groups, points, config=config)
    shuffled = tuple(
        shuffle_neurons(jax.random.fold_in(key, index), group)
        for index, group in enumerate(groups)
    )
    permuted, _ = batches_by_depth.encode_groups(
        params, shuffled, points, config=config
    )
    return z, permuted, y.reshape(len(y), -1)
