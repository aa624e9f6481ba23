"""Unseen networks and their decoded forms."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from figures.paper import describe
from swajax import autoencoder
from swajax import pretrain as pretraining
from swajax.autoencoder import AutoencoderConfig
from swajax.pretrain.validation_by_depth import grid
from swajax.types import Key, Network


def reconstruct(
    params: Any,
    key: Key,
    *,
    config: AutoencoderConfig,
    num_networks: int,
    quantiles: tuple[float, ...],
    num_each: int,
) -> list[dict[str, Any]]:
    """Compare networks at quantiles of explained variance with their decoded forms.

    The networks are chosen by rank alone among fresh networks of the prior. Each is
    compared with the best of its decoded forms. Explained variance, 1 - MSE/variance,
    and errors are evaluated on the grid of the validation.

    Args:
      params: of the autoencoder.
      key: consumed; the same key gives the same networks.
      config: of the autoencoder.
      num_networks: number of candidates, a multiple of the number of depths.
      quantiles: in [0, 1]; low quantiles are poorly decoded networks.
      num_each: number of values per axis of the surfaces.

    Returns:
      Quantile, explained variance, errors, sizes and surfaces per network.
    """
    networks, z, explained, winner = _fidelity(
        params, key, config=config, num=num_networks
    )
    order = np.argsort(np.asarray(explained))
    ranks = np.rint(np.asarray(quantiles) * (num_networks - 1)).astype(int)
    return [
        {"quantile": quantile, "explained_variance": float(explained[index])}
        | _compare(
            params,
            jax.tree.map(lambda leaf, i=index: leaf[i], networks),
            z[index],
            config=config,
            depth=int(winner[index]) + 1,
            num_each=num_each,
        )
        for quantile, index in zip(quantiles, order[ranks], strict=True)
    ]


def _compare(
    params: Any,
    network: Network,
    z: Float[Array, " Z"],
    *,
    config: AutoencoderConfig,
    depth: int,
    num_each: int,
) -> dict[str, Any]:
    """Return sizes, errors and surfaces of a network and its decoded form."""
    activations = config.spec.activations
    decoded = _decode(params, z, config=config, depth=depth)
    points = jnp.asarray(grid(config.spec.num_inputs))
    y = describe.evaluate(network, points, activations=activations)
    parts = {
        name: describe.count_sizes(one, activations)
        | {"surface": describe.surface(one, activations, num_each)}
        for name, one in (("input", network), ("decoded", decoded))
    }
    return describe.measure_errors(decoded, points, y, activations) | parts


_decode = jax.jit(autoencoder.decode, static_argnames=("config", "depth"))


@functools.partial(jax.jit, static_argnames=("config", "num"))
def _fidelity(
    params: Any, key: Key, *, config: AutoencoderConfig, num: int
) -> tuple[Network, Float[Array, "B Z"], Float[Array, " B"], Int[Array, " B"]]:
    """Return networks, embeddings, explained variances and best decoders."""
    points = jnp.asarray(grid(config.spec.num_inputs))
    groups = pretraining.sample_groups(key, num, config=config)
    z, y = pretraining.encode_groups(params, groups, points, config=config)
    errors = pretraining.decoder_errors(params, z, points, y, config=config)
    # Avoid a division by zero for constant networks.
    variance = jnp.maximum(y.var(axis=1).mean(axis=-1), 1e-12)
    networks = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *groups)
    return networks, z, 1 - errors.min(axis=0) / variance, errors.argmin(axis=0)
