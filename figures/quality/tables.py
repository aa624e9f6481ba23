"""Tables and pictures of all runs in a folder."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from figures.common import results, tables
from figures.quality import comparison, plots
from figures.quality.comparison import Case, Entry, Table
from figures.quality.scores import RECOVERED, SIZES, Run
from figures.quality.tasks import GROUPS

REFERENCES = ("direct", "default")
TITLES = {None: "All tasks"} | {group: group.capitalize() for group in GROUPS}
COMPARED = [f"error at {size}" for size in SIZES] + ["hypervolume"]


def write(folder: Path, beside: Path | None = None) -> str:
    """Write tables and pictures of the runs of a folder.

    Args:
      folder: folder of the runs, the tables and the pictures.
      beside: folder of other runs, which are shown for equal tasks and seeds.

    Returns:
      The overview as text.

    Raises:
      ValueError: a folder has no runs.
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
        tables.write(folder / f"{name}.md", text)
    plots.write(folder, table, found)
    return f"{texts['overview']}\n{len(found)} runs; more tables in {folder}\n"


def _load(folder: Path) -> list[Run]:
    found = results.load(folder)
    if not found:
        raise ValueError(f"{folder}: no runs to summarize")
    return found


def find_rivals(found: Sequence[Run], others: Sequence[Run]) -> list[Run]:
    """Return the runs of other methods on the same tasks and seeds."""
    cases = {(run["task"], run["seed"]) for run in found}
    methods = {run["method"] for run in found}
    return [
        run
        for run in others
        if (run["task"], run["seed"]) in cases and run["method"] not in methods
    ]


def format_overview(table: Table, found: Sequence[Run]) -> str:
    """Return mean errors, hypervolumes and times, one table per group."""
    header = ["method", "cases", "failures", *(f"at {size}" for size in SIZES)]
    header += ["hypervolume", "work s", "wall s", "network steps"]
    sections = []
    for group, title in TITLES.items():
        part = find_common(table, group)
        if not part:
            continue
        errors = comparison.all_sizes(part)
        areas = comparison.hypervolume_values(part)
        rows = []
        for entry, by_case in part.items():
            means = [comparison.geometric_mean(errors[size][entry]) for size in SIZES]
            num_failed = sum(scored is None for scored in by_case.values())
            rows.append(
                [str(entry), f"{len(by_case)}", f"{num_failed}"]
                + [f"{mean:.3g}" for mean in means]
                + [f"{np.mean(list(areas[entry].values())):.3f}"]
                + _format_times(entry, by_case, found)
            )
        rows.sort(key=lambda row: -float(row[7]))
        sections.append(f"## {title}\n\n{tables.format_rows(header, rows)}")
    return "\n\n".join(sections)


def find_common(table: Table, group: str | None) -> Table:
    """Keep the cases that all methods of a group have run.

    Args:
      table: scores of all methods.
      group: group of tasks; None for all groups. A method without runs in a group is
        left out of this group and of the table of all tasks.
    """
    groups = {case[0] for by_case in table.values() for case in by_case}
    wanted = groups if group is None else {group}
    able = {
        entry: by_case
        for entry, by_case in table.items()
        if wanted <= {case[0] for case in by_case} and groups
    }
    if not able or (group is not None and group not in groups):
        return {}
    cases = set.intersection(*(set(by_case) for by_case in able.values()))
    cases = {case for case in cases if case[0] in wanted}
    if not cases:
        return {}
    return {
        entry: {case: by_case[case] for case in sorted(cases)}
        for entry, by_case in able.items()
    }


def format_comparisons(table: Table) -> str:
    """Return all methods as multiples of each reference, with intervals and wins."""
    full = {entry: by_case for entry, by_case in table.items() if entry.level == "full"}
    sections = []
    for name, (group, title) in itertools.product(REFERENCES, TITLES.items()):
        reference = Entry(name, "full")
        others = [entry for entry in full if entry != reference]
        pairs = [(entry, reference) for entry in others if reference in full]
        text = format_pairs(full, pairs, group)
        if text:
            sections.append(f"## {title}, against `{name}`\n\n{text}")
    return _explain_ratios() + "\n\n".join(sections)


def format_ablation(table: Table) -> str:
    """Compare sources of starts with descent on raw weights, by level."""
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
    """Return one row per pair of method and reference, if they share cases."""
    values = [comparison.error_values(table, size) for size in SIZES]
    values.append(comparison.hypervolume_values(table))
    rows = []
    for entry, reference in pairs:
        ratios = [
            comparison.compare(
                comparison.restrict(by_entry[entry], group),
                comparison.restrict(by_entry[reference], group),
                is_more_better=by_entry is values[-1],
            )
            for by_entry in values
        ]
        if ratios[0] is not None:
            cells = [
                f"{r.mean:.2f} [{r.low:.2f}, {r.high:.2f}] {r.wins:.0%}" for r in ratios
            ]
            rows.append([str(entry), f"{ratios[0].num_units}", *cells])
    return tables.format_rows(["method", "units", *COMPARED], rows) if rows else ""


def _explain_ratios() -> str:
    return (
        "Geometric mean over the units of the ratio to the reference, [95 % interval "
        "of a paired bootstrap], and the share of the units that are better (half of "
        "the ties). Less is better for errors, more for the hypervolume. A unit is a "
        "function, a table, or one planted teacher.\n\n"
    )


def format_tasks(table: Table) -> str:
    """Return medians over the seeds per task, one table per size, best in bold."""
    full = {entry: by_case for entry, by_case in table.items() if entry.level == "full"}
    tasks = sorted({case[:2] for by_case in full.values() for case in by_case})
    sections = []
    for size in SIZES:
        values = comparison.error_values(full, size)
        rows = []
        for group, task in tasks:
            medians = [median_of(values[entry], group, task) for entry in full]
            best = min(m for m in medians if m is not None)
            cells = ["" if m is None else f"{m:.2g}" for m in medians]
            cells = [
                f"**{cell}**" if m == best else cell
                for cell, m in zip(cells, medians, strict=True)
            ]
            rows.append([f"{task}", *cells])
        header = ["task", *map(str, full)]
        title = f"## Relative error of networks of at most {size} weights"
        sections.append(f"{title}\n\n{tables.format_rows(header, rows)}")
    return "\n\n".join(sections)


def median_of(values: dict[Case, float], group: str, task: str) -> float | None:
    """Return the median over the seeds of a task; None without seeds."""
    of_task = [value for case, value in values.items() if case[:2] == (group, task)]
    return float(np.median(of_task)) if of_task else None


def format_planted(table: Table) -> str:
    """Return the recovery of teachers: errors at their size, sizes, share recovered.

    The first tables cover the teachers that all methods have run; further tables cover
    all teachers, for the methods that have run all of them.
    """
    planted = {
        entry: {case: s for case, s in scored.items() if case[0] == "planted"}
        for entry, scored in table.items()
    }
    cases = set().union(*planted.values())
    most = {entry: s for entry, s in planted.items() if set(s) == cases}
    shared = comparison.share_seeds(planted)
    text = _format_teachers(shared)
    if most and len(cases) > max(map(len, shared.values())):
        title = "# More teachers: methods that have seen every one"
        text += f"\n\n{title}\n\n{_format_teachers(most)}"
    return text


def _format_teachers(table: Table) -> str:
    kinds = sorted({case[1] for by_case in table.values() for case in by_case})
    sections = []
    for kind in (None, *kinds) if kinds else ():
        rows = []
        for entry, by_case in table.items():
            cases = [m for case, m in by_case.items() if kind in (None, case[1])]
            if not cases:
                continue
            done = [m for m in cases if m is not None]
            failed = [np.inf] * (len(cases) - len(done))
            rows.append(
                [
                    str(entry),
                    f"{len(cases)}",
                    f"{_median([*(m.at_teacher for m in done), *failed]):.2g}",
                    f"{_median([*(m.smallest for m in done), *failed]):g}",
                    f"{sum(m.is_recovered for m in done) / len(cases):.0%}",
                ]
            )
        header = ["method", "teachers", "error at its size"]
        header += [f"smallest within {RECOVERED:.0%}", "recovered"]
        sections.append(
            f"## {kind or 'All kinds'}\n\n{tables.format_rows(header, rows)}"
        )
    return "\n\n".join(sections)


def _median(values: list[float]) -> float:
    """Return the upper median, which may be infinite but not NaN."""
    return float(np.quantile(values, 0.5, method="higher"))


def format_failures(found: Iterable[Run]) -> str:
    """Return the runs that failed or were late; these count as losses."""
    rows = [
        [run["task"], f"{run['seed']}", run["method"], run["status"], run["message"]]
        for run in found
        if run["status"] != "ok"
    ]
    return tables.format_rows(["task", "seed", "method", "status", "message"], rows)


def _format_times(
    entry: Entry, cases: Iterable[Case], found: Sequence[Run]
) -> list[str]:
    """Return medians of seconds of work, wall-clock seconds and network steps."""
    method_runs = [
        run
        for run in found
        if run["method"] == entry.method
        and (run["group"], run["task"], run["seed"]) in set(cases)
    ]
    levels = [
        run["levels"][entry.level]
        for run in method_runs
        if entry.level in run.get("levels", {})
    ]
    if entry.level == "full":
        work, wall = (
            [run[f"{k}_seconds"] for run in method_runs] for k in ("work", "wall")
        )
    else:
        work, wall = [level["seconds"] for level in levels], []
    steps = [level["network_steps"] for level in levels]
    steps = [] if None in steps else steps  # unknown for some rivals
    return [f"{np.median(v):,.0f}" if v else "" for v in (work, wall, steps)]
