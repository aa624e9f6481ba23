"""Choices with options, architectures, and probabilities of options.

Letters: K options of a choice, R rows (copies of the choice, such as layers), G genes
(rows of all choices).

An architecture maps the name of each choice to the index of one option per row. A
supernet is evaluated at probabilities [R, K] with the same names.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from swajax.tangle.layers import masks

Kind = Literal["size", "ratio", "kernel", "depth", "operation"]
Architecture = Mapping[str, tuple[int, ...]]
Probabilities = Mapping[str, Float[Array, "_ _"]]  # [R, K] of each choice

SUM_TOLERANCE = 1e-3  # tolerance of the sum of probabilities in single precision


@dataclasses.dataclass(frozen=True)
class Choice:
    """A choice, made once per row; its options may be in any order.

    Example:
      >>> Choice("width", (2, 4)).table.astype(int)
      array([[1, 1, 0, 0],
             [1, 1, 1, 1]])
    """

    name: str
    """key of its probabilities"""
    options: tuple[int | float, ...] | tuple[str, ...]
    """sizes, ratios, depths, or names of operations"""
    kind: Kind = "size"
    """entries that an option keeps: the first ones (size), the first ones relative to
    another size (ratio), the centre (kernel) or the first layers (depth); the space
    defines the shared weights of operations"""
    num_rows: int = 1
    """number of times the choice is made"""
    ranks: tuple[int, ...] = ()
    """rank of each operation by its number of weights; by default all are equal"""
    is_layered: bool = False
    """whether rows are layers, the first of which the choice of kind depth keeps"""

    def __post_init__(self) -> None:
        """Reject invalid choices and options that do not nest."""
        label, options = f"choice {self.name!r}", self.options
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"{label}: kind must be one of {get_args(Kind)}, got {self.kind!r}"
            )
        if len(options) < 2:
            raise ValueError(f"{label}: needs at least two options, got {options}")
        if len(set(options)) < len(options):
            raise ValueError(f"{label}: options must differ, got {options}")
        if self.num_rows < 1:
            raise ValueError(f"{label}: num_rows must be >= 1, got {self.num_rows}")
        if self.kind == "operation":
            return
        if self.kind == "ratio":
            if any(isinstance(o, str) or o <= 0 for o in options):
                raise ValueError(f"{label}: ratios must be > 0, got {options}")
            return
        least = 0 if self.kind == "size" else 1
        if any(not isinstance(o, int) or o < least for o in options):
            raise ValueError(
                f"{label}: options of kind {self.kind} do not nest unless they are "
                f"whole numbers >= {least}, got {options}"
            )
        if self.kind == "kernel":
            try:
                masks.centre(options)
            except ValueError as error:
                raise ValueError(f"{label}: {error}") from error

    @property
    def table(self) -> Bool[np.ndarray, "K ..."]:
        """Entries that each option keeps; see `swajax.tangle.layers.masks`.

        Raises:
          ValueError: the kind is ratio or operation.
        """
        if self.kind in ("operation", "ratio"):
            raise ValueError(f"choice {self.name!r}: kind {self.kind} has no table")
        make = masks.centre if self.kind == "kernel" else masks.prefix
        return make(self.options)


def one_hot(
    architecture: Architecture, choices: Sequence[Choice]
) -> dict[str, Float[Array, "_ _"]]:
    """Return the one-hot probabilities of an architecture.

    Raises:
      ValueError: an index is out of range; the message names the choice.
    """
    for choice in choices:
        index, num = np.asarray(architecture[choice.name]), len(choice.options)
        if (
            index.shape != (choice.num_rows,)
            or not ((0 <= index) & (index < num)).all()
        ):
            raise ValueError(
                f"choice {choice.name!r}: {choice.num_rows} indices in 0..{num - 1} "
                f"are needed, got {architecture[choice.name]}"
            )
    return {
        c.name: jnp.eye(len(c.options))[jnp.asarray(architecture[c.name])]
        for c in choices
    }


def discretise(scores: Probabilities, choices: Sequence[Choice]) -> Architecture:
    """Return the most probable option of each row; ties go to the first option.

    Args:
      scores: probabilities or architecture vectors [R, K] of each choice.
      choices: choices of the space.

    Raises:
      ValueError: a score is not finite.
    """
    check_finite(scores, choices)
    best = {c.name: np.asarray(scores[c.name]).argmax(axis=1) for c in choices}
    return {name: tuple(index.tolist()) for name, index in best.items()}


def harden(scores: Mapping[str, Float[Array, "... _ _"]]) -> dict[str, Array]:
    """Return one-hot rows of the most probable options; works under jit."""
    return {
        name: jax.nn.one_hot(values.argmax(axis=-1), values.shape[-1])
        for name, values in scores.items()
    }


def to_options(
    architecture: Architecture, choices: Sequence[Choice]
) -> dict[str, tuple[int, ...] | tuple[str, ...]]:
    """Return the options of an architecture instead of their indices.

    Example:
      >>> to_options({"width": (1, 0)}, [Choice("width", (2, 4), num_rows=2)])
      {'width': (4, 2)}
    """
    return {
        c.name: tuple(c.options[index] for index in architecture[c.name])
        for c in choices
    }


def extreme(choices: Sequence[Choice], *, is_largest: bool) -> Architecture:
    """Return the largest or the smallest network; ties go to the first operation."""

    def pick(choice: Choice) -> int:
        sizes = choice.options if choice.kind != "operation" else choice.ranks
        return int((np.argmax if is_largest else np.argmin)(sizes or (0,)))

    return {c.name: (pick(c),) * c.num_rows for c in choices}


def count_architectures(choices: Sequence[Choice]) -> int:
    """Return the number of networks, without counting options of absent layers."""
    rest = [c for c in choices if not c.is_layered and c.kind != "depth"]
    layer = math.prod(len(c.options) for c in choices if c.is_layered)
    depths = [c.options for c in choices if c.kind == "depth"]
    stacks = (sum(layer**depth for depth in options) for options in depths)
    return math.prod(stacks) * math.prod(len(c.options) ** c.num_rows for c in rest)


def num_options(choices: Sequence[Choice]) -> tuple[int, ...]:
    """Return the number of options of each of the G genes."""
    return tuple(len(c.options) for c in choices for _ in range(c.num_rows))


def from_genes(
    genes: Int[Array, " G"], choices: Sequence[Choice]
) -> dict[str, Float[Array, "_ _"]]:
    """Return the one-hot probabilities of an architecture given by its genes."""
    parts = jnp.split(genes, np.cumsum([c.num_rows for c in choices])[:-1])
    return {
        c.name: jax.nn.one_hot(part, len(c.options))
        for c, part in zip(choices, parts, strict=True)
    }


def clear_absent(
    genes: Int[Array, "B G"], choices: Sequence[Choice]
) -> Int[Array, "B G"]:
    """Set the genes of absent layers to 0, which changes no network."""
    layers = [
        np.arange(c.num_rows) if c.is_layered else [-1] * c.num_rows for c in choices
    ]
    start = 0
    for choice in choices:
        if choice.kind == "depth":
            depth = jnp.asarray(choice.options)[genes[:, start]]
            is_used = np.concatenate(layers)[None] < depth[:, None]
            return jnp.where(is_used, genes, 0)
        start += choice.num_rows
    return genes


def to_architecture(
    genes: Sequence[int] | Int[np.ndarray, " G"], choices: Sequence[Choice]
) -> Architecture:
    """Return the architecture given by its genes."""
    indices = iter(int(gene) for gene in genes)
    return {c.name: tuple(next(indices) for _ in range(c.num_rows)) for c in choices}


def check_finite(scores: Probabilities, choices: Sequence[Choice]) -> None:
    """Reject missing, misshapen and non-finite scores; for use outside jit.

    Raises:
      ValueError: values are invalid; the message names the choice and the fault.
    """
    names = {c.name for c in choices}
    if set(scores) != names:
        raise ValueError(f"choices must be {sorted(names)}, got {sorted(scores)}")
    for choice in choices:
        values, shape = scores[choice.name], (choice.num_rows, len(choice.options))
        if values.shape != shape:
            raise ValueError(
                f"choice {choice.name!r}: shape must be {shape}, got {values.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError(
                f"choice {choice.name!r}: not finite: {np.asarray(values).tolist()}"
            )


def check_probabilities(
    probabilities: Probabilities, choices: Sequence[Choice]
) -> None:
    """Reject values that are not probabilities; for use outside jit.

    Raises:
      ValueError: values are invalid; the message names the choice and the fault.
    """
    check_finite(probabilities, choices)
    for choice in choices:
        values = np.asarray(probabilities[choice.name])
        is_wrong = np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE
        if is_wrong.any() or (values < -SUM_TOLERANCE).any():
            raise ValueError(
                f"choice {choice.name!r}: probabilities must be >= 0 and sum to 1, got "
                f"{values.tolist()}"
            )
