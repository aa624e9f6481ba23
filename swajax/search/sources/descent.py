"""TODO swajax/search/sources/descent.py."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from swajax import latent_search
from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.problem import MAX_ROWS, Problem
from swajax.latent_search import (
    Data,
    DescentProblem,
    DescentProgress,
    NetworksFn,
    direct,
)
from swajax.network import resize
from swajax.objectives import Objective
from swajax.search.config import ExploreConfig, Source
from swajax.search.sources.base import SourceTask
from swajax.types import Key, Network, NetworkSpec

BATCH_ROWS = 4096  # of a mini-batch


def _descend(
    key: Key,
    source: Source,
    task: SourceTask,
    *,
    config: ExploreConfig,
    seconds: float,
    clock: Callable[[], float],
    watch: Callable[[int, NetworksFn], None] | None,
) -> tuple[Network, int]:
    """Ends of descents on weights or in a learned space, and candidate-steps."""
    problem = make_explorer(
        key,
        source,
        task.objective,
        config=config,
        limits=task.limits,
        max_weights=task.max_weights,
    )
    _check_limits(problem.space.spec, task.limits)

    def callback(progress: DescentProgress) -> None:
        if watch is not None:
            watch(progress.network_steps, progress.networks_fn)

    state = latent_search.descend(
        problem.starts,
        problem.params,
        functools.partial(_draw_rows, task.train, task.valid),
        space=problem.space,
        config=config.search,
        callback=callback,
        time_budget=seconds,
        clock=clock,
    )
    found = latent_search.harden(state.picked, problem.params, space=problem.space)
    networks = resize.fit_into(found, problem.space.spec, task.limits)
    return networks, int(state.num_steps.sum())


def _check_limits(spec: NetworkSpec, limits: NetworkSpec) -> None:
    absent = set(spec.activations) - set(limits.activations)
    if spec.max_width > limits.max_width or spec.max_depth > limits.max_depth or absent:
        raise ValueError(
            f"the space has networks of {spec.max_depth} layers of {spec.max_width} "
            f"neurons, {', '.join(spec.activations)}: raise --max-depth, --max-width "
            "or --activations"
        )


def _draw_rows(train: Problem, valid: Problem, chunk: int) -> Data:
    """All rows, or a mini-batch of them if they are many or of unequal weight.

    Rows are then drawn anew for each chunk, as often as they weigh.
    """

    def draw(part: Problem) -> tuple[jax.Array, jax.Array]:
        num, weight = len(part.y), part.weight.astype(np.float64)
        weight = weight / weight.sum()
        if num <= MAX_ROWS and np.ptp(weight) == 0:
            return jnp.asarray(part.x), jnp.asarray(part.y)
        num_drawn = num if num <= MAX_ROWS else BATCH_ROWS
        rows = np.random.default_rng(chunk).choice(num, num_drawn, p=weight)
        return jnp.asarray(part.x[rows]), jnp.asarray(part.y[rows])

    return Data(*draw(train), *draw(valid))


def make_explorer(
    key: Key,
    source: Source,
    objective: Objective,
    *,
    config: ExploreConfig,
    limits: NetworkSpec,
    max_weights: int,
) -> DescentProblem:
    """A space and starts in it, embeddings of random networks [R K, ...].

    Args:
      key: consumed.
      source: "direct" or "latent".
      objective: what is fitted.
      config: which learned space, and how many starts.
      limits: of the networks.
      max_weights: size of the largest.

    Returns:
      A learned space has limits of its own, whatever `limits` says but for inputs and
      outputs.
    """
    sizes = {"config": config.search, "max_weights": max_weights}
    if source == "direct":
        starts = direct.make_direct_starts(key, spec=limits, **sizes)
        return DescentProblem(direct.make_direct_space(limits, objective), None, starts)
    params, model = load_pretrained(config.preset, config.activation)
    space = latent_search.make_space(model, limits=limits, objective=objective)
    starts = latent_search.make_starts(
        key, params, autoencoder_config=model, limits=limits, **sizes
    )
    return DescentProblem(space, params, starts)
