"""Row indices of the parts of a table: at random, in time order, or by group."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int, Shaped

from swajax.data.messages import shown

SplitKind = Literal["random", "last"]
MAX_TRIES = 100  # number of random divisions of groups; the most even one is used
MAX_COUNTS = 10**7  # groups times classes times divisions

Parts = list[Int[np.ndarray, " _"]]


def check_split(split: Any, *, has_groups: bool) -> None:
    """Check the kind of a split.

    Raises:
      ValueError: the kind is unknown, or `last` for rows with groups.
    """
    kinds = get_args(SplitKind)
    if split not in kinds:
        raise ValueError(f"split must be one of {', '.join(kinds)}, got {split!r}")
    if split == "last" and has_groups:
        raise ValueError(
            "split last keeps rows in order and cannot keep groups together: leave out "
            "either the split or the group"
        )


def hold_out(
    codes: Shaped[np.ndarray, " N"], number: int, seed: int
) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " H"]]:
    """Choose rows at random to hold out, stratified by class.

    A class with too few rows for its share keeps at least one row.

    >>> kept, held = hold_out(np.array([0, 0, 0, 1, 1, 1]), 2, seed=0)
    >>> np.sort(held // 3)  # one row of each class
    array([0, 1])

    Args:
      codes: class of each row; all equal for a regression.
      number: number of rows to hold out, at most N minus the number of classes.
      seed: seed of the choice, in [0, 2^32).

    Returns:
      Indices of the kept and of the held-out rows, both shuffled.
    """
    rows, counts = np.arange(len(codes)), np.unique(codes, return_counts=True)[1]
    if len(counts) == 1:  # as `train_test_split`, without the import
        shuffled = np.random.RandomState(seed).permutation(rows)
        return shuffled[number:], shuffled[:number]
    if counts.min() >= 2 and min(number, len(rows) - number) >= len(counts):
        from sklearn.model_selection import train_test_split  # slow to import

        kept, held = train_test_split(
            rows, test_size=number, random_state=seed, stratify=codes
        )
        if len(np.unique(codes[kept])) == len(counts):
            return kept, held
    shuffled = np.random.default_rng(seed).permutation(rows)
    first = np.unique(codes[shuffled], return_index=True)[1]
    others = np.delete(shuffled, first)
    return np.concatenate([shuffled[first], others[number:]]), others[:number]


def divide_random(
    codes: Shaped[np.ndarray, " N"], held: Sequence[int], seed: int
) -> Parts:
    """Divide rows at random by `hold_out`; arguments and result as in `divide_last`."""
    rest, parts = np.arange(len(codes)), []
    for number in held[::-1]:
        kept, chosen = hold_out(codes[rest], number, seed)
        parts.insert(0, rest[chosen])
        rest = rest[kept]
    return [rest, *parts]


def divide_last(num_rows: int, held: Sequence[int], seed: int) -> Parts:
    """Divide rows in order: the first rows train, the last rows are the last part.

    >>> [np.sort(part).tolist() for part in divide_last(6, (1, 2), seed=0)]
    [[0, 1, 2], [3], [4, 5]]

    Args:
      num_rows: number of rows.
      held: number of rows of each part after the training part.
      seed: seed of the order within each part.

    Returns:
      Indices of the rows of each part, shuffled, the training part first.
    """
    ends = num_rows - np.cumsum(held[::-1])[::-1]
    rng = np.random.default_rng(seed)
    return [rng.permutation(part) for part in np.split(np.arange(num_rows), ends)]


def divide_groups(
    groups: Shaped[np.ndarray, " N"],
    codes: Shaped[np.ndarray, " N"],
    held: Sequence[int],
    seed: int,
) -> Parts:
    """Divide rows at random so that all rows of a group are in the same part.

    Among up to 100 random divisions, select those with the most classes in training
    and, among these, the one whose numbers of rows per class are closest to the given
    shares.

    >>> groups = np.array([0, 0, 1, 1, 2, 2])
    >>> parts = divide_groups(groups, np.zeros(6), (2, 2), seed=0)
    >>> [len(set(groups[part])) for part in parts]
    [1, 1, 1]

    Args:
      groups: group of each row.
      codes: class of each row; all equal for a regression.
      held: desired number of rows of each part after the training part.
      seed: seed of the divisions, in [0, 2^32).

    Returns:
      Indices of the rows of each part, shuffled, the training part first. Each part has
      at least one group.

    Raises:
      ValueError: there are fewer groups than parts.
    """
    counts, index = _count_classes(groups, codes)
    rng = np.random.default_rng(seed)
    part_of = assign_groups(counts, held, rng)
    parts = [np.flatnonzero(part_of[index] == part) for part in range(len(held) + 1)]
    return [rng.permutation(part) for part in parts]


def assign_groups(
    counts: Float[np.ndarray, "G C"], held: Sequence[int], rng: np.random.Generator
) -> Int[np.ndarray, " G"]:
    """Return the part of each group, chosen as in `divide_groups`.

    Args:
      counts: number of rows per group and class.
      held: desired number of rows of each part after the training part.
      rng: draws the divisions.

    Raises:
      ValueError: there are fewer groups than parts.
    """
    num_groups, num_parts = len(counts), len(held) + 1
    if num_groups < num_parts:
        raise ValueError(
            f"{num_groups} groups cannot be divided into {num_parts} parts"
        )
    num_rows = int(counts.sum())
    sizes = np.array([num_rows - sum(held), *held])
    shares = sizes / num_rows
    best, part_of = (math.inf, math.inf), np.zeros(num_groups, int)
    for _ in range(int(np.clip(MAX_COUNTS // counts.size, 1, MAX_TRIES))):
        order = rng.permutation(num_groups)
        ends = _cut(counts[order].sum(axis=1), sizes)
        found = np.add.reduceat(counts[order], [0, *ends])
        uneven = np.abs(found / counts.sum(axis=0) - shares[:, None]).sum()
        score = int((found[0] == 0).sum()), float(uneven)
        if score < best:
            best = score
            part_of[order] = np.searchsorted(ends, np.arange(num_groups), side="right")
    return part_of


def describe_order(held: list[int]) -> str:
    """Describe a split in order, for the user."""
    if len(held) == 1:
        return f"split in the order of the rows: the last {held[0]} validate"
    return (
        f"split in the order of the rows: the last {held[1]} test, the {held[0]} "
        "before them validate"
    )


def describe_groups(
    name: str,
    numbers: list[int],
    parts: tuple[str, ...] = ("train", "validate", "test"),
) -> str:
    """Describe a split by groups, for the user."""
    return (
        f"split by group {shown(name)}: {'/'.join(map(str, numbers))} groups to "
        f"{'/'.join(parts[: len(numbers)])}"
    )


def absent_classes(
    codes: Shaped[np.ndarray, " N"], rows: Int[np.ndarray, " _"]
) -> np.ndarray:
    """Return the classes that no row of an index array has.

    >>> absent_classes(np.array([0, 1, 2, 1]), np.array([1, 3])).tolist()
    [0, 2]
    """
    return np.setdiff1d(codes, codes[rows])


def _count_classes(
    groups: Shaped[np.ndarray, " N"], codes: Shaped[np.ndarray, " N"]
) -> tuple[Float[np.ndarray, "G C"], Int[np.ndarray, " N"]]:
    """Return the number of rows per group and class, and the group index per row."""
    _, group = np.unique(groups, return_inverse=True)
    _, code = np.unique(codes, return_inverse=True)
    counts = np.zeros((group.max() + 1, code.max() + 1))
    np.add.at(counts, (group, code), 1)
    return counts, group


def _cut(num_rows: Float[np.ndarray, " G"], sizes: Int[np.ndarray, " P"]) -> list[int]:
    """Return the first groups of all parts but the first, for consecutive parts.

    Args:
      num_rows: number of rows per group.
      sizes: wanted number of rows per part.
    """
    middles = np.cumsum(num_rows) - num_rows / 2
    ends, end = [], 0
    for index, wanted in enumerate(np.cumsum(sizes)[:-1]):
        last = len(num_rows) - (len(sizes) - 1 - index)  # later parts need a group each
        end = int(np.clip(np.searchsorted(middles, wanted), end + 1, last))
        ends.append(end)
    return ends
