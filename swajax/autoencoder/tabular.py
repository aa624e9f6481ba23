"""Preset `tabular`: one space for networks of any number of inputs and outputs.

An embedding is a set of tokens: one global `z`, a small one an input and a small one
an output. What belongs to an input or output is made of its token and of z alone, by
the same parameters for all, so that permuting inputs permutes the result and one
checkpoint serves any table.

Decoding is conditioned on size: the decoder is told how many weights it may use, emits
all weights and a score for each, and exactly that many of highest score are open. One
embedding so stands for networks of every size, and the space is multi-scale in sparsity
as well as in depth.

As in `compact`, the encoder reads the network, neurons in canonical order, and its
outputs at probe points; and the readout that a decoder drafts is corrected in closed
form, by ridge regression, here of open weights only, on the function that z stands for.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax.autoencoder.compact import (
    RELATIVE_RIDGE,
    ResidualBlock,
    canonical_order,
    solve,
)
from swajax.batched import apply_batch
from swajax.gates import choose, open_largest
from swajax.network import pack, unpack
from swajax.prior import make_family
from swajax.types import Network, NetworkSpec

# Probe points lie on lines along each input; the others are all 0, 1 or -1.
PROBES = tuple(
    (at, others)
    for others, num in ((0.0, 4), (1.0, 3), (-1.0, 3))
    for at in np.linspace(-1, 1, num).tolist()
)
WEIGHT_SCALE = 2.0
SIZE_WAVES = (0.5, 1.0, 2.0, 4.0)
NEVER = -1e9  # score of a weight that cannot be open


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


class TabularAutoencoder(nn.Module):
    """Encoder of any network, one decoder a depth; I and O are those of the data."""

    spec: NetworkSpec
    embedding_size: int = 128
    token_size: int = 24
    width: int = 256
    pair_width: int = 64

    def setup(self) -> None:
        """Create the layers."""
        self.encoder = Encoder(
            self.embedding_size, self.token_size, self.width, self.pair_width
        )
        self.function = Function(self.pair_width)
        self.decoders = [
            Decoder(self.spec, depth + 1, self.width)
            for depth in range(self.spec.max_depth)
        ]

    def encode(
        self, network: Network, probes: Float[Array, "N O"], present: Present
    ) -> Embedding:
        """Embedding of one network, given its outputs at the probe points."""
        return self.encoder(network, probes, present)

    def decode(
        self,
        point: Embedding,
        num_weights: Float[Array, ""],
        present: Present,
        *,
        depth: int,
    ) -> Network:
        """The network of at most so many weights that the decoder of a depth makes."""
        wanted = self.function(point)
        return self.decoders[depth - 1](point, wanted, num_weights, present)

    def respond(self, point: Embedding) -> Float[Array, "N O"]:
        """Outputs at the probe points of the function that a point stands for."""
        return self.function(point)

    def decode_all(
        self, point: Embedding, num_weights: Float[Array, ""], present: Present
    ) -> tuple[Network, ...]:
        """The networks of all decoders, depth 1 to L."""
        wanted = self.function(point)
        return tuple(f(point, wanted, num_weights, present) for f in self.decoders)

    def __call__(
        self,
        network: Network,
        probes: Float[Array, "N O"],
        num_weights: Float[Array, ""],
        present: Present,
    ) -> tuple[Network, ...]:
        """Encode and decode by every decoder; touches all parameters."""
        point = self.encode(network, probes, present)
        return self.decode_all(point, num_weights, present)


class Encoder(nn.Module):
    """A network and its outputs to tokens."""

    embedding_size: int
    token_size: int
    width: int
    pair_width: int

    @nn.compact
    def __call__(
        self, network: Network, probes: Float[Array, "N O"], present: Present
    ) -> Embedding:
        """Encode one network."""
        network = canonical_order(network)
        num_inputs, num_outputs = network.first.shape[0], network.readout.shape[1]
        responses = probes.reshape(num_inputs, -1, num_outputs).swapaxes(1, 2)
        of_output = jnp.concatenate([network.readout, network.readout_bias[None]]).T
        # Each pair of an input and an output has its responses and both their weights.
        pairs = nn.Dense(self.pair_width)(jnp.arcsinh(responses))
        pairs += nn.Dense(self.pair_width)(jnp.arcsinh(network.first))[:, None]
        pairs += nn.Dense(self.pair_width)(jnp.arcsinh(of_output))[None]
        pairs = nn.silu(_normalise(pairs))
        pairs = nn.silu(nn.Dense(self.pair_width)(pairs))
        is_there = present.inputs[:, None] * present.outputs[None]
        of_inputs = _pool(pairs, is_there, axis=1)
        of_outputs = _pool(pairs, is_there, axis=0)
        trunk = nn.Dense(self.width)(
            jnp.concatenate(
                [
                    jnp.arcsinh(network.hidden).ravel(),
                    jnp.arcsinh(network.bias).ravel(),
                    network.mask.ravel(),
                    (network.activation * network.mask[..., None]).ravel(),
                    jax.nn.one_hot(network.depth - 1, network.mask.shape[0]),
                    _pool(of_inputs, present.inputs, axis=0),
                    jnp.log(jnp.stack([present.inputs.sum(), present.outputs.sum()])),
                ]
            )
        )
        for _ in range(2):
            trunk = ResidualBlock(self.width)(trunk)
        trunk = _normalise(trunk)
        tokens = [
            TokenBlock(self.pair_width, self.token_size)(trunk, part)
            for part in (of_inputs, of_outputs)
        ]
        return Embedding(
            nn.Dense(self.embedding_size)(trunk),
            tokens[0] * present.inputs[:, None],
            tokens[1] * present.outputs[:, None],
        )


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
        hidden += nn.Dense(self.width)(nn.silu(_normalise(hidden)))
        return nn.Dense(self.num_out)(nn.silu(_normalise(hidden)))


class Function(nn.Module):
    """A point to the outputs at the probe points of the function it stands for."""

    width: int

    @nn.compact
    def __call__(self, point: Embedding) -> Float[Array, "N O"]:
        """Decode one embedding."""
        shared = ResidualBlock(2 * self.width)(nn.Dense(2 * self.width)(point.z))
        pairs = nn.Dense(self.width)(_normalise(shared))[None, None]
        pairs = pairs + nn.Dense(self.width)(point.inputs)[:, None]
        pairs += nn.Dense(self.width)(point.outputs)[None]
        pairs += nn.Dense(self.width)(nn.silu(_normalise(pairs)))
        responses = nn.Dense(len(PROBES))(nn.silu(_normalise(pairs)))
        return responses.swapaxes(1, 2).reshape(-1, responses.shape[1])


class Decoder(nn.Module):
    """A point, the function it stands for and a size to a network of one depth."""

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
        """Decode one embedding."""
        network, scores = self._emit(point, num_weights)
        family = make_family(network.mask, network.activation, network.depth, *present)
        possible = pack(family)
        scores = jnp.where(possible > 0, pack(scores), NEVER)
        gates = possible * open_largest(scores, num_weights)
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
        """A weight for every place, and its score; called within the compact call."""
        width, num_kinds = self.spec.max_width, len(self.spec.activations)
        hidden = nn.Dense(self.width)(point.z)
        hidden += nn.Dense(self.width)(_size_features(num_weights))
        hidden = nn.silu(_normalise(ResidualBlock(self.width)(hidden)))
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
        """Padding of the layers that this decoder does not have."""
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
    """Change open weights of the readout so that the responses come near `wanted`."""
    size = network.readout.shape[0]
    points = jnp.asarray(probe_points(network.first.shape[0]))
    neurons = network._replace(readout=jnp.eye(size), readout_bias=jnp.zeros(size))
    batch = jax.tree.map(lambda leaf: leaf[None], neurons)
    hidden = apply_batch(batch, points, activations=activations, depth=depth)[0].T
    hidden = jnp.concatenate([hidden, jnp.ones((1, hidden.shape[1]))])
    # Points on the line of an absent input do not count.
    counts = jnp.repeat(present.inputs, len(PROBES))
    weighted = hidden * (counts / counts.sum())[None]
    gram = weighted @ hidden.T
    draft = jnp.concatenate([network.readout, network.readout_bias[None]])
    is_open = jnp.concatenate([gates.readout, gates.readout_bias[None]])
    right = weighted @ wanted - gram @ draft
    ridge = RELATIVE_RIDGE * jnp.trace(gram) + 1e-9

    def correct(gate: Float[Array, " K"], right: Float[Array, " K"]) -> Array:
        matrix = gram * gate[:, None] * gate[None] + jnp.diag(ridge + 1 - gate)
        return gate * solve(matrix, (gate * right)[:, None])[:, 0]

    draft += jax.vmap(correct, in_axes=1, out_axes=1)(is_open, right)
    return network._replace(readout=draft[:-1], readout_bias=draft[-1])


def _size_features(num_weights: Float[Array, ""]) -> Float[Array, " F"]:
    log_size = jnp.log(num_weights)
    waves = log_size * jnp.asarray(SIZE_WAVES)
    return jnp.concatenate([log_size[None], jnp.sin(waves), jnp.cos(waves)])


def _pool(
    rows: Float[Array, "*S W"], weight: Float[Array, "*S"], axis: int
) -> Float[Array, "*R V"]:
    """Mean and root of the sum of squares of the rows that are there."""
    weight = weight[..., None]
    mean = (rows * weight).sum(axis) / jnp.maximum(weight.sum(axis), 1)
    size = jnp.sqrt(jnp.square(rows * weight).sum(axis) + 1e-6)
    return jnp.concatenate([mean, size], axis=-1)


def _normalise(x: Float[Array, "*S W"]) -> Float[Array, "*S W"]:
    """Layer normalisation without parameters."""
    return jax.nn.standardize(x)
