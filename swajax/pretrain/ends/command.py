"""The command `python -m swajax.pretrain ends`: make training data of a space."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from swajax.io import commands, configs, interrupts, processes, runlog
from swajax.io.compilation import compile_for
from swajax.pretrain.ends import walk as walks
from swajax.pretrain.ends.shards import NAME, Shard, make_shard, save_shard
from swajax.pretrain.ends.walk import SIZES, Ends, WalkConfig
from swajax.prior.tables import RandomTable, TableShape
from swajax.refine.quadratic import Fit
from swajax.types import DEFAULT_ACTIVATIONS, Key, NetworkSpec

CLASS_DECAY = 2.0**-8  # weight decay of classes, as of a search in 256 rows
# Blocks of tables of one shape share compiled programs; how many of 16 have the shape.
SHAPES: dict[TableShape, int] = {
    TableShape(256, 4): 5,
    TableShape(256, 8): 3,
    TableShape(1000, 8): 2,
    TableShape(256, 16): 2,
    TableShape(256, 8, 1, "logistic"): 2,
    TableShape(256, 8, 3, "softmax"): 2,
}


@dataclasses.dataclass(frozen=True)
class EndsCommand:
    """Make tables of random functions and the best small networks of each size."""

    out: Path | None = None
    """new folder of the shards [runs/ends-NUMBER]"""
    resume: Path | None = None
    """folder to continue with its stored options; other options are ignored"""
    num_tables: int = 20_000
    """number of tables"""
    block: int = 16
    """number of tables per shard"""
    max_width: int = 8
    """maximum number of neurons per hidden layer"""
    max_depth: int = 2
    """maximum number of hidden layers"""
    seed: int = 0
    """seed of all tables and networks"""
    time_budget: float | None = None
    """seconds after which the command ends; it can be resumed"""

    def __post_init__(self) -> None:
        """Reject numbers out of range."""
        names = "num_tables", "block", "max_width", "max_depth"
        configs.check_fields(self, *names, minimum=1)
        commands.check_seed_and_budget(self.seed, self.time_budget)


def main(config: EndsCommand) -> None:
    """Make the missing shards; each of them depends on the seed and its number only.

    Raises:
      ValueError: options are invalid.
      OSError: the folder exists or cannot be written.
    """
    commands.use_compilation_cache()
    folder, config = _find_run(config)
    if config.resume is None:
        runlog.make_run_folder(folder, config)
    budget = processes.remaining_time(config.time_budget)
    end = np.inf if budget is None else time.monotonic() + budget
    num_shards = -(-config.num_tables // config.block)
    waiting = [n for n in range(num_shards) if not (folder / NAME.format(n)).exists()]
    bar = tqdm(total=config.num_tables, unit="table", disable=None)
    bar.update(config.block * (num_shards - len(waiting)))
    for done, index in enumerate(waiting, start=1):
        begin, shape = time.monotonic(), choose_shape(index)
        spec = _make_spec(shape, config)
        shard = make_block(jax.random.key(config.seed), index, spec=spec, config=config)
        save_shard(folder, index, shard, shape, spec)
        seconds = time.monotonic() - begin
        rate = config.block / seconds * 3600
        log = {"shard": index, "seconds": seconds, "tables_per_hour": rate}
        runlog.log_metrics(folder, log | {"num_left": len(waiting) - done})
        bar.update(config.block)
        bar.set_postfix(tables_per_hour=f"{rate:.0f}")
        if time.monotonic() >= end or interrupts.should_end():
            break
    bar.close()


def choose_shape(index: int) -> TableShape:
    """Return the shape of a block; every 16 blocks have the shares of `SHAPES`."""
    every = [shape for shape, num in SHAPES.items() for _ in range(num)]
    order = np.random.default_rng(index // len(every)).permutation(len(every))
    return every[order[index % len(every)]]


def make_block(
    key: Key, index: int, *, spec: NetworkSpec, config: EndsCommand
) -> Shard:
    """Make the tables of one shard, and their ends."""
    programs = make_programs(choose_shape(index), spec)
    keys = jax.random.split(jax.random.fold_in(key, index), config.block)
    table, networks = programs.draw(keys)
    networks = programs.race(networks, table)
    stages, before = [], SIZES[0]
    for size in SIZES:
        walk = programs.walks[walks.choose_capacity(before)]
        ends = walk(networks, table, np.int32(size))
        networks, before = ends.network, size
        stages.append(ends)
    return make_shard(jax.device_get(table), jax.device_get(stages))


@dataclasses.dataclass(frozen=True)
class Programs:
    """Compiled functions of a block of tables."""

    draw: Callable[[Any], tuple[RandomTable, Any]]
    race: Callable[..., Any]
    walks: dict[int, Callable[..., Ends]]  # by capacity


@functools.cache
def make_programs(
    shape: TableShape, spec: NetworkSpec, effort: WalkConfig | None = None
) -> Programs:
    """Return the programs of a shape of tables."""
    effort = effort or WalkConfig()
    decay = 1e-9 if shape.objective == "squared" else CLASS_DECAY
    fit = Fit(shape.objective, spec.activations, decay)
    draw = functools.partial(walks.draw, shape=shape, spec=spec, config=effort)
    race = functools.partial(walks.race, fit=fit, config=effort)

    def make_walk(capacity: int) -> Callable[..., Ends]:
        options = {"capacity": capacity, "num_steps": effort.walk_steps}
        one = functools.partial(walks.walk, fit=fit, **options)
        return compile_for("often", jax.vmap(one, in_axes=(0, 0, None)))

    return Programs(
        compile_for("once", jax.vmap(draw)),
        compile_for("often", jax.vmap(race)),
        {capacity: make_walk(capacity) for capacity in walks.CAPACITIES},
    )


def _make_spec(shape: TableShape, config: EndsCommand) -> NetworkSpec:
    return NetworkSpec(
        num_inputs=shape.num_inputs,
        num_outputs=shape.num_outputs,
        max_width=config.max_width,
        max_depth=config.max_depth,
        activations=DEFAULT_ACTIVATIONS,
    )


def _find_run(config: EndsCommand) -> tuple[Path, EndsCommand]:
    """Return folder and options of a new run or of the one to resume."""
    if config.resume is None:
        return config.out or runlog.default_run_folder("ends"), config
    stored = runlog.read_config(config.resume, EndsCommand)
    kept = {name: getattr(config, name) for name in ("resume", "time_budget")}
    return config.resume, dataclasses.replace(stored, **kept)
