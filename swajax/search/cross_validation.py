"""Cross-validated searches: every row helps to choose, and every row is fitted.

A structure that was chosen with all rows looks better on them than it is, even if its
weights are fitted without the held-out rows. So the search itself is repeated without
each fold, with less effort. The losses on the held-out rows, pooled over the folds,
tell the weight decay, the size of the picked network and the errors that are shown; the
networks come from a last search on all rows.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from swajax.data.problem import Problem
from swajax.objectives import Objective, losses_on_host
from swajax.search.job import Job
from swajax.search.pool import Pool
from swajax.types import Network

NUM_TOP = 2  # networks of each size that compete by their penalised loss
NUM_STEPS = 12  # polish steps after a change of the weight decay
DECAYS = (1e-4, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # relative to a unit normal prior
LARGEST_LOSS = 1e30  # instead of one that is not finite
MAX_HELD_ROWS = 10_000  # of more rows, only some folds are held out


class FoldSearch(NamedTuple):
    """The networks found without one fold."""

    sizes: Int[np.ndarray, " R"]
    penalised: Float[np.ndarray, "D R"]
    """training losses, including the weight decay, for each weight decay"""
    outputs: Float[np.ndarray, "D R H O"]
    """outputs for the H rows that were held out"""
    held: Int[np.ndarray, " H"]
    """indices of these rows"""


class Curve(NamedTuple):
    """Held-out outputs and losses of networks of at most each size, H rows."""

    sizes: Int[np.ndarray, " K"]
    outputs: Float[np.ndarray, "K H O"]
    losses: Float[np.ndarray, "K H"]
    weight: Float[np.ndarray, " H"]
    held: Int[np.ndarray, " H"]
    decay: float

    @property
    def means(self) -> Float[np.ndarray, " K"]:
        """Weighted mean loss of each size."""
        return self.losses @ (self.weight / self.weight.sum())

    def diff_se(self, best: int | None = None) -> Float[np.ndarray, " K"]:
        """Return standard errors of the differences from the smallest mean loss."""
        means, share = self.means, self.weight / self.weight.sum()
        best = int(np.argmin(means)) if best is None else best
        gaps = self.losses - self.losses[best] - (means - means[best])[:, None]
        return np.sqrt(np.square(gaps) @ share * np.square(share).sum())

    def at(self, sizes: Int[np.ndarray, " S"]) -> "Curve":
        """Return the rows of the largest sizes that are at most the given ones."""
        index = np.searchsorted(self.sizes, sizes, side="right") - 1
        index = np.maximum(index, 0)  # a polish can end in fewer weights than any fold
        return self.take(index)._replace(sizes=sizes)

    def take(self, index: Int[np.ndarray, " S"]) -> "Curve":
        """Return the rows of an index array."""
        return self._replace(
            sizes=self.sizes[index],
            outputs=self.outputs[index],
            losses=self.losses[index],
        )

    def join(self, other: "Curve") -> "Curve":
        """Append the rows of another curve of the same held-out rows."""
        pairs = zip(self[:3], other[:3], strict=True)
        return Curve(*map(np.concatenate, pairs), *self[3:])


def held_folds(folds: Int[np.ndarray, " N"]) -> list[int]:
    """Return the folds to hold out: all, or the first ones where rows are many."""
    numbers, counts = np.unique(folds, return_counts=True)
    is_affordable = np.cumsum(np.full(len(counts), len(folds))) <= MAX_HELD_ROWS
    return numbers[: max(1, int(is_affordable.sum()))].tolist()


def score_fold(
    pool: Pool,
    job: Job,
    is_held: Bool[np.ndarray, " N"],
    decays: Float[np.ndarray, " D"],
) -> FoldSearch:
    """Fit the best networks of each size with each weight decay, and evaluate them.

    Args:
      pool: networks found without the held-out rows.
      job: the search, whose training rows have a weight of 0 where they are held out.
      is_held: whether a row is held out.
      decays: weight decays.
    """
    pool = best_of_each_size(pool, job.config.max_weights, NUM_TOP)
    num, num_rows = len(pool.loss), len(is_held)
    penalised, outputs = [], []
    for decay in decays:
        networks, out = job.refit(
            pool.network,
            pool.num_weights,
            job.on_devices(job.train),
            np.full(num, decay),
            NUM_STEPS,
        )
        squares = sum(
            np.square(leaf).reshape(num, -1).sum(axis=1) for leaf in networks[:5]
        )
        loss = losses_on_host(out, job.train.y, job.fit.objective) @ job.train.weight
        penalised.append(loss + decay / 2 * squares)
        outputs.append(out[:, :num_rows][:, is_held])
    return FoldSearch(
        pool.num_weights,
        np.array(penalised),
        np.array(outputs),
        np.flatnonzero(is_held),
    )


def best_of_each_size(pool: Pool, max_weights: int, num: int) -> Pool:
    """Return the `num` networks of each size with the smallest training losses."""
    pool = pool.take(pool.num_weights <= max_weights)
    pool = pool.take(np.lexsort((pool.loss, pool.num_weights)))
    place = np.arange(len(pool.loss)) - np.searchsorted(
        pool.num_weights, pool.num_weights
    )
    return pool.take(place < num)


def make_curve(
    searches: list[FoldSearch],
    rows: Problem,
    decays: Float[np.ndarray, " D"],
    objective: Objective,
) -> Curve:
    """Pool the folds and choose the weight decay with the smallest loss of any size.

    Args:
      searches: results of all folds.
      rows: all rows.
      decays: the weight decays of the searches.
      objective: the loss.
    """
    smallest = max(int(one.sizes.min()) for one in searches)
    sizes = np.unique(np.concatenate([one.sizes for one in searches]))
    sizes = sizes[sizes >= smallest]
    held = np.concatenate([one.held for one in searches])
    y, weight = rows.y[held], np.asarray(rows.weight)[held]
    curves = []
    for index, decay in enumerate(decays):
        out = np.concatenate([_choose(one, index, sizes) for one in searches], axis=1)
        loss = losses_on_host(out, y, objective)
        loss = np.where(np.isfinite(loss), loss, LARGEST_LOSS)
        curves.append(Curve(sizes, out, loss, weight, held, float(decay)))
    return min(curves, key=lambda curve: curve.means.min())


def _choose(
    search: FoldSearch, index: int, sizes: Int[np.ndarray, " K"]
) -> Float[np.ndarray, "K H O"]:
    """Return held-out outputs of the best network of the largest size within each."""
    order = np.lexsort((search.penalised[index], search.sizes))
    own, first = np.unique(search.sizes[order], return_index=True)
    best = order[first]
    return search.outputs[index][best[np.searchsorted(own, sizes, side="right") - 1]]


def refit_candidates(
    pool: Pool,
    job: Job,
    folds: Int[np.ndarray, " N"],
    held: list[int],
    curve: Curve,
    factor: float,
) -> tuple[Pool, Job, Curve]:
    """Choose among the networks of each size by refits without the folds.

    The refits keep structures that all rows have chosen, so that they are too
    optimistic; the curve of the folds belongs to other networks of the same size. The
    worse of the two is the error of a network.

    Args:
      pool: some networks of each size.
      job: the last search.
      folds: fold of each row.
      held: folds that are held out.
      curve: errors of each size, from searches without the folds.
      factor: weight decay of the refits, relative to that of the search.

    Returns:
      One network per size, fitted to all rows; the job with their weight decay; and
      their curve.
    """
    pool = pool.take(pool.num_weights >= curve.sizes[0])
    decay, fit = factor * job.fit.weight_decay, job.fit
    row_fold = np.pad(folds, (0, len(job.train.x) - len(folds)), constant_values=-1)
    rows, decays = job.on_devices(job.train), np.full(len(pool.loss), decay)

    def refit(mask: Bool[np.ndarray, " N"]) -> tuple[Network, np.ndarray]:
        part = rows._replace(weight=mask * job.train.weight)
        return job.refit(pool.network, pool.num_weights, part, decays, NUM_STEPS)

    outputs = [refit(row_fold != fold)[1] for fold in held]
    network, _ = refit(np.ones(len(row_fold), bool))
    own = np.concatenate(
        [out[:, row_fold == fold] for out, fold in zip(outputs, held, strict=True)],
        axis=1,
    )
    loss = losses_on_host(own, job.train.y[: len(folds)][curve.held], fit.objective)
    loss = np.where(np.isfinite(loss), loss, LARGEST_LOSS)
    refitted = curve._replace(sizes=pool.num_weights, outputs=own, losses=loss)
    order = np.lexsort((refitted.means, pool.num_weights))
    best = order[np.unique(pool.num_weights[order], return_index=True)[1]]
    refitted, known = refitted.take(best), curve.at(pool.num_weights[best])
    is_worse = known.means > refitted.means
    outputs, loss = (
        np.where(np.expand_dims(is_worse, tuple(range(1, old.ndim))), old, new)
        for old, new in zip(known[1:3], refitted[1:3], strict=True)
    )
    network = jax.tree.map(lambda leaf: leaf[best], network)
    job = dataclasses.replace(job, fit=dataclasses.replace(fit, weight_decay=decay))
    pool = pool.take(best)._replace(network=network)
    return pool, job, known._replace(outputs=outputs, losses=loss)
