"""Convolutions that can be computed as one matrix product over patches.

On a CPU, XLA convolves small images, especially within a scan, about 9 times slower
than one product with all shifts of the images side by side. The size up to which this
holds depends on the layer, so callers pass it.

Letters: S pixels along a kernel, O output channels, N images.
"""

import itertools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

BACKENDS = ("cpu",)  # backends on which patches are faster


def are_faster(size: int, limit: int) -> bool:
    """Return whether patches are faster for images of this size, up to a limit."""
    return jax.default_backend() in BACKENDS and size <= limit


def convolve(
    x: Float[Array, "N Y X _"],
    kernel: Float[Array, "S S _ O"],
    *,
    stride: int = 1,
    dilation: int = 1,
    is_patched: bool,
) -> Float[Array, "N V U O"]:
    """Convolve with padding that keeps the image size at stride 1.

    Equal padding on all sides keeps the centres of kernels of different odd sizes
    aligned at any stride. Without patches, a kernel with one input channel is applied
    depthwise.

    Args:
      x: images, channels last.
      kernel: [..., from, to].
      stride: stride of the convolution.
      dilation: distance between the pixels that a kernel reads.
      is_patched: whether to compute by patches.
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
