"""Probe points of `tabular`, and the block that processes its tokens."""

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float

from swajax.autoencoder.layers import normalise

# (value of one input, common value of the others): lines along each input.
PROBES = tuple(
    (at, others)
    for others, num in ((0.0, 4), (1.0, 3), (-1.0, 3))
    for at in np.linspace(-1, 1, num).tolist()
)


def probe_points(num_inputs: int) -> Float[np.ndarray, "N I"]:
    """Return 10 points per input, grouped by input."""
    points = np.empty((num_inputs, len(PROBES), num_inputs), np.float32)
    for index, (at, others) in enumerate(PROBES):
        points[:, index] = others + (at - others) * np.eye(num_inputs)
    return points.reshape(-1, num_inputs)


class TokenBlock(nn.Module):
    """Map a shared vector and each of K tokens to one output per token."""

    width: int
    num_out: int

    @nn.compact
    def __call__(
        self, shared: Float[Array, " W"], tokens: Float[Array, "K T"]
    ) -> Float[Array, "K U"]:
        """Apply the block to every token."""
        hidden = nn.Dense(self.width)(shared)[None] + nn.Dense(self.width)(tokens)
        hidden += nn.Dense(self.width)(nn.silu(normalise(hidden)))
        return nn.Dense(self.num_out)(nn.silu(normalise(hidden)))
