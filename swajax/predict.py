"""The command `python -m swajax.predict`: predictions for the rows of a table."""

import csv
import dataclasses
import io
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import tyro
from tqdm import tqdm

from swajax.data.encoding import Column, EncodedRows, encode_rows
from swajax.data.messages import shown
from swajax.data.number_formats import Decimal, convert_cells
from swajax.data.streaming import find_decimal, read_chunks
from swajax.io import commands, files
from swajax.model.fitted import Model, to_probabilities
from swajax.model.results import load


@dataclasses.dataclass(frozen=True)
class PredictCommand:
    """Predict the target of a search for the rows of another table, of any size.

    The table must have the columns that the network was trained on, in any order. Rows
    with a cell that cannot be read get an empty prediction.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a run of python -m swajax.search, or file of an exported model"""
    data: str
    """CSV, TSV, Parquet or NPZ file, or name of a built-in table"""
    out: Path
    """new CSV file, one line per row: the predicted number, or the predicted class and
    the probability of each class"""
    size: int | None = None
    """use the best network with at most this number of weights; by default, the picked
    network"""
    keep: tuple[str, ...] = ()
    """columns of the table to copy into the output, such as identifiers"""
    strict: bool = False
    """stop at the first cell that cannot be read, and write nothing"""

    def __post_init__(self) -> None:
        """Keep each column once."""
        object.__setattr__(self, "keep", tuple(dict.fromkeys(self.keep)))


@dataclasses.dataclass
class Summary:
    """Counts over all rows of a table, for the notes."""

    num_rows: int = 0
    num_faulty: int = 0
    first_fault: str = ""
    filled: Counter[str] = dataclasses.field(default_factory=Counter)
    unseen: Counter[str] = dataclasses.field(default_factory=Counter)
    percents: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, rows: EncodedRows) -> None:
        """Count the rows of a chunk."""
        self.num_rows += len(rows.is_faulty)
        self.num_faulty += int(rows.is_faulty.sum())
        self.filled.update(rows.num_filled)
        self.unseen.update(rows.num_unseen)
        if rows.faults and not self.first_fault:
            self.first_fault = rows.faults[0]

    def describe(self, columns: tuple[Column, ...]) -> list[str]:
        """Return the notes for the user."""
        notes = []
        if self.num_faulty:
            notes.append(
                f"rows with an empty prediction: {self.num_faulty:,}; the first: "
                f"{self.first_fault} (--strict refuses such tables)"
            )
        if self.percents:
            percents = _list(self.percents)
            notes.append(f"percentages read as numbers, 10% as 10: {percents}")
        if self.filled:
            fills = {
                column.name: f" by {column.fill:g}"
                if column.kind == "numeric"
                else " by no category"
                for column in columns
            }
            notes.append(f"missing cells replaced: {_list(self.filled, fills)}")
        if self.unseen:
            notes.append(f"categories not seen in training: {_list(self.unseen)}")
        return notes


def main(config: PredictCommand) -> None:
    """Read the table, predict, write the predictions and print a summary."""
    files.check_new(config.out)
    model = load(config.run, config.size)
    try:
        summary = _write(config, model)
    except ValueError as error:
        raise ValueError(f"{config.data}: {error}") from error
    lines = [
        f"{summary.num_rows:,} rows: {model.target!r} predicted with "
        f"{model.num_weights} weights, written to {config.out}",
        *(f"note: {n}" for n in summary.describe(model.scaling.encoder.columns)),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def _write(config: PredictCommand, model: Model) -> Summary:
    """Write the predictions in chunks of rows; the file appears at the end.

    Raises:
      ValueError: the table cannot be read, has no rows, or all rows are faulty.
    """
    summary, decimal = Summary(), find_decimal(config.data)
    names = list(dict.fromkeys([*model.feature_names, *config.keep]))
    with files.replacing(config.out) as file, tqdm(unit="row", disable=None) as bar:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_make_header(config, model))
        for frame in read_chunks(config.data, names):
            rows = _encode(model, frame, decimal, summary)
            if config.strict and rows.faults:
                raise ValueError(rows.faults[0])
            kept = [list(map(_to_text, frame[name])) for name in config.keep]
            writer.writerows(
                [*(column[row] for column in kept), *cells]
                for row, cells in enumerate(_predict(model, rows))
            )
            bar.update(len(frame))
        text.flush()
        text.detach()  # otherwise it would close the file
        if not summary.num_rows:
            raise ValueError("no data rows")
        if summary.num_faulty == summary.num_rows:
            raise ValueError(f"no row can be predicted: {summary.first_fault}")
    return summary


def _make_header(config: PredictCommand, model: Model) -> list[str]:
    """Return the column names; if the target is kept, rename the predicted column."""
    target = model.target
    if target in config.keep:
        target = f"predicted {target}"
    classes = [f"probability of {name}" for name in model.scaling.classes]
    return [*config.keep, target, *classes]


def _encode(
    model: Model, frame: pd.DataFrame, decimal: Decimal, summary: Summary
) -> EncodedRows:
    """Encode a chunk and count its rows."""
    encoder, plain = model.scaling.encoder, {}
    for name in (one.name for one in encoder.columns if one.kind == "numeric"):
        plain[name], num_percents = convert_cells(frame[name], decimal=decimal)
        if num_percents:
            summary.percents[name] += num_percents
    rows = encode_rows(encoder, frame.assign(**plain))
    summary.add(rows)
    return rows


def _predict(model: Model, rows: EncodedRows) -> list[list[str]]:
    """Return the cells to write: a number, or a class and all probabilities."""
    outputs = model.outputs(rows.inputs)
    if not model.scaling.classes:
        cells = [[repr(number)] for number in outputs[:, 0].tolist()]
    else:
        probabilities = to_probabilities(outputs)
        names = [model.scaling.classes[best] for best in probabilities.argmax(axis=1)]
        cells = [
            [name, *(f"{number:.6g}" for number in row)]
            for name, row in zip(names, probabilities.tolist(), strict=True)
        ]
    for row in rows.is_faulty.nonzero()[0]:
        cells[row] = [""] * len(cells[row])
    return cells


def _to_text(cell: Any) -> str:
    """Return the text of a cell as in the file; empty if the cell is missing."""
    if isinstance(cell, str):
        return cell
    return "" if pd.api.types.is_scalar(cell) and pd.isna(cell) else str(cell)


def _list(counts: Counter[str], ends: dict[str, str] | None = None) -> str:
    """Return at most ten names with their counts."""
    items = [
        f"{shown(name)} {count:,}{(ends or {}).get(name, '')}"
        for name, count in counts.items()
    ]
    more = f" and {len(items) - 10} more columns" if len(items) > 10 else ""
    return ", ".join(items[:10]) + more


if __name__ == "__main__":
    commands.run_as_process(main, PredictCommand, name="python -m swajax.predict")
