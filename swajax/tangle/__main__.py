"""The command `python -m swajax.tangle`: architecture search in a supernet."""

import dataclasses
import functools
import sys
import time
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from tqdm import tqdm

from swajax import commands, configs, runlog, tasks
from swajax.data.splits import split_table
from swajax.data.tables import load_table
from swajax.tangle import digits, pictures, study
from swajax.tangle.choices import Architecture, describe, extreme
from swajax.tangle.digits import Rows, Split
from swajax.tangle.optimizers import SearchConfig
from swajax.tangle.samplers import Sampler, make_sampler
from swajax.tangle.selection import EvolutionConfig
from swajax.tangle.spaces import make_space
from swajax.tangle.study import Progress, Task

NAME = "python -m swajax.tangle"


@dataclasses.dataclass(frozen=True)
class TangleCommand:
    """Search an architecture by weight entanglement, then train what is found."""

    space: Literal["mlp", "digits-macro"] = "digits-macro"
    """search space; digits-macro has its own data"""
    sampler: Literal["darts", "drnas", "gdas", "spos"] = "drnas"
    """how architectures are drawn; spos chooses one in a second stage"""
    data: str = "diabetes"
    """table for the space mlp: a file or a built-in one"""
    target: str | None = None
    """column to predict; built-in tables have a default"""
    projection: Literal["softmax", "sparsemax"] = "softmax"
    """of darts"""
    divergence_weight: float = 0.0
    """of the anchor of drnas"""
    sides: Literal["in", "both"] = "in"
    """mask what reads a dimension, or what writes it too, as in the paper"""
    search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
    """of the supernet"""
    train_steps: int = 360
    """steps to train what is found, further and anew"""
    select_by: study.SelectBy = "evolution"
    """second stage of spos"""
    evolution: EvolutionConfig = dataclasses.field(default_factory=EvolutionConfig)
    """size of the second stage"""
    num_starts: int = 3
    """searches of one split, as one batch"""
    seed: int = 0
    """of the split and of the starts"""
    out: Path | None = None
    """folder for the results, new; by default runs/ and a name"""

    def __post_init__(self) -> None:
        """Reject numbers that cannot be."""
        for name in ("num_starts", "train_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in [0, 2^32), got {self.seed}")


def main(config: TangleCommand) -> None:
    """Search, choose and assess, beside the largest and the smallest network."""
    commands.use_compilation_cache()
    task, sampler = make_task(config), _make_sampler(config)
    default = runlog.default_run_folder(f"tangle-{config.space}-{config.sampler}")
    folder = runlog.make_run_folder(config.out or default, config, is_resumable=False)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    begin, history = time.monotonic(), []
    reports = study.search(
        keys[0],
        task,
        sampler=sampler,
        config=config.search,
        num_starts=config.num_starts,
    )
    with tqdm(total=config.search.num_steps, unit="step", disable=None) as bar:
        for progress in reports:
            history.append(jax.device_get(progress.state.alphas))
            line = _log(folder, progress, time.monotonic() - begin)
            bar.set_postfix(loss=f"{np.mean(line['loss']):.4g}", refresh=False)
            bar.update(progress.step - bar.n)
    seconds = time.monotonic() - begin
    rows = _finish(keys[1:], progress, task, sampler, config)
    pictures.draw_vectors(folder / "vectors.png", history, task.space.choices)
    results = {"seconds": seconds, "num_passes": progress.num_passes, "rows": rows}
    runlog.write_json(
        folder / "results.json", results | {"config": configs.to_dict(config)}
    )
    sys.stdout.write(
        f"{seconds:.0f} s, {progress.num_passes} passes a start\n{_format(rows)}\n"
        f"results.json and vectors.png are in {folder}\n"
    )


def make_task(config: TangleCommand) -> Task:
    """Space and rows. A table gives 40, 40 and 20 % for weights, choices and test."""
    if config.space == "digits-macro":
        space = make_space("digits-macro", sides=config.sides)
        return Task(space, digits.load_digits(config.seed), "softmax")
    table = load_table(config.data, target=config.target)
    dataset, scaling, _ = split_table(table, seed=config.seed, valid_share=0.4)
    split = Split(*(Rows(part.x, part.y) for part in dataset))
    sizes = {"num_inputs": split.test.x.shape[1], "num_outputs": split.test.y.shape[1]}
    space = make_space("mlp", **sizes, sides=config.sides)
    return Task(space, split, tasks.choose_objective(scaling))


def _make_sampler(config: TangleCommand) -> Sampler:
    options: dict[str, Any] = {}
    if config.sampler == "darts":
        options["projection"] = config.projection
    if config.sampler == "drnas":
        options["divergence_weight"] = config.divergence_weight
    return make_sampler(config.sampler, **options)


def _log(folder: Path, progress: Progress, seconds: float) -> dict[str, Any]:
    line = {
        "step": progress.step,
        "num_passes": progress.num_passes,
        "seconds": seconds,
        "loss": progress.losses.weights,
        "architecture_loss": progress.losses.architecture,
        "likeliest_loss": progress.score.loss,
        "likeliest_accuracy": progress.score.accuracy,
    }
    line = jax.device_get(line)
    runlog.log_metrics(folder, line)
    return line


def _finish(
    keys: jax.Array,
    progress: Progress,
    task: Task,
    sampler: Sampler,
    config: TangleCommand,
) -> list[dict[str, Any]]:
    """Scores of what each start has found, and of the largest and smallest network."""
    choices, rows = task.space.choices, []
    train = dataclasses.replace(config.search, num_steps=config.train_steps)
    assess = functools.partial(study.assess, task=task, config=train)

    def add(name: str, start: int, architecture: Architecture, params: Any) -> None:
        own = jax.random.fold_in(keys[1], start)
        scores = assess(own, params, architecture=architecture)
        options = describe(architecture, choices)
        rows.append({"name": name, "start": start, "options": options} | scores)

    for start in range(config.num_starts):
        state = jax.tree.map(lambda leaf, s=start: leaf[s], progress.state)
        found = study.choose(
            jax.random.fold_in(keys[0], start),
            state,
            task,
            sampler=sampler,
            select_by=config.select_by,
            evolution=config.evolution,
        )
        add(config.sampler, start, found, state.params)
        for name, is_largest in (("largest", True), ("smallest", False)):
            add(name, start, extreme(choices, is_largest=is_largest), state.params)
    return jax.device_get(rows)


def _format(rows: list[dict[str, Any]]) -> str:
    """A table of test losses."""
    lines = ["network    start  weights  inherited  finetuned  retrained (test loss)"]
    for row in rows:
        losses = (row[n]["loss"] for n in ("inherited", "finetuned", "retrained"))
        shown = "".join(f"{float(loss):11.4f}" for loss in losses)
        lines.append(f"{row['name']:9}{row['start']:7d}{row['num_weights']:9d}{shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(commands.run_command(main, TangleCommand, name=NAME))
