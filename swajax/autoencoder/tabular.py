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

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.autoencoder.compact import ResidualBlock, canonical_order
from swajax.autoencoder.tabular_decoder import Decoder
from swajax.autoencoder.tabular_tokens import (
    PROBES,
    Embedding,
    Present,
    TokenBlock,
    normalise,
)
from swajax.types import Network, NetworkSpec


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
        pairs = nn.silu(normalise(pairs))
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
        trunk = normalise(trunk)
        tokens = [
            TokenBlock(self.pair_width, self.token_size)(trunk, part)
            for part in (of_inputs, of_outputs)
        ]
        return Embedding(
            nn.Dense(self.embedding_size)(trunk),
            tokens[0] * present.inputs[:, None],
            tokens[1] * present.outputs[:, None],
        )


class Function(nn.Module):
    """A point to the outputs at the probe points of the function it stands for."""

    width: int

    @nn.compact
    def __call__(self, point: Embedding) -> Float[Array, "N O"]:
        """Decode one embedding."""
        shared = ResidualBlock(2 * self.width)(nn.Dense(2 * self.width)(point.z))
        pairs = nn.Dense(self.width)(normalise(shared))[None, None]
        pairs = pairs + nn.Dense(self.width)(point.inputs)[:, None]
        pairs += nn.Dense(self.width)(point.outputs)[None]
        pairs += nn.Dense(self.width)(nn.silu(normalise(pairs)))
        responses = nn.Dense(len(PROBES))(nn.silu(normalise(pairs)))
        return responses.swapaxes(1, 2).reshape(-1, responses.shape[1])


def _pool(
    rows: Float[Array, "*S W"], weight: Float[Array, "*S"], axis: int
) -> Float[Array, "*R V"]:
    """Mean and root of the sum of squares of the rows that are there."""
    weight = weight[..., None]
    mean = (rows * weight).sum(axis) / jnp.maximum(weight.sum(axis), 1)
    size = jnp.sqrt(jnp.square(rows * weight).sum(axis) + 1e-6)
    return jnp.concatenate([mean, size], axis=-1)
