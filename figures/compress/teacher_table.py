"""Scores of the methods of the study of teachers, from its runs."""

import pandas as pd

from figures.common import tables
from figures.common.results import RunFile
from figures.compress.boosting import METHODS

MARGIN = 0.01  # of R2 or accuracy
FIELDS = ("table", "seed", "method", "score", "teacher", "seconds")


def format_table(runs: RunFile) -> str:
    """Return gains over the search without a teacher, and the scores of each table."""
    found = pd.DataFrame(
        [{name: run[name] for name in FIELDS} for run in runs.values()]
    )
    pairs = found.set_index(["table", "seed", "method"]).unstack("method")
    scores, seconds = pairs["score"], pairs["seconds"]
    names = [name for name in METHODS if name in scores]
    header = ["method", "mean gain", "gains", "losses", "pairs", "seconds"]
    gains = scores[names].sub(scores[names[0]], axis=0)
    rows = [
        [name, *_format_gains(gains[name]), f"{seconds[name].median():.0f}"]
        for name in names
    ]
    text = tables.format_rows(header, rows)
    means = scores[names].assign(boosting=pairs["teacher"].mean(axis=1))
    means = means.groupby("table").mean()
    rows = [
        [name, *(f"{number:.3f}" for number in row)]
        for name, row in zip(means.index, means.to_numpy(), strict=True)
    ]
    return f"{text}\n\n{tables.format_rows(['table', *means], rows)}"


def _format_gains(gains: pd.Series) -> list[str]:
    """Return the mean gain, and the numbers of gains and losses above 0.01."""
    return [
        f"{gains.mean():+.4f}",
        str(int((gains > MARGIN).sum())),
        str(int((gains < -MARGIN).sum())),
        str(int(gains.notna().sum())),
    ]
