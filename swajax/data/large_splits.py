"""Splits of a large file: the part of each row, chunk by chunk."""

import math
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from swajax.data import partitions
from swajax.data.large_rows import (
    AssignFn,
    LargeFile,
    RowCounts,
    Strata,
    find_groups,
    read_rows,
)
from swajax.data.partitions import SplitKind
from swajax.data.reservoirs import Sample


class Plan(NamedTuple):
    """A split of the rows of a file."""

    make_assign: Callable[[Strata], AssignFn]
    """returns the assignment for a reading with these strata"""
    has_test: bool
    notes: tuple[str, ...] = ()


def make_plan(
    file: LargeFile, shares: tuple[float, float | int], seed: int, split: SplitKind
) -> Plan:
    """Plan a split; those in order and by group read the columns they depend on.

    Args:
      file: the file.
      shares: of the validation and of the test rows.
      seed: seed of the split.
      split: kind of the split.

    Raises:
      ValueError: the file is damaged, a row has no group, or there are fewer groups
        than parts.
    """
    has_test = shares[1] > 0
    if file.group is None and split == "random":
        return Plan(lambda strata: assign_random(shares, seed, strata), has_test)
    roles = (file.target, file.weight, file.group)
    file = file._replace(names=tuple(name for name in roles if name is not None))
    num_rows, groups = _count_rows(file)
    held = [math.ceil(share * num_rows - 1e-9) for share in shares]
    held = held if has_test else held[:1]
    if file.group is None:
        parts = np.array([num_rows - sum(held), *held, 0][:3])
        note = partitions.describe_order(held)
        return Plan(lambda _: assign_in_order(parts), has_test, (note,))
    names, table = _tabulate(groups)
    parts = partitions.assign_groups(table, held, np.random.default_rng(seed))
    part_of = dict(zip(names, parts.tolist(), strict=True))
    numbers = np.bincount(parts, minlength=1 + len(held)).tolist()
    note = partitions.describe_groups(file.group, numbers)
    return Plan(lambda _: assign_by_group(part_of, file.group), has_test, (note,))


def assign_random(shares: tuple[float, float], seed: int, strata: Strata) -> AssignFn:
    """Return a random assignment; the first row of each class is a training row.

    Args:
      shares: of the validation and of the test rows.
      seed: seed of the draws.
      strata: those of the reading.
    """
    rng, num_known = np.random.default_rng(seed), 0

    def assign(rows: Sample) -> Int[np.ndarray, " N"]:
        nonlocal num_known
        draws = rng.random(len(rows.code))
        part = np.where(draws < sum(shares), 1, 0)
        part[draws < shares[1]] = 2
        if strata.are_few:
            for code in range(num_known, len(strata.codes)):
                part[np.argmax(rows.code == code)] = 0
            num_known = len(strata.codes)
        return part

    return assign


def assign_in_order(num_rows: Int[np.ndarray, " 3"]) -> AssignFn:
    """Return an assignment of the first rows to training, the last ones to test."""
    ends, num_done = np.cumsum(num_rows)[:2], 0

    def assign(rows: Sample) -> Int[np.ndarray, " N"]:
        nonlocal num_done
        place = np.arange(len(rows.code)) + num_done
        num_done += len(place)
        return np.searchsorted(ends, place, side="right")

    return assign


def assign_by_group(part_of: dict[str, int], group: str) -> AssignFn:
    """Return an assignment by the group of each row."""

    def assign(rows: Sample) -> Int[np.ndarray, " N"]:
        index, names = find_groups(rows, group)
        return np.array([part_of.get(name, 0) for name in names], int)[index]

    return assign


def _count_rows(file: LargeFile) -> tuple[int, Counter[tuple[str, int]]]:
    """Return the number of rows, and those of each group and class."""
    counts, strata, found = RowCounts(), Strata(), Counter()
    for rows in read_rows(file, lambda rows: rows.part, counts, strata):
        if file.group is None:
            continue
        index, names = find_groups(rows, file.group)
        pairs, numbers = np.unique((index, rows.code), axis=1, return_counts=True)
        for place, code, number in zip(*pairs, numbers, strict=True):
            found[names[place], int(code)] += int(number)
    if not strata.are_few:  # the codes up to then mean nothing
        merged: Counter[tuple[str, int]] = Counter()
        for (name, _), number in found.items():
            merged[name, 0] += number
        return counts.num_used, merged
    return counts.num_used, found


def _tabulate(
    groups: Counter[tuple[str, int]],
) -> tuple[list[str], Float[np.ndarray, "G C"]]:
    """Return the names of the groups, and their numbers of rows per class."""
    names = sorted({name for name, _ in groups})
    places = {name: place for place, name in enumerate(names)}
    table = np.zeros((len(names), 1 + max((code for _, code in groups), default=0)))
    for (name, code), number in groups.items():
        table[places[name], code] += number
    return names, table
