"""The front of validation loss against size, and the network picked from it.

Host code on NumPy arrays.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from swajax.model.fitted import Model
from swajax.types import Network


class Front(NamedTuple):
    """The best network of each size, by ascending size."""

    network: Network  # leaves [K, ...]
    num_weights: Int[np.ndarray, " K"]
    train_loss: Float[np.ndarray, " K"]
    valid_loss: Float[np.ndarray, " K"]
    """loss on the validation rows, or on rows held out in a cross-validation"""
    valid_loss_diff_se: Float[np.ndarray, " K"]
    """standard error of the difference from the smallest validation loss"""
    pick: int
    """index of the picked network"""
    valid_interval: Float[np.ndarray, "K 2"] | None = None
    """90 % interval of the loss on new rows"""
    is_dominated: Bool[np.ndarray, " K"] | None = None
    """whether a smaller network is at least as good; None: none is"""
    held_outputs: Float[np.ndarray, "K H O"] | None = None
    """outputs for the rows of a cross-validation, by networks fitted without them"""
    held_rows: Int[np.ndarray, " H"] | None = None
    """indices of these rows among the training rows"""
    fidelity: Float[np.ndarray, " K"] | None = None
    """agreement with a teacher: R2 of numbers, or share of rows with the same class"""
    accuracy: Float[np.ndarray, " K"] | None = None
    """the same agreement with labels"""
    models: tuple[Model, ...] | None = None
    """the networks with the scaling of their table, to predict and export"""

    @property
    def is_best(self) -> Bool[np.ndarray, " K"]:
        """Mask of the networks that no smaller one beats."""
        if self.is_dominated is None:
            return np.ones(len(self.num_weights), bool)
        return ~self.is_dominated


def make_front(
    network: Network,
    num_weights: Int[np.ndarray, " R"],
    train_loss: Float[np.ndarray, " R"],
    valid_loss: Float[np.ndarray, " R"],
    valid_loss_diff_se: Float[np.ndarray, " R"],
    *,
    max_error: float | int | None = None,
) -> Front:
    """Select the networks that no smaller one beats, and pick one of them.

    Without `max_error`, pick the smallest network within one standard error of the best
    (Breiman et al., 1984). The standard error is that of the difference of two losses
    on the same rows, which is smaller than that of one loss because the same rows are
    hard for both.

    Args:
      network: R networks, leaves [R, ...].
      num_weights: number of weights of each network.
      train_loss: training loss of each network.
      valid_loss: validation loss of each network; networks without a finite one are
        left out.
      valid_loss_diff_se: standard error of the difference between each network's
        validation loss and the smallest one.
      max_error: pick the smallest network with at most this validation loss, or the
        best if there is none.

    Raises:
      ValueError: no validation loss is finite.
    """
    valid_loss = np.where(np.isfinite(valid_loss), valid_loss, np.inf)
    order = np.lexsort((valid_loss, num_weights))
    kept = order[~find_dominated(valid_loss[order])]
    if not len(kept):
        raise ValueError("no network has a finite validation loss")
    return Front(
        Network(*(leaf[kept] for leaf in network)),
        num_weights[kept],
        train_loss[kept],
        valid_loss[kept],
        valid_loss_diff_se[kept],
        pick_smallest(valid_loss[kept], valid_loss_diff_se[kept], max_error),
    )


def find_dominated(loss: Float[np.ndarray, " K"]) -> Bool[np.ndarray, " K"]:
    """Return which losses are not below all losses before them.

    >>> find_dominated(np.array([3.0, 2.0, 2.5, 2.0, 1.0, np.inf])).tolist()
    [False, False, True, True, False, True]
    """
    before = np.concatenate([[np.inf], np.minimum.accumulate(loss)[:-1]])
    return ~(loss < before)


def pick_smallest(
    loss: Float[np.ndarray, " K"],
    diff_se: Float[np.ndarray, " K"],
    max_error: float | int | None,
    num_errors: float = 1.0,
) -> int:
    """Return the first index with a loss near the smallest, or of at most `max_error`.

    Args:
      loss: losses, by ascending size.
      diff_se: standard errors of their differences from the smallest.
      max_error: limit; None for the smallest loss plus `num_errors` standard errors.
      num_errors: number of standard errors.
    """
    limit = loss.min() + num_errors * diff_se if max_error is None else max_error
    is_candidate = loss <= limit
    return int(np.argmax(is_candidate)) if is_candidate.any() else int(np.argmin(loss))
