"""Convolutions, and their form by patches: a product of matrices for small images.

XLA's convolution of small images on a CPU, above all within a scan, takes some 9 times
as long as one product with all shifts of the images side by side. What is small depends
on the layer, so callers tell.

Letters: S pixels along a kernel, O output channels, N images.
"""

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

BACKENDS = ("cpu",)  # where patches are faster


def are_faster(size: int, limit: int) -> bool:
    """Whether patches are, for images of such a size, up to a limit."""
    return jax.default_backend() in BACKENDS and size <= limit


def convolve(
    x: Float[Array, "N Y X _"],
    kernel: Float[Array, "S S _ O"],
    *,
    stride: int = 1,
    dilation: int = 1,
    is_patched: bool,
) -> Float[Array, "N V U O"]:
    """A convolution, padded so that at stride 1 the size stays the same.

    Equal padding on all sides keeps the centre of a kernel of odd size where it is,
    whatever its size and the stride. Without patches kernels may have one input channel
    too, and are then applied channel by channel.
    """
    num = dilation * (kernel.shape[0] - 1)
    pad = (num // 2, num - num // 2)
    if is_patched:
        return _convolve_by_patches(x, kernel, stride, dilation, pad)
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [pad, pad],
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] // kernel.shape[2],
    )


def _convolve_by_patches(
    x: Array, kernel: Array, stride: int, dilation: int, pad: tuple[int, int]
) -> Array:
    _, height, width, _ = x.shape
    x = jnp.pad(x, ((0, 0), pad, pad, (0, 0)))
    starts = itertools.product(range(0, dilation * len(kernel), dilation), repeat=2)
    patches = [x[:, y : y + height : stride, z : z + width : stride] for y, z in starts]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
