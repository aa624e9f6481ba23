"""Reference forms of superposition, written as loops over the options.

Three ways to mix the options of a choice, each with K^n terms for n choices on a layer.
They are slow and serve tests and studies of memory and time.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

Option = tuple[int, ...]  # index of the option of each choice
Probabilities = Sequence[Float[Array, " _"]]  # [K] of each choice on a layer


def sum_padded(
    weight: Float[Array, "*S"],
    probabilities: Probabilities,
    slices_fn: Callable[[Option], tuple[slice, ...]],
) -> Float[Array, "*S"]:
    """Return the superposed weight: padded slices, summed with their probabilities.

    Args:
      weight: weight of the largest options.
      probabilities: probabilities of each choice.
      slices_fn: maps a combination to the slice that it keeps of each axis.
    """
    total = jnp.zeros_like(weight)
    for option, share in _combinations(probabilities):
        where = slices_fn(option)
        total = total.at[where].add(share * weight[where])
    return total


def mix_shared(
    probabilities: Probabilities,
    operation_fn: Callable[[Option], Float[Array, "..."]],
    *,
    num_channels: int,
) -> Float[Array, "..."]:
    """Mix entangled outputs: one pass per combination, on slices of one weight.

    Args:
      probabilities: probabilities of each choice.
      operation_fn: maps a combination to its output, channels last.
      num_channels: number of channels to pad each output to.
    """
    terms = (
        share * _pad(operation_fn(option), num_channels)
        for option, share in _combinations(probabilities)
    )
    return sum(terms)


def mix_independent(
    probabilities: Probabilities,
    operation_fn: Callable[[Any, Option], Float[Array, "..."]],
    weights: Sequence[Any],
    *,
    num_channels: int,
) -> Float[Array, "..."]:
    """Mix outputs as in arXiv:1806.09055: each combination has its own weights.

    Args:
      probabilities: probabilities of each choice.
      operation_fn: maps weights and combination to the output, channels last.
      weights: weights of each combination, the last choice varying fastest.
      num_channels: number of channels to pad each output to.
    """
    sizes = [len(p) for p in probabilities]
    by_option = dict(zip(itertools.product(*map(range, sizes)), weights, strict=True))
    return mix_shared(
        probabilities,
        lambda option: operation_fn(by_option[option], option),
        num_channels=num_channels,
    )


def _combinations(
    probabilities: Probabilities,
) -> Iterator[tuple[Option, Float[Array, ""]]]:
    for option in itertools.product(*(range(len(p)) for p in probabilities)):
        chosen = zip(probabilities, option, strict=True)
        yield option, math.prod(p[index] for p, index in chosen)


def _pad(out: Float[Array, "*N C"], num_channels: int) -> Float[Array, "*N D"]:
    widths = [(0, 0)] * (out.ndim - 1) + [(0, num_channels - out.shape[-1])]
    return jnp.pad(out, widths)
