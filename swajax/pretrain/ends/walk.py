"""Race random networks on random tables, and walk the winners down the sizes.

Pure functions of ONE table; `jax.vmap` makes a block of tables, each with its own rows.
The fits are those of a search: `polish` and `remove` of `swajax.refine`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from swajax.network import count_weights, simplify
from swajax.prior import sample_small
from swajax.prior.tables import RandomTable, TableShape, sample_table
from swajax.refine import pruning
from swajax.refine.levenberg_marquardt import polish
from swajax.refine.quadratic import Fit, evaluate
from swajax.types import Key, Network, NetworkSpec

# Sizes of a walk: the race ends at the first one or below.
SIZES = (64, 52, 42, 36, 30, 26, 22, 19, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3)
MIN_START = 4  # weights of the smallest networks of the race
NUM_TRUTH = 192  # rows without noise
CAPACITIES = (16, 32, 64)


class WalkConfig(NamedTuple):
    """Effort per table."""

    num_walkers: int = 12
    num_racers: int = 5  # per walker
    race_steps: int = 20
    start_steps: int = 50
    walk_steps: int = 10


class Ends(NamedTuple):
    """Networks of one table at one size of the walk, leaves [R, ...]."""

    network: Network
    num_weights: Int[Array, "*B R"]
    loss: Float[Array, "*B R"]  # of the rows
    true_loss: Float[Array, "*B R"]  # of rows without noise


def draw(
    key: Key, *, shape: TableShape, spec: NetworkSpec, config: WalkConfig
) -> tuple[RandomTable, Network]:
    """Draw a table and the networks of its race, groups of like size together.

    Args:
      key: consumed.
      shape: of the table.
      spec: limits of the networks.
      config: effort.
    """
    table_key, network_key = jax.random.split(key)
    table = sample_table(table_key, shape=shape, num_truth=NUM_TRUTH)
    num = config.num_walkers * config.num_racers
    sizes = np.geomspace(MIN_START, SIZES[0], num).astype(np.int32)
    sample = functools.partial(
        sample_small, spec=spec, sampling_weights=table.is_input + 1e-6
    )
    keys = jax.random.split(network_key, num)
    return table, jax.vmap(sample)(keys, jnp.asarray(sizes))


def race(
    networks: Network, table: RandomTable, *, fit: Fit, config: WalkConfig
) -> Network:
    """Return the best network of each group after some polish steps, polished more.

    Args:
      networks: networks from `draw`.
      table: rows to fit.
      fit: settings of the fits.
      config: effort.
    """
    options = {"fit": fit, "capacity": CAPACITIES[-1]}

    def fit_all(networks: Network, num_steps: int) -> tuple[Network, Array]:
        def one(network: Network) -> tuple[Network, Array]:
            return polish(network, table.problem, num_steps=num_steps, **options)

        return jax.vmap(one)(networks)

    networks, loss = fit_all(networks, config.race_steps)
    loss = jnp.where(jnp.isfinite(loss), loss, jnp.inf)
    best = loss.reshape(config.num_walkers, -1).argmin(axis=1)
    best += jnp.arange(config.num_walkers) * config.num_racers
    winners = jax.tree.map(lambda leaf: leaf[best], networks)
    return fit_all(winners, config.start_steps)[0]


def walk(
    networks: Network,
    table: RandomTable,
    size: Int[Array, ""],
    *,
    fit: Fit,
    capacity: int,
    num_steps: int,
) -> Ends:
    """Cut networks down to `size` weights, weight by weight, and polish them.

    Args:
      networks: R networks of at most `capacity` weights.
      table: rows to fit, and rows of what is true.
      size: largest number of weights that is left.
      fit: settings of the fits.
      capacity: see `swajax.refine.levenberg_marquardt.polish`.
      num_steps: polish steps.
    """
    options = {"fit": fit, "capacity": capacity}

    def one(network: Network) -> Ends:
        smaller = jax.lax.while_loop(
            lambda network: count_weights(network) > size,
            lambda network: pruning.remove(network, table.problem, **options),
            network,
        )
        fitted, _ = polish(smaller, table.problem, num_steps=num_steps, **options)
        fitted = simplify(fitted, activations=fit.activations)
        loss, _ = evaluate(fitted, table.problem, fit=fit)
        true_loss, _ = evaluate(fitted, table.truth, fit=fit)
        return Ends(fitted, count_weights(fitted), loss, true_loss)

    return jax.vmap(one)(networks)


def choose_capacity(size: int) -> int:
    """Return the smallest capacity for networks of a size.

    >>> choose_capacity(16), choose_capacity(17)
    (16, 32)
    """
    return next(capacity for capacity in CAPACITIES if capacity >= size)
