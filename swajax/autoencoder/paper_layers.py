"""Convolutional layers of the preset `paper`, for images of a few rows and columns."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

NORM_EPSILON = 1e-5

leaky_relu = functools.partial(nn.leaky_relu, negative_slope=0.01)
xavier = nn.initializers.xavier_uniform()
Dense = functools.partial(nn.Dense, kernel_init=xavier)


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
    """Batch normalisation in inference mode: an affine map of each channel.

    At batch size 1 the training and inference modes of the original disagree. Here,
    means and variances are constants: they are stored in the collection `batch_stats`,
    do not count as parameters, and have zero gradient.
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
    """Compute a transposed convolution of stride 2 as four small convolutions.

    Outputs at even positions depend on one input (the middle tap), outputs at odd
    positions on two neighbours (the outer taps), along rows and along columns. XLA
    dilates the input instead, whose kernel gradient is 15 times slower on CPUs.
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
    """Compute a 3x3 convolution with padding 1 as one matrix product over columns.

    The channels of all rows of a column form one vector, and the kernel becomes a
    banded matrix from three such vectors to one. In images of two rows this skips the
    taps that read only padding. On CPUs, XLA has no fast convolution for the smallest
    images (for 2x3 pixels up to 20 times slower than this function).
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
