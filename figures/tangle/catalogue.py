"""Cases of the memory study: stacks of layers and search spaces.

Sizes are those of `swajax.tangle.spaces` and of `full_size`; the latter are only
compiled. The models are simplified, so that all forms share the parts without choices:
conv-macro has its convolutions with choices and a plain readout; transformers have no
last normalisation, statistics over padding as in the paper, a separate head where
chars-gpt ties it to the embedding, ten classes where AutoFormer-T has 1,000, and
neither class token nor positions.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

from figures.tangle import supernets
from figures.tangle.cellnets import make_cells, make_nb201
from figures.tangle.full_size import FULL_SIZE
from figures.tangle.supernets import Supernet, make_macro
from figures.tangle.transformers import make_transformer
from swajax.tangle.spaces.chars_gpt import CharsGptConfig
from swajax.tangle.spaces.digits_cell import DigitsCellConfig
from swajax.tangle.spaces.digits_macro import DigitsMacroConfig
from swajax.tangle.spaces.digits_vit import DigitsVitConfig


class Case(NamedTuple):
    """A supernet and its batch size."""

    make: Callable[[], Supernet]
    batch_size: int
    is_timed: bool  # else only compiled


STACKS: dict[str, tuple[Callable[[int], Supernet], int]] = {
    "linear": (supernets.make_linear_stack, 256),
    "conv": (supernets.make_conv_stack, 32),
    "attention": (supernets.make_attention_stack, 16),
}
"""Function from the number of options to a supernet, and batch size."""

DIGITS = (8, 8, 1)  # an image
# Measured with 94 characters; the alphabet has 96.
CHARS = CharsGptConfig(num_tokens=94)


def _make_vit(config: DigitsVitConfig, input_shape: tuple[int, ...]) -> Supernet:
    """Make a classifier of images; the class token counts as one more patch."""
    num_pixels = config.patch**2 * config.image_channels
    num_positions = math.prod(input_shape) // num_pixels + 1
    return make_transformer(config, num_positions=num_positions, num_pixels=num_pixels)


def _make_gpt(config: CharsGptConfig, input_shape: tuple[int, ...]) -> Supernet:
    """Make a language model."""
    (num_positions,) = input_shape
    return make_transformer(
        config, num_positions=num_positions, num_tokens=config.num_tokens
    )


def _make_full(name: str, make_fn: Callable[..., Supernet]) -> Case:
    """Make the case of a space at the dimensions of the paper."""
    full = FULL_SIZE[name]
    make = functools.partial(make_fn, full.config, full.input_shape)
    return Case(make, full.batch_size, False)


SPACES: dict[str, Case] = {
    "mlp": Case(supernets.make_perceptron, 64, True),
    "digits-macro": Case(lambda: make_macro(DigitsMacroConfig(), DIGITS), 50, True),
    "digits-macro-product": Case(
        lambda: make_macro(DigitsMacroConfig(), DIGITS, is_product=True), 50, True
    ),
    "digits-cell": Case(lambda: make_cells(DigitsCellConfig(), DIGITS), 50, True),
    "digits-vit": Case(lambda: _make_vit(DigitsVitConfig(), DIGITS), 50, True),
    "chars-gpt": Case(lambda: _make_gpt(CHARS, (CHARS.context,)), 16, True),
    "conv-macro": _make_full("conv-macro", make_macro),
    "nb201": _make_full("nb201", make_nb201),
    "darts": _make_full("darts", make_cells),
    "autoformer-t": _make_full("autoformer-t", _make_vit),
    "small-lm": _make_full("small-lm", _make_gpt),
}
"""In digits-macro-product weight sharing has one option for each combination of input
channels, output channels and kernel; in the others options ignore input channels."""
