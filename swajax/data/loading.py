"""From the name of a table to parts that can be fitted, however large it is."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from swajax.data.large import is_large, load_large
from swajax.data.loaded_table import LoadedTable
from swajax.data.partitions import SplitKind
from swajax.data.splits import count_rows, split_into_folds, split_rows, split_table
from swajax.data.tables import Table, load_table

LAST_SHARE = 0.2  # of the rows validate where there are no folds


def load_parts(
    data: str,
    *,
    seed: int,
    target: str | None = None,
    features: Sequence[str] | None = None,
    task: Literal["auto", "regression", "classification"] = "auto",
    weight: str | None = None,
    group: str | None = None,
    valid_share: float | None = 0.2,
    test_share: float | int = 0.2,
    class_weight: Literal["balanced"] | None = None,
    split: SplitKind = "random",
) -> LoadedTable:
    """Load a table and split it; of a large file, load a sample of each part.

    >>> load_parts("iris", seed=0).num_rows
    {'train': 90, 'valid': 30, 'test': 30}

    The arguments and errors are those of `tables.load_table` and `splits.split_table`;
    `large.is_large` says which files are large. With a `valid_share` of None there is
    no validation part but folds (`splits.split_into_folds`), unless the file is large
    or its rows are in time order.
    """
    roles = {"target": target, "weight": weight, "group": group}
    options = {"seed": seed, "class_weight": class_weight, "test_share": test_share}
    try:
        is_in_chunks = is_large(data)
    except ValueError as error:
        raise ValueError(f"{data}: {error}") from error
    if is_in_chunks:
        share = LAST_SHARE if valid_share is None else valid_share
        more = roles | options | {"valid_share": share, "split": split}
        return load_large(data, features=features, task=task, **more)
    table = load_table(data, features=features, task=task, **roles)
    return divide_table(table, valid_share=valid_share, split=split, **options)


def divide_table(
    table: Table,
    *,
    seed: int,
    valid_share: float | None,
    test_share: float | int,
    class_weight: Literal["balanced"] | None,
    split: SplitKind,
) -> LoadedTable:
    """Split a table; the arguments and errors are those of `load_parts`."""
    options = {"seed": seed, "class_weight": class_weight, "test_share": test_share}
    folds, has_folds = None, valid_share is None and split == "random"
    share = LAST_SHARE if valid_share is None else valid_share
    if has_folds:
        dataset, folds, scaling, notes = split_into_folds(table, **options)
    else:
        parts = {"valid_share": share, "split": split}
        dataset, scaling, notes = split_table(table, **options, **parts)
    rows, _ = split_rows(table, None if has_folds else share, test_share, seed, split)
    y = dataset.train.y
    every = y if y.shape[1] > 1 else np.concatenate([1 - y, y], axis=1)
    counts = every.sum(axis=0).astype(int) if table.classes else np.zeros(0, int)
    num_rows = count_rows(dataset)
    return LoadedTable(table, dataset, scaling, notes, num_rows, counts, rows, folds)
