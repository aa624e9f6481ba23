"""Ways to find starts, all followed by the same pipeline.

With a look at what they have found before and after the polish. `explore-SPACE` may
descend for a share of the seconds, `explore-SPACE-steps` for a number of
candidate-steps, whatever they take; the pipeline has the same seconds after either.
`explore-SPACE-mixed` has a smaller share, and random networks join what it finds. Other
last words tell where they start if not from embeddings of random networks.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import numpy as np

from figures.common.clock import WorkClock
from figures.quality import redraws, tasks
from figures.quality.outcomes import Judge, Level, Outcome
from figures.quality.settings import Settings
from figures.quality.tasks import QualityTask
from swajax import latent_search
from swajax.latent_search import Data, DescentProblem, DescentProgress
from swajax.network import resize
from swajax.search import sources
from swajax.search.config import ExploreConfig, SearchConfig
from swajax.search.job import make_job
from swajax.search.run import SearchProgress, find_pool, select
from swajax.search.sources import descent as descent_source
from swajax.search.sources.random_networks import draw_starts
from swajax.types import Key, Network

LEARNED = ("tabular", "compact", "paper")
UNLIMITED_STEPS = 2**30
SINGLE = ("compact", "paper")  # spaces of networks of one activation each


class Ablation(NamedTuple):
    """One way to find starts."""

    space: str  # "random", "direct", "tangle" or a preset
    starts: redraws.Starts = "encoded"
    is_by_steps: bool = False
    is_mixed: bool = False


def _list_ablations() -> dict[str, Ablation]:
    found = {f"explore-{name}": Ablation(name) for name in ("random", "tangle")}
    for space in ("direct", *LEARNED):
        found[f"explore-{space}"] = Ablation(space)
        found[f"explore-{space}-steps"] = Ablation(space, is_by_steps=True)
    for space in ("direct", "tabular"):
        found[f"explore-{space}-mixed"] = Ablation(space, is_mixed=True)
    for space in LEARNED:
        for starts in ("noise", "uniform"):
            found[f"explore-{space}-{starts}"] = Ablation(space, starts)
    return found


ABLATIONS = _list_ablations()


def choose_file(
    way: Ablation, activation: str, settings: Settings
) -> tuple[str, str | None]:
    """Preset and activation of the autoencoder of a space; one has all activations."""
    if way.space not in SINGLE:
        return way.space, None
    if way.space == "paper" and settings.paper is not None:
        return settings.paper.format(activation=activation), activation
    return way.space, activation


def run(
    way: Ablation, key: Key, task: QualityTask, settings: Settings, clock: WorkClock
) -> Outcome:
    """Starts, and the pipeline from them."""
    explore_key, key = jax.random.split(key)
    begin = clock()
    if way.space == "random":
        judge = Judge(task, settings.pipeline.activations, clock, begin)
        return run_pipeline(key, task, settings.pipeline, settings.seconds, judge, None)
    if way.space == "tangle":
        return _run_supernets(explore_key, key, task, settings, clock)
    explorer = _make_explorer(way, explore_key, task, settings)
    # Networks stay in the space: layers only vanish, and activations are its own.
    config = settings.pipeline if way.is_mixed else _limit(settings.pipeline, explorer)
    judge = Judge(task, config.activations, clock, begin)
    share = settings.mixed_share if way.is_mixed else settings.explore_share
    search, seconds = settings.search, share * settings.seconds - judge.seconds()
    if way.is_by_steps:
        num = explorer.space.spec.max_depth * len(search.sparsity_weights)
        num_steps = math.ceil(settings.candidate_steps / (num * search.num_starts))
        seconds = math.inf
    else:
        num_steps = UNLIMITED_STEPS
    limits = config.make_spec(task.train.x.shape[1], task.train.y.shape[1])

    def fit_into(networks: Network) -> Network:
        return resize.fit_into(networks, explorer.space.spec, limits)

    def callback(progress: DescentProgress) -> None:
        judge.watch(
            "explore",
            progress.network_steps,
            lambda: judge.make_front(fit_into(progress.networks_fn())),
        )

    state = latent_search.descend(
        explorer.starts,
        explorer.params,
        _to_data(task),
        space=explorer.space,
        config=dataclasses.replace(search, num_steps=num_steps),
        callback=callback,
        time_budget=seconds,
        clock=clock,
    )
    steps = int(state.num_steps.sum())
    networks = latent_search.harden(state.picked, explorer.params, space=explorer.space)
    networks = fit_into(networks)
    seconds = judge.seconds() + (1 - share) * settings.seconds
    more = None
    if way.is_mixed:
        start_key, key = jax.random.split(key)
        more = draw_starts(start_key, config, limits, task.train)
    return _run_from(key, task, config, seconds, judge, networks, steps, more)


def _run_supernets(
    explore_key: Key, key: Key, task: QualityTask, settings: Settings, clock: WorkClock
) -> Outcome:
    """Networks drawn from weight-entangled supernets, and the pipeline from them."""
    config, share = settings.pipeline, settings.explore_share
    begin = clock()
    judge = Judge(task, config.activations, clock, begin)
    networks, steps = sources.find_starts(
        explore_key,
        task.train,
        task.valid,
        objective=task.objective,
        config=ExploreConfig(by=("tangle",)),
        pipeline_config=config,
        seconds=share * settings.seconds,
        clock=clock,
    )
    # What the supernets have not used of their share is the pipeline's.
    return _run_from(key, task, config, settings.seconds, judge, networks, steps)


def _run_from(
    key: Key,
    task: QualityTask,
    config: SearchConfig,
    seconds: float,
    judge: Judge,
    networks: Network,
    steps: int,
    more: Network | None = None,
) -> Outcome:
    """The pipeline from what is found, which is looked at as it is, and more starts."""
    with judge.clock.paused():
        front = judge.make_front(networks)
        raw = Level(front, config.activations, judge.seconds(), steps)
    if more is not None:
        networks = jax.tree.map(lambda *a: np.concatenate(a), networks, more)
    found = run_pipeline(key, task, config, seconds, judge, networks, steps)
    return found._replace(levels={"raw": raw} | found.levels)


def _limit(config: SearchConfig, explorer: DescentProblem) -> SearchConfig:
    """The limits of a space."""
    spec = explorer.space.spec
    return dataclasses.replace(
        config,
        max_width=spec.max_width,
        max_depth=spec.max_depth,
        activations=spec.activations,
    )


def _make_explorer(
    way: Ablation, key: Key, task: QualityTask, settings: Settings
) -> DescentProblem:
    start_key, key = jax.random.split(key)
    config = ExploreConfig(search=settings.search)
    limits = settings.pipeline.make_spec(task.train.x.shape[1], task.train.y.shape[1])
    source = "direct" if way.space == "direct" else "latent"
    if source == "latent":
        activation = tasks.find_activation(task.name)
        preset, activation = choose_file(way, activation, settings)
        config = dataclasses.replace(config, preset=preset, activation=activation)
    explorer = descent_source.make_explorer(
        start_key,
        source,
        task.objective,
        config=config,
        limits=limits,
        max_weights=settings.pipeline.max_weights,
    )
    starts = redraws.redraw(key, explorer.starts, way.starts)
    return explorer._replace(starts=starts)


def run_pipeline(
    key: Key,
    task: QualityTask,
    config: SearchConfig,
    seconds: float,
    judge: Judge,
    starts: Network | None,
    num_explored: int = 0,
) -> Outcome:
    """The pipeline until so many seconds since the begin, with the levels it passes."""
    passed = {}

    def callback(progress: SearchProgress) -> None:
        steps, pool = num_explored + progress.candidate_steps, progress.pool
        if progress.stage == "polish":
            passed["polished"] = pool, judge.seconds(), steps
        judge.watch(progress.stage, steps, lambda: judge.judge(pool))

    job = make_job(
        task.train,
        task.valid,
        task.objective,
        config,
        seconds - judge.seconds(),
        judge.clock,
    )
    pool = find_pool(key, job, starts=starts, callback=callback)
    front = select(pool, job)
    steps = num_explored + job.candidate_steps
    full = Level(front, config.activations, judge.seconds(), steps)
    with judge.clock.paused():
        levels = {
            name: Level(judge.judge(pool), config.activations, spent, num)
            for name, (pool, spent, num) in passed.items()
        }
    judge.watch("done", steps, lambda: front)
    return Outcome(levels | {"full": full}, judge.curve)


def _to_data(task: QualityTask) -> Data:
    return Data(*task.train[:2], *task.valid[:2])
