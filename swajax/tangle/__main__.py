"""Command `python -m swajax.tangle`: architecture search in a supernet."""

import dataclasses
import functools
import itertools
import math
import sys
import time
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from tqdm import tqdm

from swajax.data.partitions import SplitKind
from swajax.data.problem import choose_objective
from swajax.data.splits import Dataset, Scaling, split_table
from swajax.data.tables import Table, load_table
from swajax.io import commands, configs, interrupts, runlog
from swajax.model import evaluation
from swajax.tangle import experiment, found, journal, networks
from swajax.tangle.choices import extreme, to_options
from swajax.tangle.data import loaders
from swajax.tangle.data.examples import Rows, Split, divide
from swajax.tangle.experiment import SupernetTask
from swajax.tangle.journal import SearchPoint
from swajax.tangle.samplers import Sampler, make_sampler
from swajax.tangle.selection import EvolutionConfig
from swajax.tangle.spaces import make_space
from swajax.tangle.spaces.base import count_weights
from swajax.tangle.train import standalone
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.types import Key

NAME = "python -m swajax.tangle"
TEST_SHARE = 0.2  # share of the rows of a table in the test set


@dataclasses.dataclass(frozen=True)
class TangleCommand:
    """Search an architecture by weight entanglement, then train the network found."""

    space: Literal["mlp", "digits-macro", "digits-vit", "digits-cell", "chars-gpt"] = (
        "digits-macro"
    )
    """search space; all spaces except mlp have a fixed data set"""
    sampler: Literal["darts", "drnas", "gdas", "spos"] = "drnas"
    """sampler of architectures: softmax (darts), Dirichlet (drnas), Gumbel (gdas), or
    uniform, with a second stage that chooses the network (spos)"""
    data: str | None = None
    """table for the space mlp: a file or a built-in table [diabetes]"""
    target: str | None = None
    """column to predict [the default of a built-in table]"""
    split: SplitKind = "random"
    """split of the rows: random, or in time order with the last rows for testing
    (last)"""
    group: str | None = None
    """column of groups, which is not a feature; each group is in one part of the
    split"""
    projection: Literal["softmax", "sparsemax"] = "softmax"
    """map from architecture vectors to probabilities, for darts"""
    divergence_weight: float = 0.0
    """weight of the divergence from the uniform distribution, for drnas"""
    masking: Literal["input", "both"] = "input"
    """layers that mask a chosen dimension: only the layer that reads it (input), or
    also the layer that writes it, as in the paper (both); unused by digits-cell"""
    search: SupernetConfig = dataclasses.field(default_factory=SupernetConfig)
    """settings of supernet training"""
    # Weights overfit few rows, which drives the architecture small: half of 600 images
    # gave a regret of 0.60 nats, 80 % a regret of 0.07 (figures/tangle).
    weight_share: float = 0.8
    """fraction of the rows outside the test set that trains weights; the others train
    the architecture vectors"""
    train_steps: int = 360
    """number of training steps of the network found, with inherited and with fresh
    weights"""
    select_by: experiment.SelectBy = "evolution"
    """method of the second stage of spos"""
    evolution: EvolutionConfig = dataclasses.field(default_factory=EvolutionConfig)
    """size of the second stage of spos"""
    num_starts: int = 3
    """number of searches with different seeds on one split, run as one batch"""
    seed: int = 0
    """seed of the row split and of the initial weights"""
    time_budget: float | None = None
    """seconds after which the search stops; the networks found so far are then
    trained"""
    out: Path | None = None
    """folder for the results, which must be new [runs/tangle-SPACE-SAMPLER-NUMBER]"""
    resume: Path | None = None
    """folder of a run to resume; its stored options replace all others"""

    def __post_init__(self) -> None:
        """Reject numbers out of range and options that do not apply."""
        configs.check_fields(self, "num_starts", "train_steps", minimum=1)
        configs.check_range("weight_share", self.weight_share, above=0, below=1)
        commands.check_seed_and_budget(self.seed, self.time_budget)
        is_second, is_spos = self.search.order == "second", self.sampler == "spos"
        for name, is_used, fits in (
            ("data", self.data is not None, self.space == "mlp"),
            ("target", self.target is not None, self.space == "mlp"),
            ("split", self.split != "random", self.space == "mlp"),
            ("group", self.group is not None, self.space == "mlp"),
            ("projection", self.projection != "softmax", self.sampler == "darts"),
            ("divergence_weight", self.divergence_weight, self.sampler == "drnas"),
            ("masking", self.masking != "input", self.space != "digits-cell"),
            ("search.order second", is_second, not is_spos),
            ("select_by", self.select_by != "evolution", is_spos),
            ("evolution", self.evolution != EvolutionConfig(), is_spos),
        ):
            if is_used and not fits:
                raise ValueError(
                    f"{name} does not apply to space {self.space}, sampler "
                    f"{self.sampler}"
                )


def main(config: TangleCommand) -> None:
    """Search, then evaluate the networks found and the largest and smallest network."""
    commands.use_compilation_cache()
    folder, config = _resolve_run(config)
    task, sampler = make_task(config), _make_sampler(config)
    if config.resume is None:  # after all checks, so that errors leave no folder
        runlog.make_run_folder(folder, config)
    keys = jax.random.split(jax.random.key(config.seed), 3)
    with interrupts.advising(f"stopped; resume with --resume {folder}"):
        point = _search(folder, keys[0], task, sampler, config)
        from swajax.tangle import plots  # matplotlib is slow to import

        plots.draw_search(folder, task.space.choices, sampler)
        interrupts.stop_deferring()  # each trained network is saved
        rows = _evaluate(folder, keys[1:], point, task, sampler, config)
    num_passes = point.step * experiment.count_passes(sampler, config.search)
    about = {"step": point.step, "seconds": point.seconds, "num_passes": num_passes}
    about["rows"] = rows
    sys.stdout.write(
        f"step {point.step} of {config.search.num_steps}, {point.seconds:.0f} s, "
        f"{num_passes} gradient passes per start\n{found.format_scores(rows)}\n"
    )
    if config.space == "mlp":
        _write_front(folder, config, about)
    else:
        from swajax.report import run_folder

        about |= {"data": loaders.read_provenance(config.space)}
        run_folder.write_results(folder, config, about)
    sys.stdout.write(f"results are in {folder}\n")


def make_task(config: TangleCommand) -> SupernetTask:
    """Make the space and the rows; 20 % of a table are test rows."""
    if config.space in loaders.LOADERS:
        options = {} if config.masking == "input" else {"masking": config.masking}
        split = loaders.load_split(config.space, config.seed)
        split = divide(split, config.weight_share)
        return SupernetTask(make_space(config.space, **options), split, "softmax")
    _, dataset, scaling = _split_table(config)
    split = Split(*(Rows(part.x, part.y) for part in dataset))
    sizes = {"num_inputs": split.test.x.shape[1], "num_outputs": split.test.y.shape[1]}
    space = make_space("mlp", **sizes, masking=config.masking)
    return SupernetTask(space, split, choose_objective(scaling.classes))


def _split_table(config: TangleCommand) -> tuple[Table, Dataset, Scaling]:
    names = {"target": config.target, "group": config.group}
    table = load_table(config.data or "diabetes", **names)
    dataset, scaling, notes = split_table(
        table,
        seed=config.seed,
        valid_share=(1 - TEST_SHARE) * (1 - config.weight_share),
        test_share=TEST_SHARE,
        split=config.split,
    )
    return table._replace(notes=table.notes + notes), dataset, scaling


def _make_sampler(config: TangleCommand) -> Sampler:
    options: dict[str, Any] = {}
    if config.sampler == "darts":
        options["projection"] = config.projection
    if config.sampler == "drnas":
        options["divergence_weight"] = config.divergence_weight
    return make_sampler(config.sampler, **options)


def _resolve_run(config: TangleCommand) -> tuple[Path, TangleCommand]:
    """Return folder and configuration, of a new run or of the run to resume."""
    if config.resume is None:
        name = f"tangle-{config.space}-{config.sampler}"
        return config.out or runlog.default_run_folder(name), config
    stored = runlog.read_config(config.resume, TangleCommand)
    now = {"resume": config.resume, "time_budget": config.time_budget}
    return config.resume, dataclasses.replace(stored, **now)


def _search(
    folder: Path,
    key: Key,
    task: SupernetTask,
    sampler: Sampler,
    config: TangleCommand,
) -> SearchPoint:
    """Search to the last step, the end of the budget, or Ctrl-C.

    Raises:
      KeyboardInterrupt: Ctrl-C before the first report; there is no result.
    """
    how = {"sampler": sampler, "config": config.search, "num_starts": config.num_starts}
    make_fn = functools.partial(experiment.make_states, key, task, **how)
    point, begin, is_over = journal.resume(folder, make_fn), time.monotonic(), False
    spent, total = point.seconds, config.search.num_steps
    reports = experiment.search(
        key, task, state=point.state, first_step=point.step, **how
    )
    try:
        with tqdm(total=total, initial=point.step, unit="step", disable=None) as bar:
            for progress in reports:
                taken = time.monotonic() - begin
                line = journal.log_progress(folder, progress, spent + taken)
                point = SearchPoint(progress.step, spent + taken, progress.state)
                shown = f"{np.mean(line['chosen_loss']):.4g}"
                bar.set_postfix(chosen_loss=shown, refresh=False)
                bar.update(progress.step - bar.n)
                is_over = interrupts.should_end(num_deferred=1)
                if is_over or taken >= (config.time_budget or math.inf):
                    break
    except KeyboardInterrupt:
        if point.state is None:
            raise
        is_over = True
    if is_over:
        sys.stderr.write("\nsearch stopped; training the networks found so far\n")
    return point


def _evaluate(
    folder: Path,
    keys: jax.Array,
    point: SearchPoint,
    task: SupernetTask,
    sampler: Sampler,
    config: TangleCommand,
) -> list[dict[str, Any]]:
    """Return scores of the network found, the largest and the smallest, per start."""
    choices = task.space.choices
    train = dataclasses.replace(config.search, num_steps=config.train_steps)
    rows = journal.read_evaluated(folder, point.step)
    names = (config.sampler, "largest", "smallest")
    planned = list(itertools.product(range(config.num_starts), names))
    for start, name in planned[len(rows) :]:
        state = jax.tree.map(lambda leaf, s=start: leaf[s], point.state)
        if name == config.sampler:
            architecture = experiment.choose_architecture(
                jax.random.fold_in(keys[0], start),
                state,
                task,
                sampler=sampler,
                select_by=config.select_by,
                evolution=config.evolution,
            )
        else:
            architecture = extreme(choices, is_largest=name == "largest")
        space, split, objective = task
        how = {"space": space, "architecture": architecture, "objective": objective}
        start_key = jax.random.fold_in(keys[1], start)
        candidates = standalone.train_candidates(
            start_key, state.params, split.weights, config=train, **how
        )
        scores = standalone.score_candidates(candidates, split.test, **how)
        if name == config.sampler:
            fixed = {"architecture": architecture, "space": space}
            found.save_network(folder, start, candidates, scores, **fixed)
        about = {"num_weights": count_weights(space, architecture)}
        options = to_options(architecture, choices)
        rows.append({"name": name, "start": start, "options": options} | scores | about)
        journal.save_evaluated(folder, point.step, jax.device_get(rows))
    return jax.device_get(rows)


def _write_front(folder: Path, config: TangleCommand, about: dict[str, Any]) -> None:
    """Print the front of the space `mlp` and write it like that of a search."""
    from swajax.report import run_folder

    table, dataset, scaling = _split_table(config)
    every = found.load_networks(folder)
    how = {"activations": every[0].space.config.activations}
    front = networks.find_front(every, dataset, scaling)
    outcome = evaluation.tabulate(front, dataset, scaling, **how)
    picked = "smallest within one standard error of the best"
    shown = evaluation.format_table(outcome, target=table.target_name, picked=picked)
    notes = [f"note: {note}" for note in table.notes]
    sys.stdout.write("\n".join([*notes, shown, ""]))
    how |= {"table": table, "dataset": dataset, "scaling": scaling}
    about["notes"] = table.notes
    run_folder.write(folder, config, front, outcome, about=about, **how)


if __name__ == "__main__":
    commands.run_as_process(main, TangleCommand, name=NAME, is_long=True)
