"""Data, settings, versions and times of a run, for its page."""

from collections.abc import Iterable, Mapping
from typing import Any

from swajax.data.encoding import Column
from swajax.model.fitted import Model
from swajax.report.markup import Markup, join, show, tag
from swajax.report.results_file import PARTS


def make_facts(
    results: Mapping[str, Any], model: Model, metrics: list[dict[str, Any]]
) -> Markup:
    """Return tables of the data, the settings, the versions and the times.

    Args:
      results: content of results.json.
      model: any network of the front.
      metrics: lines of metrics.jsonl.
    """
    scaling = model.scaling
    rows = [(PARTS[name], f"{num:,}") for name, num in results["num_rows"].items()]
    rows += [("target", show(results["target"], 60))]
    if scaling.classes:
        counts = results["class_counts"]
        rows += [
            (f"training rows of {show(name)}", f"{count:,}")
            for name, count in zip(scaling.classes, counts, strict=True)
        ]
    else:
        rows += [
            ("mean in training", f"{scaling.target_offset:.6g}"),
            ("standard deviation in training", f"{scaling.target_scale:.6g}"),
        ]
    return join(
        [
            tag("h2", "Data"),
            _pairs("Rows and target", rows),
            _describe_columns(scaling.encoder.columns),
            tag("h2", "Search"),
            _pairs("Settings", _flatten(results["config"])),
            _pairs("Versions", results["versions"].items()),
            _pairs("Time in seconds", _time_stages(results, metrics)),
        ]
    )


def _pairs(title: str, rows: Iterable[tuple[str, str]]) -> Markup:
    lines = (
        tag("tr", tag("th", name, scope="row"), tag("td", value))
        for name, value in rows
    )
    return _fold(title, tag("table", tag("tbody", *lines), class_="pairs"))


def _describe_columns(columns: tuple[Column, ...]) -> Markup:
    heads = ("column", "training range or categories", "value where missing")
    lines = (
        tag("tr", tag("th", show(column.name, 60), scope="row"), *_describe(column))
        for column in columns
    )
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *lines),
        class_="pairs",
    )
    return _fold(f"{len(columns)} feature columns", table)


def _describe(column: Column) -> tuple[Markup, Markup]:
    if column.kind == "category":
        names = ", ".join(show(name) for name in column.categories)
        return tag("td", names), tag("td", "no category (all inputs 0)")
    low, high = ((end - column.offset) / column.scale for end in (-1, 1))
    return tag("td", f"{low:.6g} to {high:.6g}"), tag("td", f"{column.fill:.6g}")


def _flatten(config: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Return the settings of a nested configuration as one list."""
    found = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            found += _flatten(value, f"{above}{name}.")
        else:
            items = value if isinstance(value, list) else [value]
            text = ", ".join(show(str(item), 60) for item in items[:20])
            found.append((f"{above}{name}", text + ", …" * (len(items) > 20)))
    return found


def _time_stages(
    results: Mapping[str, Any], metrics: list[dict[str, Any]]
) -> list[tuple[str, str]]:
    """Return the seconds of each stage of the search, and the total."""
    spent, before = {}, 0.0
    for line in metrics:
        spent[line["stage"]] = spent.get(line["stage"], 0.0) + line["seconds"] - before
        before = line["seconds"]
    rows = [(stage, f"{seconds:.1f}") for stage, seconds in spent.items()]
    return [*rows, ("whole search", f"{results['seconds']:.1f}")]


def _fold(title: str, table: Markup) -> Markup:
    inside = tag(
        "div", table, class_="scroll", role="region", tabindex="0", aria_label=title
    )
    return tag("details", tag("summary", title), inside)
