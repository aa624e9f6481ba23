"""Operations on the edges of cells: convolutions, pools, identity and zero.

Normalisation has no parameters and uses the statistics of the images in the call.

Letters: S pixels along a kernel, C channels, N images.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.tangle.layers import affine, norms, patches
from swajax.types import Key

Images = Float[Array, "_ _ _ _"]  # [N Y X C]


class Operation(NamedTuple):
    """An operation of an edge."""

    kind: str  # operations of one kind share weights
    size: int  # kernel size
    rank: int  # larger for more weights


OPERATIONS = {
    "none": Operation("none", 1, 0),
    "skip": Operation("skip", 1, 1),
    "avg3": Operation("avg", 3, 0),
    "max3": Operation("max", 3, 0),
    "conv1": Operation("conv", 1, 2),
    "conv3": Operation("conv", 3, 7),
    "dil3": Operation("dil", 3, 3),
    "dil5": Operation("dil", 5, 4),
    "sep3": Operation("sep", 3, 5),
    "sep5": Operation("sep", 5, 6),
}

# Number of convolutions in sequence, and their dilation.
SEPARABLE = {"sep": (2, 1), "dil": (1, 2)}

MAX_PATCHED = 1024  # patches are faster for images of at most this number of values


class Separable(NamedTuple):
    """Depthwise convolutions, each followed by a pointwise one."""

    depthwise: tuple[Float[Array, "S S 1 C"], ...]
    pointwise: tuple[Float[Array, "C C"], ...]


def draw_kernels(key: Key, *shapes: tuple[int, ...]) -> tuple[Array, ...]:
    """Draw normal weights [..., from, to] of variance 2 / fan in for several shapes."""
    keys = jax.random.split(key, len(shapes))
    pairs = zip(keys, shapes, strict=True)
    return tuple(affine.draw_affine(subkey, shape)[0] for subkey, shape in pairs)


def make_operation(
    kind: str, weights: Any, x: Images, stride: int
) -> Callable[[Float[Array, "S S"] | None], Images]:
    """Return a kind of operation as a function of the mask of its kernel.

    Args:
      kind: kind of `Operation`.
      weights: weights of the kind; None if it has none.
      x: images.
      stride: stride of the operation.

    Returns:
      Function that maps a mask, or None for an unmasked kernel, to images.
    """

    def apply(keep: Float[Array, "S S"] | None) -> Images:
        if kind == "none":
            return jnp.zeros_like(x[:, ::stride, ::stride])
        if kind in ("avg", "max"):
            return normalise(_pool(x, kind, stride))
        if kind == "skip":
            return (
                x if stride == 1 else activate_and_convolve(x, weights, stride=stride)
            )
        if kind == "conv":
            return activate_and_convolve(x, _mask(weights, keep), stride=stride)
        out, step, dilation = x, stride, SEPARABLE[kind][1]
        for depthwise, pointwise in zip(*weights, strict=True):
            kernel = _mask(depthwise, keep)
            how = {"stride": step, "dilation": dilation}
            out = convolve_separably(jax.nn.relu(out), kernel, pointwise, **how)
            out, step = normalise(out), 1
        return out

    return apply


def convolve(
    x: Images, kernel: Float[Array, "S S I O"], *, stride: int = 1, dilation: int = 1
) -> Images:
    """Convolve; small images use patches, see `patches.convolve`."""
    how = {"stride": stride, "dilation": dilation}
    return patches.convolve(x, kernel, **how, is_patched=_is_small(x))


def convolve_separably(
    x: Images,
    depthwise: Float[Array, "S S 1 C"],
    pointwise: Float[Array, "C O"],
    *,
    stride: int,
    dilation: int,
) -> Images:
    """Apply a depthwise and then a pointwise convolution."""
    how = {"stride": stride, "dilation": dilation}
    if _is_small(x):
        return convolve(x, depthwise[:, :, 0, :, None] * pointwise[None, None], **how)
    return convolve(x, depthwise, **how) @ pointwise


def activate_and_convolve(x: Images, kernel: Array, *, stride: int = 1) -> Images:
    """Rectify, convolve and normalise."""
    return normalise(convolve(jax.nn.relu(x), kernel, stride=stride))


def normalise(x: Images) -> Images:
    """Normalise each channel by the statistics of these images, without parameters."""
    ones = jnp.ones(x.shape[-1])
    return norms.batch_norm(x, ones, jnp.zeros_like(ones), keep=ones)


def _is_small(x: Images) -> bool:
    return patches.are_faster(math.prod(x.shape[1:]), MAX_PATCHED)


def _mask(kernel: Array, keep: Float[Array, "S S"] | None) -> Array:
    return kernel if keep is None else kernel * keep[:, :, None, None]


def _pool(x: Images, kind: str, stride: int) -> Images:
    """Pool 3 x 3 pixels: their mean, without padding, or their maximum."""

    def reduce(x: Images, start: float, fn: Callable[..., Array]) -> Images:
        around = ((0, 0), (1, 1), (1, 1), (0, 0))
        window, steps = (1, 3, 3, 1), (1, stride, stride, 1)
        return jax.lax.reduce_window(x, start, fn, window, steps, around)

    if kind == "max":
        return reduce(x, -jnp.inf, jax.lax.max)
    inside = reduce(jnp.ones((1, *x.shape[1:3], 1)), 0.0, jax.lax.add)
    return reduce(x, 0.0, jax.lax.add) / inside
