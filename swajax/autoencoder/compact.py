"""Preset `compact`: dense residual encoder and decoders that also read the function.

Ours, not the paper's. Same networks in and out as `paper` and the same four decoders
on one embedding of 128 numbers. What makes it learn fast:

* neurons are put in a canonical order and dead ends are removed before encoding, so
  that networks which differ only by a permutation share one point;
* the encoder also reads the outputs of the network at fixed probe points, standardised,
  with their mean and scale beside them;
* a point is first decoded into the function it stands for, as outputs at the probe
  points. Each decoder makes hidden layers and a draft of the readout, and the draft is
  corrected in closed form, by ridge regression of those outputs on its last hidden
  layer. All four decoders stay good everywhere, where without the correction one of
  them wins nearly always and the others starve.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax.network import mask_weights, permute, remove_dead_ends, uniform_activation
from swajax.network.batched import apply_batch
from swajax.network.gates import binarize
from swajax.types import Network, NetworkSpec

WEIGHT_BOUND = 10.0  # the prior's weights lie in [-10, 10]
# Weights that a fresh decoder emits: small, since large ones saturate sigmoids, and
# then no gradient reaches the deep decoders.
WEIGHT_SCALE = 4.0
RELATIVE_RIDGE = 1e-4
KEEP_LOGIT = 2.0  # decoders start with every neuron present


def probe_points(num_probes: int, num_inputs: int) -> Float[np.ndarray, "N I"]:
    """Fixed points spread evenly over [-1, 1]^I: an additive recurrence.

    The steps are powers of the root of g^(I+1) = g + 1, which generalises the golden
    ratio to I dimensions.
    """
    golden = 2.0
    for _ in range(64):
        golden = (1 + golden) ** (1 / (num_inputs + 1))
    steps = golden ** -np.arange(1.0, num_inputs + 1)
    index = np.arange(1.0, num_probes + 1)[:, None]
    return (2 * ((0.5 + index * steps) % 1) - 1).astype(np.float32)


def canonical_order(network: Network) -> Network:
    """The same function with dead ends removed and neurons sorted layer by layer.

    The key of a neuron is the total absolute weight of the paths through it, which no
    permutation of any layer changes; the largest comes first, absent neurons last.
    """
    network = remove_dead_ends(mask_weights(network))
    num_layers = network.mask.shape[0]
    forward = [jnp.abs(network.first).sum(0)]
    for layer in range(num_layers - 1):
        forward.append(forward[-1] @ jnp.abs(network.hidden[layer]))
    at_output = jnp.abs(network.readout).sum(1)
    backward = [at_output] * num_layers
    for layer in reversed(range(num_layers - 1)):
        feeds = jnp.abs(network.hidden[layer]) @ backward[layer + 1]
        backward[layer] = jnp.where(layer == network.depth - 1, at_output, feeds)
    # The small terms order constant neurons and those without outgoing weights.
    key = (jnp.stack(forward) + 0.1) * (jnp.stack(backward) + 0.1)
    order = jnp.argsort(-jnp.where(network.mask > 0, key, -1.0), axis=1)
    return permute(network, order)


class CompactAutoencoder(nn.Module):
    """Encoder of any network of the family, one decoder a depth."""

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
        """Embedding of one network, given its outputs at the probe points."""
        hidden = self.read(_features(network, probes))
        for block in self.encoder:
            hidden = block(hidden)
        return self.embed(_normalise(hidden))

    def decode(self, z: Float[Array, " Z"], *, depth: int) -> Network:
        """The network that the decoder of this depth makes of an embedding."""
        return self.decoders[depth - 1](z, self.function(z))

    def __call__(self, network: Network, probes: Float[Array, "N O"]) -> list[Network]:
        """Encode and decode by every decoder; touches all parameters."""
        z = self.encode(network, probes)
        wanted = self.function(z)
        return [decoder(z, wanted) for decoder in self.decoders]


class ResidualBlock(nn.Module):
    """x + W2 silu(W1 norm(x))."""

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, " W"]) -> Float[Array, " W"]:
        """Apply the block."""
        normed = _normalise(x)
        hidden = nn.silu(nn.Dense(self.width)(normed))
        return x + nn.Dense(self.width)(hidden)


class Function(nn.Module):
    """z to the outputs at the probe points of the function it stands for."""

    width: int
    num_probes: int

    @nn.compact
    def __call__(self, z: Float[Array, " Z"]) -> Float[Array, " N"]:
        """Decode one embedding; scale and mean span decades, as in the encoder."""
        hidden = ResidualBlock(self.width)(nn.Dense(self.width)(z))
        flat = nn.Dense(self.num_probes + 2)(_normalise(hidden))
        return flat[2:] * jnp.exp(flat[0]) + jnp.sinh(flat[1])


class Decoder(nn.Module):
    """z and the function it stands for to a network of one depth."""

    spec: NetworkSpec
    depth: int
    width: int
    num_blocks: int

    @nn.compact
    def __call__(self, z: Float[Array, " Z"], wanted: Float[Array, " N"]) -> Network:
        """Decode one embedding.

        Absent neurons keep their weights: they are ignored, but by them a gradient can
        bring a neuron back.
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
        hidden = nn.silu(_normalise(hidden))
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
    """Change the readout so that the outputs at the probe points come near `wanted`.

    The correction d of the readout r minimises |H (r + d) - wanted|^2 / N + ridge |d|^2
    for the last hidden layer H; the ridge is relative to the size of H.
    """
    points = jnp.asarray(probe_points(len(wanted), network.first.shape[0]))
    # Outputs of a network that reads out each neuron: the fast evaluation, of a batch
    # of one, which `vmap` makes a batch of many.
    neurons = network._replace(
        readout=jnp.eye(network.readout.shape[0]),
        readout_bias=jnp.zeros(network.readout.shape[0]),
    )
    batch = jax.tree.map(lambda leaf: leaf[None], neurons)
    hidden = apply_batch(batch, points, activations=(activation,), depth=depth)[0].T
    gram = hidden @ hidden.T / len(wanted)
    ridge = (RELATIVE_RIDGE * jnp.trace(gram) + 1e-9) * jnp.eye(len(gram))
    rest = wanted[None] - network.readout.T @ hidden
    correction = solve(gram + ridge, hidden @ rest.T / len(wanted))
    return network._replace(readout=network.readout + correction)


def _features(network: Network, probes: Float[Array, "N O"]) -> Float[Array, " F"]:
    network = canonical_order(network)
    center = probes.mean(0, keepdims=True)
    # The floor keeps almost constant networks finite: their noise is not a signal.
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


def _normalise(x: Float[Array, " W"]) -> Float[Array, " W"]:
    """Layer normalisation without parameters: what follows is a dense layer."""
    return jax.nn.standardize(x)


def solve(a: Float[Array, "H H"], b: Float[Array, "H O"]) -> Float[Array, "H O"]:
    """a^-1 b for a positive definite a, by Gauss-Jordan elimination.

    Many tiny systems under `vmap` are a few operations on whole batches this way, where
    a library call is one call a system. A loop, since XLA would fuse the steps and
    compute each of them many times; its gradient is another solution, 7 times faster
    than one through the steps.
    """

    def eliminate(_: Any, b: Float[Array, "H O"]) -> Float[Array, "H O"]:
        def body(index: Array, rows: Float[Array, "H C"]) -> Float[Array, "H C"]:
            pivot = rows[index] / rows[index, index]
            others = rows - rows[:, index, None] * pivot[None]
            is_pivot = jnp.arange(len(a))[:, None] == index
            return jnp.where(is_pivot, pivot[None], others)

        rows = jnp.concatenate([a, b], axis=1)
        return jax.lax.fori_loop(0, len(a), body, rows)[:, len(a) :]

    return jax.lax.custom_linear_solve(lambda x: a @ x, b, eliminate, symmetric=True)
