"""Batches and loss of `tabular`, with networks of all shapes in one batch."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jaxtyping import Array, Float, Int

from swajax import autoencoder, prior
from swajax.autoencoder import AutoencoderConfig, Embedding, Params, Present
from swajax.autoencoder.tabular_tokens import PROBES
from swajax.network import count_weights
from swajax.network.batched import apply_batch
from swajax.pretrain.config import PretrainingConfig
from swajax.pretrain.losses import Metrics, combine, score
from swajax.types import Key, Network

MIN_WEIGHTS = 3


class Batch(NamedTuple):
    """Networks of all shapes, padded to common numbers of inputs and outputs."""

    network: Network
    present: Present
    num_weights: Float[Array, " B"]  # sizes to decode at


def sample_batch(
    key: Key,
    num: int,
    *,
    config: AutoencoderConfig,
    sharding: NamedSharding | None = None,
    num_inputs: Int[Array, ""] | None = None,
) -> Batch:
    """Sample `num` networks with standardised outputs, and sizes to decode them at.

    Sizes are log-uniform between 3 and 1.25 times the number of weights of the network.

    Args:
      key: consumed.
      num: number of networks.
      config: configuration of the autoencoder.
      sharding: distribution of the networks over devices.
      num_inputs: number of inputs of all networks, by default random.
    """
    keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(num))
    if sharding is not None:
        keys = jax.lax.with_sharding_constraint(keys, sharding)

    def draw(key: Key) -> tuple[Network, Present, Array]:
        network_key, size_key = jax.random.split(key)
        network, *present = prior.sample_varied(
            network_key, spec=config.spec, num_inputs=num_inputs
        )
        most = jnp.log(1.25 * count_weights(network))
        least = jnp.log(float(MIN_WEIGHTS))
        size = jnp.exp(jax.random.uniform(size_key, minval=least, maxval=most))
        return network, Present(*present), jnp.round(size)

    network, present, size = jax.vmap(draw)(keys)
    shape = (128, config.spec.num_inputs)
    x = jax.random.uniform(jax.random.fold_in(key, num), shape, minval=-1.0)
    network = prior.standardise(network, x, activations=config.spec.activations)
    return Batch(network, present, size)


def batch_loss(
    params: Params, batch: Batch, x: Float[Array, "N I"], *, config: PretrainingConfig
) -> tuple[Float[Array, ""], Metrics]:
    """Return the loss of a batch and its parts.

    Args:
      params: parameters of the autoencoder.
      batch: networks and sizes, from `sample_batch`.
      x: points at which networks and decoded networks are compared.
      config: settings of the pretraining.
    """
    model = config.autoencoder
    z, seen, y = encode_batch(params, batch, x, config=model)
    errors = decoder_errors(params, z, batch, x, y, config=model)
    variance = variance_of(y, batch.present)
    # Functional distances use the first output, which all networks have.
    loss, metrics = combine(errors, variance, flatten(z), y[..., :1], config=config)
    responses = score(
        response_errors(params, z, batch, seen, config=model)[None],
        variance,
        error=config.error,
    ).mean()
    loss += config.response_weight * responses
    return loss, metrics | {"loss": loss, "responses": responses}


def encode_batch(
    params: Params, batch: Batch, x: Float[Array, "N I"], *, config: AutoencoderConfig
) -> tuple[Embedding, Float[Array, "B M O"], Float[Array, "B N O"]]:
    """Embed networks; also return their outputs at the probe points and at x."""
    probes = jnp.asarray(autoencoder.probe_points(config, num_inputs=x.shape[1]))
    points = jnp.concatenate([probes, x])
    y = apply_batch(batch.network, points, activations=config.spec.activations)
    seen = y[:, : len(probes)]

    def encode(network: Network, seen: Array, present: Present) -> Embedding:
        return autoencoder.encode(
            params, network, config=config, probes=seen, present=present
        )

    z = jax.vmap(encode)(batch.network, seen, batch.present)
    return z, seen, y[:, len(probes) :]


def decoder_errors(
    params: Params,
    z: Embedding,
    batch: Batch,
    x: Float[Array, "N I"],
    y: Float[Array, "B N O"],
    *,
    config: AutoencoderConfig,
) -> Float[Array, "L B"]:
    """Return the mean squared error of each decoder at the given sizes, at x."""

    def decode(z: Embedding, size: Array, present: Present) -> tuple[Network, ...]:
        return autoencoder.decode_all(
            params, z, config=config, num_weights=size, present=present
        )

    errors = []
    decoded = jax.vmap(decode)(z, batch.num_weights, batch.present)
    for depth, networks in enumerate(decoded, start=1):
        out = apply_batch(networks, x, activations=config.spec.activations, depth=depth)
        error = jnp.square(out - y).mean(axis=1)
        errors.append(_mean_over_outputs(error, batch.present))
    return jnp.stack(errors)


def response_errors(
    params: Params,
    z: Embedding,
    batch: Batch,
    seen: Float[Array, "B M O"],
    *,
    config: AutoencoderConfig,
) -> Float[Array, " B"]:
    """Return the mean squared error of the functions of embeddings at the probes."""
    respond = functools.partial(autoencoder.respond, params, config=config)
    error = jnp.square(jax.vmap(respond)(z) - seen)
    # Points on the line of an absent input have weight 0.
    counts = jnp.repeat(batch.present.inputs, len(PROBES), axis=1)
    error = (error * counts[..., None]).sum(axis=1) / counts.sum(axis=1)[:, None]
    return _mean_over_outputs(error, batch.present)


def flatten(z: Embedding) -> Float[Array, "B D"]:
    """Return embeddings as rows: z, tokens of all inputs and of the first output."""
    num = len(z.z)
    return jnp.concatenate([z.z, z.inputs.reshape(num, -1), z.outputs[:, 0]], axis=1)


def variance_of(y: Float[Array, "B N O"], present: Present) -> Float[Array, " B"]:
    """Return the variance of the outputs over the points, mean over present outputs."""
    return _mean_over_outputs(y.var(axis=1), present)


def _mean_over_outputs(
    values: Float[Array, "B O"], present: Present
) -> Float[Array, " B"]:
    return (values * present.outputs).sum(axis=1) / present.outputs.sum(axis=1)
