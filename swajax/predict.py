"""The command `python -m swajax.predict`: what a found network says of a table."""

import csv
import dataclasses
import io
import sys
from pathlib import Path
from typing import Annotated

import pandas as pd
import tyro
from tqdm import tqdm

from swajax.data.streaming import read_chunks
from swajax.io import commands, files
from swajax.model.fitted import Model, to_probabilities
from swajax.model.results import load


@dataclasses.dataclass(frozen=True)
class PredictCommand:
    """Predict a column of a table, which may be larger than memory.

    The columns of training must be there, by name, in any order.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a run of python -m swajax.search, or a file of an exported model"""
    data: str
    """CSV, TSV, Parquet or NPZ file, or a built-in table"""
    out: Path
    """CSV file for the predictions, new, a line a row: the number, or the class and the
    probability of each"""
    size: int | None = None
    """weights of the network, at most; by default the picked one predicts"""


def main(config: PredictCommand) -> None:
    """Table in, predictions out, some thousand rows at a time."""
    files.check_new(config.out)
    model = load(config.run, config.size)
    try:
        num_rows = _write(config.out, model, config.data)
    except ValueError as error:
        raise ValueError(f"{config.data}: {error}") from error
    sys.stdout.write(
        f"{num_rows:,} rows: {model.target!r} by {model.num_weights} weights, in "
        f"{config.out}\n"
    )


def _write(path: Path, model: Model, data: str) -> int:
    """Predictions into a file that is there only when all are; the number of rows."""
    num_rows = 0
    with files.replacing(path) as file, tqdm(unit="row", disable=None) as bar:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        classes = [f"probability of {name}" for name in model.scaling.classes]
        writer.writerow([model.target, *classes])
        for frame in read_chunks(data, model.feature_names):
            writer.writerows(_predict(model, frame))
            num_rows += len(frame)
            bar.update(len(frame))
        text.flush()
        text.detach()  # it would close the file
        if not num_rows:
            raise ValueError("no rows of data")
    return num_rows


def _predict(model: Model, frame: pd.DataFrame) -> list[list[str]]:
    """Cells to write: a number, or a class and the probabilities of all."""
    outputs = model.outputs(model.encode(frame))
    if not model.scaling.classes:
        return [[repr(number)] for number in outputs[:, 0].tolist()]
    probabilities = to_probabilities(outputs)
    names = [model.scaling.classes[best] for best in probabilities.argmax(axis=1)]
    return [
        [name, *(f"{number:.6g}" for number in row)]
        for name, row in zip(names, probabilities.tolist(), strict=True)
    ]


if __name__ == "__main__":
    sys.exit(
        commands.run_command(main, PredictCommand, name="python -m swajax.predict")
    )
