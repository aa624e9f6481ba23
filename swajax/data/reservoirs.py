"""Samples of the rows of a file: at random, per class, and rows with rare cells."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int, Shaped

from swajax.data.batches import plain_text, to_numbers
from swajax.data.features import MAX_CATEGORIES
from swajax.data.number_formats import Decimal

MIN_BUFFER = 4096  # rows beyond the sample before it is cut again


class Sample(NamedTuple):
    """Rows of a file with their stratum, weight and part of the split."""

    cells: pa.Table
    row: Int[np.ndarray, " N"]
    """number in the file, from 1"""
    code: Int[np.ndarray, " N"]
    """stratum"""
    weight: Float[np.ndarray, " N"]
    part: Int[np.ndarray, " N"]
    """0, 1 or 2: training, validation or test"""

    def take(self, index: Shaped[np.ndarray, " M"]) -> "Sample":
        """Return the rows of an index array or mask."""
        rows = np.arange(len(self.row))[index]
        return Sample(self.cells.take(rows), *(leaf[rows] for leaf in self[1:]))


def join(samples: list[Sample]) -> Sample:
    """Concatenate samples."""
    cells, *leaves = zip(*samples, strict=True)
    tables = pa.concat_tables(cells, promote_options="permissive").unify_dictionaries()
    return Sample(tables, *map(np.concatenate, leaves))


class Drawn(NamedTuple):
    """The rows of a sample."""

    rows: Sample
    is_uniform: Bool[np.ndarray, " N"]
    """flags of rows that are not there for their stratum only: a uniform sample"""


class Reservoir:
    """A random sample of rows: at most `num_rows`, few of them for each stratum.

    Each row has a random priority. The sample has the rows of smallest priority among
    all rows, and the `num_each` of smallest priority in each stratum.
    """

    def __init__(self, num_rows: int, num_each: int) -> None:
        """Start empty.

        Args:
          num_rows: size of the sample.
          num_each: least number of rows of each stratum, if it has so many.
        """
        self.num_rows, self.num_each = num_rows, num_each
        self._pieces: list[Sample] = []
        self._priorities: list[Float[np.ndarray, " _"]] = []
        self._limit, self._limits = np.inf, np.zeros(0)
        self._num_new = 0

    def add(self, rows: Sample, priority: Float[np.ndarray, " N"]) -> None:
        """Add rows; keep those that can belong to the sample."""
        num_known = len(self._limits)
        if len(rows.code) and rows.code.max() >= num_known:
            more = rows.code.max() + 1 - num_known
            self._limits = np.append(
                self._limits, np.full(more, np.inf if self.num_each else 0)
            )
        is_kept = priority < np.maximum(self._limit, self._limits[rows.code])
        if not is_kept.any():
            return
        self._pieces.append(rows.take(is_kept))
        self._priorities.append(priority[is_kept])
        self._num_new += int(is_kept.sum())
        if self._num_new > self.num_rows + MIN_BUFFER:
            self._cut()

    def find(self) -> "Drawn | None":
        """Return the sample in random order; None if no row was added."""
        if not self._pieces:
            return None
        self._cut()
        priority = self._priorities[0]
        order = np.random.default_rng(len(priority)).permutation(len(priority))
        return Drawn(self._pieces[0].take(order), priority[order] <= self._limit)

    def _cut(self) -> None:
        rows, priority = join(self._pieces), np.concatenate(self._priorities)
        order = np.argsort(priority)
        rows, priority = rows.take(order), priority[order]
        rank = _rank(rows.code)
        is_first = rank < self.num_each
        # Rows before position m and the later first ones of all strata: m as large as
        # the total allows.
        num_later = np.cumsum(is_first[::-1])[::-1] - is_first
        fits = np.arange(len(rank)) + num_later < self.num_rows
        if not fits.all():
            self._limit = priority[fits].max(initial=0)
        is_last = rank == self.num_each - 1
        self._limits[rows.code[is_last]] = priority[is_last]
        is_kept = is_first | fits
        self._pieces, self._priorities = [rows.take(is_kept)], [priority[is_kept]]
        self._num_new = 0


class Witnesses:
    """Rows with the extremes of numeric columns, and with each text of the others.

    Together with a sample, they show the kind, the range and the categories of each
    column. Training rows have their own witnesses.
    """

    def __init__(self, names: Sequence[str], features: Sequence[str]) -> None:
        """Start empty.

        Args:
          names: columns whose numbers are of interest.
          features: those of which the texts are, too.
        """
        self.names, self.features = names, features
        self._rows: dict[tuple, Sample] = {}
        self._extremes: dict[tuple, float] = {}
        self._texts: dict[tuple, set[str]] = defaultdict(set)

    def add(self, rows: Sample, decimal: Decimal) -> None:
        """Keep the rows whose cells extend what is known of a column."""
        is_train = rows.part == 0
        for name in self.names:
            cells = rows.cells.column(name).combine_chunks()
            values, is_text = to_numbers(cells, decimal)
            cells = plain_text(cells)
            for kind, is_kind in (("train", is_train), ("all", None)):
                key = name, kind
                part = values if is_kind is None else values[is_kind]
                self._add_extremes(key, rows, values, part)
                if name in self.features and is_text.any():
                    is_new = is_text if is_kind is None else is_text & is_kind
                    self._add_texts(key, rows, cells, is_new)

    def is_excessive(self) -> bool:
        """Return whether a feature has more texts than a column of categories."""
        return any(len(texts) > MAX_CATEGORIES for texts in self._texts.values())

    def find(self) -> list[Sample]:
        """Return samples of one row each; some rows are there more than once."""
        return list(self._rows.values())

    def _add_extremes(
        self,
        key: tuple[str, str],
        rows: Sample,
        values: Float[np.ndarray, " N"],
        part: Float[np.ndarray, " M"],
    ) -> None:
        for sign in (-1.0, 1.0):
            reduce_fn = np.fmin if sign < 0 else np.fmax  # these ignore NaN
            value = reduce_fn.reduce(part, initial=np.nan)
            if sign * value > sign * self._extremes.get((*key, sign), -sign * np.inf):
                self._extremes[*key, sign] = value
                is_it = values == value
                if key[1] == "train":
                    is_it &= rows.part == 0
                self._rows[*key, sign] = rows.take(np.flatnonzero(is_it)[:1])

    def _add_texts(
        self,
        key: tuple[str, str],
        rows: Sample,
        cells: pa.Array,
        is_new: Bool[np.ndarray, " N"],
    ) -> None:
        for text in pc.unique(cells.filter(pa.array(is_new))).to_pylist():
            if text not in self._texts[key] and len(self._texts[key]) <= MAX_CATEGORIES:
                self._texts[key].add(text)
                is_it = np.asarray(pc.equal(cells, text).fill_null(False)) & is_new
                self._rows[*key, text] = rows.take(np.flatnonzero(is_it)[:1])


def _rank(codes: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Return the number of earlier rows with the same code."""
    order = np.argsort(codes, kind="stable")
    sorted_codes = codes[order]
    rank = np.empty(len(codes), int)
    starts = np.searchsorted(sorted_codes, sorted_codes)
    rank[order] = np.arange(len(codes)) - starts
    return rank
