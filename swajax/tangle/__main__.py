"""The command `python -m swajax.tangle`: architecture search in a supernet."""

import dataclasses
import functools
import itertools
import sys
import time
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from tqdm import tqdm

from swajax.data.problem import choose_objective
from swajax.data.splits import split_table
from swajax.data.tables import load_table
from swajax.io import commands, configs, runlog
from swajax.tangle import experiment, journal, plots
from swajax.tangle.choices import describe, extreme
from swajax.tangle.data import loaders
from swajax.tangle.data.examples import Rows, Split, divide
from swajax.tangle.experiment import SupernetTask
from swajax.tangle.journal import Place
from swajax.tangle.samplers import Sampler, make_sampler
from swajax.tangle.selection import EvolutionConfig
from swajax.tangle.spaces import make_space
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.types import Key

NAME = "python -m swajax.tangle"


@dataclasses.dataclass(frozen=True)
class TangleCommand:
    """Search an architecture by weight entanglement, then train what is found."""

    space: Literal["mlp", "digits-macro", "digits-vit", "digits-cell", "chars-gpt"] = (
        "digits-macro"
    )
    """search space; all but mlp have their own data"""
    sampler: Literal["darts", "drnas", "gdas", "spos"] = "drnas"
    """how architectures are drawn; spos chooses one in a second stage"""
    loaders: str | None = None
    """table for the space mlp: a file or a built-in one [diabetes]"""
    target: str | None = None
    """column to predict; built-in tables have a default"""
    projection: Literal["softmax", "sparsemax"] = "softmax"
    """of darts"""
    divergence_weight: float = 0.0
    """of the anchor of drnas"""
    sides: Literal["in", "both"] = "in"
    """mask what reads a dimension, or what writes it too, as in the paper; not for
    digits-cell, where no dimension is chosen"""
    search: SupernetConfig = dataclasses.field(default_factory=SupernetConfig)
    """of the supernet"""
    # Weights that learn few rows by heart make vectors close what they can: half of 600
    # images gave a regret of 0.60 nats, 80 % one of 0.07 (figures/out/tangle).
    weight_share: float = 0.8
    """of the rows that are not the test's: for weights; the others are for vectors"""
    train_steps: int = 360
    """steps to train what is found, further and anew"""
    select_by: experiment.SelectBy = "evolution"
    """second stage of spos"""
    evolution: EvolutionConfig = dataclasses.field(default_factory=EvolutionConfig)
    """size of the second stage"""
    num_starts: int = 3
    """searches of one split, as one batch"""
    seed: int = 0
    """of the split and of the starts"""
    time_budget: float | None = None
    """seconds after which the search ends; what it has found is trained all the same"""
    out: Path | None = None
    """folder for the results, new; by default runs/ and a name"""
    resume: Path | None = None
    """folder of a run to go on with; its own settings hold, others are ignored"""

    def __post_init__(self) -> None:
        """Reject numbers that cannot be."""
        for name in ("num_starts", "train_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in [0, 2^32), got {self.seed}")
        if not 0 < self.weight_share < 1:
            raise ValueError(f"weight_share must be in (0, 1), got {self.weight_share}")
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError(f"time_budget must be > 0 s, got {self.time_budget}")
        is_second, is_spos = self.search.order == "second", self.sampler == "spos"
        is_evolution = self.select_by == "evolution"
        for name, is_used, fits in (
            ("data", self.data is not None, self.space == "mlp"),
            ("target", self.target is not None, self.space == "mlp"),
            ("projection", self.projection != "softmax", self.sampler == "darts"),
            ("divergence_weight", self.divergence_weight, self.sampler == "drnas"),
            ("sides", self.sides != "in", self.space != "digits-cell"),
            ("search.order second", is_second, not is_spos),
            ("select_by", not is_evolution, is_spos),
            ("evolution", self.evolution != EvolutionConfig(), is_spos),
        ):
            if is_used and not fits:
                raise ValueError(
                    f"{name} does not apply to space {self.space}, sampler "
                    f"{self.sampler}"
                )


def main(config: TangleCommand) -> None:
    """Search, choose and assess, beside the largest and the smallest network."""
    commands.use_compilation_cache()
    folder, config = _find_run(config)
    task, sampler = make_task(config), _make_sampler(config)
    if config.resume is None:  # only now: what is refused leaves no folder behind
        runlog.make_run_folder(folder, config)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    try:
        place = _search(folder, keys[0], task, sampler, config)
        plots.draw_search(folder, task.space.choices, sampler)
        rows = _finish(folder, keys[1:], place, task, sampler, config)
    except KeyboardInterrupt:
        sys.stderr.write(f"\nstopped; go on by --resume {folder}\n")
        raise
    num_passes = place.step * experiment.count_passes(sampler, config.search)
    results = {
        "step": place.step,
        "seconds": place.seconds,
        "num_passes": num_passes,
        "rows": rows,
        "data": loaders.describe(config.space),
        "config": configs.to_dict(config),
    }
    runlog.write_json(folder / "results.json", results)
    sys.stdout.write(
        f"step {place.step} of {config.search.num_steps}, {place.seconds:.0f} s, "
        f"{num_passes} passes a start\n{_format(rows)}\n"
        f"results.json and pictures are in {folder}\n"
    )


def make_task(config: TangleCommand) -> SupernetTask:
    """Space and rows; of a table 20 % are for the test."""
    if config.space in loaders.LOADERS:
        options = {} if config.sides == "in" else {"sides": config.sides}
        split = loaders.load_split(config.space, config.seed)
        split = divide(split, config.weight_share)
        return SupernetTask(make_space(config.space, **options), split, "softmax")
    table = load_table(config.data or "diabetes", target=config.target)
    valid_share = 0.8 * (1 - config.weight_share)
    dataset, scaling, _ = split_table(table, seed=config.seed, valid_share=valid_share)
    split = Split(*(Rows(part.x, part.y) for part in dataset))
    sizes = {"num_inputs": split.test.x.shape[1], "num_outputs": split.test.y.shape[1]}
    space = make_space("mlp", **sizes, sides=config.sides)
    return SupernetTask(space, split, choose_objective(scaling.classes))


def _make_sampler(config: TangleCommand) -> Sampler:
    options: dict[str, Any] = {}
    if config.sampler == "darts":
        options["projection"] = config.projection
    if config.sampler == "drnas":
        options["divergence_weight"] = config.divergence_weight
    return make_sampler(config.sampler, **options)


def _find_run(config: TangleCommand) -> tuple[Path, TangleCommand]:
    """The folder and the configuration, of a new run or of the one to resume."""
    if config.resume is None:
        name = f"tangle-{config.space}-{config.sampler}"
        return config.out or runlog.default_run_folder(name), config
    stored = runlog.read_config(config.resume, TangleCommand)
    now = {"resume": config.resume, "time_budget": config.time_budget}
    return config.resume, dataclasses.replace(stored, **now)


def _search(
    folder: Path, key: Key, task: SupernetTask, sampler: Sampler, config: TangleCommand
) -> Place:
    """The search to its end, or to that of the budget; Ctrl-C keeps what is found.

    Raises:
      KeyboardInterrupt: before the first report there is nothing to keep.
    """
    how = {
        "sampler": sampler,
        "config": config.search,
        "num_starts": config.num_starts,
    }
    make_fn = functools.partial(experiment.make_states, key, task, **how)
    place, begin = journal.resume(folder, make_fn), time.monotonic()
    spent, total = place.seconds, config.search.num_steps
    reports = experiment.search(
        key, task, state=place.state, first_step=place.step, **how
    )
    try:
        with tqdm(
            total=total, initial=place.step, unit="step", disable=None
        ) as progress_bar:
            for progress in reports:
                taken = time.monotonic() - begin
                line = journal.log(folder, progress, spent + taken)
                place = Place(progress.step, spent + taken, progress.state)
                shown = f"{np.mean(line['chosen_loss']):.4g}"
                progress_bar.set_postfix(chosen_loss=shown, refresh=False)
                progress_bar.update(progress.step - progress_bar.n)
                if config.time_budget is not None and taken >= config.time_budget:
                    break
    except KeyboardInterrupt:
        if place.state is None:
            raise
        sys.stderr.write("\nthe search ends here; what it has found is trained\n")
    return place


def _finish(
    folder: Path,
    keys: jax.Array,
    place: Place,
    task: SupernetTask,
    sampler: Sampler,
    config: TangleCommand,
) -> list[dict[str, Any]]:
    """Scores of what each start has found, and of the largest and smallest network."""
    choices = task.space.choices
    train = dataclasses.replace(config.search, num_steps=config.train_steps)
    rows = journal.read_assessed(folder, place.step)
    names = (config.sampler, "largest", "smallest")
    planned = list(itertools.product(range(config.num_starts), names))
    for start, name in planned[len(rows) :]:
        state = jax.tree.map(lambda leaf, s=start: leaf[s], place.state)
        if name == config.sampler:
            architecture = experiment.choose(
                jax.random.fold_in(keys[0], start),
                state,
                task,
                sampler=sampler,
                select_by=config.select_by,
                evolution=config.evolution,
            )
        else:
            architecture = extreme(choices, is_largest=name == "largest")
        own = jax.random.fold_in(keys[1], start)
        scores = experiment.assess(own, state.params, task, architecture, config=train)
        options = describe(architecture, choices)
        rows.append({"name": name, "start": start, "options": options} | scores)
        journal.save_assessed(folder, place.step, jax.device_get(rows))
    return jax.device_get(rows)


def _format(rows: list[dict[str, Any]]) -> str:
    """A table of test losses."""
    lines = ["network    start  weights  inherited  finetuned  retrained (test loss)"]
    for row in rows:
        losses = [row[n]["loss"] for n in ("inherited", "finetuned", "retrained")]
        shown = "".join(f"{loss:11.4f}" for loss in np.array(losses, float))
        lines.append(f"{row['name']:9}{row['start']:7d}{row['num_weights']:9d}{shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(commands.run_command(main, TangleCommand, name=NAME))
