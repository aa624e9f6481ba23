"""Tables and a picture of the runs of `accuracy`."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from figures.common import results
from figures.quality.tables import format_rows
from figures.tangle import standalone_table
from swajax.io import files, png

Run = dict[str, Any]
REFERENCE = "drnas"
STAGES = ("inherited", "finetuned", "retrained")


def write(folder: Path, space: str) -> str:
    """Write accuracy.md, sizes.png and, of runs with curves, anytime.png; gives tables.

    Raises:
      ValueError: there is no run.
    """
    found = results.load(folder)
    if not found:
        raise ValueError(f"{folder}: no runs to summarize")
    table = find_table(folder, space)
    methods = group(found)
    text = f"{format_scores(methods)}\n\n{format_searches(methods, table)}\n"
    if table and _is_sample(table):
        text += f"\n{tell_sample(table)}\n"
    if REFERENCE in methods:
        pairs = format_pairs(methods, table)
        text += f"\nAgainst {REFERENCE}, seed by seed:\n\n{pairs}\n"
    files.write_bytes(folder / "accuracy.md", text.encode())
    draw_sizes(folder / "sizes.png", methods)
    draw_anytime(folder / "anytime.png", methods, table)
    return text


def find_table(folder: Path, space: str) -> dict[str, Any] | None:
    """Networks of a space on their own, if there is a table of them."""
    is_macro = space == "digits-macro"
    path = standalone_table.DIGITS_MACRO if is_macro else folder / "table.json"
    return standalone_table.read_table(path) if path.is_file() else None


def group(found: Sequence[Run]) -> dict[str, dict[int, Run]]:
    """Runs by method and seed, methods in the order of the mean loss retrained."""
    methods: dict[str, dict[int, Run]] = defaultdict(dict)
    for run in found:
        methods[run["method"]][run["seed"]] = run
    return dict(sorted(methods.items(), key=lambda m: _read(m[1], "retrained").mean()))


def format_scores(methods: dict[str, dict[int, Run]]) -> str:
    """Test losses and accuracies of the networks found, mean and deviation."""
    header = ["method", "seeds", "weights"]
    header += [f"{stage} {what}" for what in ("loss", "accuracy") for stage in STAGES]
    rows = []
    for name, own in methods.items():
        sizes = [run["num_weights"] for run in own.values()]
        row = [name, str(len(own)), f"{np.mean(sizes):.0f}"]
        row += [_show(_read(own, stage)) for stage in STAGES]
        row += [_show(_read(own, stage, "accuracy"), 1e2) for stage in STAGES]
        rows.append(row)
    return format_rows(header, rows)


def format_searches(
    methods: dict[str, dict[int, Run]], table: dict[str, Any] | None
) -> str:
    """What searches took, and where their networks stand in the table of all."""
    header = ["method", "passes", "networks judged", "seconds"]
    header += ["regret, nats", "percentile", "rank correlation"]
    rows = []
    for name, own in methods.items():
        values = list(own.values())
        row = [name, f"{np.mean([run['num_passes'] for run in values]):.0f}"]
        row.append(f"{np.mean([run['num_evaluated'] for run in values]):.0f}")
        row.append(f"{np.median([run['seconds'] for run in values]):.0f}")
        rows.append(row + _tell_standing(values, table))
    return format_rows(header, rows)


def format_pairs(
    methods: dict[str, dict[int, Run]], table: dict[str, Any] | None
) -> str:
    """Differences to the reference where both have run, with intervals over seeds.

    Of test losses, retrained, and of rank correlations.
    """
    reference, rows = methods[REFERENCE], []
    for name, own in methods.items():
        seeds = sorted(own.keys() & reference.keys())
        if name == REFERENCE or not seeds:
            continue
        gaps = find_gaps(own, reference, seeds)
        wins = f"{(gaps < 0).sum()} of {len(gaps)}"
        pairs = [(own[seed], reference[seed]) for seed in seeds]
        is_judged = all(run["inherited_losses"] for pair in pairs for run in pair)
        shift = ""
        if table and is_judged:
            taus = [[correlate(run, table) for run in pair] for pair in pairs]
            shift = _show_gaps(-np.diff(taus)[:, 0])
        rows.append([name, _show_gaps(gaps), wins, shift])
    header = ["method", "loss less that of the reference [95 %]", "seeds better"]
    header.append("rank correlation less that of the reference [95 %]")
    return format_rows(header, rows)


def tell_sample(table: dict[str, Any]) -> str:
    """What the rank correlation is among, if not all networks."""
    num_seeds = len(table["rows"][0]["test_loss"])
    times = "once" if num_seeds == 1 else f"with {num_seeds} seeds"
    return (
        f"The rank correlation is among {len(table['rows'])} random networks, each "
        f"trained on its own {times}. From other starts than what is found, so that "
        "there is no regret."
    )


def find_gaps(
    own: dict[int, Run], reference: dict[int, Run], seeds: Sequence[int]
) -> np.ndarray:
    """Differences of test losses, retrained, seed by seed."""
    pairs = [(own[seed], reference[seed]) for seed in seeds]
    return np.array([a["retrained"]["loss"] - b["retrained"]["loss"] for a, b in pairs])


def correlate(run: Run, table: dict[str, Any]) -> float:
    """Kendall's tau of inherited losses with those of networks on their own."""
    losses = standalone_table.mean_losses(table)
    return float(stats.kendalltau(run["inherited_losses"], losses).statistic)


def _show_gaps(gaps: np.ndarray) -> str:
    """Their mean, and its interval if there is more than one."""
    if len(gaps) == 1:
        return f"{gaps[0]:+.4f}"
    # Student's: a bootstrap of so few would be too narrow.
    half = stats.t.ppf(0.975, len(gaps) - 1) * stats.sem(gaps)
    return f"{gaps.mean():+.4f} [{gaps.mean() - half:+.4f}, {gaps.mean() + half:+.4f}]"


def _tell_standing(values: Sequence[Run], table: dict[str, Any] | None) -> list[str]:
    if table is None:
        return ["", "", ""]
    taus = [
        correlate(run, table) for run in values if run["inherited_losses"] is not None
    ]
    if _is_sample(table):
        return ["", "", _show(np.array(taus))]
    standings = [_find_standing(run["indices"], table) for run in values]
    return [
        _show(np.array([standing.regret for standing in standings])),
        f"{np.mean([standing.percentile for standing in standings]):.1f}",
        _show(np.array(taus)),
    ]


def _find_standing(
    indices: dict[str, list[int]], table: dict[str, Any]
) -> standalone_table.Standing:
    own = {name: tuple(index) for name, index in indices.items()}
    return standalone_table.find_standing(table, own)


def _is_sample(table: dict[str, Any]) -> bool:
    """Whether it has some networks of the space, not all."""
    return table["config"].get("num_networks") is not None


def draw_sizes(path: Path, methods: dict[str, dict[int, Run]]) -> None:
    """Test loss against weights, a point a run; methods that need no search as well."""
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    markers = "osD^v<>PX*hpd8"
    for index, (name, own) in enumerate(methods.items()):
        sizes = [run["num_weights"] for run in own.values()]
        marker = markers[index % len(markers)]
        axes.scatter(sizes, _read(own, "retrained"), marker=marker, s=28, label=name)
    axes.set(xlabel="weights", ylabel="test loss, trained anew", xscale="log")
    png.thin_log_ticks(axes.xaxis)
    axes.legend(fontsize=7, bbox_to_anchor=(1.01, 1), loc="upper left")
    axes.grid(alpha=0.3)
    png.save(path, figure)


def draw_anytime(
    path: Path, methods: dict[str, dict[int, Run]], table: dict[str, Any] | None
) -> None:
    """What searches would have given if they had ended earlier, means over the seeds.

    Loss of the network chosen so far with inherited weights, on the rows for
    architectures; and, in a table of all networks, its regret. Of runs that have a
    curve, which those of before had not.
    """
    curves = {
        name: [run["curve"] for run in own.values() if run.get("curve")]
        for name, own in methods.items()
    }
    curves = {name: own for name, own in curves.items() if own}
    if not curves:
        return
    is_whole = table is not None and not _is_sample(table)
    figure = Figure(figsize=(1.4 + 4.6 * (1 + is_whole), 3.8), layout="constrained")
    panels = figure.subplots(1, 1 + is_whole, squeeze=False)[0]
    for index, (name, own) in enumerate(curves.items()):
        # Dashes show what they cover: two second stages of one search, for instance.
        style = {"color": f"C{index}", "linestyle": ("-", "--", ":")[index % 3]}
        passes = [point["num_passes"] for point in own[0]]
        losses = [[point["loss"] for point in curve] for curve in own]
        label = f"{name}, {len(own)} seeds" if len(own) > 1 else f"{name}, a seed"
        panels[0].plot(passes, np.mean(losses, axis=0), label=label, **style)
        if is_whole and "indices" in own[0][0]:
            regrets = [
                [_find_standing(point["indices"], table).regret for point in curve]
                for curve in own
            ]
            panels[1].plot(passes, np.mean(regrets, axis=0), label=name, **style)
    panels[0].set(ylabel="loss with inherited weights, architecture rows", yscale="log")
    png.thin_log_ticks(panels[0].yaxis)
    if is_whole:
        panels[1].set(ylabel="regret of the chosen network, nats", ylim=(0, None))
    for axes in panels:
        axes.set(xlabel="gradient passes")
        axes.grid(alpha=0.3)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=7, loc="outside right upper")
    png.save(path, figure)


def _read(own: dict[int, Run], stage: str, what: str = "loss") -> np.ndarray:
    """A score over the seeds; empty for methods without the stage."""
    found = [run[stage][what] for run in own.values() if stage in run]
    return np.array(found, float)


def _show(values: np.ndarray, scale: float = 1.0) -> str:
    """Mean and, of more than one seed, standard deviation."""
    if not len(values):
        return ""
    spread = f" ± {scale * values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{scale * values.mean():.3f}{spread}"
