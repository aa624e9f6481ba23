"""The front of validation loss against size, and the network picked from it.

Host code on NumPy arrays.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from swajax.types import Network


class Front(NamedTuple):
    """Pareto-optimal networks of validation loss and size, by ascending size."""

    network: Network  # leaves [K, ...]
    num_weights: Int[np.ndarray, " K"]
    train_loss: Float[np.ndarray, " K"]
    valid_loss: Float[np.ndarray, " K"]
    valid_loss_diff_se: Float[np.ndarray, " K"]
    """standard error of the difference from the validation loss of the last network"""
    pick: int
    """index of the picked network"""


def make_front(
    network: Network,
    num_weights: Int[np.ndarray, " R"],
    train_loss: Float[np.ndarray, " R"],
    valid_loss: Float[np.ndarray, " R"],
    valid_loss_diff_se: Float[np.ndarray, " R"],
    *,
    max_error: float | int | None = None,
) -> Front:
    """Select the networks on the front and pick one of them.

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
    lowest = np.minimum.accumulate(valid_loss[order])
    kept = order[lowest < np.concatenate([[np.inf], lowest[:-1]])]
    if not len(kept):
        raise ValueError("no network has a finite validation loss")
    limit = max_error
    if limit is None:
        limit = valid_loss[kept[-1]] + valid_loss_diff_se[kept]
    is_candidate = valid_loss[kept] <= limit
    return Front(
        Network(*(leaf[kept] for leaf in network)),
        num_weights[kept],
        train_loss[kept],
        valid_loss[kept],
        valid_loss_diff_se[kept],
        int(np.argmax(is_candidate)) if is_candidate.any() else len(kept) - 1,
    )
