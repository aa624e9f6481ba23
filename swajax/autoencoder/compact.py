"""Preset `compact`: dense residual encoder and decoders that also read the function.

It embeds the same networks as `paper`, with the same number of decoders and an
embedding of 128 numbers. Three properties make it learn fast:

* before encoding, neurons are put in a canonical order and dead ends are removed, so
  that networks that differ only by a permutation have the same embedding;
* the encoder also reads the outputs of the network at fixed probe points, standardised,
  together with their mean and scale;
* an embedding is first decoded into the function it represents, as outputs at the probe
  points. Each decoder produces hidden layers and a draft of the readout, and the draft
  is corrected in closed form, by ridge regression of those outputs on the last hidden
  layer. All decoders stay accurate; without the correction, one of them is nearly
  always the best and the others receive no gradient.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax.autoencoder.base import (
    FIXED_DEFAULTS,
    Autoencoder,
    Params,
    Present,
    Preset,
    make_fixed_decoders,
)
from swajax.autoencoder.canonical import canonical_order
from swajax.autoencoder.layers import (
    RELATIVE_RIDGE,
    ResidualBlock,
    normalise,
    solve_positive_definite,
)
from swajax.autoencoder.matrix import check_no_biases
from swajax.network import apply, make_dense, uniform_activation
from swajax.network.batched import apply_batch
from swajax.network.gates import binarize
from swajax.prior import WEIGHT_BOUND
from swajax.types import Key, Network, NetworkSpec

# Scale of the weights of a fresh decoder: large weights saturate sigmoids, so that the
# deep decoders receive no gradient.
WEIGHT_SCALE = 4.0
KEEP_LOGIT = 2.0  # decoders start with every neuron present


def make_compact(spec: NetworkSpec, num_probes: int) -> Autoencoder:
    """Return the functions of the preset."""
    module = CompactAutoencoder(spec=spec, num_probes=num_probes)

    def points(num_inputs: int) -> Float[np.ndarray, "N I"]:
        return probe_points(num_probes, num_inputs)

    def probe(network: Network) -> Float[Array, "N O"]:
        x = jnp.asarray(points(spec.num_inputs))
        return apply(network, x, activations=spec.activations)

    def init(key: Key) -> Params:
        network = make_dense(spec)
        return module.init(key, network, probe(network))

    def encode(
        params: Params,
        network: Network,
        *,
        depth: int | None,
        probes: Float[Array, "N O"] | None,
        present: Present | None,
    ) -> Float[Array, " Z"]:
        del depth, present
        check_no_biases(network)
        probes = probe(network) if probes is None else probes
        return module.apply(params, network, probes, method=module.encode)

    decoders = make_fixed_decoders(module, spec.max_depth)
    return Autoencoder(init, encode, *decoders, points)


PRESET = Preset(make=make_compact, defaults=FIXED_DEFAULTS)


def probe_points(num_probes: int, num_inputs: int) -> Float[np.ndarray, "N I"]:
    """Return fixed points, spread evenly over [-1, 1]^I by an additive recurrence.

    The steps are powers of 1/g for the root g of g^(I+1) = g + 1, which generalises the
    golden ratio to I dimensions.
    """
    golden = 2.0
    for _ in range(64):
        golden = (1 + golden) ** (1 / (num_inputs + 1))
    steps = golden ** -np.arange(1.0, num_inputs + 1)
    index = np.arange(1.0, num_probes + 1)[:, None]
    return (2 * ((0.5 + index * steps) % 1) - 1).astype(np.float32)


class CompactAutoencoder(nn.Module):
    """Encoder for all networks of the family, and one decoder per depth."""

    spec: NetworkSpec
    num_probes: int
    embedding_size: int = 128
    encoder_width: int = 384
    encoder_blocks: int = 2
    decoder_width: int = 256
    decoder_blocks: int = 1

    def setup(self) -> None:
        """Create the layers."""
        self.read = nn.Dense(self.encoder_width)
        self.encoder = [
            ResidualBlock(self.encoder_width) for _ in range(self.encoder_blocks)
        ]
        self.embed = nn.Dense(self.embedding_size)
        self.function = Function(self.decoder_width, self.num_probes)
        self.decoders = [
            Decoder(self.spec, depth + 1, self.decoder_width, self.decoder_blocks)
            for depth in range(self.spec.max_depth)
        ]

    def encode(
        self, network: Network, probes: Float[Array, "N O"]
    ) -> Float[Array, " Z"]:
        """Embed one network, given its outputs at the probe points."""
        hidden = self.read(_features(network, probes))
        for block in self.encoder:
            hidden = block(hidden)
        return self.embed(normalise(hidden))

    def decode(self, z: Float[Array, " Z"], *, depth: int) -> Network:
        """Decode an embedding with the decoder of this depth."""
        return self.decoders[depth - 1](z, self.function(z))

    def __call__(self, network: Network, probes: Float[Array, "N O"]) -> list[Network]:
        """Encode, then decode with every decoder; uses all parameters."""
        z = self.encode(network, probes)
        wanted = self.function(z)
        return [decoder(z, wanted) for decoder in self.decoders]


class Function(nn.Module):
    """Map z to the function it represents, as outputs at the probe points."""

    width: int
    num_probes: int

    @nn.compact
    def __call__(self, z: Float[Array, " Z"]) -> Float[Array, " N"]:
        """Decode one embedding; scale and mean may span decades, as in the encoder."""
        hidden = ResidualBlock(self.width)(nn.Dense(self.width)(z))
        flat = nn.Dense(self.num_probes + 2)(normalise(hidden))
        return flat[2:] * jnp.exp(flat[0]) + jnp.sinh(flat[1])


class Decoder(nn.Module):
    """Map z and the function it represents to a network of one depth."""

    spec: NetworkSpec
    depth: int
    width: int
    num_blocks: int

    @nn.compact
    def __call__(self, z: Float[Array, " Z"], wanted: Float[Array, " N"]) -> Network:
        """Decode one embedding.

        Absent neurons keep their weights: `swajax.network.apply` ignores them, but
        through them a gradient can bring a neuron back.
        """
        spec, depth = self.spec, self.depth
        shapes = {
            "first": (spec.num_inputs, spec.max_width),
            "hidden": (depth - 1, spec.max_width, spec.max_width),
            "readout": (spec.max_width, spec.num_outputs),
            "mask": (depth, spec.max_width),
            "gain": (),
        }
        hidden = nn.Dense(self.width)(z)
        for _ in range(self.num_blocks):
            hidden = ResidualBlock(self.width)(hidden)
        hidden = nn.silu(normalise(hidden))
        sizes = [math.prod(shape) for shape in shapes.values()]
        flat = nn.Dense(sum(sizes))(hidden)
        parts = zip(shapes.items(), jnp.split(flat, np.cumsum(sizes)[:-1]), strict=True)
        part = {name: values.reshape(shape) for (name, shape), values in parts}
        mask = binarize(jax.nn.sigmoid(part["mask"] + KEEP_LOGIT))
        num_unused = spec.max_depth - depth
        mask = jnp.pad(mask, ((0, num_unused), (0, 0)))
        unused = ((0, num_unused), (0, 0), (0, 0))
        network = Network(
            first=WEIGHT_SCALE * part["first"],
            hidden=WEIGHT_SCALE * jnp.pad(part["hidden"], unused),
            readout=WEIGHT_SCALE * jnp.exp(part["gain"]) * part["readout"],
            bias=jnp.zeros_like(mask),
            readout_bias=jnp.zeros(spec.num_outputs),
            mask=mask,
            activation=uniform_activation(spec),
            depth=jnp.asarray(depth, jnp.int32),
        )
        activation = spec.activations[0]
        return correct_readout(network, wanted, activation=activation, depth=depth)


def correct_readout(
    network: Network, wanted: Float[Array, " N"], *, activation: str, depth: int
) -> Network:
    """Fit the readout so that the outputs at the probe points approach `wanted`.

    The correction d of the readout r minimises |H (r + d) - wanted|^2 / N + ridge |d|^2
    for the outputs H of the last hidden layer, with ridge = 1e-4 tr(H'H / N).
    """
    points = jnp.asarray(probe_points(len(wanted), network.first.shape[0]))
    # The outputs of a network that reads out each neuron are the last hidden layer. A
    # batch of one uses the fast evaluation; `vmap` makes it a batch of many.
    neurons = network._replace(
        readout=jnp.eye(network.readout.shape[0]),
        readout_bias=jnp.zeros(network.readout.shape[0]),
    )
    batch = jax.tree.map(lambda leaf: leaf[None], neurons)
    hidden = apply_batch(batch, points, activations=(activation,), depth=depth)[0].T
    gram = hidden @ hidden.T / len(wanted)
    ridge = (RELATIVE_RIDGE * jnp.trace(gram) + 1e-9) * jnp.eye(len(gram))
    rest = wanted[None] - network.readout.T @ hidden
    correction = solve_positive_definite(gram + ridge, hidden @ rest.T / len(wanted))
    return network._replace(readout=network.readout + correction)


def _features(network: Network, probes: Float[Array, "N O"]) -> Float[Array, " F"]:
    network = canonical_order(network)
    center = probes.mean(0, keepdims=True)
    # The floor keeps the features of almost constant networks finite.
    scale = jnp.maximum(probes.std(0, keepdims=True), 1e-4)
    depth = jax.nn.one_hot(network.depth - 1, network.mask.shape[0])
    numbers = (network.first, network.hidden, network.readout)
    return jnp.concatenate(
        [
            *(leaf.ravel() / WEIGHT_BOUND for leaf in numbers),
            network.mask.ravel(),
            depth,
            ((probes - center) / scale).ravel(),
            jnp.arcsinh(center[0]),
            jnp.log(scale[0]),
        ]
    )
