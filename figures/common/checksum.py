"""Checksum of the parameters of an autoencoder."""

import zlib
from typing import Any

import jax
import numpy as np


def checksum(params: Any) -> str:
    """Return a checksum of all parameters, eight hexadecimal digits."""
    total = 0
    for leaf in jax.tree.leaves(params):
        total = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), total)
    return f"{total:08x}"
