"""Rows of a large file with their class, weight and part of the split, in chunks."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Float, Int

from swajax.data import batches
from swajax.data.batches import FileKind, plain_text, to_numbers
from swajax.data.columns import to_text
from swajax.data.number_formats import Decimal
from swajax.data.reservoirs import Sample
from swajax.data.tables import read_groups, read_weights
from swajax.data.targets import MAX_CLASSES


class LargeFile(NamedTuple):
    """A file, the columns to read, and their roles."""

    path: Path
    kind: FileKind
    decimal: Decimal
    stored: tuple[str, ...]
    """names of all columns of the file"""
    names: tuple[str, ...]
    """names of the columns to read"""
    target: str
    weight: str | None
    group: str | None


@dataclasses.dataclass
class RowCounts:
    """Numbers of the rows of a file."""

    num_read: int = 0
    num_without_target: int = 0
    num_without_weight: int = 0

    @property
    def num_used(self) -> int:
        """Rows with a target and a weight above 0."""
        return self.num_read - self.num_without_target - self.num_without_weight


class Strata:
    """A code for each distinct target, in order of appearance, while they are few."""

    def __init__(self) -> None:
        """Start with none."""
        self.codes: dict[float | str, int] = {}
        self.are_few = True

    def encode(
        self, cells: pa.Array, values: np.ndarray, is_text: Bool[np.ndarray, " N"]
    ) -> Int[np.ndarray, " N"]:
        """Return the codes of some rows; 0 for all, after too many were distinct."""
        if not self.are_few:
            return np.zeros(len(values), int)
        keys = values
        if is_text.any():
            keys = values.astype(object)
            keys[is_text] = plain_text(cells).filter(pa.array(is_text)).to_pylist()
        index, found = pd.factorize(keys)
        for key in found[: MAX_CLASSES + 1]:
            self.codes.setdefault(key, len(self.codes))
        if len(found) > MAX_CLASSES or len(self.codes) > MAX_CLASSES:
            self.are_few = False
            return np.zeros(len(values), int)
        return np.array([self.codes[key] for key in found], int)[index]


AssignFn = Callable[[Sample], Int[np.ndarray, " N"]]
"""Returns the part of each row, 0, 1 or 2; called for all chunks in their order."""


def read_rows(
    file: LargeFile, assign_fn: AssignFn, counts: RowCounts, strata: Strata
) -> Iterator[Sample]:
    """Yield the rows that have a target and a weight above 0.

    Args:
      file: the file.
      assign_fn: a new one for each reading.
      counts: updated.
      strata: updated.

    Raises:
      ValueError: the file is damaged, or a weight or group is missing.
    """
    indices = [file.stored.index(name) for name in file.names]
    for batch in batches.read_batches(file.path, file.kind, indices, file.names):
        rows = np.arange(len(batch)) + 1 + counts.num_read
        target = batch.column(file.target)
        values, is_text = to_numbers(target, file.decimal)
        is_used = is_text | ~np.isnan(values)
        weight = np.ones(len(batch))
        counts.num_read += len(batch)
        counts.num_without_target += int((~is_used).sum())
        if file.weight is not None:
            weight = _read_weights(file, batch, rows, is_used)
            counts.num_without_weight += int((weight[is_used] == 0).sum())
            is_used &= weight > 0
        code = strata.encode(
            target.filter(pa.array(is_used)), values[is_used], is_text[is_used]
        )
        cells = pa.Table.from_batches([batch])
        if not is_used.all():
            cells = cells.filter(pa.array(is_used))
        part = np.zeros(len(code), int)
        chunk = Sample(cells, rows[is_used], code, weight[is_used], part)
        yield chunk._replace(part=assign_fn(chunk))


def find_groups(
    rows: Sample, group: str
) -> tuple[Int[np.ndarray, " N"], list[str | None]]:
    """Return the index of the group of each row, and the names of the groups.

    Raises:
      ValueError: a row has no group.
    """
    cells = rows.cells.column(group).combine_chunks()
    if not pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_encode()
    names = to_text(pd.Series(cells.dictionary.to_pandas()))
    index = np.asarray(cells.indices.fill_null(-1))
    if (index < 0).any() or None in names:
        read_groups(_to_series(cells, group, rows.row))
    return index, list(names)


def _read_weights(
    file: LargeFile,
    batch: pa.RecordBatch,
    rows: Int[np.ndarray, " N"],
    is_used: Bool[np.ndarray, " N"],
) -> Float[np.ndarray, " N"]:
    """Return the weights; those of rows without a target do not matter."""
    cells = batch.column(file.weight)
    weight, _ = to_numbers(cells, file.decimal)
    if not (weight[is_used] >= 0).all():  # also if missing
        read_weights(_to_series(cells, file.weight, rows)[is_used])
    return weight


def _to_series(cells: pa.Array, name: str, rows: Int[np.ndarray, " N"]) -> pd.Series:
    return cells.to_pandas().set_axis(pd.Index(rows, name="row")).rename(name)
