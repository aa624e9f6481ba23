"""Comparison of an export with `Model.predict`, and the rows for it."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from swajax.data.encoding import Column
from swajax.data.problem import Problem
from swajax.model.fitted import Model, to_probabilities
from swajax.model.results import read_rows

TOLERANCE = 1e-4  # in standard deviations of the target, or in probability
NUM_DRAWN = 1000


class Rows(NamedTuple):
    """Rows on which an export is compared with `Model.predict`."""

    frame: pd.DataFrame  # cells in the units of the table
    description: str  # "120 validation and test rows"
    valid: Problem | None = None  # encoded validation rows with their targets


class Options(NamedTuple):
    """Settings that only some formats use."""

    name: str = "network"  # prefix of the names in a C header
    digits: int | None = None  # significant digits of a formula; None: the fewest


class Agreement(NamedTuple):
    """Largest absolute difference between an export and `Model.predict`."""

    largest: float  # in units of the target, or in probability
    spread: float  # standard deviation of the target in training; 1 for probabilities
    rows: str  # description of the rows
    is_emulated: bool  # the arithmetic was emulated in NumPy, the export not executed

    @property
    def is_close(self) -> bool:
        """Whether the difference is at most `TOLERANCE` of the spread."""
        return bool(self.largest <= TOLERANCE * self.spread)

    def describe(self) -> str:
        """Return one sentence in ASCII, without a full stop."""
        if not np.isfinite(self.largest):
            return f"a prediction is not finite on {self.rows}"
        share = f" ({self.largest / self.spread:.1g} standard deviations)"
        return (
            f"largest difference from predict {self.largest:.2g}"
            f"{share if self.spread != 1 else ''} on {self.rows}"
            f"{', emulated in NumPy' if self.is_emulated else ''}"
        )


class Exported(NamedTuple):
    """The content of an exported file."""

    data: bytes
    agreement: Agreement
    note: str = ""  # note for the user


def find_rows(path: Path, model: Model) -> Rows:
    """Return the stored rows of a run, or random rows if none are stored.

    Args:
      path: folder of a run, or file of one model.
      model: the network to export.
    """
    try:
        return from_parts(read_rows(path), model)
    except FileNotFoundError:
        return draw_rows(model)


def from_parts(parts: dict[str, Problem], model: Model) -> Rows:
    """Return the rows of `swajax.model.results.read_rows`, decoded to cells."""
    x = np.concatenate([part.x for part in parts.values()])
    names = "validation and test" if "test" in parts else "validation"
    return Rows(_decode(model, x), f"{len(x):,} {names} rows", parts["valid"])


def from_frame(model: Model, frame: pd.DataFrame) -> Rows:
    """Return the rows of a table, with missing numbers filled.

    Raises:
      ValueError: a column is missing, or a cell cannot be read.
    """
    return Rows(_decode(model, model.encode(frame)), f"{len(frame):,} given rows")


def draw_rows(model: Model, num_rows: int = NUM_DRAWN) -> Rows:
    """Draw random rows, uniform over the training ranges and the categories."""
    rng = np.random.default_rng(0)
    frame = {
        column.name: _draw_cells(column, rng, num_rows)
        for column in model.scaling.encoder.columns
    }
    description = f"{num_rows:,} random rows within the training ranges"
    return Rows(pd.DataFrame(frame), description)


def to_answers(model: Model, outputs: Float[np.ndarray, "N O"]) -> np.ndarray:
    """Convert outputs to predicted numbers [N, 1] or probabilities [N, C]."""
    outputs = np.asarray(outputs, np.float64)
    return to_probabilities(outputs) if model.scaling.classes else outputs


def compare(
    model: Model, rows: Rows, answers: np.ndarray, *, is_emulated: bool = False
) -> Agreement:
    """Compare the answers of an export with `Model.predict`.

    Args:
      model: the exported network.
      rows: the evaluated rows.
      answers: predicted numbers [N, 1], or probabilities [N, C].
      is_emulated: whether the export's arithmetic was emulated.

    Returns:
      The largest difference; infinite where an answer is not finite.
    """
    with np.errstate(all="ignore"):  # an infinite difference is a result
        want = to_answers(model, model.outputs(model.encode(rows.frame)))
        difference = np.abs(np.asarray(answers, np.float64) - want).max(initial=0.0)
    largest = float(difference) if np.isfinite(difference) else np.inf
    spread = abs(model.scaling.target_scale) or 1.0
    spread = 1.0 if model.scaling.classes else spread
    return Agreement(largest, spread, rows.description, is_emulated)


def check(agreement: Agreement, language: str) -> Agreement:
    """Return the agreement if it is close.

    Raises:
      ValueError: the difference exceeds `TOLERANCE` of the spread.
    """
    if agreement.is_close:
        return agreement
    raise ValueError(
        f"{language} cannot represent this network: {agreement.describe()}, more than "
        f"{TOLERANCE:g}{' standard deviations' if agreement.spread != 1 else ''}"
    )


def _decode(model: Model, x: Float[np.ndarray, "N I"]) -> pd.DataFrame:
    """Invert the encoder; cells of unknown or missing categories become None."""
    cells, position = {}, 0
    for column in model.scaling.encoder.columns:
        num = max(1, len(column.categories) if len(column.categories) != 2 else 1)
        cells[column.name] = _decode_column(column, x[:, position : position + num])
        position += num
    return pd.DataFrame(cells)


def _decode_column(column: Column, inputs: Float[np.ndarray, "N K"]) -> np.ndarray:
    if column.kind == "numeric":
        return (inputs[:, 0].astype(np.float64) - column.offset) / column.scale
    if len(column.categories) == 2:
        inputs = inputs[:, :1] == np.array([[-1.0, 1.0]])
    names = np.array([*column.categories, None], dtype=object)
    is_known = (inputs > 0).any(axis=1)
    return names[np.where(is_known, inputs.argmax(axis=1), len(column.categories))]


def _draw_cells(column: Column, rng: np.random.Generator, num_rows: int) -> np.ndarray:
    if column.kind == "numeric":
        return (rng.uniform(-1, 1, num_rows) - column.offset) / column.scale
    return rng.choice(np.array(column.categories, dtype=object), num_rows)
