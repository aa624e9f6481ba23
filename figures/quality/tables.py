"""Tables in Markdown, and the pictures beside them, of all runs of a folder."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from figures.common import results
from figures.quality import comparison, plots
from figures.quality.comparison import Entry, Place, Table
from figures.quality.scores import RECOVERED, SIZES, Run
from figures.quality.tasks import GROUPS
from swajax.io import files

REFERENCES = ("direct", "default")
TITLES = {None: "All tasks"} | {group: group.capitalize() for group in GROUPS}
COMPARED = [f"error at {size}" for size in SIZES] + ["hypervolume"]


def write(folder: Path, beside: Path | None = None) -> str:
    """Tables and pictures of what is there, and what to tell of them.

    Args:
      folder: of the runs, and of what is written.
      beside: folder of runs that are shown too, where task and seed are the same.

    Raises:
      ValueError: there is no run in a folder.
    """
    found = _load(folder)
    if beside is not None:
        found += find_rivals(found, _load(beside))
    table = comparison.collect(found)
    texts = {
        "overview": format_overview(table, found),
        "comparison": format_comparisons(table),
        "ablation": format_ablation(table),
        "tasks": format_tasks(comparison.share_seeds(table)),
        "planted": format_planted(table),
        "failures": format_failures(found),
    }
    for name, text in texts.items():
        files.write_bytes(folder / f"{name}.md", (text.strip() + "\n").encode())
    plots.write(folder, table, found)
    return f"{texts['overview']}\n{len(found)} runs; more tables in {folder}\n"


def _load(folder: Path) -> list[Run]:
    found = results.load(folder)
    if not found:
        raise ValueError(f"{folder}: no runs to summarize")
    return found


def find_rivals(found: Sequence[Run], others: Sequence[Run]) -> list[Run]:
    """Runs of other methods on the same tasks and seeds."""
    places = {(run["task"], run["seed"]) for run in found}
    own = {run["method"] for run in found}
    return [
        run
        for run in others
        if (run["task"], run["seed"]) in places and run["method"] not in own
    ]


def format_overview(table: Table, found: Sequence[Run]) -> str:
    """Geometric means of the errors at sizes, hypervolumes, times, a table a group."""
    header = ["method", "places", "failures", *(f"at {size}" for size in SIZES)]
    header += ["hypervolume", "work s", "wall s", "candidate-steps"]
    sections = []
    for group, title in TITLES.items():
        part = find_common(table, group)
        if not part:
            continue
        errors = comparison.all_sizes(part)
        areas = comparison.hypervolume_values(part)
        rows = []
        for entry, own in part.items():
            means = [comparison.geometric_mean(errors[size][entry]) for size in SIZES]
            num_failed = sum(measured is None for measured in own.values())
            rows.append(
                [str(entry), f"{len(own)}", f"{num_failed}"]
                + [f"{mean:.3g}" for mean in means]
                + [f"{np.mean(list(areas[entry].values())):.3f}"]
                + _tell_times(entry, own, found)
            )
        rows.sort(key=lambda row: -float(row[7]))
        sections.append(f"## {title}\n\n{format_rows(header, rows)}")
    return "\n\n".join(sections)


def find_common(table: Table, group: str | None) -> Table:
    """The places of a group where every method has run, for those that can do them all.

    What does not run on a group of tasks is no row of it, and none of all tasks.
    """
    groups = {place[0] for own in table.values() for place in own}
    wanted = groups if group is None else {group}
    able = {
        entry: own
        for entry, own in table.items()
        if wanted <= {place[0] for place in own} and groups
    }
    if not able or (group is not None and group not in groups):
        return {}
    places = set.intersection(*(set(own) for own in able.values()))
    places = {place for place in places if place[0] in wanted}
    if not places:
        return {}
    return {
        entry: {place: own[place] for place in sorted(places)}
        for entry, own in able.items()
    }


def format_comparisons(table: Table) -> str:
    """All methods as multiples of each reference, with intervals and wins."""
    whole = {entry: own for entry, own in table.items() if entry.level == "full"}
    sections = []
    for name, (group, title) in itertools.product(REFERENCES, TITLES.items()):
        reference = Entry(name, "full")
        others = [entry for entry in whole if entry != reference]
        pairs = [(entry, reference) for entry in others if reference in whole]
        text = format_pairs(whole, pairs, group)
        if text:
            sections.append(f"## {title}, against `{name}`\n\n{text}")
    return _explain_ratios() + "\n\n".join(sections)


def format_ablation(table: Table) -> str:
    """Ways to find starts against gradient descent on weights, level by level."""
    pairs = []
    for entry in table:
        if entry.method.startswith("explore-"):
            suffix = "-steps" if entry.method.endswith("-steps") else ""
            reference = Entry(f"explore-direct{suffix}", entry.level)
            if reference in table and reference != entry:
                pairs.append((entry, reference))
    sections = []
    for group, title in TITLES.items():
        text = format_pairs(table, pairs, group)
        if text:
            sections.append(f"## {title}, against `explore-direct`\n\n{text}")
    return _explain_ratios() + "\n\n".join(sections)


def format_pairs(
    table: Table, pairs: Sequence[tuple[Entry, Entry]], group: str | None
) -> str:
    """A row for each pair of a method and its reference; empty if none have places."""
    values = [comparison.error_values(table, size) for size in SIZES]
    values.append(comparison.hypervolume_values(table))
    rows = []
    for entry, reference in pairs:
        ratios = [
            comparison.compare(
                comparison.restrict(own[entry], group),
                comparison.restrict(own[reference], group),
                is_more_better=own is values[-1],
            )
            for own in values
        ]
        if ratios[0] is not None:
            cells = [
                f"{r.mean:.2f} [{r.low:.2f}, {r.high:.2f}] {r.wins:.0%}" for r in ratios
            ]
            rows.append([str(entry), f"{ratios[0].num_units}", *cells])
    return format_rows(["method", "units", *COMPARED], rows) if rows else ""


def _explain_ratios() -> str:
    return (
        "Geometric mean over the units of the ratio to the reference, [95 % interval "
        "of a paired bootstrap], and the share of the units that are better (half of "
        "the ties). Less is better for errors, more for the hypervolume. A unit is a "
        "function, a table, or one planted teacher.\n\n"
    )


def format_tasks(table: Table) -> str:
    """Medians over the seeds of each task, a table a size, the best in bold."""
    whole = {entry: own for entry, own in table.items() if entry.level == "full"}
    tasks = sorted({place[:2] for own in whole.values() for place in own})
    sections = []
    for size in SIZES:
        values = comparison.error_values(whole, size)
        rows = []
        for group, task in tasks:
            medians = [median_of(values[entry], group, task) for entry in whole]
            best = min(m for m in medians if m is not None)
            cells = ["" if m is None else f"{m:.2g}" for m in medians]
            cells = [
                f"**{cell}**" if m == best else cell
                for cell, m in zip(cells, medians, strict=True)
            ]
            rows.append([f"{task}", *cells])
        header = ["task", *map(str, whole)]
        title = f"## Relative error of networks of at most {size} weights"
        sections.append(f"{title}\n\n{format_rows(header, rows)}")
    return "\n\n".join(sections)


def median_of(values: dict[Place, float], group: str, task: str) -> float | None:
    """Over the seeds of a task; None if there is none."""
    own = [value for place, value in values.items() if place[:2] == (group, task)]
    return float(np.median(own)) if own else None


def format_planted(table: Table) -> str:
    """Teachers: errors at their sizes, sizes that do, and the share found again.

    Of those that all methods have seen; then, where some have seen more, of all, for
    the methods that have seen every one.
    """
    own = {
        entry: {place: m for place, m in mine.items() if place[0] == "planted"}
        for entry, mine in table.items()
    }
    places = set().union(*own.values())
    most = {entry: mine for entry, mine in own.items() if set(mine) == places}
    shared = comparison.share_seeds(own)
    text = _format_teachers(shared)
    if most and len(places) > max(map(len, shared.values())):
        title = "# More teachers: methods that have seen every one"
        text += f"\n\n{title}\n\n{_format_teachers(most)}"
    return text


def _format_teachers(table: Table) -> str:
    kinds = sorted({place[1] for own in table.values() for place in own})
    sections = []
    for kind in (None, *kinds) if kinds else ():
        rows = []
        for entry, own in table.items():
            places = [m for place, m in own.items() if kind in (None, place[1])]
            if not places:
                continue
            done = [m for m in places if m is not None]
            failed = [np.inf] * (len(places) - len(done))
            rows.append(
                [
                    str(entry),
                    f"{len(places)}",
                    f"{_median([*(m.at_teacher for m in done), *failed]):.2g}",
                    f"{_median([*(m.smallest for m in done), *failed]):g}",
                    f"{sum(m.is_recovered for m in done) / len(places):.0%}",
                ]
            )
        header = ["method", "teachers", "error at its size"]
        header += [f"smallest within {RECOVERED:.0%}", "found again"]
        sections.append(f"## {kind or 'All kinds'}\n\n{format_rows(header, rows)}")
    return "\n\n".join(sections)


def _median(values: list[float]) -> float:
    """The median, the higher of the middle ones: infinite values do not spoil it."""
    return float(np.quantile(values, 0.5, method="higher"))


def format_failures(found: Iterable[Run]) -> str:
    """What has failed or was late; these count as losses."""
    rows = [
        [run["task"], f"{run['seed']}", run["method"], run["status"], run["message"]]
        for run in found
        if run["status"] != "ok"
    ]
    return format_rows(["task", "seed", "method", "status", "message"], rows)


def _tell_times(
    entry: Entry, places: Iterable[Place], found: Sequence[Run]
) -> list[str]:
    """Medians of seconds of work and of the wall clock, and of candidate-steps."""
    own = [
        run
        for run in found
        if run["method"] == entry.method
        and (run["group"], run["task"], run["seed"]) in set(places)
    ]
    levels = [
        run["levels"][entry.level]
        for run in own
        if entry.level in run.get("levels", {})
    ]
    if entry.level == "full":
        work, wall = ([run[f"{k}_seconds"] for run in own] for k in ("work", "wall"))
    else:
        work, wall = [level["seconds"] for level in levels], []
    steps = [level["candidate_steps"] for level in levels]
    steps = [] if None in steps else steps  # rivals that do not tell
    return [f"{np.median(v):,.0f}" if v else "" for v in (work, wall, steps)]


def format_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return "\n".join([line(header), "|---" * len(header) + "|", *map(line, rows)])
