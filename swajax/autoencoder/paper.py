"""Preset `paper`: the convolutional autoencoder of arXiv:2410.08339.

One encoder and one decoder per depth share one embedding of 128 numbers. They read and
write the flattened form of a network (`swajax.autoencoder.matrix`) as an image [rows,
columns, channels]. Of the 10,927,404 parameters, half are in the two dense layers
between the images and the embedding.
"""

import chex
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
from swajax.autoencoder.matrix import check_no_biases, flatten, from_matrix
from swajax.autoencoder.paper_layers import (
    Conv,
    Dense,
    ResidualBlock,
    Upsample,
    leaky_relu,
)
from swajax.network import make_dense
from swajax.network.gates import binarize
from swajax.types import Key, Network, NetworkSpec

ENCODER_WIDTHS = (512, 256, 128)  # the last one is the size Z of the embedding
DECODER_WIDTHS = (512, 256)
FEATURE_CHANNELS = 128


def make_paper(spec: NetworkSpec, num_probes: int) -> Autoencoder:
    """Return the functions of the preset, which reads weights only, no probe points."""
    del num_probes
    module = PaperAutoencoder(spec=spec)

    def init(key: Key) -> Params:
        return module.init(key, make_dense(spec))

    def encode(
        params: Params,
        network: Network,
        *,
        depth: int | None,
        probes: Float[Array, "N O"] | None,
        present: Present | None,
    ) -> Float[Array, " Z"]:
        del probes, present
        check_no_biases(network)
        return module.apply(params, network, depth=depth, method=module.encode)

    def probe_points(num_inputs: int) -> Float[np.ndarray, "N I"]:
        return np.zeros((0, num_inputs), np.float32)

    decoders = make_fixed_decoders(module, spec.max_depth)
    return Autoencoder(init, encode, *decoders, probe_points)


PRESET = Preset(make=make_paper, defaults=FIXED_DEFAULTS, is_encoder_shared=False)


class PaperAutoencoder(nn.Module):
    """Encoders and decoders of all depths around one embedding.

    With `is_mask_trained`, the rounding of the neuron masks has the straight-through
    gradient of `swajax.network.gates.binarize`; without it, the gradient is zero as in
    the original.
    """

    spec: NetworkSpec
    is_mask_trained: bool = True

    def setup(self) -> None:
        """Create the layers."""
        depths = range(1, self.spec.max_depth + 1)
        shapes = [feature_shape(depth, self.spec) for depth in depths]
        num_features = (
            sum(rows * columns for rows, columns in shapes) * FEATURE_CHANNELS
        )
        first, *others = ENCODER_WIDTHS
        self.encoders = [Encoder(first, num_features) for _ in depths]
        self.embed_bias = self.param("embed_bias", nn.initializers.zeros, (first,))
        self.embed = [Dense(width) for width in others]
        self.unembed = [Dense(width) for width in reversed(ENCODER_WIDTHS[:-1])]
        self.decoders = [
            Decoder(shape, num_features, matrix_shape(depth, self.spec))
            for depth, shape in zip(depths, shapes, strict=True)
        ]

    def __call__(self, network: Network) -> list[Network]:
        """Encode, then decode with every decoder; uses all parameters."""
        z = self.encode(network)
        return [self.decode(z, depth + 1) for depth in range(self.spec.max_depth)]

    def encode(self, network: Network, depth: int | None = None) -> Float[Array, " Z"]:
        """Embed one network.

        Args:
          network: network of the family `spec` without biases.
          depth: its number of hidden layers, if known at compile time; only the encoder
            of this depth then runs. The others contribute zero in any case.
        """
        if depth is not None:
            return self.embed_matrix(flatten(network, depth=depth), depth)
        total = 0.0
        for each, encoder in enumerate(self.encoders, start=1):
            features = encoder(flatten(network, depth=each))
            total += jnp.where(network.depth == each, features, 0.0)
        return self._embed(total)

    def decode(self, z: Float[Array, " Z"], depth: int) -> Network:
        """Decode an embedding into a network with `depth` hidden layers.

        A neuron is present if the sigmoid of its mask value exceeds 0.5; see the class
        docstring for the gradient of this rounding.
        """
        matrix = self.decode_matrix(z, depth)
        num_weights = matrix.shape[1] - depth
        present = nn.sigmoid(matrix[:, num_weights:])
        if not self.is_mask_trained:
            present = jax.lax.stop_gradient(present)
        matrix = matrix.at[:, num_weights:].set(binarize(present))
        return from_matrix(matrix, depth=depth, spec=self.spec)

    def embed_matrix(
        self, matrix: Float[Array, "H C"], depth: int
    ) -> Float[Array, " Z"]:
        """Embed the flattened form of a network."""
        chex.assert_shape(matrix, matrix_shape(depth, self.spec))
        return self._embed(self.encoders[depth - 1](matrix))

    def decode_matrix(self, z: Float[Array, " Z"], depth: int) -> Float[Array, "H C"]:
        """Return the output of a decoder before its masks are rounded."""
        hidden = leaky_relu(self.unembed[0](z))
        hidden = leaky_relu(self.unembed[1](hidden))
        return self.decoders[depth - 1](hidden)

    def _embed(self, hidden: Float[Array, " W"]) -> Float[Array, " Z"]:
        hidden = leaky_relu(hidden + self.embed_bias)
        for layer in self.embed:
            hidden = leaky_relu(layer(hidden))
        return hidden


def matrix_shape(depth: int, spec: NetworkSpec) -> tuple[int, int]:
    """Return rows and columns of the flattened form of a network."""
    return spec.max_width, spec.max_width * depth + 1 + depth


def feature_shape(depth: int, spec: NetworkSpec) -> tuple[int, int]:
    """Return rows and columns after two convolutions of stride 2."""
    rows, columns = matrix_shape(depth, spec)
    return -(-rows // 4), -(-columns // 4)


def part_of_xavier(fan_in: int, fan_out: int) -> nn.initializers.Initializer:
    """Return a Xavier-uniform initializer for part of the kernel of a larger layer."""
    limit = (6 / (fan_in + fan_out)) ** 0.5
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -limit, limit
    )


class Encoder(nn.Module):
    """Map the image of one depth to its contribution to the first dense layer.

    The original concatenates the features of all encoders, with zeros for the other
    depths. Here each encoder holds the rows of the dense layer that read its features,
    which gives the same sum without the zeros.
    """

    width: int
    num_features: int  # total of all encoders

    @nn.compact
    def __call__(self, matrix: Float[Array, "H C"]) -> Float[Array, " W"]:
        """Return the contribution of one network without the bias."""
        x = leaky_relu(Conv(32, name="conv_in")(matrix[..., None]))
        x = ResidualBlock(64, stride=2, name="block1")(x)
        x = ResidualBlock(128, stride=2, name="block2")(x)
        x = ResidualBlock(128, name="block3")(x)
        init = part_of_xavier(self.num_features, self.width)
        dense = nn.Dense(self.width, use_bias=False, kernel_init=init, name="embed")
        return dense(jnp.moveaxis(x, -1, 0).ravel())


class Decoder(nn.Module):
    """Map the last shared hidden layer to the flattened form of one depth."""

    shape: tuple[int, int]  # shape of the first image
    num_features: int  # total of all decoders
    matrix_shape: tuple[int, int]

    @nn.compact
    def __call__(self, hidden: Float[Array, " W"]) -> Float[Array, "H C"]:
        """Return the flattened form before its masks are rounded."""
        rows, columns = self.shape
        size = FEATURE_CHANNELS * rows * columns
        init = part_of_xavier(hidden.size, self.num_features)
        x = nn.Dense(size, kernel_init=init, name="unembed")(hidden)
        x = jnp.moveaxis(x.reshape(FEATURE_CHANNELS, rows, columns), 0, -1)
        x = leaky_relu(Conv(64, name="conv_in")(x))
        x = ResidualBlock(64, name="block1")(x)
        x = leaky_relu(Upsample(64, name="upsample1")(x))
        x = ResidualBlock(32, name="block2")(x)
        x = leaky_relu(Upsample(32, name="upsample2")(x))
        x = ResidualBlock(1, name="block3")(x)
        x = Conv(1, name="conv_out")(x).ravel()
        for index, width in enumerate(DECODER_WIDTHS, start=1):
            x = leaky_relu(Dense(width, name=f"linear{index}")(x))
        num_rows, num_columns = self.matrix_shape
        x = Dense(num_rows * num_columns, name="linear3")(x)
        return x.reshape(num_rows, num_columns)
