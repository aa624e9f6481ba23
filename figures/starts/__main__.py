"""How many starts it takes: where the polish ends, by where its starts come from.

    python -m figures.starts

Networks of one size from random weights, from decoders that know nothing of the data,
and from descents by the data, on weights and in the learned space; all of them get the
same polish. What counts is the share of starts that end well, so that the table gives
the starts, and the seconds, that it takes to reach an error with even odds.
"""

import dataclasses
import functools
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from matplotlib.figure import Figure

from figures.common import results
from figures.common.clock import WorkClock
from figures.quality import runs, tasks
from figures.quality.tables import format_rows
from figures.quality.tasks import QualityTask
from figures.starts import newton
from swajax import latent_search, prior
from swajax.data.problem import Problem
from swajax.io import commands, files, png, runlog
from swajax.latent_search import Data, DescentConfig, DescentProblem, Point
from swajax.refine import batches
from swajax.refine.quadratic import Fit
from swajax.search.config import ExploreConfig, SearchConfig
from swajax.search.job import Job, make_job
from swajax.search.sources import descent as descent_source
from swajax.types import Key, Network

SOURCES = ("random", "decoded", "direct", "latent", "newton")
TASKS = (
    "himmelblau",
    "ackley-n2",
    "goldstein-price",
    "mccormick",
    "sigmoid-2x14",
    "leaky-relu-3x35",
)
# Descents at a given size: no penalty, which would change it.
SEARCH = DescentConfig(chunk_steps=25, num_screened=1, sparsity_weights=(0.0,))


@dataclasses.dataclass(frozen=True)
class StartsCommand:
    """Compare sources of starts by where their polish ends."""

    out: Path = Path("figures/out/starts")
    """folder; tasks that are there are kept"""
    tasks: tuple[str, ...] = TASKS
    """regression tasks of the quality benchmark"""
    num_weights: int = 25
    """weights of each network"""
    num_starts: int = 96
    """starts of each source, a third for each depth"""
    num_steps: int = 120
    """Levenberg-Marquardt steps of the polish"""
    descent_steps: int = 300
    """gradient steps of direct and latent"""
    seed: int = 0
    """of data and starts"""

    def __post_init__(self) -> None:
        """Reject numbers below one and unknown tasks."""
        for name in ("num_weights", "num_starts", "num_steps", "descent_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        groups = tasks.list_names()
        known = {*groups["planted"], *groups["functions"]}
        if unknown := [name for name in self.tasks if name not in known]:
            raise ValueError(f"no task {unknown[0]!r}; there are: {sorted(known)}")


def main(config: StartsCommand) -> None:
    """What is missing, then the table and the picture."""
    commands.use_compilation_cache()
    config.out.mkdir(parents=True, exist_ok=True)
    for name in config.tasks:
        path = config.out / f"{name}.json"
        if not is_there(path, config):
            with results.interrupting():
                found = measure(name, config)
            runlog.write_json(path, found)
            sys.stdout.write(f"{path}\n")
    found = [json.loads((config.out / f"{n}.json").read_bytes()) for n in config.tasks]
    table = format_table(found)
    files.write_bytes(config.out / "starts.md", f"{table}\n".encode())
    png.save(config.out / "starts.png", draw(found))
    sys.stdout.write(f"{table}\n")


def is_there(path: Path, config: StartsCommand) -> bool:
    """Whether a task is done; one of other settings is refused."""
    if path.exists():
        wanted = dataclasses.asdict(config)
        del wanted["out"], wanted["tasks"]
        found = json.loads(path.read_bytes())
        results.check(path, found["config"], wanted)
    return path.exists()


def measure(name: str, config: StartsCommand) -> dict[str, Any]:
    """Relative test errors after the polish of every start of every source."""
    task = tasks.make_task(name, config.seed)
    limits = SearchConfig(max_weights=config.num_weights)
    sources = {}
    for index, source in enumerate(SOURCES):
        key = jax.random.fold_in(runs.make_key(name, config.seed), index)
        with WorkClock() as clock:
            begin = clock()
            job = make_job(task.train, task.valid, task.objective, limits, None, clock)
            networks = find(source, key, task, config)
            spent = clock() - begin
            first, last = _polish(networks, job, config.num_steps)
            sources[source] = {
                "seconds": clock() - begin,
                "seconds_before_polish": spent,
                "first_errors": _judge(task, first, job.fit),
                "errors": _judge(task, last, job.fit),
            }
    return {
        "task": name,
        "config": dataclasses.asdict(config) | {"out": None},
        "versions": runlog.find_versions(),
        "sources": sources,
    }


def find(source: str, key: Key, task: QualityTask, config: StartsCommand) -> Network:
    """Networks of one source, leaves [R, ...]."""
    limits = SearchConfig(max_weights=config.num_weights).make_spec(
        task.train.x.shape[1], task.train.y.shape[1]
    )
    if source == "random":
        sizes = jnp.full(config.num_starts, config.num_weights)
        draw = jax.jit(jax.vmap(functools.partial(prior.sample_small, spec=limits)))
        return draw(jax.random.split(key, config.num_starts), sizes)
    num = math.ceil(config.num_starts / limits.max_depth)
    search = dataclasses.replace(SEARCH, num_starts=num)
    explorer = descent_source.make_explorer(
        key,
        "direct" if source == "direct" else "latent",
        task.objective,
        config=ExploreConfig(search=search),
        limits=limits,
        max_weights=config.num_weights,
    )
    explorer = explorer._replace(starts=_resize(explorer.starts, config.num_weights))
    points = SEARCHES[source](explorer, task, search, config)
    return latent_search.harden(points, explorer.params, space=explorer.space)


def _keep(
    explorer: DescentProblem,
    task: QualityTask,
    search: DescentConfig,
    config: StartsCommand,
) -> Point:
    """The points [D, S, R, ...] as they are, for each decoder."""
    del task, search, config
    depth = explorer.space.spec.max_depth

    def repeat(leaf: Array) -> Array:
        return jnp.broadcast_to(leaf, (depth, 1, *leaf.shape))

    z = jax.tree.map(repeat, explorer.starts)
    return Point(z, jnp.zeros(jax.tree.leaves(z)[0].shape[:3]))


def _descend(
    explorer: DescentProblem,
    task: QualityTask,
    search: DescentConfig,
    config: StartsCommand,
) -> Point:
    """The points after gradient descent, decoded at the size asked for."""
    state = latent_search.descend(
        explorer.starts,
        explorer.params,
        Data(*task.train[:2], *task.valid[:2]),
        space=explorer.space,
        config=dataclasses.replace(search, num_steps=config.descent_steps),
        time_budget=math.inf,
    )
    z = _resize(state.picked.z, config.num_weights)
    return Point(z, jnp.zeros_like(state.picked.threshold))


def _newton(
    explorer: DescentProblem,
    task: QualityTask,
    search: DescentConfig,
    config: StartsCommand,
) -> Point:
    """The points after Gauss-Newton steps through the decoders."""
    del search
    points = _keep(explorer, task, SEARCH, config)
    problem = Problem(*(jnp.asarray(leaf, jnp.float32) for leaf in task.train))
    problem = problem._replace(weight=problem.weight / problem.weight.sum())
    moved = [
        newton.improve(
            jax.tree.map(lambda leaf, d=depth: leaf[d, 0], points.z),
            explorer.params,
            problem,
            space=explorer.space,
            depth=depth + 1,
            capacity=1 + config.num_weights,
        )
        for depth in range(explorer.space.spec.max_depth)
    ]
    z = jax.tree.map(lambda *leaves: jnp.stack(leaves)[:, None], *moved)
    return points._replace(z=z)


SEARCHES: dict[str, Callable[..., Point]] = {
    "decoded": _keep,
    "direct": _descend,
    "latent": _descend,
    "newton": _newton,
}


def _resize(points: Any, num_weights: int) -> Any:
    """Points of `tabular` or of weights that open so many."""
    log_size = jnp.full_like(points.log_size, math.log(num_weights))
    return points._replace(log_size=log_size)


def _polish(networks: Network, job: Job, num_steps: int) -> tuple[Network, Network]:
    """The networks on the host, before and after the polish."""
    networks = jax.device_get(networks)
    more = job.train.x.shape[1] - networks.first.shape[1]
    first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
    networks = networks._replace(first=first)
    return networks, job.polish(networks, batches.count(networks), num_steps)[0]


def _judge(task: QualityTask, networks: Network, fit: Fit) -> list[float]:
    num_inputs = task.train.x.shape[1]
    networks = networks._replace(first=networks.first[:, :num_inputs])
    loss = tasks.judge(task, networks, fit.activations)
    return (loss / float(task.test.y.var())).tolist()


class Odds(NamedTuple):
    """What it takes to reach an error with even odds."""

    starts: float
    seconds: float


def find_odds(source: dict[str, Any], goal: float) -> Odds:
    """From the share of starts that end at or below an error; infinite if none do."""
    errors = np.array(source["errors"], float)  # None becomes NaN
    share = float(np.mean(errors <= goal))
    if not share:
        return Odds(math.inf, math.inf)
    num = 1.0 if share >= 0.5 else math.log(0.5) / math.log1p(-share)
    return Odds(num, num * source["seconds"] / len(errors))


def find_goal(found: dict[str, Any]) -> float:
    """The error that one in ten random starts reaches."""
    errors = np.array(found["sources"]["random"]["errors"], float)
    return float(np.nanquantile(errors, 0.1))


def format_table(found: Sequence[dict[str, Any]]) -> str:
    """A row for each task and source."""
    rows = []
    for one in found:
        goal = find_goal(one)
        for name, source in one["sources"].items():
            errors = np.array(source["errors"], float)
            odds = find_odds(source, goal)
            errors = (*np.nanquantile(errors, (0.0, 0.1, 0.5)), goal)
            cells = [f"{error:.2g}" for error in errors]
            cells += [f"{odds.starts:.1f}", f"{odds.seconds:.2f}"]
            rows.append([one["task"], name, *cells])
    header = ["task", "starts from", "best", "best tenth", "median"]
    return format_rows([*header, "goal", "starts", "seconds"], rows)


def draw(found: Sequence[dict[str, Any]]) -> Figure:
    """Share of the starts that end below an error, a panel a task."""
    num_columns = min(3, len(found))
    num_rows = math.ceil(len(found) / num_columns)
    figure = Figure(figsize=(3.6 * num_columns, 2.8 * num_rows), layout="constrained")
    every = figure.subplots(num_rows, num_columns, squeeze=False, sharey=True).ravel()
    for axes, one in zip(every, found, strict=False):
        for name, source in one["sources"].items():
            errors = np.sort(np.array(source["errors"], float))
            share = np.arange(1, len(errors) + 1) / len(errors)
            axes.step(errors, share, where="post", label=name)
        axes.set(xscale="log", title=one["task"], xlabel="relative test error")
    for axes in every[len(found) :]:
        axes.set_axis_off()
    for row in range(num_rows):
        every[row * num_columns].set_ylabel("share of starts")
    every[0].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    name = "python -m figures.starts"
    sys.exit(commands.run_command(main, StartsCommand, name=name))
