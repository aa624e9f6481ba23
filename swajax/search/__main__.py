"""The command `python -m swajax.search`: tiny networks for a table."""

import dataclasses
import math
import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import jax
import numpy as np
import tyro
from tqdm import tqdm

from swajax.data.encoding import encoder_to_dict, input_names
from swajax.data.messages import listed, shown
from swajax.data.problem import MAX_ROWS, choose_objective
from swajax.data.splits import Dataset, Scaling, split_table
from swajax.data.tables import Table, load_table
from swajax.io import checkpoints, commands, configs, runlog
from swajax.latent_search.descent import NetworksFn
from swajax.model import evaluation
from swajax.model.front import Front
from swajax.model.results import write_rows
from swajax.report import fronts, page, pictures
from swajax.search import pool as pools
from swajax.search import sources
from swajax.search.config import ExploreConfig, SearchConfig
from swajax.search.run import SearchProgress, find_front
from swajax.search.sources import descent as descent_source

MANY_ROWS = (
    f"networks are fitted and chosen on {MAX_ROWS:,} random rows a part; "
    f"descents take mini-batches of {descent_source.BATCH_ROWS:,}; all rows are tested"
)


@dataclasses.dataclass(frozen=True)
class SearchCommand:
    """Find tiny networks for a table: a front of accuracy against size.

    Any number of features; numbers, two classes or more to predict.
    """

    data: str
    """CSV, TSV, Parquet or NPZ file, or a built-in table: diabetes, iris, wine,
    breast_cancer, digits, himmelblau and others"""
    target: str | None = None
    """column to predict; built-in tables have a default"""
    features: tuple[str, ...] | None = None
    """columns to predict from; by default all others"""
    task: Literal["auto", "regression", "classification"] = "auto"
    """whether the target is a number or a class"""
    weight: str | None = None
    """column of the rows' weights"""
    class_weight: Literal["balanced"] | None = None
    """balanced: rows of rare classes count more"""
    run: Annotated[SearchConfig, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=SearchConfig
    )
    """what is searched"""
    sources: ExploreConfig = dataclasses.field(default_factory=ExploreConfig)
    """where the search starts"""
    valid_share: float = 0.2
    """share of the rows to choose networks by"""
    test_share: float = 0.2
    """share of the rows for the final error"""
    seed: int = 0
    """of the split and of the starts"""
    time_budget: float | None = None
    """seconds after which the search ends with the best so far"""
    out: Path | None = None
    """folder for the results, new; by default runs/ and a name"""

    def __post_init__(self) -> None:
        """Reject what no random generator or clock takes."""
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in [0, 2^32), got {self.seed}")
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError(f"time_budget must be > 0 s, got {self.time_budget}")


def main(config: SearchCommand) -> None:
    """Table in, front of networks out; all is written before the table is shown."""
    commands.use_compilation_cache()
    table = load_table(
        config.data,
        target=config.target,
        features=config.features,
        task=config.task,
        weight=config.weight,
    )
    dataset, scaling, notes = split_table(
        table,
        seed=config.seed,
        valid_share=config.valid_share,
        test_share=config.test_share,
        class_weight=config.class_weight,
    )
    num_inputs = dataset.train.x.shape[1]
    sources.check(config.explore, table.task, num_inputs, config.pipeline)
    folder = runlog.make_run_folder(
        config.out or _default_folder(config), config, is_resumable=False
    )
    notes = (*table.notes, *notes)
    if max(_count_rows(dataset).values()) > MAX_ROWS:
        notes += (MANY_ROWS,)
    sys.stdout.write(_describe(table, dataset, scaling, notes))
    front, seconds = _search(config, dataset, scaling, folder)
    write_rows(folder, dataset)
    outcome = evaluation.tabulate(
        front, dataset, scaling, activations=config.pipeline.activations
    )
    about = _describe_data(table, dataset) | {"notes": notes, "seconds": seconds}
    _write(folder, config, scaling, front, outcome, about)
    picked = _tell_pick(front, config.pipeline.max_error)
    sys.stdout.write(
        f"{seconds:.0f} s\n"
        f"{fronts.format_table(outcome, target=table.target_name, picked=picked)}\n"
        f"report.html, networks, results.json and pictures are in {folder}\n"
    )


def _default_folder(config: SearchCommand) -> Path:
    stem = re.sub(r"[^\w-]+", "-", Path(config.data).stem).strip("-")
    return runlog.default_run_folder(f"search-{stem}")


def _describe(
    table: Table, dataset: Dataset, scaling: Scaling, notes: tuple[str, ...]
) -> str:
    names = input_names(scaling.encoder)
    counts = _count_rows(dataset).values()
    classes = f" ({len(table.classes)} classes)" if table.classes else ""
    lines = [
        f"{table.source}: {shown(table.target_name)}{classes} from {len(names)} "
        f"inputs: {listed(names, 8)}; "
        f"{'/'.join(map(str, counts))} rows to train/validate/test",
        *(f"note: {note}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


def _count_rows(dataset: Dataset) -> dict[str, int]:
    parts = dataset._asdict().items()
    return {name: len(part.y) for name, part in parts if part is not None}


def _describe_data(table: Table, dataset: Dataset) -> dict[str, Any]:
    """What results.json tells of the table."""
    y = dataset.train.y
    counts = {"class_counts": []}
    if table.classes:
        every = y if y.shape[1] > 1 else np.concatenate([1 - y, y], axis=1)
        counts = {"class_counts": every.sum(axis=0).astype(int)}
    return counts | {
        "source": table.source,
        "target": table.target_name,
        "task": table.task,
        "num_rows": _count_rows(dataset),
    }


def _search(
    config: SearchCommand, dataset: Dataset, scaling: Scaling, folder: Path
) -> tuple[Front, float]:
    """The front, and the seconds it took, under a progress bar."""
    begin, seconds = time.monotonic(), 0.0
    budget = math.inf if config.time_budget is None else config.time_budget
    objective = choose_objective(scaling.classes)
    explore_key, key = jax.random.split(jax.random.key(config.seed))
    with tqdm(unit="block", disable=None) as bar:

        def watch(num_steps: int, networks_fn: NetworksFn) -> None:
            del networks_fn
            bar.set_postfix(stage="explore", candidate_steps=num_steps)

        def callback(progress: SearchProgress) -> None:
            nonlocal seconds
            is_first, seconds = not seconds, time.monotonic() - begin
            if is_first:
                tqdm.write(_format_first(progress._replace(seconds=seconds)))
            pool = progress.pool
            best = float(pool.loss.min(initial=np.inf))
            line = {"stage": progress.stage, "seconds": seconds, "loss": best}
            runlog.log_metrics(folder, line | {"num_networks": len(pool.loss)})
            bar.total = progress.num_blocks
            bar.set_postfix(stage=progress.stage, loss=f"{best:.4g}", refresh=False)
            bar.update()

        bar.set_postfix(stage="explore")
        starts = sources.find_starts(
            explore_key,
            dataset.train,
            dataset.valid,
            objective=objective,
            config=config.explore,
            pipeline_config=config.pipeline,
            seconds=config.explore.share * budget,
            watch=watch,
        )
        front = find_front(
            key,
            dataset.train,
            dataset.valid,
            objective=objective,
            config=config.pipeline,
            starts=starts.networks,
            time_budget=budget - (time.monotonic() - begin),
            callback=callback,
        )
    return front, time.monotonic() - begin


def _format_first(progress: SearchProgress) -> str:
    """A first answer, by training loss: sizes that halve the loss, and their loss."""
    pool, zero = progress.pool, np.zeros(len(progress.pool.loss))
    front = pools.make_front(pool, pool.loss, zero)
    cells = [
        f"{size}: {loss:.3g}"
        for size, loss in zip(front.num_weights, front.train_loss, strict=True)
    ]
    return (
        f"after {progress.seconds:.0f} s, weights: training loss of what is found so "
        f"far\n  {', '.join(cells)}"
    )


def _tell_pick(front: Front, max_error: float | None) -> str:
    """Why the picked network is."""
    if max_error is None:
        return "smallest within one standard error of the best"
    if front.valid_loss[front.pick] <= max_error:
        return f"smallest with a validation loss of at most {max_error:g}"
    return f"the best; none has a validation loss of at most {max_error:g}"


def _write(
    folder: Path,
    config: SearchCommand,
    scaling: Scaling,
    front: Front,
    outcome: evaluation.FrontTable,
    about: dict[str, Any],
) -> None:
    header = {name: about[name] for name in ("source", "target", "task")} | {
        "classes": scaling.classes,
        "encoder": encoder_to_dict(scaling.encoder),
        "target_scale": scaling.target_scale,
        "target_offset": scaling.target_offset,
        "activations": config.pipeline.activations,
        "pick": front.pick,
    }
    checkpoints.save(folder / "networks.safetensors", front.network, header=header)
    title = f"{about['source']}: error against size"
    fronts.draw(folder / "front.png", outcome, target=about["target"], title=title)
    results = header | {
        **about,
        "versions": runlog.find_versions(),
        "config": configs.to_dict(config),
        "measures": outcome.measures,
        "front": outcome.rows,
    }
    runlog.write_json(folder / "results.json", results)
    pictures.write(folder)
    page.write(folder)


if __name__ == "__main__":
    sys.exit(commands.run_command(main, SearchCommand, name="python -m swajax.search"))
