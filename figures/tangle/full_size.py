"""Spaces at the dimensions of arXiv:2312.10440, to be compiled rather than trained.

They are configurations of the spaces of the package and differ from the paper as
follows. AutoFormer-T reads out a class token and has no relative positions. Heads of
the language model have a fixed size, and its layers have biases. DARTS halves images by
one convolution of single pixels instead of two shifted ones, and keeps an operation on
every edge instead of the two strongest of a node. There is no dropout, drop-path or
auxiliary loss.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from swajax.tangle.spaces.base import SearchSpace
from swajax.tangle.spaces.chars_gpt import CharsGptConfig, make_chars_gpt
from swajax.tangle.spaces.conv_macro import ConvMacroConfig, make_conv_macro
from swajax.tangle.spaces.digits_cell import DigitsCellConfig, make_digits_cell
from swajax.tangle.spaces.digits_vit import DigitsVitConfig, make_digits_vit

Batch = tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]

NB201 = DigitsCellConfig(
    operations=("none", "skip", "conv1", "conv3", "avg3"),
    layout="-residual-".join(["-".join(["normal"] * 5)] * 3),
    channels=16,
    stem=16,
    num_nodes=3,
    join="last",
    image_channels=3,
)
DARTS = DigitsCellConfig(
    operations=("none", "max3", "avg3", "skip", "sep3", "sep5", "dil3", "dil5"),
    layout="normal-normal-reduce-normal-normal-reduce-normal-normal",
    channels=16,
    stem=48,
    num_inputs=2,
    num_nodes=4,
    image_channels=3,
)
AUTOFORMER_T = DigitsVitConfig(
    embed=(192, 216, 240),
    depths=(12, 13, 14),
    heads=(3, 4),
    ratios=(3.5, 4),
    head_size=64,
    image_size=224,
    image_channels=3,
    patch=16,
    num_classes=1000,
)
SMALL_LM = CharsGptConfig(
    embed=(384, 576, 768),
    depths=(5, 6, 7),
    heads=(6, 8, 12),
    ratios=(2, 3, 4),
    head_size=64,
    num_tokens=50_257,
    context=224,
)


class FullSize(NamedTuple):
    """A space and its batch."""

    make_fn: Any  # configuration to space
    config: Any
    input_shape: tuple[int, ...]  # of one example
    batch_size: int  # of the paper


FULL_SIZE = {
    "nb201": FullSize(make_digits_cell, NB201, (32, 32, 3), 64),
    "darts": FullSize(make_digits_cell, DARTS, (32, 32, 3), 64),
    "conv-macro": FullSize(make_conv_macro, ConvMacroConfig(), (32, 32, 3), 64),
    "autoformer-t": FullSize(make_digits_vit, AUTOFORMER_T, (224, 224, 3), 64),
    "small-lm": FullSize(make_chars_gpt, SMALL_LM, (SMALL_LM.context,), 12),
}


def make_full_size(
    name: str, *, batch_size: int | None = None
) -> tuple[SearchSpace, Batch]:
    """Make a space, and the shapes of inputs and targets of a batch.

    Args:
      name: key of `FULL_SIZE`.
      batch_size: number of examples [that of the paper; 64 instead of 512 for
        AutoFormer-T].

    Raises:
      ValueError: unknown name, or a batch size below one.
    """
    if name not in FULL_SIZE:
        raise ValueError(f"space must be one of {list(FULL_SIZE)}, got {name!r}")
    make_fn, config, shape, num = FULL_SIZE[name]
    num = num if batch_size is None else batch_size
    if num < 1:
        raise ValueError(f"batch_size must be >= 1, got {num}")
    is_text = name == "small-lm"
    x = jax.ShapeDtypeStruct((num, *shape), jnp.int32 if is_text else jnp.float32)
    y = jax.ShapeDtypeStruct((num, shape[0] if is_text else 1), jnp.int32)
    return make_fn(config), (x, y)
