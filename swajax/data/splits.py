"""Split of a table into training, validation and test parts, encoded and scaled."""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from swajax.data import columns, partitions, row_weights
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
    check_shares(valid_share, test_share)
    rows, notes = split_rows(table, valid_share, test_share, seed, split)
    parts, scaling, more = _make_parts(table, rows, class_weight, seed)
    dataset = Dataset(*parts) if test_share else Dataset(*parts, None)
    return dataset, scaling, notes + more


def check_shares(valid_share: float, test_share: float | int) -> None:
    """Check the shares of rows.

    Raises:
      ValueError: no row would be left to fit or to choose networks by.
    """
    if not (valid_share > 0 <= test_share and valid_share + test_share < 1):
        raise ValueError(
            "valid_share must be above 0, test_share at least 0, and their sum below "
            f"1, got {valid_share} and {test_share}"
        )


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
    rows, notes = split_rows(table, None, test_share, seed, "random")
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
    try:
        counts = row_weights.count_classes(table, rows[0])
        factors = row_weights.weigh_classes(table.task, counts, class_weight)
        return encode_parts(table, rows, factors)
    except ValueError as error:
        raise ValueError(f"{table.source}: {error} (split seed {seed})") from error


def encode_parts(
    table: Table,
    rows: partitions.Parts,
    factors: Float[np.ndarray, " C"] | None,
    fitted: Int[np.ndarray, " _"] | None = None,
) -> tuple[list[Problem], Scaling, tuple[str, ...]]:
    """Encode and scale the parts of a table.

    Args:
      table: the table, unscaled.
      rows: indices of the rows of each part, the training part first.
      factors: of the weights of each class; None for 1.
      fitted: rows that the encoder is fitted to; by default the training rows.

    Returns:
      The parts, the scaling, and notes for the user.

    Raises:
      ValueError: the target or all features are constant in training, or a number is
        beyond all bounds.
    """
    frames = [table.frame.iloc[part] for part in rows]
    fit_frame = frames[0] if fitted is None else table.frame.iloc[fitted]
    encoder, notes = fit_encoder(fit_frame)
    scale, offset = _fit_target(table, rows[0])
    inputs = [encode(encoder, frame) for frame in frames]
    scaling = Scaling(encoder, scale, offset, table.classes)
    targets = to_outputs(table.target, scaling, table.target_name)
    weights = np.ones(len(table.target)) if table.weight is None else table.weight
    if factors is not None:
        weights = weights * factors[table.target]
    parts = [
        Problem(
            x, targets[part].astype(np.float32), row_weights.normalise(weights[part])
        )
        for x, part in zip(inputs, rows, strict=True)
    ]
    return parts, scaling, notes


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


def split_rows(
    table: Table,
    valid_share: float | None,
    test_share: float | int,
    seed: int,
    split: SplitKind,
) -> tuple[partitions.Parts, tuple[str, ...]]:
    """Return the row indices of the training part and of those with a share.

    Args:
      table: the table.
      valid_share: share of the validation rows; None for no such part.
      test_share: share of the test rows; 0 for no such part.
      seed: seed of the split, in [0, 2^32).
      split: as in `split_table`.

    Returns:
      The indices, and notes for the user.

    Raises:
      ValueError: as in `split_table`.
    """
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
    return parts, notes + (note_absent_classes(table, parts[1:]) if is_classes else ())


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
        note = partitions.describe_order(held)
    elif table.group is not None:
        parts = partitions.divide_groups(table.group, codes, held, seed)
        note = _describe_groups(table, parts, names)
    else:
        return partitions.divide_random(codes, held, seed), ()
    if table.task == "classification":
        check_classes(table, parts[0], note)
    return parts, (note,)


def check_classes(table: Table, train: Int[np.ndarray, " N"], split: str) -> None:
    """Check that each class has a training row.

    Args:
      table: the table.
      train: indices of the training rows.
      split: description of the split.

    Raises:
      ValueError: a class has none; the message names it.
    """
    codes = partitions.absent_classes(table.target, train)
    if len(codes):
        absent = listed([table.classes[code] for code in codes])
        raise ValueError(
            f"no training row of the classes {absent} ({split}); leave these classes "
            "out, or reduce valid_share or test_share"
        )


def _describe_groups(
    table: Table, parts: partitions.Parts, names: tuple[str, ...]
) -> str:
    numbers = [len(np.unique(table.group[part])) for part in parts]
    return partitions.describe_groups(table.group_name, numbers, names)


def note_absent_classes(
    table: Table, held: list[Int[np.ndarray, " _"]]
) -> tuple[str, ...]:
    """Return a note if a class is not in each of the held-out parts."""
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


def to_outputs(
    target: Float[np.ndarray, " N"] | Int[np.ndarray, " N"],
    scaling: Scaling,
    name: str,
) -> Float[np.ndarray, "N O"]:
    """Return the targets of a network: scaled numbers, or probabilities of classes.

    Args:
      target: numbers or class codes.
      scaling: scaling of the table.
      name: name of the target.

    Raises:
      ValueError: a number is beyond all bounds.
    """
    if not scaling.classes:
        outputs = (target[:, None] - scaling.target_offset) / scaling.target_scale
        if np.abs(outputs).max() > LARGEST_INPUT:
            raise ValueError(
                f"target {shown(name)} holds numbers beyond all bounds of the training "
                "rows"
            )
        return outputs
    if len(scaling.classes) == 2:
        return target[:, None].astype(np.float64)
    return np.eye(len(scaling.classes))[target]
