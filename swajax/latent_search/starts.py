"""Starts of a descent: embeddings of random networks."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from swajax import autoencoder, prior
from swajax.autoencoder import AutoencoderConfig
from swajax.autoencoder.compact import probe_points
from swajax.latent_search.config import DescentConfig
from swajax.latent_search.spaces import TabularPoint, make_space
from swajax.network import count_weights
from swajax.types import Key, Network, NetworkSpec

ENCODE_BLOCK = 64  # number of networks encoded at once; bounds the memory


def make_starts(
    key: Key,
    params: Any,
    *,
    config: DescentConfig,
    autoencoder_config: AutoencoderConfig,
) -> Float[Array, "RK Z"]:
    """Return R K points for a preset with fixed inputs, K consecutive ones per start.

    This function is pure; `draw_starts` is the compiled form for every preset.

    Args:
      key: consumed; the first points do not depend on `num_starts`.
      params: parameters of the autoencoder.
      config: `num_starts` R, `num_screened` K and the kind of `starts`.
      autoencoder_config: configuration of the autoencoder.
    """

    def start(index: Int[Array, ""]) -> Float[Array, " Z"]:
        own_key = jax.random.fold_in(key, index)
        if config.starts == "uniform":
            return jax.random.uniform(own_key, (autoencoder_config.embedding_size,))
        network = prior.sample(own_key, spec=autoencoder_config.spec)
        return autoencoder.encode(params, network, config=autoencoder_config)

    num = config.num_starts * config.num_screened
    return jax.vmap(start)(jnp.arange(num))


def draw_starts(
    key: Key,
    params: Any,
    *,
    config: DescentConfig,
    autoencoder_config: AutoencoderConfig,
    limits: NetworkSpec | None = None,
    max_weights: int = 64,
) -> Any:
    """Return R K points for any preset, on the host, K consecutive ones per start.

    Args:
      key: consumed.
      params: parameters of the autoencoder.
      config: `num_starts` R, `num_screened` K and the kind of `starts`.
      autoencoder_config: configuration of the autoencoder.
      limits: number of inputs and outputs of the table, by default those of the
        configuration (used by presets for any table).
      max_weights: maximum number of weights of an embedded network (used likewise).

    Returns:
      z, [R K, Z]; for a preset for any table a `TabularPoint` with leaves [R K, ...],
      sorted by size, so that each start is chosen among points of similar size.

    Raises:
      ValueError: starts are uniform in a space for any table.
    """
    if not autoencoder_config.is_any_table:
        return _make_starts(
            key, params, config=config, autoencoder_config=autoencoder_config
        )
    if config.starts == "uniform":
        raise ValueError(
            f"starts must be 'encoded' with the preset {autoencoder_config.preset}, "
            "got 'uniform'"
        )
    spec = make_space(autoencoder_config, limits=limits).spec
    networks = sample_sorted(key, config=config, spec=spec, max_weights=max_weights)
    return encode_starts(params, networks, model=autoencoder_config)


def sample_sorted(
    key: Key, *, config: DescentConfig, spec: NetworkSpec, max_weights: int
) -> Network:
    """Sample R K random networks of a search, sorted by their numbers of weights.

    Args:
      key: consumed.
      config: `num_starts` R and `num_screened` K.
      spec: limits of the networks.
      max_weights: maximum number of weights.
    """
    num = config.num_starts * config.num_screened
    networks = prior.sample_starts(key, num=num, spec=spec, max_weights=max_weights)
    order = np.argsort(_count(networks), kind="stable")
    return jax.tree.map(lambda leaf: leaf[order], networks)


@functools.partial(jax.jit, static_argnames=("model",))
def encode_starts(
    params: Any, networks: Network, *, model: AutoencoderConfig
) -> TabularPoint:
    """Embed networks, their outputs standardised, as points of a space for any table.

    Args:
      params: parameters of the autoencoder.
      networks: leaves [B, ...].
      model: configuration of the autoencoder.
    """
    x = jnp.asarray(probe_points(model.num_probes, networks.first.shape[1]))
    networks = prior.standardise(networks, x, activations=model.spec.activations)

    def encode(network: Network) -> TabularPoint:
        z = autoencoder.encode(params, network, config=model)
        return TabularPoint(z, log_size(network))

    return jax.lax.map(encode, networks, batch_size=ENCODE_BLOCK)


def log_size(network: Network) -> Float[Array, ""]:
    """Return the logarithm of the number of weights of one network."""
    return jnp.log(count_weights(network).astype(jnp.float32))


_make_starts = jax.jit(make_starts, static_argnames=("config", "autoencoder_config"))
_count = jax.jit(jax.vmap(count_weights))
