"""Train, validation and test parts of a table, scaled for training."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from swajax.data.tables import Table, is_constant


class Dataset(NamedTuple):
    """Scaled parts of a table. Choose by validation; touch the test part once."""

    x_train: Float32[np.ndarray, "N I"]
    y_train: Float32[np.ndarray, "N O"]
    x_valid: Float32[np.ndarray, "V I"]
    y_valid: Float32[np.ndarray, "V O"]
    x_test: Float32[np.ndarray, "T I"]
    y_test: Float32[np.ndarray, "T O"]


class Scalers(NamedTuple):
    """The way between the units of the table and those of training."""

    inputs: Pipeline  # to [-1, 1] by the training part
    target: StandardScaler  # to mean 0, variance 1 by the training part


def split_table(
    table: Table, *, seed: int, valid_share: float = 0.2, test_share: float = 0.2
) -> tuple[Dataset, Scalers]:
    """Split by rows at random and scale by what the training part shows.

    Args:
      table: the table, in its own units.
      seed: of the split; the same seed gives the same rows.
      valid_share: share of the rows to choose networks by.
      test_share: share of the rows for the final error.

    Raises:
      ValueError: a part would be empty, or a column is constant in the training part.
    """
    if min(valid_share, test_share) <= 0 or valid_share + test_share >= 1:
        raise ValueError(
            "valid_share and test_share must be above 0 with a sum below 1, got "
            f"{valid_share} and {test_share}"
        )
    y = table.y[:, None]
    x_rest, x_test, y_rest, y_test = train_test_split(
        table.x, y, test_size=test_share, random_state=seed
    )
    x_train, x_valid, y_train, y_valid = train_test_split(
        x_rest, y_rest, test_size=valid_share / (1 - test_share), random_state=seed
    )
    _check_varies(table, x_train, y_train, seed)
    scalers = _fit_scalers(x_train, y_train)
    parts = ((x_train, y_train), (x_valid, y_valid), (x_test, y_test))
    scaled = [
        array.astype(np.float32)
        for x, y in parts
        for array in (scalers.inputs.transform(x), scalers.target.transform(y))
    ]
    return Dataset(*scaled), scalers


def describe_scalers(scalers: Scalers) -> dict[str, list[float]]:
    """The same scaling as plain numbers, for files: all of it is affine.

    A network reads `x * input_scale + input_offset` and gives `out`, which stands for
    `out * target_scale + target_offset` in the units of the table.
    """
    first, second = scalers.inputs[0], scalers.inputs[1]
    input_scale = second.scale_ / first.scale_
    return {
        "input_scale": input_scale.tolist(),
        "input_offset": (second.min_ - first.mean_ * input_scale).tolist(),
        "target_scale": scalers.target.scale_.tolist(),
        "target_offset": scalers.target.mean_.tolist(),
    }


def _fit_scalers(x: Float[np.ndarray, "N I"], y: Float[np.ndarray, "N O"]) -> Scalers:
    # MinMaxScaler alone takes any range below 2e-15 for constant, also of small units.
    inputs = make_pipeline(StandardScaler(), MinMaxScaler((-1.0, 1.0)))
    return Scalers(inputs.fit(x), StandardScaler().fit(y))


def _check_varies(
    table: Table, x: Float[np.ndarray, "N I"], y: Float[np.ndarray, "N O"], seed: int
) -> None:
    names = (*table.features, table.target)
    for name, column in zip(names, np.hstack([x, y]).T, strict=True):
        if is_constant(column):
            raise ValueError(
                f"{table.source}: column {name!r} is constant in the training part of "
                f"split seed {seed}; leave it out or choose another seed"
            )
