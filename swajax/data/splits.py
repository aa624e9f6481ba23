"""Split of a table into training, validation and test parts, encoded and scaled."""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int

from swajax.data import columns, partitions
from swajax.data.encoding import LARGEST_INPUT, TableEncoder, encode, fit_encoder
from swajax.data.folds import divide_into_folds
from swajax.data.messages import listed, shown
from swajax.data.partitions import SplitKind
from swajax.data.problem import Problem
from swajax.data.tables import Table

NAMES = ("train", "validate", "test")


class Dataset(NamedTuple):
    """Parts of a table for training, model selection and the final error."""

    train: Problem
    valid: Problem | None
    """None where a cross-validation selects"""
    test: Problem | None


class Scaling(NamedTuple):
    """Scaling of a table to inputs and targets of a network.

    The prediction of a regression is `output * target_scale + target_offset`. The
    outputs of a classification are one logit per class, or the log-odds of the second
    of two classes.
    """

    encoder: TableEncoder
    target_scale: float
    target_offset: float
    classes: tuple[str, ...]


def count_rows(dataset: Dataset) -> dict[str, int]:
    """Return the number of rows of each part that exists."""
    parts = dataset._asdict().items()
    return {name: len(part.y) for name, part in parts if part is not None}


def split_table(
    table: Table,
    *,
    seed: int,
    valid_share: float = 0.2,
    test_share: float | int = 0.2,
    class_weight: Literal["balanced"] | None = None,
    split: SplitKind = "random",
) -> tuple[Dataset, Scaling, tuple[str, ...]]:
    """Split the rows at random or in order; fit the scaling to the training part.

    A random split is stratified by class. A class with too few rows for that gets at
    least one training row. If the table has groups, all rows of a group are in the same
    part, and the shares of rows and classes are kept as far as possible.

    >>> from swajax.data.tables import load_table
    >>> dataset, scaling, notes = split_table(load_table("iris"), seed=0)
    >>> [len(part.x) for part in dataset]
    [90, 30, 30]

    Args:
      table: the table, unscaled.
      seed: seed of the split, in [0, 2^32).
      valid_share: share of the rows that select networks.
      test_share: share of the rows for the final error; 0 for no test part.
      class_weight: `balanced` multiplies the weights in all parts by `N / (C * count)`,
        for N training rows, C classes and `count` training rows of the class.
      split: `last` for rows in time order: the last rows are the test rows, the rows
        before them select networks, and the first rows train.

    Returns:
      The parts, the scaling, and notes for the user.

    Raises:
      ValueError: a part is empty or too small for the classes, a class has no training
        row, there are fewer groups than parts, `split` is `last` for a table with
        groups, or the target or all features are constant in the training part.
    """
    if not (valid_share > 0 <= test_share and valid_share + test_share < 1):
        raise ValueError(
            "valid_share must be above 0, test_share at least 0, and their sum below "
            f"1, got {valid_share} and {test_share}"
        )
    rows, notes = _split_rows(table, valid_share, test_share, seed, split)
    parts, scaling, more = _make_parts(table, rows, class_weight, seed)
    dataset = Dataset(*parts) if test_share else Dataset(*parts, None)
    return dataset, scaling, notes + more


def split_into_folds(
    table: Table,
    *,
    seed: int,
    test_share: float | int = 0.2,
    class_weight: Literal["balanced"] | None = None,
) -> tuple[Dataset, Int[np.ndarray, " N"], Scaling, tuple[str, ...]]:
    """Set test rows aside, and divide the others into folds for a cross-validation.

    >>> from swajax.data.tables import load_table
    >>> dataset, folds, _, _ = split_into_folds(load_table("iris"), seed=0)
    >>> len(dataset.train.x), np.bincount(folds).tolist(), len(dataset.test.x)
    (120, [24, 24, 24, 24, 24], 30)

    Args:
      table: the table, unscaled.
      seed: seed of the split and of the folds, in [0, 2^32).
      test_share: share of the rows for the final error; 0 for no test part.
      class_weight: as in `split_table`.

    Returns:
      The parts, without a validation part, the fold of each training row, the scaling,
      and notes for the user.

    Raises:
      ValueError: as in `split_table`, or there are fewer than two training rows or
        groups.
    """
    if not 0 <= test_share < 1:
        raise ValueError(f"test_share must be in [0, 1), got {test_share}")
    rows, notes = _split_rows(table, None, test_share, seed, "random")
    parts, scaling, more = _make_parts(table, rows, class_weight, seed)
    is_classes = table.task == "classification"
    train = rows[0]
    try:
        folds, last = divide_into_folds(
            table.target[train] if is_classes else np.zeros(len(train)),
            seed,
            groups=None if table.group is None else table.group[train],
        )
    except ValueError as error:
        raise ValueError(f"{table.source}: {error}") from error
    test = parts[1] if test_share else None
    return Dataset(parts[0], None, test), folds, scaling, notes + more + last


def _make_parts(
    table: Table, rows: partitions.Parts, class_weight: str | None, seed: int
) -> tuple[list[Problem], Scaling, tuple[str, ...]]:
    """Encode and scale parts of a table by the first one."""
    frames = [table.frame.iloc[part] for part in rows]
    try:
        encoder, more = fit_encoder(frames[0])
        scale, offset = _fit_target(table, rows[0])
        inputs = [encode(encoder, frame) for frame in frames]
        targets = _to_outputs(table, scale, offset)
        weights = _weigh(table, rows[0], class_weight)
    except ValueError as error:
        raise ValueError(f"{table.source}: {error} (split seed {seed})") from error
    parts = [
        Problem(x, targets[part].astype(np.float32), _normalise(weights[part]))
        for x, part in zip(inputs, rows, strict=True)
    ]
    return parts, Scaling(encoder, scale, offset, table.classes), more


def fit_target(
    values: Float[np.ndarray, " N"], weights: Float[np.ndarray, " N"] | None = None
) -> tuple[float, float]:
    """Return scale and offset of a target: weighted standard deviation and mean.

    The scale is 0 if the target is constant as defined by `columns.fit_range`, and not
    finite if the squares of the values overflow.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(values, weights=weights)
        deviation = np.sqrt(np.average((values - mean) ** 2, weights=weights))
    mean = np.clip(mean, values.min(), values.max())  # corrects rounding
    return 0.0 if columns.is_constant(values) else float(deviation), float(mean)


def _split_rows(
    table: Table,
    valid_share: float | None,
    test_share: float | int,
    seed: int,
    split: SplitKind,
) -> tuple[partitions.Parts, tuple[str, ...]]:
    """Return the row indices of the training part and of those with a share."""
    num_rows = len(table.target)
    shares = [share for share in (valid_share, test_share) if share]
    held = [math.ceil(share * num_rows - 1e-9) for share in shares]
    is_classes = table.task == "classification"
    codes = table.target if is_classes else np.zeros(num_rows)
    num_classes = len(np.unique(codes))
    num_train = num_rows - sum(held)
    if num_train < num_classes:
        raise ValueError(
            f"{table.source}: {num_rows} rows leave {num_train} to train on, fewer "
            f"than {num_classes} classes; reduce valid_share or test_share"
        )
    try:
        names = ("train", "test") if valid_share is None else NAMES
        parts, notes = _divide(table, codes, held, seed, split, names)
    except ValueError as error:
        raise ValueError(f"{table.source}: {error}") from error
    return parts, notes + (_note_absent_classes(table, parts[1:]) if is_classes else ())


def _divide(
    table: Table,
    codes: Int[np.ndarray, " N"] | Float[np.ndarray, " N"],
    held: list[int],
    seed: int,
    split: SplitKind,
    names: tuple[str, ...],
) -> tuple[partitions.Parts, tuple[str, ...]]:
    """Divide the rows by the given rule; return a note unless it is random."""
    partitions.check_split(split, has_groups=table.group is not None)
    if split == "last":
        parts = partitions.divide_last(len(codes), held, seed)
        note = _describe_order(held)
    elif table.group is not None:
        parts = partitions.divide_groups(table.group, codes, held, seed)
        note = _describe_groups(table, parts, names)
    else:
        return partitions.divide_random(codes, held, seed), ()
    absent = [table.classes[i] for i in partitions.absent_classes(codes, parts[0])]
    if absent:
        raise ValueError(
            f"no training row of the classes {listed(absent)} ({note}); leave these "
            "classes out, or reduce valid_share or test_share"
        )
    return parts, (note,)


def _describe_order(held: list[int]) -> str:
    if len(held) == 1:
        return f"split in the order of the rows: the last {held[0]} validate"
    return (
        f"split in the order of the rows: the last {held[1]} test, the {held[0]} "
        "before them validate"
    )


def _describe_groups(
    table: Table, parts: partitions.Parts, names: tuple[str, ...]
) -> str:
    numbers = [str(len(np.unique(table.group[part]))) for part in parts]
    names = names[: len(parts)]
    return (
        f"split by group {shown(table.group_name)}: {'/'.join(numbers)} groups to "
        f"{'/'.join(names)}"
    )


def _note_absent_classes(
    table: Table, held: list[Int[np.ndarray, " _"]]
) -> tuple[str, ...]:
    if not held:
        return ()
    everywhere = set.intersection(*(set(table.target[part]) for part in held))
    absent = [name for code, name in enumerate(table.classes) if code not in everywhere]
    if not absent:
        return ()
    return (f"classes that are not in every part of the split: {listed(absent)}",)


def _fit_target(table: Table, train: Int[np.ndarray, " N"]) -> tuple[float, float]:
    """Return scale and offset of the target in training; 1 and 0 for classes."""
    if table.task == "classification":
        return 1.0, 0.0
    weights = None if table.weight is None else table.weight[train]
    scale, offset = fit_target(table.target[train], weights)
    if scale == 0:
        raise ValueError(
            f"target {shown(table.target_name)} is constant in the training rows"
        )
    return scale, offset


def _to_outputs(table: Table, scale: float, offset: float) -> Float[np.ndarray, "N O"]:
    """Return the targets of a network: scaled numbers, or probabilities of classes."""
    if table.task == "regression":
        outputs = (table.target[:, None] - offset) / scale
        if np.abs(outputs).max() > LARGEST_INPUT:
            raise ValueError(
                f"target {shown(table.target_name)} holds numbers beyond all bounds of "
                "the training rows"
            )
        return outputs
    if len(table.classes) == 2:
        return table.target[:, None].astype(np.float64)
    return np.eye(len(table.classes))[table.target]


def _weigh(
    table: Table, train: Int[np.ndarray, " N"], class_weight: str | None
) -> Float[np.ndarray, " M"]:
    """Return the weights of all rows, multiplied by the weights of their classes."""
    num_rows = len(table.target)
    weights = np.ones(num_rows) if table.weight is None else table.weight
    if class_weight is None:
        return weights
    if table.task != "classification" or class_weight != "balanced":
        raise ValueError(
            f"class_weight must be None, or balanced for classes, got {class_weight}"
        )
    counts = np.bincount(table.target[train], minlength=len(table.classes))
    factors = len(train) / (len(counts) * np.maximum(counts, 1))
    return weights * factors[table.target]


def _normalise(weights: Float[np.ndarray, " N"]) -> Float32[np.ndarray, " N"]:
    return (weights / weights.mean()).astype(np.float32)
