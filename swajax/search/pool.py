"""A pool of networks, the best of each size, and the front drawn from it.

Host code: a few thousand tiny networks in NumPy arrays.
"""

import operator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from swajax.model.front import Front, make_front
from swajax.types import Network

# Same structure and loss within 2 %: treated as duplicates.
DUPLICATE_LOSS_TOLERANCE = 0.02


class Pool(NamedTuple):
    """Networks with their sizes, losses and history; leaves lead with R."""

    network: Network
    num_weights: Int[np.ndarray, " R"]
    loss: Float[np.ndarray, " R"]  # of the training rows
    structure: Int[np.ndarray, " R"]  # equal for networks of equal structure
    is_pruned: Bool[np.ndarray, " R"]
    is_grown: Bool[np.ndarray, " R"]

    def take(self, index: np.ndarray) -> "Pool":
        """Return the networks of an index array or mask."""
        return jax.tree.map(operator.itemgetter(index), self)

    def mark_pruned(self, index: np.ndarray) -> "Pool":
        """Mark networks of which a smaller one has been made."""
        return self._replace(is_pruned=_set(self.is_pruned, index))

    def mark_grown(self, index: np.ndarray) -> "Pool":
        """Mark networks of which a larger one has been made."""
        return self._replace(is_grown=_set(self.is_grown, index))


def make_pool(network: Network, num_weights: np.ndarray, loss: np.ndarray) -> Pool:
    """Make a pool of new networks, without those of no weight or no finite loss."""
    num_weights, loss = np.asarray(num_weights), np.asarray(loss)
    no = np.zeros(len(loss), bool)
    pool = Pool(network, num_weights, loss, _find_structure(network), no, no.copy())
    return pool.take(np.isfinite(loss) & (num_weights > 0))


def join(pools: list[Pool]) -> Pool:
    """Concatenate pools."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *pools)


def merge(pools: list[Pool], *, num_each: int) -> Pool:
    """Merge pools and keep the best `num_each` networks of each size by loss.

    Duplicates, one function with its neurons in another order or at another scale,
    count once: the best of them is kept.
    """
    pool = join(pools)
    level = np.log(np.maximum(pool.loss, np.finfo(float).tiny)) // np.log1p(
        DUPLICATE_LOSS_TOLERANCE
    )
    order = np.lexsort((pool.loss, level, pool.structure))
    is_new = np.diff(level[order], prepend=np.nan) != 0
    is_new |= np.diff(pool.structure[order], prepend=0) != 0
    starts = np.flatnonzero(is_new)
    firsts = order[starts]
    best = np.lexsort((pool.loss[firsts], pool.num_weights[firsts]))
    sizes = pool.num_weights[firsts[best]]
    best = best[np.arange(len(sizes)) - np.searchsorted(sizes, sizes) < num_each]
    # The history of a duplicate counts for the network that is kept.
    is_pruned = np.logical_or.reduceat(pool.is_pruned[order], starts)
    is_grown = np.logical_or.reduceat(pool.is_grown[order], starts)
    return pool.take(firsts[best])._replace(
        is_pruned=is_pruned[best], is_grown=is_grown[best]
    )


def _find_structure(network: Network) -> Int[np.ndarray, " R"]:
    """Hash the structure of each network.

    It depends on the depth, the activations of each layer, and the number of weights of
    each input, layer and output; not on the order or the scale of neurons.
    """
    counts = [
        network.depth[:, None],
        np.sum(network.activation * network.mask[..., None], axis=-2),
        np.count_nonzero(network.first, axis=-1),
        np.count_nonzero(network.hidden, axis=(-2, -1)),
        np.count_nonzero(network.bias, axis=-1),
        np.count_nonzero(network.readout, axis=-2),
        network.readout_bias != 0,
    ]
    flat = [np.reshape(part, (len(network.depth), -1)) for part in counts]
    table = np.concatenate(flat, axis=1).astype(np.int64)
    factors = np.random.default_rng(0).integers(2**62, size=table.shape[1])
    return table @ factors


def front_of(
    pool: Pool,
    valid_loss: Float[np.ndarray, " R"],
    valid_loss_diff_se: Float[np.ndarray, " R"],
    *,
    max_error: float | None = None,
) -> Front:
    """Select the front of a pool: `swajax.model.front.make_front`."""
    return make_front(
        pool.network,
        pool.num_weights,
        pool.loss,
        valid_loss,
        valid_loss_diff_se,
        max_error=max_error,
    )


def best_of_sizes(
    sizes: np.ndarray, loss: np.ndarray, share: float, num_groups: int = 10
) -> np.ndarray:
    """Return the indices of the best share of each tenth of the sizes."""
    order = np.lexsort((loss, sizes))
    groups = np.array_split(order, min(num_groups, len(order)))
    return np.concatenate(
        [g[np.argsort(loss[g])][: max(1, round(share * len(g)))] for g in groups]
    )


def _set(flags: Bool[np.ndarray, " R"], index: np.ndarray) -> Bool[np.ndarray, " R"]:
    flags = flags.copy()
    flags[index] = True
    return flags
