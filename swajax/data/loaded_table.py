"""The record of a table that is read and split."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from swajax.data import partitions
from swajax.data.problem import Problem
from swajax.data.splits import Dataset, Scaling
from swajax.data.tables import Table


class LoadedTable(NamedTuple):
    """A table that is read and split, as a whole or as a sample."""

    table: Table
    """all rows; or those of the sample, and rows with rare cells"""
    dataset: Dataset
    """parts, or samples of them"""
    scaling: Scaling
    notes: tuple[str, ...]
    """notes of the split"""
    num_rows: dict[str, int]
    """numbers of all rows, by part"""
    class_counts: Int[np.ndarray, " C"]
    """numbers of all training rows, by class"""
    rows: partitions.Parts
    """index of each row of the parts in `table`"""
    folds: Int[np.ndarray, " N"] | None = None
    """fold of each training row, if there is no validation part"""
    read_test: Callable[[], Iterator[Problem]] | None = None
    """reads all test rows in chunks, if `dataset` holds a sample"""
