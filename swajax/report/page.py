"""HTML report of a run: the front as a menu, and the details of each network.

The page makes no requests and needs JavaScript only to copy text. Radio buttons and the
style sheet select the network that is shown.
"""

import base64
import hashlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from swajax.data.problem import Problem
from swajax.export import agreement
from swajax.io import files, runlog
from swajax.model.fitted import Model
from swajax.model.results import load, read_rows
from swajax.report import charts
from swajax.report.facts import make_facts
from swajax.report.markup import Markup, join, show, tag
from swajax.report.panels import make_panel
from swajax.report.results_file import (
    FIDELITY,
    MEASURES,
    PARTS,
    find_parts,
    has_fidelity,
    name_part,
    read_results,
)

WIDE = "wide"  # CSS class of the columns that are hidden on narrow screens


def write(run: Path) -> None:
    """Write report.html into the folder of a finished search, from its files.

    Args:
      run: the folder.

    Raises:
      FileNotFoundError: a file of the run is missing.
      ValueError: a file of the run is damaged; the message names it.
    """
    results = read_results(run)
    sizes = [row["num_weights"] for row in results["front"]]
    models = [load(run, size) for size in sizes]
    metrics = runlog.read_metrics(run)
    _check_run(run, results, models, metrics)
    text = make_page(results, models, read_rows(run), metrics=metrics, run=run)
    # A name may contain a lone surrogate, which UTF-8 cannot encode.
    files.write_bytes(run / "report.html", text.encode("utf-8", "replace"))


def make_page(
    results: Mapping[str, Any],
    models: list[Model],
    rows: Mapping[str, Problem],
    *,
    metrics: list[dict[str, Any]],
    run: Path,
) -> str:
    """Return the text of the page.

    Args:
      results: content of results.json.
      models: the networks of the front, in its order.
      rows: validation rows, and test rows if any, by part.
      metrics: lines of metrics.jsonl.
      run: the folder, for commands to copy.
    """
    front = results["front"]
    pairs = zip(models, front, strict=True)
    parts = {name: _read(f"page.{name}") for name in ("html", "css", "js")}
    digest = hashlib.sha256(parts["js"].encode()).digest()
    sizes = [row["num_weights"] for row in front]
    check_rows = agreement.from_parts(dict(rows), models[0])
    is_fitted = results.get("is_cross_validated") is True and "test" not in rows
    rows_name = (
        "training" if is_fitted else PARTS["test" if "test" in rows else "valid"]
    )
    target, source = show(results["target"], 60), show(results["source"], 80)
    return Template(parts["html"]).substitute(
        script_hash=base64.b64encode(digest).decode(),
        title=join([f"{target} from {source}"]),
        style=parts["css"] + "\n".join(map(_choose, sizes)),
        summary=_summarise(results, models),
        notes=_list_notes(results["notes"]),
        plot=_plot_front(results),
        table=_tabulate(results),
        panels=join(
            make_panel(model, row, rows, check_rows, run, rows_name)
            for model, row in pairs
        ),
        facts=make_facts(results, models[0], metrics),
        script=parts["js"],
    )


def _check_run(
    run: Path,
    results: Mapping[str, Any],
    models: list[Model],
    metrics: list[dict[str, Any]],
) -> None:
    """Check that the files of a run fit each other.

    Raises:
      ValueError: a file does not fit the others; the message names it.
    """
    names = (results["target"], tuple(results["classes"]))
    is_fit = [m.num_weights for m in models] == [
        row["num_weights"] for row in results["front"]
    ] and all((m.target, m.scaling.classes) == names for m in models)
    if not is_fit:
        raise ValueError(
            f"{run / 'results.json'}: does not fit the networks of the run"
        )
    for line in metrics:
        if not isinstance(line.get("seconds"), int | float) or "stage" not in line:
            raise ValueError(f"{run / 'metrics.jsonl'}: a line has no stage or seconds")


def _read(name: str) -> str:
    return resources.files("swajax.report").joinpath(name).read_text("utf-8")


def _choose(size: int) -> str:
    """Return the style rule that shows the details of a network."""
    return f":root:has(#n{size}:checked) .only.n{size} {{ display: revert; }}"


def _summarise(results: Mapping[str, Any], models: list[Model]) -> Markup:
    front = results["front"]
    low, high = front[0]["num_weights"], front[-1]["num_weights"]
    (picked,) = (row["num_weights"] for row in front if row["is_picked"])
    num_rows = sum(results["num_rows"].values())
    kind = f"{len(results['classes'])} classes" if results["classes"] else "a number"
    return tag(
        "p",
        f"Predicts {show(results['target'], 60)} ({kind}) from "
        f"{len(models[0].feature_names)} columns. From {num_rows:,} rows the "
        f"search found {len(front)} networks of {low} to {high} weights and picked the "
        "one of ",
        tag("strong", f"{picked} weights"),
        ". Select another network in the table or in the plot.",
    )


def _list_notes(notes: list[str]) -> Markup:
    if not notes:
        return Markup("")
    items = (tag("li", show(note, 1000)) for note in notes)
    return tag("aside", tag("strong", "Notes"), tag("ul", *items), aria_label="Notes")


def _plot_front(results: Mapping[str, Any]) -> Markup:
    """Plot error against size; a label of its radio button covers each point."""
    front, measure = results["front"], results["measures"][0]
    sizes = np.array([row["num_weights"] for row in front])
    errors = {
        part: np.array([row[f"{measure}_{part}"] for row in front])
        for part in find_parts(results)
    }
    every = np.concatenate(list(errors.values()))
    is_log = bool(every.min() > 0 and every.max() > 30 * every.min())
    plot = charts.Plot(
        charts.make_axis(sizes, is_integer=True),
        charts.make_axis(every, is_log=is_log),
    )
    marks = [
        mark(plot, sizes, values, part)
        for part, values in errors.items()
        for mark in (charts.line, charts.dots)
    ]
    points = plot.to_points(sizes, errors["valid"])
    rings = [
        tag("circle", class_=f"ring only n{size}", r=8, cx=x, cy=y)
        for size, (x, y) in zip(sizes.tolist(), points.tolist(), strict=True)
    ]
    chart = charts.draw(
        plot,
        *marks,
        *rings,
        x_label="weights and biases",
        y_label=f"{MEASURES[measure]} of {show(results['target'])}",
        description=f"{MEASURES[measure]} against size; the table has the numbers",
    )
    labels = [
        _cover(size, x, y)
        for size, (x, y) in zip(sizes.tolist(), points.tolist(), strict=True)
    ]
    is_cross = results.get("is_cross_validated") is True
    keys = (
        tag("li", name_part(part, is_cross), class_=f"key {part}") for part in errors
    )
    legend = tag("ul", *keys, class_="legend")
    return tag("figure", tag("div", chart, *labels, class_="cover"), legend)


def _cover(size: int, x: float, y: float) -> Markup:
    left, top = 100 * x / charts.WIDTH, 100 * y / charts.HEIGHT
    return tag(
        "label",
        for_=f"n{size}",
        title=f"{size} weights",
        style=f"left:{left:.2f}%;top:{top:.2f}%",
    )


def _tabulate(results: Mapping[str, Any]) -> Markup:
    parts = find_parts(results)
    measures = [*results["measures"], *[FIDELITY] * has_fidelity(results)]
    keys = [(measure, part) for measure in measures for part in parts]
    groups = [
        tag(
            "th",
            MEASURES.get(measure, measure),
            scope="colgroup",
            colspan=len(parts),
        )
        for measure in measures
    ]
    heads = [
        tag("th", name, scope="col", rowspan=2, class_=kind)
        for name, kind in (("weights", None), ("neurons", WIDE), ("layers", WIDE))
    ]
    is_cross = results.get("is_cross_validated") is True
    under = [tag("th", name_part(part, is_cross), scope="col") for _, part in keys]
    lines = [_tabulate_row(row, keys) for row in results["front"]]
    return tag(
        "table",
        tag("thead", tag("tr", *heads, *groups), tag("tr", *under)),
        tag("tbody", *lines),
        class_="front",
    )


def _tabulate_row(row: Mapping[str, Any], keys: list[tuple[str, str]]) -> Markup:
    size, is_picked = row["num_weights"], row["is_picked"]
    radio = tag(
        "input",
        type="radio",
        name="size",
        id=f"n{size}",
        value=str(size),
        checked=is_picked,
        autocomplete="off",
    )
    badge = tag("span", "picked", class_="badge") if is_picked else ""
    numbers = [_format(row[f"{measure}_{part}"], measure) for measure, part in keys]
    shape = [str(row["num_neurons"]), str(row["depth"])]
    return tag(
        "tr",
        tag("td", tag("label", radio, f" {size} ", badge)),
        *(tag("td", cell, class_=WIDE) for cell in shape),
        *(tag("td", cell) for cell in numbers),
        class_="dominated" if row.get("is_dominated") is True else None,
    )


def _format(number: float | None, measure: str) -> str:
    if number is None:  # R2 of a constant target
        return "\N{EN DASH}"
    if measure in ("r2", "accuracy", FIDELITY):
        return f"{number:.3f}"
    return f"{number:#.4g}".rstrip(".")
