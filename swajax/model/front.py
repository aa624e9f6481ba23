"""TODO swajax/model/front.py."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from swajax.types import Network


class Front(NamedTuple):
    """Networks that no smaller one beats; leaves lead with K, by size."""

    network: Network
    num_weights: Int[np.ndarray, " K"]
    train_loss: Float[np.ndarray, " K"]
    valid_loss: Float[np.ndarray, " K"]
    gap_error: Float[np.ndarray, " K"]  # standard error of valid_loss - the last one's
    pick: int
