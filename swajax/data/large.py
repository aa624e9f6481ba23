"""Tables larger than memory: a sample of the rows to fit, a stream of all test rows.

The file is read in chunks. A random sample of each part is kept, with some rows of each
class, and so are the rows that show the kind, range and categories of each column; from
then on these few rows are checked and encoded like a small table. A second reading
yields the test rows. Splits in order and by group need one reading of their columns
before, to count the rows.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Int

from swajax.data import batches, columns, formats, partitions, row_weights, splits
from swajax.data.features import MAX_CATEGORIES
from swajax.data.large_rows import LargeFile, RowCounts, Strata, read_rows
from swajax.data.large_splits import Plan, make_plan
from swajax.data.large_test import LargeTestRows
from swajax.data.loaded_table import LoadedTable
from swajax.data.messages import shown
from swajax.data.partitions import SplitKind
from swajax.data.problem import MAX_ROWS
from swajax.data.readers import Source, check_names, drop_unnamed
from swajax.data.reservoirs import Reservoir, Sample, Witnesses, join
from swajax.data.splits import Dataset
from swajax.data.streaming import find_decimal, find_kind
from swajax.data.tables import MIN_ROWS, Table, choose_features, make_table
from swajax.data.targets import MAX_CLASSES

MAX_CELLS = 20_000_000  # of a Parquet file that is read as a whole
MAX_BYTES = 200_000_000  # of a text file that is read as a whole
GZIP_RATIO = 5  # assumed
NUM_EACH = 100  # rows of each class in the sample of a part, if it has so many
PARTS = ("train", "valid", "test")


def is_large(data: str) -> bool:
    """Return whether a file has so many cells or bytes that it is read in chunks.

    >>> is_large("iris")
    False
    """
    path, kind = Path(data), find_kind(data)
    if kind == "whole":
        return False
    if kind == "text":
        ratio = GZIP_RATIO if formats.is_gzip(path) else 1
        return path.stat().st_size * ratio > MAX_BYTES
    with batches.open_parquet(path) as file:
        return file.metadata.num_rows * file.metadata.num_columns > MAX_CELLS


def load_large(
    data: str,
    *,
    seed: int,
    target: str | None = None,
    features: Sequence[str] | None = None,
    task: Literal["auto", "regression", "classification"] = "auto",
    weight: str | None = None,
    group: str | None = None,
    valid_share: float = 0.2,
    test_share: float | int = 0.2,
    class_weight: Literal["balanced"] | None = None,
    split: SplitKind = "random",
) -> LoadedTable:
    """Sample and split a Parquet or text file that may be larger than memory.

    The options are those of `tables.load_table` and `splits.split_table`. A random
    split assigns each row by a draw of its own, so that the shares of rows and classes
    are met on average. Scalings are those of all training rows, but fills, and scale
    and offset of the target are those of the sample.

    Raises:
      ValueError: the table cannot be used; the message names file, column and row.
    """
    roles = {"target": target, "weight": weight, "group": group}
    try:
        splits.check_shares(valid_share, test_share)
        partitions.check_split(split, has_groups=group is not None)
        file, notes = _open(data, roles, features)
        plan = make_plan(file, (valid_share, test_share), seed, split)
        sampler = _Sampler(file, plan, seed)
        sampler.read()
        return _finish(sampler, data, features, task, class_weight, notes)
    except ValueError as error:
        raise ValueError(f"{data}: {error}") from error


def _open(
    data: str, roles: dict[str, str | None], features: Sequence[str] | None
) -> tuple[LargeFile, tuple[str, ...]]:
    """Find the columns to read; return notes too."""
    path, kind = Path(data), find_kind(data)
    stored = batches.read_names(path, kind)
    notes = check_names(stored) if kind == "text" else ()
    empty, more = drop_unnamed(pd.DataFrame(columns=stored))
    chosen = choose_features(Source(empty), roles, features)
    names = [name for name in roles.values() if name is not None] + chosen
    decimal = find_decimal(data)
    file = LargeFile(path, kind, decimal, tuple(stored), tuple(names), **roles)
    return file, notes + more


class _Sampler:
    """Samples of the parts of a file, rows with rare cells, and counts."""

    def __init__(self, file: LargeFile, plan: Plan, seed: int) -> None:
        self.file, self.plan = file, plan
        self.counts, self.strata = RowCounts(), Strata()
        self.num_rows = np.zeros((len(PARTS), MAX_CLASSES + 1), int)  # and stratum
        self.reservoirs = [Reservoir(MAX_ROWS, NUM_EACH) for _ in PARTS]
        numbers = [name for name in file.names if name != file.group]
        features = [n for n in numbers if n not in (file.target, file.weight)]
        self.witnesses = Witnesses(numbers, features)
        self.rng = np.random.default_rng((seed, 1))

    def read(self) -> None:
        """Read the file, until a feature turns out to be unusable."""
        assign_fn = self.plan.make_assign(self.strata)
        chunks = read_rows(self.file, assign_fn, self.counts, self.strata)
        for number, rows in enumerate(chunks):
            if number == 0:
                _check_types(rows.cells)
            self.witnesses.add(rows, self.file.decimal)
            np.add.at(self.num_rows, (rows.part, rows.code), 1)
            priority = self.rng.random(len(rows.row))
            for part, reservoir in enumerate(self.reservoirs):
                reservoir.add(rows, np.where(rows.part == part, priority, np.inf))
            if self.witnesses.is_excessive():  # the check of the sample says so
                return

    def find_rows(self) -> "_SampledRows":
        """Join the samples and the other rows with rare cells."""
        found = [reservoir.find() for reservoir in self.reservoirs]
        found = [one for one in found if one is not None]
        rows = join([*(one.rows for one in found), *self.witnesses.find()])
        rows = rows.take(np.sort(np.unique(rows.row, return_index=True)[1]))
        is_uniform = np.zeros(len(rows.row), bool)
        num_sampled = sum(len(one.rows.row) for one in found)
        is_uniform[:num_sampled] = np.concatenate([one.is_uniform for one in found])
        part = np.where(np.arange(len(rows.row)) < num_sampled, rows.part, -1)
        return _SampledRows(rows, part, is_uniform)


class _SampledRows(NamedTuple):
    rows: Sample
    part: Int[np.ndarray, " N"]
    """part of the rows of a sample, -1 for others"""
    is_uniform: Bool[np.ndarray, " N"]
    """of the rows of a sample: whether they are not there for their class only"""

    def find_parts(self, plan: Plan, *, is_stratified: bool) -> partitions.Parts:
        """Return the indices of the rows of each part.

        Raises:
          ValueError: a part has no row.
        """
        names = PARTS[: 2 + plan.has_test]
        is_kept = self.is_uniform | is_stratified
        parts = [
            np.flatnonzero(is_kept & (self.part == part)) for part in range(len(names))
        ]
        for name, part in zip(names, parts, strict=True):
            if not len(part):
                raise ValueError(f"no row is left for the part {name}")
        return parts


def _finish(
    sampler: _Sampler,
    data: str,
    features: Sequence[str] | None,
    task: Literal["auto", "regression", "classification"],
    class_weight: str | None,
    notes: tuple[str, ...],
) -> LoadedTable:
    """Check, encode and describe the sample."""
    file, strata = sampler.file, sampler.strata
    notes += _note_left_out(sampler.counts, file)
    found = sampler.find_rows()
    rows = found.rows
    frame = batches.to_frame(rows.cells).set_axis(pd.Index(rows.row, name="row"))
    table = make_table(
        Source(frame, notes=notes, decimal=file.decimal),
        data,
        file.target,
        features,
        task,
        file.weight,
        file.group,
    )
    if sampler.witnesses.is_excessive():
        raise ValueError(f"a feature has more than {MAX_CATEGORIES} categories")
    is_classes = table.task == "classification"
    parts = found.find_parts(sampler.plan, is_stratified=is_classes)
    class_of = np.zeros(MAX_CLASSES + 1, int)
    counts = np.zeros((len(PARTS), len(table.classes)), int)
    more = sampler.plan.notes
    if is_classes:
        if not strata.are_few:
            raise ValueError(
                f"target {shown(file.target)} has more than {MAX_CLASSES} classes"
            )
        class_of[rows.code] = table.target
        np.add.at(counts, (slice(None), class_of), sampler.num_rows)
        table = _weigh_back(table, parts, counts)
        splits.check_classes(table, parts[0], "; ".join(more))
        more += splits.note_absent_classes(table, parts[1:])
    factors = row_weights.weigh_classes(table.task, counts[0], class_weight)
    others = np.flatnonzero(found.part < 0)
    fitted = np.append(parts[0], others[rows.part[others] == 0])
    checked = [*parts, others] if len(others) else parts
    encoded, scaling, filled = splits.encode_parts(table, checked, factors, fitted)
    dataset = Dataset(*encoded[: len(parts)], *[None] * (len(PARTS) - len(parts)))
    totals = sampler.num_rows.sum(axis=1).tolist()
    num_rows = dict(zip(PARTS[: len(parts)], totals, strict=False))
    more += (*filled, _note_sample(sampler.counts, parts, is_classes=is_classes))
    test = LargeTestRows(file, sampler.plan, scaling, class_of, factors)
    return LoadedTable(
        table, dataset, scaling, more, num_rows, counts[0], parts, read_test=test.read
    )


def _weigh_back(
    table: Table, parts: partitions.Parts, counts: Int[np.ndarray, "P C"]
) -> Table:
    """Multiply the weights of a sample by the number of rows that each stands for."""
    weight = np.ones(len(table.target)) if table.weight is None else table.weight
    for part, wanted in zip(parts, counts, strict=False):
        codes = table.target[part]
        sampled = np.bincount(codes, minlength=len(wanted))
        weight[part] *= (wanted / np.maximum(sampled, 1))[codes]
    return table._replace(weight=weight)


def _check_types(cells: pa.Table) -> None:
    for _, column in batches.to_frame(cells).items():
        try:
            columns.check_type(column)
        except columns.UnusableColumnError as error:
            raise ValueError(f"{error}; choose other columns with --features") from None


def _note_left_out(counts: RowCounts, file: LargeFile) -> tuple[str, ...]:
    """Return notes about rows without target or weight.

    Raises:
      ValueError: too few rows are left.
    """
    reasons = {
        f"the target {shown(file.target)} is missing": counts.num_without_target,
        "their weight is 0": counts.num_without_weight,
    }
    notes = tuple(
        f"rows left out, as {reason}: {num:,} of {counts.num_read:,}"
        for reason, num in reasons.items()
        if num
    )
    if counts.num_used < MIN_ROWS:
        raise ValueError(
            "; ".join(
                (f"{counts.num_used} data rows, at least {MIN_ROWS} are needed", *notes)
            )
        )
    return notes


def _note_sample(
    counts: RowCounts, parts: partitions.Parts, *, is_classes: bool
) -> str:
    kept = "/".join(str(len(part)) for part in parts)
    least = f", with at least {NUM_EACH} of each class where it has them"
    return (
        f"a large file, read in chunks: of {counts.num_used} rows, {kept} random ones "
        f"are kept to train/validate/test{least if is_classes else ''}"
    )
