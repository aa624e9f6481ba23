"""Networks kept by size, and the front of error against size that comes out of them.

Host code: a few thousand tiny networks in NumPy arrays.
"""

import operator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from swajax.model.front import Front
from swajax.types import Network

DUPLICATE_LOSS_TOLERANCE = (
    0.02  # relative width of the bins of loss in each of which like networks are one
)


class Pool(NamedTuple):
    """Networks, each with its size and what was done with it; leaves lead with R."""

    network: Network
    num_weights: Int[np.ndarray, " R"]
    loss: Float[np.ndarray, " R"]  # of the training part
    structure: Int[np.ndarray, " R"]  # the same number for like networks
    is_shrunk: Bool[np.ndarray, " R"]
    is_grown: Bool[np.ndarray, " R"]

    def take(self, index: np.ndarray) -> "Pool":
        """The networks of an index array or mask."""
        return jax.tree.map(operator.itemgetter(index), self)

    def mark(self, index: np.ndarray, name: str) -> "Pool":
        """The same networks with a note, `is_shrunk` or `is_grown`, at some."""
        flags = getattr(self, name).copy()
        flags[index] = True
        return self._replace(**{name: flags})


def make_pool(network: Network, num_weights: np.ndarray, loss: np.ndarray) -> Pool:
    """New networks; those that have no weight or no finite loss are dropped.

    The loss of a network without inputs is that of a constant.
    """
    num_weights, loss = np.asarray(num_weights), np.asarray(loss)
    no = np.zeros(len(loss), bool)
    pool = Pool(network, num_weights, loss, _find_structure(network), no, no.copy())
    return pool.take(np.isfinite(loss) & (num_weights > 0))


def join(pools: list[Pool]) -> Pool:
    """All networks of several pools, one after another."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *pools)


def merge(pools: list[Pool], *, num_each: int) -> Pool:
    """All networks of several pools, at most so many a size, the best by loss.

    Many are one function again, with its neurons in another order or at another scale,
    polished a little more or less: of those the best is enough.
    """
    pool = join(pools)
    level = np.log(np.maximum(pool.loss, np.finfo(float).tiny)) // np.log1p(
        DUPLICATE_LOSS_TOLERANCE
    )
    order = np.lexsort((pool.loss, level, pool.structure))
    is_new = np.diff(level[order], prepend=np.nan) != 0
    is_new |= np.diff(pool.structure[order], prepend=0) != 0
    places = np.flatnonzero(is_new)
    firsts = order[places]
    best = np.lexsort((pool.loss[firsts], pool.num_weights[firsts]))
    sizes = pool.num_weights[firsts[best]]
    best = best[np.arange(len(sizes)) - np.searchsorted(sizes, sizes) < num_each]
    # What was done with one of several like networks counts for the one that stays.
    is_shrunk = np.logical_or.reduceat(pool.is_shrunk[order], places)
    is_grown = np.logical_or.reduceat(pool.is_grown[order], places)
    return pool.take(firsts[best])._replace(
        is_shrunk=is_shrunk[best], is_grown=is_grown[best]
    )


def _find_structure(network: Network) -> Int[np.ndarray, " R"]:
    """A number that neither the order nor the scale of the neurons changes.

    Of the depth, the activations of each layer, and how many weights each input, each
    layer and each output has.
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


def make_front(
    pool: Pool,
    valid_loss: Float[np.ndarray, " R"],
    gap_error: Float[np.ndarray, " R"],
    *,
    max_error: float | None = None,
) -> Front:
    """The networks that no smaller or equally small one beats on validation data.

    Picked is the smallest within one standard error of the best (Breiman et al.,
    1984), that of the difference on the same rows: both find the same rows hard, and
    the error of a loss near 0 says nothing. Or, with `max_error`, the smallest whose
    validation loss is at most that, or else the best.

    Args:
      pool: networks.
      valid_loss: of each.
      gap_error: standard error of each one's loss minus that of the best.
      max_error: greatest loss to pick.

    Raises:
      ValueError: no validation loss is finite.
    """
    valid_loss = np.where(np.isfinite(valid_loss), valid_loss, np.inf)
    order = np.lexsort((valid_loss, pool.num_weights))
    lowest = np.minimum.accumulate(valid_loss[order])
    kept = order[lowest < np.concatenate([[np.inf], lowest[:-1]])]
    if not len(kept):
        raise ValueError("no network has a finite validation loss")
    best = kept[-1]
    limit = valid_loss[best] + gap_error[kept] if max_error is None else max_error
    fits = valid_loss[kept] <= limit
    return Front(
        pool.take(kept).network,
        pool.num_weights[kept],
        pool.loss[kept],
        valid_loss[kept],
        gap_error[kept],
        int(np.argmax(fits)) if fits.any() else len(kept) - 1,
    )


def best_of_sizes(
    sizes: np.ndarray, loss: np.ndarray, share: float, num_groups: int = 10
) -> np.ndarray:
    """Index of the best share of each tenth of the sizes."""
    order = np.lexsort((loss, sizes))
    groups = np.array_split(order, min(num_groups, len(order)))
    return np.concatenate(
        [g[np.argsort(loss[g])][: max(1, round(share * len(g)))] for g in groups]
    )
