"""Decoders of `tabular`, from an embedding and a size to a network of one depth."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax.autoencoder.base import Embedding, Present
from swajax.autoencoder.layers import (
    RELATIVE_RIDGE,
    ResidualBlock,
    normalise,
    solve_positive_definite,
)
from swajax.autoencoder.tabular_tokens import PROBES, TokenBlock, probe_points
from swajax.network import make_family, pack, unpack
from swajax.network.batched import apply_batch
from swajax.network.gates import ABSENT_SCORE, bottlenecks, choose, top_k_gates
from swajax.types import Network, NetworkSpec

WEIGHT_SCALE = 2.0
SIZE_WAVES = (0.5, 1.0, 2.0, 4.0)


class Decoder(nn.Module):
    """Map an embedding, its function and a number of weights to a network."""

    spec: NetworkSpec
    depth: int
    width: int

    @nn.compact
    def __call__(
        self,
        point: Embedding,
        wanted: Float[Array, "N O"],
        num_weights: Float[Array, ""],
        present: Present,
    ) -> Network:
        """Decode one embedding with exactly `num_weights` weights, if possible."""
        network, scores = self._emit(point, num_weights)
        family = make_family(network.mask, network.activation, network.depth, *present)
        possible = pack(family)
        scores = unpack(jnp.where(possible > 0, pack(scores), ABSENT_SCORE), network)
        paths = bottlenecks(scores, depth=self.depth)
        gates = top_k_gates(pack(scores), num_weights, order=pack(paths)) * possible
        network = unpack(WEIGHT_SCALE * pack(network) * gates, network)
        return _correct_readout(
            network,
            unpack(gates, network),
            wanted,
            present,
            depth=self.depth,
            activations=self.spec.activations,
        )

    def _emit(
        self, point: Embedding, num_weights: Float[Array, ""]
    ) -> tuple[Network, Network]:
        """Return a value and a score of every weight; called by `__call__` only."""
        width, num_kinds = self.spec.max_width, len(self.spec.activations)
        hidden = nn.Dense(self.width)(point.z)
        hidden += nn.Dense(self.width)(_size_features(num_weights))
        hidden = nn.silu(normalise(ResidualBlock(self.width)(hidden)))
        shapes = [
            (self.depth - 1, width, width, 2),
            (self.depth, width, 2),
            (self.depth, width, num_kinds),
        ]
        lengths = [math.prod(shape) for shape in shapes]
        flat = jnp.split(nn.Dense(sum(lengths))(hidden), np.cumsum(lengths)[:-1])
        between, bias, kinds = (
            part.reshape(shape) for part, shape in zip(flat, shapes, strict=True)
        )
        rows = TokenBlock(self.width // 2, 2 * width)(hidden, point.inputs)
        columns = TokenBlock(self.width // 2, 2 * width + 2)(hidden, point.outputs)
        return tuple(
            Network(
                first=rows[:, which::2],
                hidden=jnp.pad(between[..., which], self._unused(2)),
                readout=columns[:, which : 2 * width : 2].T,
                bias=jnp.pad(bias[..., which], self._unused(1)),
                readout_bias=columns[:, 2 * width + which],
                mask=jnp.pad(jnp.ones((self.depth, width)), self._unused(1)),
                activation=jnp.pad(choose(kinds), self._unused(2)),
                depth=jnp.asarray(self.depth, jnp.int32),
            )
            for which in (0, 1)
        )

    def _unused(self, num_axes: int) -> list[tuple[int, int]]:
        """Return the padding of the layers beyond the depth of this decoder."""
        return [(0, self.spec.max_depth - self.depth)] + [(0, 0)] * num_axes


def _correct_readout(
    network: Network,
    gates: Network,
    wanted: Float[Array, "N O"],
    present: Present,
    *,
    depth: int,
    activations: tuple[str, ...],
) -> Network:
    """Fit the active readout weights so that the outputs approach `wanted`.

    As in `compact`, this is a ridge regression on the last hidden layer at the probe
    points, with one system per output over its active weights.
    """
    size = network.readout.shape[0]
    points = jnp.asarray(probe_points(network.first.shape[0]))
    neurons = network._replace(readout=jnp.eye(size), readout_bias=jnp.zeros(size))
    batch = jax.tree.map(lambda leaf: leaf[None], neurons)
    hidden = apply_batch(batch, points, activations=activations, depth=depth)[0].T
    hidden = jnp.concatenate([hidden, jnp.ones((1, hidden.shape[1]))])
    # Points on the line of an absent input have weight 0.
    counts = jnp.repeat(present.inputs, len(PROBES))
    weighted = hidden * (counts / counts.sum())[None]
    gram = weighted @ hidden.T
    draft = jnp.concatenate([network.readout, network.readout_bias[None]])
    is_active = jnp.concatenate([gates.readout, gates.readout_bias[None]])
    right = weighted @ wanted - gram @ draft
    ridge = RELATIVE_RIDGE * jnp.trace(gram) + 1e-9

    def correct(gate: Float[Array, " K"], right: Float[Array, " K"]) -> Array:
        matrix = gram * gate[:, None] * gate[None] + jnp.diag(ridge + 1 - gate)
        return gate * solve_positive_definite(matrix, (gate * right)[:, None])[:, 0]

    draft += jax.vmap(correct, in_axes=1, out_axes=1)(is_active, right)
    return network._replace(readout=draft[:-1], readout_bias=draft[-1])


def _size_features(num_weights: Float[Array, ""]) -> Float[Array, " F"]:
    log_size = jnp.log(num_weights)
    waves = log_size * jnp.asarray(SIZE_WAVES)
    return jnp.concatenate([log_size[None], jnp.sin(waves), jnp.cos(waves)])
