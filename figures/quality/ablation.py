"""Ablations: sources of starts, all followed by the same pipeline.

`explore-SPACE` descends for a share of the seconds, `explore-SPACE-steps` for a number
of network steps without a time limit; the pipeline has the same seconds after either.
`explore-SPACE-mixed` has a smaller share, and random networks join its results. The
suffixes `-noise` and `-uniform` replace the embeddings of random networks as starting
points. Fronts are evaluated before and after the polish.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np

from figures.common.clock import WorkClock
from figures.quality import redraws, tasks
from figures.quality.outcomes import Evaluator, Level, Outcome
from figures.quality.settings import Settings
from figures.quality.tasks import QualityTask
from swajax.latent_search import Data, descent
from swajax.latent_search.descent import Budget, Explorer
from swajax.network import resize
from swajax.search import sources
from swajax.search.config import ExploreConfig, SearchConfig
from swajax.search.job import make_job
from swajax.search.run import SearchProgress, find_pool, select
from swajax.search.sources import descent as descent_source
from swajax.search.sources.random_networks import draw_starts
from swajax.types import Key, Network

LEARNED = ("tabular", "compact", "paper")
SINGLE = ("compact", "paper")  # spaces of networks of one activation each


class Ablation(NamedTuple):
    """One source of starts."""

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
    ablation: Ablation, activation: str, settings: Settings
) -> tuple[str, str | None]:
    """Return preset and activation of the autoencoder of a space.

    The activation is None for spaces with all activations.
    """
    if ablation.space not in SINGLE:
        return ablation.space, None
    if ablation.space == "paper" and settings.paper is not None:
        return settings.paper.format(activation=activation), activation
    return ablation.space, activation


def run_ablation(
    ablation: Ablation,
    key: Key,
    task: QualityTask,
    settings: Settings,
    clock: WorkClock,
) -> Outcome:
    """Find starts, then run the pipeline from them."""
    explore_key, key = jax.random.split(key)
    begin = clock()
    if ablation.space == "random":
        evaluator = Evaluator(task, settings.pipeline.activations, clock, begin)
        return run_pipeline(
            key, task, settings.pipeline, settings.seconds, evaluator, None
        )
    if ablation.space == "tangle":
        return _run_supernets(explore_key, key, task, settings, clock)
    explorer = _make_explorer(ablation, explore_key, task, settings)
    # The pipeline keeps the limits of the space.
    config = (
        settings.pipeline if ablation.is_mixed else _limit(settings.pipeline, explorer)
    )
    evaluator = Evaluator(task, config.activations, clock, begin)
    share = settings.mixed_share if ablation.is_mixed else settings.explore_share
    budget = Budget(seconds=share * settings.seconds - evaluator.seconds())
    if ablation.is_by_steps:
        budget = Budget(candidate_steps=settings.candidate_steps)
    limits = config.make_spec(task.train.x.shape[1], task.train.y.shape[1])

    def fit_into(networks: Network) -> Network:
        return resize.fit_into(networks, explorer.space.spec, limits)

    networks, steps = descent.descend(
        explorer,
        _to_data(task),
        search=settings.search,
        budget=budget,
        clock=clock,
        watch=lambda steps, networks_fn: evaluator.watch(
            "explore", steps, lambda: evaluator.make_front(fit_into(networks_fn()))
        ),
    )
    networks = fit_into(networks)
    seconds = evaluator.seconds() + (1 - share) * settings.seconds
    more = None
    if ablation.is_mixed:
        start_key, key = jax.random.split(key)
        more = draw_starts(start_key, config, limits, task.train)
    return _run_from(key, task, config, seconds, evaluator, networks, steps, more)


def _run_supernets(
    explore_key: Key, key: Key, task: QualityTask, settings: Settings, clock: WorkClock
) -> Outcome:
    """Draw networks from weight-entangled supernets, then run the pipeline."""
    config, share = settings.pipeline, settings.explore_share
    begin = clock()
    evaluator = Evaluator(task, config.activations, clock, begin)
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
    # The pipeline gets the unused part of the share of the supernets.
    return _run_from(key, task, config, settings.seconds, evaluator, networks, steps)


def _run_from(
    key: Key,
    task: QualityTask,
    config: SearchConfig,
    seconds: float,
    evaluator: Evaluator,
    networks: Network,
    steps: int,
    more: Network | None = None,
) -> Outcome:
    """Evaluate the networks found, then run the pipeline from them and `more`."""
    with evaluator.clock.paused():
        front = evaluator.make_front(networks)
        raw = Level(front, config.activations, evaluator.seconds(), steps)
    if more is not None:
        networks = jax.tree.map(lambda *a: np.concatenate(a), networks, more)
    found = run_pipeline(key, task, config, seconds, evaluator, networks, steps)
    return found._replace(levels={"raw": raw} | found.levels)


def _limit(config: SearchConfig, explorer: Explorer) -> SearchConfig:
    """Restrict the pipeline to the limits of a space."""
    spec = explorer.space.spec
    return dataclasses.replace(
        config,
        max_width=spec.max_width,
        max_depth=spec.max_depth,
        activations=spec.activations,
    )


def _make_explorer(
    ablation: Ablation, key: Key, task: QualityTask, settings: Settings
) -> Explorer:
    start_key, key = jax.random.split(key)
    config = ExploreConfig(search=settings.search)
    limits = settings.pipeline.make_spec(task.train.x.shape[1], task.train.y.shape[1])
    source = "direct" if ablation.space == "direct" else "latent"
    if source == "latent":
        activation = tasks.find_activation(task.name)
        preset, activation = choose_file(ablation, activation, settings)
        config = dataclasses.replace(config, preset=preset, activation=activation)
    explorer = descent_source.make_explorer(
        start_key,
        source,
        task.objective,
        config=config,
        limits=limits,
        max_weights=settings.pipeline.max_weights,
    )
    starts = redraws.redraw(key, explorer.starts, ablation.starts)
    return explorer._replace(starts=starts)


def run_pipeline(
    key: Key,
    task: QualityTask,
    config: SearchConfig,
    seconds: float,
    evaluator: Evaluator,
    starts: Network | None,
    num_explored: int = 0,
) -> Outcome:
    """Run the pipeline until `seconds` of work; return its levels and curve."""
    passed = {}

    def callback(progress: SearchProgress) -> None:
        steps, pool = num_explored + progress.candidate_steps, progress.pool
        if progress.stage == "polish":
            passed["polished"] = pool, evaluator.seconds(), steps
        evaluator.watch(progress.stage, steps, lambda: evaluator.front_of_pool(pool))

    job = make_job(
        task.train,
        task.valid,
        task.objective,
        config,
        seconds - evaluator.seconds(),
        evaluator.clock,
    )
    pool = find_pool(key, job, starts=starts, callback=callback)
    front = select(pool, job)
    steps = num_explored + job.candidate_steps
    full = Level(front, config.activations, evaluator.seconds(), steps)
    with evaluator.clock.paused():
        levels = {
            name: Level(evaluator.front_of_pool(pool), config.activations, spent, num)
            for name, (pool, spent, num) in passed.items()
        }
    evaluator.watch("done", steps, lambda: front)
    return Outcome(levels | {"full": full}, evaluator.curve)


def _to_data(task: QualityTask) -> Data:
    return Data(*task.train[:2], *task.valid[:2])
