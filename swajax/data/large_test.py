"""Test rows of a large file, encoded chunk by chunk."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Float, Int

from swajax.data import splits
from swajax.data.batches import to_numbers
from swajax.data.encoding import encode
from swajax.data.large_rows import LargeFile, RowCounts, Strata, read_rows
from swajax.data.large_splits import Plan
from swajax.data.number_formats import Decimal, convert_cells
from swajax.data.problem import Problem
from swajax.data.reservoirs import Sample
from swajax.data.splits import Scaling


class LargeTestRows(NamedTuple):
    """What it takes to read and encode the test rows of a file."""

    file: LargeFile
    plan: Plan
    scaling: Scaling
    class_of: Int[np.ndarray, " S"]
    """code of the class of each stratum"""
    factors: Float[np.ndarray, " C"] | None
    """factors of the weights of each class"""

    def read(self) -> Iterator[Problem]:
        """Yield the test rows in chunks, encoded, in the order of the file."""
        encoder, file = self.scaling.encoder, self.file
        roles = [file.target, file.weight, file.group]
        names = [name for name in roles if name] + [c.name for c in encoder.columns]
        file, strata = file._replace(names=tuple(names)), Strata()
        assign_fn = self.plan.make_assign(strata)
        for rows in read_rows(file, assign_fn, RowCounts(), strata):
            rows = rows.take(rows.part == 2)
            if len(rows.row):
                yield self._encode(rows)

    def _encode(self, rows: Sample) -> Problem:
        decimal, weight = self.file.decimal, rows.weight
        cells = {
            column.name: _to_cells(rows.cells.column(column.name), column.kind, decimal)
            for column in self.scaling.encoder.columns
        }
        frame = pd.DataFrame(cells).set_index(pd.Index(rows.row, name="row"))
        if self.scaling.classes:
            target = self.class_of[rows.code]
            weight = weight if self.factors is None else weight * self.factors[target]
        else:
            target = to_numbers(
                rows.cells.column(self.file.target).combine_chunks(), decimal
            )[0]
        y = splits.to_outputs(target, self.scaling, self.file.target)
        return Problem(
            encode(self.scaling.encoder, frame),
            y.astype(np.float32),
            weight.astype(np.float32),
        )


def _to_cells(cells: pa.ChunkedArray, kind: str, decimal: Decimal) -> pd.Series:
    """Return cells as numbers, categories, or raw if some are neither."""
    array = cells.combine_chunks()
    if kind == "category":
        if not pa.types.is_dictionary(array.type):
            array = array.dictionary_encode()
        return array.to_pandas()
    values, is_text = to_numbers(array, decimal)
    return (
        convert_cells(array.to_pandas(), decimal=decimal)[0]
        if is_text.any()
        else pd.Series(values)
    )
