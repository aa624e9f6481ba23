"""Embeddings of `tabular`, its probe points, and the block that acts on tokens."""

from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float

# Probe points lie on lines along each input; the others are all 0, 1 or -1.
PROBES = tuple(
    (at, others)
    for others, num in ((0.0, 4), (1.0, 3), (-1.0, 3))
    for at in np.linspace(-1, 1, num).tolist()
)


class Embedding(NamedTuple):
    """A point of the space; the networks it stands for have I inputs and O outputs."""

    z: Float[Array, "*B Z"]
    inputs: Float[Array, "*B I T"]
    outputs: Float[Array, "*B O T"]


class Present(NamedTuple):
    """Which inputs and outputs of a padded network exist: 1, else 0."""

    inputs: Float[Array, "*B I"]
    outputs: Float[Array, "*B O"]


def probe_points(num_inputs: int) -> Float[np.ndarray, "N I"]:
    """10 points for each input, those of an input one after another."""
    points = np.empty((num_inputs, len(PROBES), num_inputs), np.float32)
    for index, (at, others) in enumerate(PROBES):
        points[:, index] = others + (at - others) * np.eye(num_inputs)
    return points.reshape(-1, num_inputs)


class TokenBlock(nn.Module):
    """What is shared and a row of tokens to a row of outputs, token by token."""

    width: int
    num_out: int

    @nn.compact
    def __call__(
        self, shared: Float[Array, " W"], tokens: Float[Array, "K T"]
    ) -> Float[Array, "K U"]:
        """Apply to every token."""
        hidden = nn.Dense(self.width)(shared)[None] + nn.Dense(self.width)(tokens)
        hidden += nn.Dense(self.width)(nn.silu(normalise(hidden)))
        return nn.Dense(self.num_out)(nn.silu(normalise(hidden)))


def normalise(x: Float[Array, "*S W"]) -> Float[Array, "*S W"]:
    """Layer normalisation without parameters."""
    return jax.nn.standardize(x)
