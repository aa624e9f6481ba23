"""Preset `paper`: the convolutional autoencoder of arXiv:2410.08339 (spec section 4).

Four encoders and four decoders, one a depth, share one embedding of 128 numbers. They
read and write the flattened form of a network (`swajax.autoencoder.matrix`) as an image
[rows, columns, channels]. 10,927,404 parameters, half of them in the two dense layers
between the pictures and the embedding.
"""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.autoencoder.matrix import from_matrix, to_matrix
from swajax.network.gates import binarize
from swajax.types import Network, NetworkSpec

ENCODER_WIDTHS = (512, 256, 128)  # the last one is the size Z of the embedding
DECODER_WIDTHS = (512, 256)
FEATURE_CHANNELS = 128
NORM_EPSILON = 1e-5

leaky_relu = functools.partial(nn.leaky_relu, negative_slope=0.01)
xavier = nn.initializers.xavier_uniform()
Dense = functools.partial(nn.Dense, kernel_init=xavier)


class PaperAutoencoder(nn.Module):
    """Encoders and decoders of all depths around one embedding.

    With `is_mask_trained` the rounding of the neuron masks has the straight-through
    gradient of `swajax.network.gates.binarize`; without, none, as in the original.
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
        """Encode and decode by every decoder; touches all parameters."""
        z = self.encode(network)
        return [self.decode(z, depth + 1) for depth in range(self.spec.max_depth)]

    def encode(self, network: Network, depth: int | None = None) -> Float[Array, " Z"]:
        """Embedding of one network.

        Args:
          network: of the family `spec`, without biases.
          depth: its number of hidden layers if known at compile time: the other
            encoders are then not run. Their contribution is zero in any case.
        """
        if depth is not None:
            return self.embed_matrix(to_matrix(network, depth=depth), depth)
        total = 0.0
        for each, encoder in enumerate(self.encoders, start=1):
            features = encoder(to_matrix(network, depth=each))
            total += jnp.where(network.depth == each, features, 0.0)
        return self._embed(total)

    def decode(self, z: Float[Array, " Z"], depth: int) -> Network:
        """The network with `depth` hidden layers that an embedding stands for.

        A neuron is present where the sigmoid of its mask number is over 0.5; the
        gradient of this rounding is described at the class.
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
        """Embedding of the flattened form of a network."""
        chex.assert_shape(matrix, matrix_shape(depth, self.spec))
        return self._embed(self.encoders[depth - 1](matrix))

    def decode_matrix(self, z: Float[Array, " Z"], depth: int) -> Float[Array, "H C"]:
        """What a decoder says, before masks are rounded and applied."""
        hidden = leaky_relu(self.unembed[0](z))
        hidden = leaky_relu(self.unembed[1](hidden))
        return self.decoders[depth - 1](hidden)

    def _embed(self, hidden: Float[Array, " W"]) -> Float[Array, " Z"]:
        hidden = leaky_relu(hidden + self.embed_bias)
        for layer in self.embed:
            hidden = leaky_relu(layer(hidden))
        return hidden


def matrix_shape(depth: int, spec: NetworkSpec) -> tuple[int, int]:
    """Rows and columns of the flattened form of a network."""
    return spec.max_width, spec.max_width * depth + 1 + depth


def feature_shape(depth: int, spec: NetworkSpec) -> tuple[int, int]:
    """Rows and columns after two convolutions of stride 2."""
    rows, columns = matrix_shape(depth, spec)
    return -(-rows // 4), -(-columns // 4)


def part_of_xavier(fan_in: int, fan_out: int) -> nn.initializers.Initializer:
    """Xavier-uniform for a part of the kernel of a larger dense layer."""
    limit = (6 / (fan_in + fan_out)) ** 0.5
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -limit, limit
    )


class Encoder(nn.Module):
    """Picture of one depth to its part of the first dense layer.

    The original concatenates the features of all encoders, zeros for those of other
    depths. Here each encoder owns the rows of the dense layer that read its features:
    the same sum, without the zeros.
    """

    width: int
    num_features: int  # of all encoders together

    @nn.compact
    def __call__(self, matrix: Float[Array, "H C"]) -> Float[Array, " W"]:
        """Contribution of one network, without bias."""
        x = leaky_relu(Conv(32, name="conv_in")(matrix[..., None]))
        x = ResidualBlock(64, stride=2, name="block1")(x)
        x = ResidualBlock(128, stride=2, name="block2")(x)
        x = ResidualBlock(128, name="block3")(x)
        init = part_of_xavier(self.num_features, self.width)
        dense = nn.Dense(self.width, use_bias=False, kernel_init=init, name="embed")
        return dense(jnp.moveaxis(x, -1, 0).ravel())


class Decoder(nn.Module):
    """Last hidden layer behind the embedding to the flattened form of one depth."""

    shape: tuple[int, int]  # of the first picture
    num_features: int  # of all decoders together
    matrix_shape: tuple[int, int]

    @nn.compact
    def __call__(self, hidden: Float[Array, " W"]) -> Float[Array, "H C"]:
        """The flattened form with mask numbers that are not rounded."""
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


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut around them."""

    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "R C K"]) -> Float[Array, "R2 C2 K2"]:
        """Apply the block."""
        out = leaky_relu(Conv(self.channels, stride=self.stride, name="conv1")(x))
        out = Conv(self.channels, name="conv2")(out)
        if self.stride > 1 or x.shape[-1] != self.channels:
            x = x[:: self.stride, :: self.stride]
            x = StoredNorm(name="norm")(Dense(self.channels, name="shortcut")(x))
        return leaky_relu(out + x)


class StoredNorm(nn.Module):
    """Batch normalisation in inference mode always: an affine map of each channel.

    At batch size 1 the original's training and inference disagree. Means and variances
    are constants here: they live in the collection `batch_stats`, do not count as
    parameters, and pass no gradient even to an optimizer that holds all collections.
    """

    @nn.compact
    def __call__(self, x: Float[Array, "R C K"]) -> Float[Array, "R C K"]:
        """Normalise with stored statistics, then scale and shift."""
        shape = (x.shape[-1],)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape).value
        var = self.variable("batch_stats", "var", jnp.ones, shape).value
        scale = self.param("scale", nn.initializers.ones, shape)
        bias = self.param("bias", nn.initializers.zeros, shape)
        mean, var = jax.lax.stop_gradient((mean, var))
        gain = scale / jnp.sqrt(var + NORM_EPSILON)
        return x * gain[None, None] + (bias - mean * gain)[None, None]


class Conv(nn.Module):
    """3x3 convolution with padding 1 and bias; parameters as in `nn.Conv`."""

    channels: int
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "R C K"]) -> Float[Array, "R2 C2 M"]:
        """Apply the layer."""
        kernel, bias = _kernel_and_bias(self, x.shape[-1], self.channels)
        is_scalar = x.shape[-1] == self.channels == 1
        if is_scalar or x.shape[0] <= 2 * self.stride:
            out = convolve_folded(x, kernel, stride=self.stride)
        else:
            out = _convolve(x, kernel, ((1, 1), (1, 1)), self.stride)
        return out + bias[None, None]


class Upsample(nn.Module):
    """Transposed 3x3 convolution of stride 2 that doubles rows and columns."""

    channels: int

    @nn.compact
    def __call__(self, x: Float[Array, "R C K"]) -> Float[Array, "R2 C2 K2"]:
        """Apply the layer."""
        kernel, bias = _kernel_and_bias(self, x.shape[-1], self.channels)
        return upsample(x, kernel) + bias[None, None]


def upsample(
    x: Float[Array, "R C K"], kernel: Float[Array, "3 3 K M"]
) -> Float[Array, "R2 C2 M"]:
    """Transposed convolution of stride 2 as four small ordinary ones.

    Outputs at even places see one input (the middle tap), those at odd places two
    neighbours (the outer taps); so for rows, and so for columns. XLA dilates its input
    instead, and on CPUs runs the gradient by the kernel of that 15 times slower.
    """
    even, odd = (slice(1, 2), (0, 0)), (slice(0, 3, 2), (0, 1))
    phases = [
        [_convolve(x, kernel[i, j], (pad_i, pad_j)) for j, pad_j in (even, odd)]
        for i, pad_i in (even, odd)
    ]
    rows, columns = x.shape[:2]
    rows_of_phases = [jnp.stack(row, axis=2) for row in phases]
    return jnp.stack(rows_of_phases, axis=1).reshape(2 * rows, 2 * columns, -1)


def convolve_folded(
    x: Float[Array, "R C K"], kernel: Float[Array, "3 3 K M"], *, stride: int = 1
) -> Float[Array, "R2 C2 M"]:
    """3x3 convolution with padding 1 as one matrix product over whole columns.

    The channels of all rows of a column become one long vector, and the kernel a banded
    matrix from three such columns to one. In pictures of two rows this skips the taps
    that see only padding, and on CPUs XLA has no fast convolution for the smallest
    pictures (2x3: up to 20 times slower than this).
    """
    rows, columns, _ = x.shape
    new_rows, new_columns = -(-rows // stride), -(-columns // stride)
    absent = jnp.zeros_like(kernel[0])

    def tap(row: int, new_row: int) -> Float[Array, "3 K M"]:
        offset = row - new_row * stride + 1
        return kernel[offset] if 0 <= offset < 3 else absent

    matrix = jnp.stack(
        [jnp.stack([tap(i, j) for j in range(new_rows)], axis=2) for i in range(rows)],
        axis=1,
    )  # [column tap, row, K, new row, M]
    x = jnp.moveaxis(x, 0, 1).reshape(columns, -1)
    x = jnp.pad(x, ((1, 1), (0, 0)))
    span = (new_columns - 1) * stride + 1
    x = jnp.concatenate([x[i : i + span : stride] for i in range(3)], axis=1)
    out = x @ matrix.reshape(x.shape[1], -1)
    return jnp.moveaxis(out.reshape(new_columns, new_rows, -1), 0, 1)


def _convolve(
    x: Float[Array, "R C K"],
    kernel: Float[Array, "H W K M"],
    padding: tuple[tuple[int, int], tuple[int, int]],
    stride: int = 1,
) -> Float[Array, "R2 C2 M"]:
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x[None], kernel, (stride, stride), padding, dimension_numbers=layout
    )[0]


def _kernel_and_bias(module: nn.Module, num_in: int, num_out: int) -> tuple:
    kernel = module.param("kernel", xavier, (3, 3, num_in, num_out))
    return kernel, module.param("bias", nn.initializers.zeros, (num_out,))
