"""Tables and pictures of the runs of `accuracy`."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from figures.common import results, tables
from figures.common.results import Run
from figures.tangle import standalone_table
from swajax.io import png

REFERENCE = "drnas"
STAGES = ("inherited", "finetuned", "retrained")


def write(folder: Path, space: str) -> str:
    """Write accuracy.md, sizes.png and, for runs with curves, anytime.png.

    Args:
      folder: folder of the runs of a space.
      space: name of the space.

    Returns:
      The tables as text.

    Raises:
      ValueError: there are no runs.
    """
    found = results.load(folder)
    if not found:
        raise ValueError(f"{folder}: no runs to summarize")
    table = find_table(folder, space)
    methods = group(found)
    text = f"{format_scores(methods)}\n\n{format_searches(methods, table)}\n"
    if table and _is_sample(table):
        text += f"\n{describe_sample(table)}\n"
    if REFERENCE in methods:
        pairs = format_pairs(methods, table)
        text += f"\nCompared with {REFERENCE}, seed by seed:\n\n{pairs}\n"
    tables.write(folder / "accuracy.md", text)
    draw_sizes(folder / "sizes.png", methods)
    draw_anytime(folder / "anytime.png", methods, table)
    return text


def find_table(folder: Path, space: str) -> dict[str, Any] | None:
    """Return the table of standalone networks of a space, if it exists.

    The table of all networks of digits-macro is used for every folder.
    """
    path = folder / "table.json"
    if space == "digits-macro" and not path.is_file():
        path = standalone_table.DIGITS_MACRO
    return standalone_table.read_table(path) if path.is_file() else None


def group(found: Sequence[Run]) -> dict[str, dict[int, Run]]:
    """Return runs by method and seed, ordered by mean test loss after retraining."""
    methods: dict[str, dict[int, Run]] = defaultdict(dict)
    for run in found:
        methods[run["method"]][run["seed"]] = run
    return dict(
        sorted(methods.items(), key=lambda m: _scores(m[1], "retrained").mean())
    )


def format_scores(methods: dict[str, dict[int, Run]]) -> str:
    """Return test losses and accuracies of the networks found, mean ± deviation."""
    header = ["method", "seeds", "weights"]
    header += [f"{stage} {what}" for what in ("loss", "accuracy") for stage in STAGES]
    rows = []
    for name, by_seed in methods.items():
        sizes = [run["num_weights"] for run in by_seed.values()]
        row = [name, str(len(by_seed)), f"{np.mean(sizes):.0f}"]
        row += [_show(_scores(by_seed, stage)) for stage in STAGES]
        row += [_show(_scores(by_seed, stage, "accuracy"), 1e2) for stage in STAGES]
        rows.append(row)
    return tables.format_rows(header, rows)


def format_searches(
    methods: dict[str, dict[int, Run]], table: dict[str, Any] | None
) -> str:
    """Return the cost of searches and the rank of their networks in the table."""
    header = ["method", "passes", "networks evaluated", "seconds"]
    header += ["regret, nats", "percentile", "rank correlation"]
    rows = []
    for name, by_seed in methods.items():
        values = list(by_seed.values())
        row = [name, f"{np.mean([run['num_passes'] for run in values]):.0f}"]
        row.append(f"{np.mean([run['num_evaluated'] for run in values]):.0f}")
        row.append(f"{np.median([run['seconds'] for run in values]):.0f}")
        rows.append(row + _format_ranks(values, table))
    return tables.format_rows(header, rows)


def format_pairs(
    methods: dict[str, dict[int, Run]], table: dict[str, Any] | None
) -> str:
    """Return differences to the reference with intervals over common seeds.

    Differences are of test losses after retraining, and of rank correlations.
    """
    reference, rows = methods[REFERENCE], []
    for name, by_seed in methods.items():
        seeds = sorted(by_seed.keys() & reference.keys())
        if name == REFERENCE or not seeds:
            continue
        differences = loss_differences(by_seed, reference, seeds)
        wins = f"{(differences < 0).sum()} of {len(differences)}"
        pairs = [(by_seed[seed], reference[seed]) for seed in seeds]
        is_evaluated = all(run["inherited_losses"] for pair in pairs for run in pair)
        shift = ""
        if table and is_evaluated:
            taus = [[correlate(run, table) for run in pair] for pair in pairs]
            shift = _format_differences(-np.diff(taus)[:, 0])
        rows.append([name, _format_differences(differences), wins, shift])
    header = ["method", "loss minus reference [95 %]", "seeds better"]
    header.append("rank correlation minus reference [95 %]")
    return tables.format_rows(header, rows)


def describe_sample(table: dict[str, Any]) -> str:
    """Describe the networks of the rank correlation."""
    num_seeds = len(table["rows"][0]["test_loss"])
    times = "once" if num_seeds == 1 else f"with {num_seeds} seeds"
    return (
        f"The rank correlation is among {len(table['rows'])} random networks, each "
        f"trained standalone {times}. Their starts differ from those of the networks "
        "found, so that there is no regret."
    )


def loss_differences(
    runs: dict[int, Run], reference: dict[int, Run], seeds: Sequence[int]
) -> np.ndarray:
    """Return differences of test losses after retraining, seed by seed."""
    pairs = [(runs[seed], reference[seed]) for seed in seeds]
    return np.array([a["retrained"]["loss"] - b["retrained"]["loss"] for a, b in pairs])


def correlate(run: Run, table: dict[str, Any]) -> float:
    """Return Kendall's tau between inherited and standalone losses."""
    losses = standalone_table.mean_losses(table)
    return float(stats.kendalltau(run["inherited_losses"], losses).statistic)


def _format_differences(differences: np.ndarray) -> str:
    """Return the mean and, for several differences, its 95 % interval."""
    if len(differences) == 1:
        return f"{differences[0]:+.4f}"
    # Student's interval, because a bootstrap of few values is too narrow.
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    mean = differences.mean()
    return f"{mean:+.4f} [{mean - half:+.4f}, {mean + half:+.4f}]"


def _format_ranks(values: Sequence[Run], table: dict[str, Any] | None) -> list[str]:
    if table is None:
        return ["", "", ""]
    taus = [
        correlate(run, table) for run in values if run["inherited_losses"] is not None
    ]
    if _is_sample(table):
        return ["", "", _show(np.array(taus))]
    ranks = [_find_rank(run["indices"], table) for run in values]
    return [
        _show(np.array([rank.regret for rank in ranks])),
        f"{np.mean([rank.percentile for rank in ranks]):.1f}",
        _show(np.array(taus)),
    ]


def _find_rank(
    indices: dict[str, list[int]], table: dict[str, Any]
) -> standalone_table.Rank:
    architecture = {name: tuple(index) for name, index in indices.items()}
    return standalone_table.find_rank(table, architecture)


def _is_sample(table: dict[str, Any]) -> bool:
    """Return whether a table has a sample of the networks of the space."""
    return table["config"].get("num_networks") is not None


def draw_sizes(path: Path, methods: dict[str, dict[int, Run]]) -> None:
    """Draw test loss against weights, one point per run."""
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    markers = "osD^v<>PX*hpd8"
    for index, (name, by_seed) in enumerate(methods.items()):
        sizes = [run["num_weights"] for run in by_seed.values()]
        marker = markers[index % len(markers)]
        axes.scatter(
            sizes, _scores(by_seed, "retrained"), marker=marker, s=28, label=name
        )
    axes.set(xlabel="weights", ylabel="test loss, trained from scratch", xscale="log")
    png.thin_log_ticks(axes.xaxis)
    axes.legend(fontsize=7, bbox_to_anchor=(1.01, 1), loc="upper left")
    axes.grid(alpha=0.3)
    png.save(path, figure)


def draw_anytime(
    path: Path, methods: dict[str, dict[int, Run]], table: dict[str, Any] | None
) -> None:
    """Draw scores of the network chosen so far, mean over the seeds.

    The left panel has its loss with inherited weights on the architecture rows. The
    right panel has its regret, if the table has all networks. Runs of earlier versions,
    which have no curve, are left out.

    Args:
      path: path of the PNG.
      methods: runs by method and seed.
      table: standalone networks.
    """
    curves = {
        name: [run["curve"] for run in of_method.values() if run.get("curve")]
        for name, of_method in methods.items()
    }
    curves = {name: of_method for name, of_method in curves.items() if of_method}
    if not curves:
        return
    is_whole = table is not None and not _is_sample(table)
    figure = Figure(figsize=(1.4 + 4.6 * (1 + is_whole), 3.8), layout="constrained")
    panels = figure.subplots(1, 1 + is_whole, squeeze=False)[0]
    for index, (name, of_method) in enumerate(curves.items()):
        # Dashed lines keep the line below visible, as for two second stages.
        style = {"color": f"C{index}", "linestyle": ("-", "--", ":")[index % 3]}
        passes = [point["num_passes"] for point in of_method[0]]
        losses = [[point["loss"] for point in curve] for curve in of_method]
        label = (
            f"{name}, {len(of_method)} seeds"
            if len(of_method) > 1
            else f"{name}, one seed"
        )
        panels[0].plot(passes, np.mean(losses, axis=0), label=label, **style)
        if is_whole and "indices" in of_method[0][0]:
            regrets = [
                [_find_rank(point["indices"], table).regret for point in curve]
                for curve in of_method
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


def _scores(by_seed: dict[int, Run], stage: str, what: str = "loss") -> np.ndarray:
    """Return a score over the seeds; empty for methods without the stage."""
    found = [run[stage][what] for run in by_seed.values() if stage in run]
    return np.array(found, float)


def _show(values: np.ndarray, scale: float = 1.0) -> str:
    """Return the mean and, for more than one seed, the standard deviation."""
    if not len(values):
        return ""
    spread = f" ± {scale * values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{scale * values.mean():.3f}{spread}"
