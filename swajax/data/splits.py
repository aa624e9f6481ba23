"""Train, validation and test parts of a table, ready for training."""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int
from sklearn.model_selection import train_test_split

from swajax.data import columns
from swajax.data.encoding import LARGEST_INPUT, TableEncoder, encode, fit_encoder
from swajax.data.messages import listed, shown
from swajax.data.problem import Problem
from swajax.data.tables import Table


class Dataset(NamedTuple):
    """Parts of a table. Choose by validation; touch the test part once."""

    train: Problem
    valid: Problem
    test: Problem | None


class Scaling(NamedTuple):
    """The way between the units of the table and those of training.

    A network's output stands for `output * target_scale + target_offset` in a
    regression, and for the log-odds of `classes` in a classification (of the second
    against the first if there are two).
    """

    encoder: TableEncoder
    target_scale: float
    target_offset: float
    classes: tuple[str, ...]


def split_table(
    table: Table,
    *,
    seed: int,
    valid_share: float = 0.2,
    test_share: float | int = 0.2,
    class_weight: Literal["balanced"] | None = None,
) -> tuple[Dataset, Scaling, tuple[str, ...]]:
    """Split by rows at random and scale by what the training part shows.

    Classes get their shares of each part. Where they are too small for that, each has
    a training row at least.

    Args:
      table: the table, in its own units.
      seed: of the split; the same seed gives the same rows.
      valid_share: share of the rows to choose networks by.
      test_share: share of the rows for the final error; 0 for no test part.
      class_weight: `balanced` multiplies the weights, in all parts, by
        `N / (C * count)` of the training part's N rows, C classes and rows a class.

    Returns:
      The parts, the scaling, and notes for the user.

    Raises:
      ValueError: a part would be empty or too small for the classes, or the target or
        all features are constant in the training part.
    """
    if not (valid_share > 0 <= test_share and valid_share + test_share < 1):
        raise ValueError(
            "valid_share must be above 0, test_share at least 0, and their sum below "
            f"1, got {valid_share} and {test_share}"
        )
    rows, notes = _split_rows(table, valid_share, test_share, seed)
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
    dataset = Dataset(*parts) if test_share else Dataset(*parts, None)
    return dataset, Scaling(encoder, scale, offset, table.classes), notes + more


def _split_rows(
    table: Table, valid_share: float, test_share: float | int, seed: int
) -> tuple[list[Int[np.ndarray, " _"]], tuple[str, ...]]:
    """Numbers of the rows for training, validation and perhaps test."""
    num_rows = len(table.target)
    num_valid, num_test = (
        math.ceil(share * num_rows - 1e-9) for share in (valid_share, test_share)
    )
    codes = table.target if table.task == "classification" else None
    num_classes = 1 if codes is None else len(np.unique(codes))
    num_train = num_rows - num_valid - num_test
    if num_train < num_classes:
        raise ValueError(
            f"{table.source}: {num_rows} rows leave {num_train} to train on, fewer "
            f"than {num_classes} classes; make valid_share and test_share smaller"
        )
    rest, held = np.arange(num_rows), []
    for number in (num_test, num_valid) if num_test else (num_valid,):
        rest, part = _hold_out(rest, codes, number, seed)
        held.insert(0, part)
    return [rest, *held], () if codes is None else _warn_of_absent_classes(table, held)


def _hold_out(
    rows: Int[np.ndarray, " N"],
    codes: Int[np.ndarray, " _"] | None,
    number: int,
    seed: int,
) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " H"]]:
    """The rows that stay, of every class one at least, and the ones held out."""
    if codes is None:
        return tuple(train_test_split(rows, test_size=number, random_state=seed))
    counts = np.unique(codes[rows], return_counts=True)[1]
    if counts.min() >= 2 and min(number, len(rows) - number) >= len(counts):
        kept, held = train_test_split(
            rows, test_size=number, random_state=seed, stratify=codes[rows]
        )
        if len(np.unique(codes[kept])) == len(counts):
            return kept, held
    shuffled = np.random.default_rng(seed).permutation(rows)
    first = np.unique(codes[shuffled], return_index=True)[1]
    others = np.delete(shuffled, first)
    return np.concatenate([shuffled[first], others[number:]]), others[:number]


def _warn_of_absent_classes(
    table: Table, held: list[Int[np.ndarray, " _"]]
) -> tuple[str, ...]:
    everywhere = set.intersection(*(set(table.target[part]) for part in held))
    absent = [name for code, name in enumerate(table.classes) if code not in everywhere]
    if not absent:
        return ()
    return (
        f"too few rows for every part of the split, some to train on: {listed(absent)}",
    )


def _fit_target(table: Table, train: Int[np.ndarray, " N"]) -> tuple[float, float]:
    """Scale and offset of the target: its deviation and mean in training, weighted."""
    if table.task == "classification":
        return 1.0, 0.0
    values = table.target[train]
    if columns.is_constant(values):
        raise ValueError(
            f"target {shown(table.target_name)} is constant in the training rows"
        )
    weights = None if table.weight is None else table.weight[train]
    mean = np.average(values, weights=weights)
    deviation = np.sqrt(np.average((values - mean) ** 2, weights=weights))
    return float(deviation), float(mean)


def _to_outputs(table: Table, scale: float, offset: float) -> Float[np.ndarray, "N O"]:
    """What a network is to give: numbers, or the probabilities of classes."""
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
    """Weights of all rows: their own, times those of their classes."""
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
