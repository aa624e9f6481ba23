"""Preset `tabular`: one space for networks of any number of inputs and outputs.

An embedding is a set of tokens: one global `z`, one small token per input and one per
output. The weights of an input or output are computed from its token and z with shared
parameters, so that permuting inputs permutes the result and one checkpoint serves any
table.

Decoding is conditioned on size: the decoder receives the number of weights, emits all
weights and one score per weight, and activates exactly that many weights, those with
the highest scores. One embedding thus represents networks of every size, and the space
is multi-scale in sparsity as well as in depth.

As in `compact`, the encoder reads the network, with neurons in canonical order, and its
outputs at probe points. The readout drafted by a decoder is corrected in closed form,
by ridge regression on the function that the embedding represents; only active weights
are corrected.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from swajax.autoencoder.base import Autoencoder, Embedding, Params, Present, Preset
from swajax.autoencoder.canonical import canonical_order
from swajax.autoencoder.layers import ResidualBlock, normalise
from swajax.autoencoder.tabular_decoder import Decoder
from swajax.autoencoder.tabular_tokens import PROBES, TokenBlock, probe_points
from swajax.network import apply, make_dense
from swajax.types import Key, Network, NetworkSpec

UNLIMITED_WEIGHTS = 1e4  # more than any network of the preset has
MAX_INPUTS = 512  # the encoder evaluates 10 probe points per input


def make_tabular(spec: NetworkSpec, num_probes: int) -> Autoencoder:
    """Return the functions of the preset; its number of probe points is fixed."""
    del num_probes
    module = TabularAutoencoder(spec=spec)

    def probe(network: Network) -> Float[Array, "N O"]:
        x = jnp.asarray(probe_points(network.first.shape[0]))
        return apply(network, x, activations=spec.activations)

    def init(key: Key) -> Params:
        network = make_dense(spec)
        present = _all_present(spec.num_inputs, spec.num_outputs)
        return module.init(key, network, probe(network), jnp.ones(()), present)

    def encode(
        params: Params,
        network: Network,
        *,
        depth: int | None,
        probes: Float[Array, "N O"] | None,
        present: Present | None,
    ) -> Embedding:
        del depth
        probes = probe(network) if probes is None else probes
        if present is None:
            present = _all_present(network.first.shape[0], network.readout.shape[1])
        return module.apply(params, network, probes, present, method=module.encode)

    def decode(
        params: Params,
        z: Embedding,
        *,
        depth: int,
        num_weights: Num[Array, ""] | int | None,
        present: Present | None,
    ) -> Network:
        args = _fill_in(z, num_weights, present)
        return module.apply(params, z, *args, depth=depth, method=module.decode)

    def decode_all(
        params: Params,
        z: Embedding,
        *,
        num_weights: Num[Array, ""] | int | None,
        present: Present | None,
    ) -> tuple[Network, ...]:
        args = _fill_in(z, num_weights, present)
        return module.apply(params, z, *args, method=module.decode_all)

    def respond(params: Params, z: Embedding) -> Float[Array, "N O"]:
        return module.apply(params, z, method=module.respond)

    return Autoencoder(init, encode, decode, decode_all, probe_points, respond)


PRESET = Preset(
    make=make_tabular,
    defaults={
        "activation": "mixed",
        "num_inputs": 8,
        "num_outputs": 3,
        "max_width": 8,
        "max_depth": 3,
    },
    is_any_table=True,
    max_inputs=MAX_INPUTS,
)


def _fill_in(
    z: Embedding, num_weights: Num[Array, ""] | int | None, present: Present | None
) -> tuple[Float[Array, ""], Present]:
    """Return the size and the present inputs and outputs; by default, all."""
    if present is None:
        present = _all_present(len(z.inputs), len(z.outputs))
    size = UNLIMITED_WEIGHTS if num_weights is None else num_weights
    return jnp.asarray(size, z.z.dtype), present


def _all_present(num_inputs: int, num_outputs: int) -> Present:
    return Present(jnp.ones(num_inputs), jnp.ones(num_outputs))


class TabularAutoencoder(nn.Module):
    """Encoder for all networks and one decoder per depth; I and O are arbitrary."""

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
        """Embed one network, given its outputs at the probe points."""
        return self.encoder(network, probes, present)

    def decode(
        self,
        point: Embedding,
        num_weights: Float[Array, ""],
        present: Present,
        *,
        depth: int,
    ) -> Network:
        """Decode into a network of `depth` layers and at most `num_weights` weights."""
        wanted = self.function(point)
        return self.decoders[depth - 1](point, wanted, num_weights, present)

    def respond(self, point: Embedding) -> Float[Array, "N O"]:
        """Return the function of an embedding as outputs at the probe points."""
        return self.function(point)

    def decode_all(
        self, point: Embedding, num_weights: Float[Array, ""], present: Present
    ) -> tuple[Network, ...]:
        """Decode with all decoders, depth 1 to L."""
        wanted = self.function(point)
        return tuple(f(point, wanted, num_weights, present) for f in self.decoders)

    def __call__(
        self,
        network: Network,
        probes: Float[Array, "N O"],
        num_weights: Float[Array, ""],
        present: Present,
    ) -> tuple[Network, ...]:
        """Encode, then decode with every decoder; uses all parameters."""
        point = self.encode(network, probes, present)
        return self.decode_all(point, num_weights, present)


class Encoder(nn.Module):
    """Map a network and its outputs at the probe points to tokens."""

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
        # One vector per pair of input and output: responses and weights of both.
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
    """Map an embedding to its function, as outputs at the probe points."""

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
    """Return mean and Euclidean norm over the rows with weight 1."""
    weight = weight[..., None]
    mean = (rows * weight).sum(axis) / jnp.maximum(weight.sum(axis), 1)
    size = jnp.sqrt(jnp.square(rows * weight).sum(axis) + 1e-6)
    return jnp.concatenate([mean, size], axis=-1)
