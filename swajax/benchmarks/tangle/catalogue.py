"""What is measured: curves over options and batches, and search spaces.

Sizes are those of `swajax.tangle.spaces`, and of arXiv:2312.10440 (its appendix) for
spaces that are only compiled.
"""

from collections.abc import Callable
from typing import NamedTuple

from swajax.benchmarks.tangle import cellnets, supernets
from swajax.benchmarks.tangle.supernets import Supernet
from swajax.benchmarks.tangle.transformers import make_transformer


class Case(NamedTuple):
    """A supernet and its batch."""

    make: Callable[[], Supernet]
    batch_size: int
    is_timed: bool  # or compiled only


STACKS: dict[str, tuple[Callable[[int], Supernet], int]] = {
    "linear": (supernets.make_linear_stack, 256),
    "conv": (supernets.make_conv_stack, 32),
    "attention": (supernets.make_attention_stack, 16),
}
"""From the number of options; with the batch size."""

DIGITS = {"head_size": 8, "num_places": 17, "num_pixels": 4}
CHARS = {"head_size": 16, "num_places": 64, "num_tokens": 94}


def _make_digits_macro(*, is_product: bool = False) -> Supernet:
    return supernets.make_macro(
        ((4, 8, 12), (8, 12, 16), (8, 16, 24)),
        ((3,), (1, 3, 5), (1, 3, 5)),
        pooled=(1,),
        input_shape=(8, 8, 1),
        is_product=is_product,
    )


def _make_conv_macro() -> Supernet:
    """The convolutions of the space; its fifth one and its readout have no choices."""
    return supernets.make_macro(
        ((8, 16, 32), (16, 32, 64), (32, 64, 128), (64, 128, 256)),
        ((3, 5, 7),) * 4,
        pooled=(1, 2),
        input_shape=(32, 32, 3),
    )


def _make_digits_cell() -> Supernet:
    return cellnets.make_cells(
        cellnets.DIGITS,
        num_channels=8,
        num_cells=3,
        num_inputs=1,
        num_nodes=2,
        reducing=(0,),
        input_shape=(8, 8, 1),
    )


def _make_darts() -> Supernet:
    return cellnets.make_cells(
        cellnets.DARTS,
        num_channels=16,
        num_cells=8,
        num_inputs=2,
        num_nodes=4,
        reducing=(2, 5),
        input_shape=(32, 32, 3),
    )


SPACES: dict[str, Case] = {
    "mlp": Case(supernets.make_perceptron, 64, True),
    "digits-macro": Case(_make_digits_macro, 50, True),
    "digits-macro-product": Case(lambda: _make_digits_macro(is_product=True), 50, True),
    "digits-cell": Case(_make_digits_cell, 50, True),
    "digits-vit": Case(
        lambda: make_transformer(
            embed=(16, 24, 32),
            depths=(2, 3, 4),
            heads=(2, 3, 4),
            ratios=(1, 2, 4),
            **DIGITS,
        ),
        50,
        True,
    ),
    "chars-gpt": Case(
        lambda: make_transformer(
            embed=(32, 48, 64),
            depths=(2, 3, 4),
            heads=(2, 3, 4),
            ratios=(2, 3, 4),
            **CHARS,
        ),
        16,
        True,
    ),
    "conv-macro": Case(_make_conv_macro, 64, False),
    "nb201": Case(cellnets.make_nb201, 64, False),
    "darts": Case(_make_darts, 64, False),
    "autoformer-t": Case(
        lambda: make_transformer(
            embed=(192, 216, 240),
            depths=(12, 13, 14),
            heads=(3, 4),
            ratios=(3.5, 4),
            head_size=64,
            num_places=197,
            num_pixels=768,
        ),
        64,
        False,
    ),
    "small-lm": Case(
        lambda: make_transformer(
            embed=(384, 576, 768),
            depths=(5, 6, 7),
            heads=(6, 8, 12),
            ratios=(2, 3, 4),
            head_size=64,
            num_places=224,
            num_tokens=50257,
        ),
        12,
        False,
    ),
}
"""digits-macro-product has an option of weight sharing for each combination of what a
convolution reads, writes and its kernel; the others leave out what is read."""
