"""Geometry of the space: do data sets and networks of like function lie together?"""

import functools

import jax
from jaxtyping import Array, Float

from swajax import prior
from swajax.autoencoder import flow
from swajax.autoencoder.base import Params
from swajax.autoencoder.flow import FlowConfig
from swajax.network.batched import apply_batch
from swajax.pretrain.batches_tabular import flatten
from swajax.pretrain.geometry import summarise_geometry
from swajax.types import Key

NUM_INPUTS, NUM_ROWS, NUM_POINTS = 4, 256, 512
MAX_WEIGHTS = 64


def measure_geometry(
    key: Key, params: Params, *, num: int, config: FlowConfig
) -> dict[str, float]:
    """Compare embeddings of random networks, and of data sets drawn from them.

    Args:
      key: consumed.
      params: parameters of the space.
      num: number of networks.
      config: configuration of the space.

    Returns:
      `spearman`: correlation of distances between embeddings with distances between
      functions; `recall_at_1`: share of the data sets of which the nearest network is
      the one that they were drawn from.
    """
    embed = jax.jit(functools.partial(_embed, num=num, config=config))
    return summarise_geometry(*jax.device_get(embed(key, params)))


def _embed(
    key: Key, params: Params, *, num: int, config: FlowConfig
) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"], Float[Array, "B N"]]:
    """Return embeddings of networks and of their data sets, and outputs."""
    network_key, row_key, point_key = jax.random.split(key, 3)
    spec = config.make_spec(NUM_INPUTS, 1)
    points = jax.random.uniform(point_key, (NUM_POINTS, NUM_INPUTS), minval=-1)
    networks = prior.sample_starts(
        network_key, num=num, spec=spec, max_weights=MAX_WEIGHTS
    )
    networks = prior.standardise(networks, points, activations=spec.activations)
    # Every data set has its own rows.
    x = jax.random.uniform(row_key, (num, NUM_ROWS, NUM_INPUTS), minval=-1)
    y = apply_batch(networks, x, activations=spec.activations)
    encode = functools.partial(flow.encode, params, config=config)
    of_rows = jax.vmap(functools.partial(flow.encode_rows, params))(x, y)
    values = apply_batch(networks, points, activations=spec.activations)
    return flatten(jax.vmap(encode)(networks)), flatten(of_rows), values[..., 0]
