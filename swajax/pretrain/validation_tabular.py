"""Validation of `tabular`: errors by size, depth and number of inputs; geometry."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from swajax.autoencoder import AutoencoderConfig
from swajax.network import count_weights
from swajax.pretrain import batches_tabular
from swajax.pretrain.geometry import shuffle_neurons, summarise_geometry
from swajax.types import Key

SIZES = (8, 16, 32, 64)
MORE_INPUTS = (16, 32)  # more inputs than in training
GEOMETRY_INPUTS = 4
NUM_POINTS = 256


class Fidelity(NamedTuple):
    """Explained variance of each decoder for each network at one size."""

    explained: Float[Array, "L B"]  # 1 - MSE/variance of each decoder
    depth: Int[Array, " B"]
    num_inputs: Float[Array, " B"]


def validate_tabular(
    params: Any,
    key: Key,
    *,
    config: AutoencoderConfig,
    num_networks: int,
    num_geometry: int,
) -> dict[str, float]:
    """Return the metrics of `swajax.pretrain.validation.validate`.

    All explained variances are those of the best decoder, medians over networks.
    Networks are decoded at their own number of weights, except that
    `explained_variance_size_K` is for at most K weights.
    """
    keys = jax.random.split(key, 3)
    measure = functools.partial(_measure, params, num=num_networks)
    unlimited = jax.device_get(measure(keys[0], jnp.inf, None, config=config))
    best = unlimited.explained.max(axis=0)
    wins = np.bincount(
        unlimited.explained.argmax(axis=0), minlength=len(unlimited.explained)
    )
    summary = {
        "explained_variance": np.median(best),
        "explained_variance_q25": np.quantile(best, 0.25),
    }
    for size in SIZES:
        fidelity = measure(keys[0], float(size), None, config=config)
        summary[f"explained_variance_size_{size}"] = _median(fidelity)
    for depth in range(1, config.max_depth + 1):
        selected = best[unlimited.depth == depth]
        summary[f"explained_variance_depth_{depth}"] = np.median(selected)
        summary[f"wins_decoder_{depth}"] = wins[depth - 1] / wins.sum()
    for num_inputs in range(1, config.num_inputs + 1):
        selected = best[unlimited.num_inputs == num_inputs]
        summary[f"explained_variance_inputs_{num_inputs}"] = np.median(selected)
    wide = dataclasses.replace(config, num_inputs=max(MORE_INPUTS))
    for num_inputs in MORE_INPUTS:
        fidelity = measure(keys[1], jnp.inf, jnp.asarray(num_inputs), config=wide)
        summary[f"explained_variance_inputs_{num_inputs}"] = _median(fidelity)
    narrow = dataclasses.replace(config, num_inputs=GEOMETRY_INPUTS, num_outputs=1)
    geometry = _embed(params, keys[2], config=narrow, num=num_geometry)
    summary |= summarise_geometry(*jax.device_get(geometry))
    return {name: float(value) for name, value in summary.items()}


def _median(fidelity: Fidelity) -> np.floating:
    return np.median(np.asarray(fidelity.explained).max(axis=0))


@functools.partial(jax.jit, static_argnames=("config", "num"))
def _measure(
    params: Any,
    key: Key,
    size: Float[Array, ""] | float,
    num_inputs: Int[Array, ""] | None,
    *,
    config: AutoencoderConfig,
    num: int,
) -> Fidelity:
    """Decode at `size` weights, or at the size of the network if that is smaller."""
    batch_key, point_key = jax.random.split(key)
    batch = batches_tabular.sample_batch(
        batch_key, num, config=config, num_inputs=num_inputs
    )
    sizes = jax.vmap(count_weights)(batch.network)
    batch = batch._replace(num_weights=jnp.minimum(sizes.astype(jnp.float32), size))
    x = jax.random.uniform(point_key, (NUM_POINTS, config.num_inputs), minval=-1.0)
    z, _, y = batches_tabular.encode_batch(params, batch, x, config=config)
    errors = batches_tabular.decoder_errors(params, z, batch, x, y, config=config)
    variance = batches_tabular.variance_of(y, batch.present)
    return Fidelity(
        1 - errors / jnp.maximum(variance, 1e-12)[None],
        batch.network.depth,
        batch.present.inputs.sum(axis=1),
    )


@functools.partial(jax.jit, static_argnames=("config", "num"))
def _embed(
    params: Any, key: Key, *, config: AutoencoderConfig, num: int
) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"], Float[Array, "B D"]]:
    """Return embeddings of networks, those of neuron-permuted copies, and outputs."""
    num_inputs = jnp.asarray(config.num_inputs)
    batch = batches_tabular.sample_batch(key, num, config=config, num_inputs=num_inputs)
    shape = (4 * NUM_POINTS, config.num_inputs)
    x = jax.random.uniform(jax.random.fold_in(key, num + 1), shape, minval=-1.0)
    z, _, y = batches_tabular.encode_batch(params, batch, x, config=config)
    shuffled = shuffle_neurons(jax.random.fold_in(key, num + 2), batch.network)
    copies = batch._replace(network=shuffled)
    permuted, *_ = batches_tabular.encode_batch(params, copies, x, config=config)
    return (
        batches_tabular.flatten(z),
        batches_tabular.flatten(permuted),
        y.reshape(num, -1),
    )
