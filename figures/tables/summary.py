"""Aims and scores of the study, from its runs."""

import functools

import numpy as np
from jaxtyping import Float

from figures.common import tables
from figures.common.results import RunFile

MARGIN = 0.01  # of R2 or accuracy
SIZE = 40
COLUMNS = (
    "folds",
    "hold-out",
    "small",
    "linear",
    "lasso",
    "sparse",
    "dense",
    "boosting",
    "operon",
)
Rows = list[dict]
Scores = dict[str, dict[tuple[str, int], float]]


def find_scores(runs: RunFile) -> Scores:
    """Return the test score of each method by table and split.

    Besides the methods of the runs: other rules of choice on the cross-validated fronts
    (`RULES`).
    """
    found: Scores = {}
    for run in runs.values():
        if run.get("score") is None:
            continue
        pair = (run["table"], run["seed"])
        found.setdefault(run["method"], {})[pair] = run["score"]
        if run["method"] == "folds":
            second = run["measures"][1]
            for name, pick_fn in RULES.items():
                row = pick_fn(run["front"])
                found.setdefault(name, {})[pair] = row[f"{second}_test"]
    return found


def _pick_best(front: Rows) -> dict:
    return min(front, key=lambda row: row["valid_loss"])


def _pick_small(front: Rows) -> dict:
    rows = [row for row in front if row["num_weights"] <= SIZE]
    return _pick_best(rows or front[:1])


def _pick_near(front: Rows, num_errors: float) -> dict:
    """Pick the smallest within so many standard errors of the best."""
    least = _pick_best(front)["valid_loss"]
    return next(
        row
        for row in front
        if row["valid_loss"] <= least + num_errors * row["valid_loss_diff_se"]
    )


def _pick_pysr(front: Rows) -> dict:
    """Pick the steepest fall of log loss per weight, within 1.5 times the best loss."""
    rows = [row for row in front if not row["is_dominated"]]
    limit = 1.5 * min(row["valid_loss"] for row in rows)
    best, steepest = rows[-1], -1.0
    for before, row in zip([None, *rows], rows, strict=False):
        fall = 0.0
        if before is not None:
            loss = np.maximum([before["valid_loss"], row["valid_loss"]], 1e-300)
            step = row["num_weights"] - before["num_weights"]
            fall = -np.diff(np.log(loss))[0] / step
        if row["valid_loss"] <= limit and fall > steepest:
            best, steepest = row, fall
    return best


RULES = {
    "best": _pick_best,
    "half-se": functools.partial(_pick_near, num_errors=0.5),
    "one-se": functools.partial(_pick_near, num_errors=1.0),
    "pysr": _pick_pysr,
    "small": _pick_small,
}
"""Rules of choice: the smallest loss; the smallest network within half or one standard
error of it; the rule of PySR; the smallest loss of at most 40 weights."""


def compare(scores: Scores, method: str, other: str) -> Float[np.ndarray, " P"]:
    """Return the differences of two methods on the pairs that both have."""
    first, second = scores.get(method, {}), scores.get(other, {})
    pairs = sorted(set(first) & set(second))
    return np.array([first[pair] - second[pair] for pair in pairs])


def format_aims(runs: RunFile) -> str:
    """Return how often methods keep up with others, ranks, and honest intervals."""
    scores, rows = find_scores(runs), []
    for method, other in (
        ("folds", "linear"),
        ("hold-out", "linear"),
        *((rule, "linear") for rule in RULES),
        ("small", "dense"),
        ("folds", "dense"),
    ):
        gaps = compare(scores, method, other)
        if len(gaps):
            kept = f"{np.mean(gaps >= -MARGIN):.0%}"
            short = f"{np.maximum(-gaps, 0).mean():.4f}"
            rows.append([f"{method} - {other}", kept, short, str(len(gaps))])
    header = ["difference", "at least -0.01", "mean shortfall", "pairs"]
    text = tables.format_rows(header, rows)
    ranks = _format_ranks(scores)
    inside = [
        row[f"{first}_low"] <= row[f"{first}_test"] <= row[f"{first}_high"]
        for run in runs.values()
        if run["method"] == "folds"
        for first in run["measures"][:1]
        for row in run["front"]
        if row["is_picked"]
    ]
    if inside:
        text += f"\n\nTest errors within the 90 % interval: {np.mean(inside):.0%}"
    return f"{text}{ranks}"


def _format_ranks(scores: Scores) -> str:
    names = [name for name in ("folds", "linear", "dense") if name in scores]
    pairs = set.intersection(*(set(scores[name]) for name in names)) if names else set()
    if not pairs:
        return ""
    table = np.array([[scores[name][pair] for pair in pairs] for name in names])
    above = (table[:, None] < table[None]).sum(axis=1)
    same = (table[:, None] == table[None]).sum(axis=1) - 1
    ranks = (1 + above + same / 2).mean(axis=1)
    cells = (f"{name} {rank:.2f}" for name, rank in zip(names, ranks, strict=True))
    return f"\n\nMean ranks: {', '.join(cells)}"


def format_tables(runs: RunFile) -> str:
    """Return the mean test score of each method on each table."""
    scores = find_scores(runs)
    names = sorted({run["table"] for run in runs.values()})
    methods = [name for name in COLUMNS if name in scores]
    rows = []
    for name in names:
        own = [
            [score for (table, _), score in scores[method].items() if table == name]
            for method in methods
        ]
        sizes = [
            run["num_weights"]
            for run in runs.values()
            if run["table"] == name and run["method"] == "folds"
        ]
        cells = [f"{np.mean(values):.3f}" if values else "" for values in own]
        rows.append([name, f"{np.mean(sizes):.0f}" if sizes else "", *cells])
    return tables.format_rows(["table", "weights", *methods], rows)
