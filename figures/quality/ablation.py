"""Ablations: sources of starts, all followed by the same pipeline.

`explore-SPACE` descends for a share of the seconds, `explore-SPACE-steps` for a number
of network steps without a time limit; the pipeline has the same seconds after either.
`explore-SPACE-mixed` has a smaller share, and random networks join its results. The
suffixes `-noise` and `-uniform` replace the embeddings of random networks as starting
points. Fronts are evaluated before and after the polish.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from figures.common.clock import WorkClock
from figures.quality import redraws, tasks
from figures.quality.outcomes import Evaluator, Level, Outcome
from figures.quality.settings import Settings
from figures.quality.tasks import QualityTask
from swajax import latent_search
from swajax.data.problem import normalise_weights
from swajax.latent_search import DescentConfig, DescentProblem, DescentProgress
from swajax.network import resize
from swajax.search.config import SearchConfig
from swajax.search.run import SearchProgress, find_front
from swajax.search.sources import SOURCES, descent
from swajax.search.sources.base import StartRequest, Starts
from swajax.search.sources.descent import DescentSourceConfig
from swajax.search.sources.supernets import SupernetSourceConfig
from swajax.types import Key, Network

LEARNED = ("tabular", "compact", "paper")
SINGLE = ("compact", "paper")  # spaces of networks of one activation each
UNLIMITED_STEPS = 2**30


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
    """Find starts, evaluate them, then run the pipeline from them.

    Args:
      ablation: source of the starts.
      key: consumed.
      task: data without a test part.
      settings: budgets and limits.
      clock: clock of the budget.
    """
    source_key, key = jax.random.split(key)
    config = settings.pipeline
    if ablation.space == "random":
        config = dataclasses.replace(config, sources=("random",))
        evaluator = Evaluator(task, config.activations, clock, clock())
        return run_search(key, task, config, settings.seconds, evaluator)
    if ablation.space == "tangle":
        evaluator = Evaluator(task, config.activations, clock, clock())
        options, seconds = SupernetSourceConfig(), settings.seconds
        request = _make_request(task, settings, options, clock)
        starts = SOURCES["tangle"].find(source_key, request)
    else:
        begin = clock()
        problem, request = _make_problem(ablation, source_key, task, settings, clock)
        if not ablation.is_mixed:  # the pipeline keeps the limits of the space
            config = _limit(config, problem)
        evaluator = Evaluator(task, config.activations, clock, begin)
        share = settings.mixed_share if ablation.is_mixed else settings.explore_share
        starts = _descend(ablation, problem, settings, share, evaluator, config)
        seconds = evaluator.seconds() + (1 - share) * settings.seconds
    with clock.paused():
        front = evaluator.make_front(starts.networks)
        spent = evaluator.seconds()
        raw = Level(front, config.activations, spent, starts.num_steps)
    if ablation.is_mixed:
        start_key, key = jax.random.split(key)
        more = SOURCES["random"].find(start_key, request)
        networks = jax.tree.map(
            lambda *leaves: np.concatenate(leaves), starts.networks, more.networks
        )
        starts = starts._replace(networks=networks)
    found = run_search(key, task, config, seconds, evaluator, starts)
    return found._replace(levels={"raw": raw} | found.levels)


def run_search(
    key: Key,
    task: QualityTask,
    config: SearchConfig,
    seconds: float,
    evaluator: Evaluator,
    starts: Starts | None = None,
) -> Outcome:
    """Run the search until `seconds` of work; return its levels and curve.

    Args:
      key: consumed.
      task: data without a test part.
      config: of the search.
      seconds: since the start of the evaluator.
      evaluator: of fronts.
      starts: starting networks instead of those of the sources.

    Returns:
      The levels "polished" and "full". Network steps do not include the last polish of
      the front.
    """
    passed, num_before = {}, 0 if starts is None else starts.num_steps
    steps = num_before

    def callback(progress: SearchProgress) -> None:
        nonlocal steps
        steps, pool = num_before + progress.network_steps, progress.pool
        if pool is None:  # the sources are at work
            return
        if progress.stage == "polish":
            passed["polished"] = pool, evaluator.seconds(), steps
        evaluator.watch(progress.stage, steps, lambda: evaluator.front_of_pool(pool))

    front = find_front(
        key,
        task.train,
        task.valid,
        objective=task.objective,
        config=config,
        starts=None if starts is None else starts.networks,
        time_budget=seconds - evaluator.seconds(),
        clock=evaluator.clock,
        callback=callback,
    )
    full = Level(front, config.activations, evaluator.seconds(), steps)
    with evaluator.clock.paused():
        levels = {
            name: Level(evaluator.front_of_pool(pool), config.activations, spent, num)
            for name, (pool, spent, num) in passed.items()
        }
    evaluator.watch("done", steps, lambda: front)
    return Outcome(levels | {"full": full}, evaluator.curve)


def _make_request(
    task: QualityTask, settings: Settings, options: object, clock: WorkClock
) -> StartRequest:
    """Return the request for starts of a task."""
    train, valid = normalise_weights(task.train), normalise_weights(task.valid)
    config = settings.pipeline
    return StartRequest(
        train,
        valid,
        task.objective,
        config.make_spec(train.x.shape[1], train.y.shape[1]),
        config.max_weights,
        config.num_starts,
        options=options,
        seconds=settings.explore_share * settings.seconds,
        clock=clock,
    )


def _make_problem(
    ablation: Ablation,
    key: Key,
    task: QualityTask,
    settings: Settings,
    clock: WorkClock,
) -> tuple[DescentProblem, StartRequest]:
    """Return the space and starting points of a descent."""
    start_key, key = jax.random.split(key)
    options = DescentSourceConfig(descent=settings.descent)
    make_problem: Callable = descent.make_direct
    if ablation.space != "direct":
        activation = tasks.find_activation(task.name)
        preset, activation = choose_file(ablation, activation, settings)
        options = DescentSourceConfig(preset, activation, settings.descent)
        make_problem = descent.make_latent
    request = _make_request(task, settings, options, clock)
    problem = make_problem(start_key, request)
    starts = redraws.redraw(key, problem.starts, ablation.starts)
    return problem._replace(starts=starts), request


def _descend(
    ablation: Ablation,
    problem: DescentProblem,
    settings: Settings,
    share: float,
    evaluator: Evaluator,
    config: SearchConfig,
) -> Starts:
    """Descend for a share of the seconds or for a number of network steps."""
    task, spec = evaluator.task, problem.space.spec
    limits = config.make_spec(task.train.x.shape[1], task.train.y.shape[1])

    def fit_into(networks: Network) -> Network:
        return resize.fit_into(networks, spec, limits)

    def callback(progress: DescentProgress) -> None:
        evaluator.watch(
            "explore",
            progress.network_steps,
            lambda: evaluator.make_front(fit_into(progress.networks_fn())),
        )

    num_steps, seconds = UNLIMITED_STEPS, share * settings.seconds
    if ablation.is_by_steps:
        num_steps = _steps_per_candidate(settings, spec.max_depth)
        seconds = math.inf
    state, steps = latent_search.descend(
        problem.starts,
        problem.params,
        latent_search.Data(*task.train[:2], *task.valid[:2]),
        space=problem.space,
        config=dataclasses.replace(settings.descent, num_steps=num_steps),
        callback=callback,
        time_budget=seconds - evaluator.seconds(),
        clock=evaluator.clock,
    )
    found = latent_search.harden(state.picked, problem.params, space=problem.space)
    return Starts(fit_into(found), steps)


def _steps_per_candidate(settings: Settings, num_depths: int) -> int:
    """Return the steps of each candidate that make up `settings.network_steps`."""
    config: DescentConfig = settings.descent
    num = num_depths * len(config.sparsity_weights) * config.num_starts
    return math.ceil(settings.network_steps / num)


def _limit(config: SearchConfig, problem: DescentProblem) -> SearchConfig:
    """Restrict the pipeline to the limits of a space."""
    spec = problem.space.spec
    return dataclasses.replace(
        config,
        max_width=spec.max_width,
        max_depth=spec.max_depth,
        activations=spec.activations,
    )
