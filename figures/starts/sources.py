"""Sources of starts: random networks, and points of spaces with or without descent."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from figures.quality.tasks import QualityTask
from figures.starts import newton
from swajax import latent_search, prior
from swajax.data.problem import Problem, normalise_weights
from swajax.latent_search import Data, DescentConfig, DescentProblem, Point
from swajax.search.config import SearchConfig
from swajax.search.sources import descent
from swajax.search.sources.base import StartRequest
from swajax.search.sources.descent import DescentSourceConfig
from swajax.types import Key, Network

SOURCES = ("random", "decoded", "direct", "latent", "newton")
# Without a penalty, which would change the size of the networks.
DESCENT = DescentConfig(chunk_steps=25, num_screened=1, sparsity_weights=(0.0,))


class Sizes(NamedTuple):
    """Numbers of weights, starts per source and gradient steps."""

    num_weights: int
    num_starts: int
    descent_steps: int


def draw_starts(source: str, key: Key, task: QualityTask, sizes: Sizes) -> Network:
    """Draw networks of one source, leaves [R, ...]."""
    limits = SearchConfig(max_weights=sizes.num_weights).make_spec(
        task.train.x.shape[1], task.train.y.shape[1]
    )
    if source == "random":
        num_weights = jnp.full(sizes.num_starts, sizes.num_weights)
        draw = jax.jit(jax.vmap(functools.partial(prior.sample_small, spec=limits)))
        return draw(jax.random.split(key, sizes.num_starts), num_weights)
    num = math.ceil(sizes.num_starts / limits.max_depth)
    search = dataclasses.replace(DESCENT, num_starts=num, num_steps=sizes.descent_steps)
    request = StartRequest(
        normalise_weights(task.train),
        normalise_weights(task.valid),
        task.objective,
        limits,
        sizes.num_weights,
        num,
        options=DescentSourceConfig(descent=search),
    )
    make = descent.make_direct if source == "direct" else descent.make_latent
    problem = make(key, request)
    problem = problem._replace(starts=_resize(problem.starts, sizes.num_weights))
    points = SEARCHES[source](problem, task, search, sizes)
    return latent_search.harden(points, problem.params, space=problem.space)


def _decode(
    problem: DescentProblem,
    task: QualityTask,
    search: DescentConfig,
    sizes: Sizes,
) -> Point:
    """Return the starting points unchanged, [D, S, R, ...], for each decoder."""
    del task, search, sizes
    depth = problem.space.spec.max_depth

    def repeat(leaf: Array) -> Array:
        return jnp.broadcast_to(leaf, (depth, 1, *leaf.shape))

    z = jax.tree.map(repeat, problem.starts)
    return Point(z, jnp.zeros(jax.tree.leaves(z)[0].shape[:3]))


def _descend(
    problem: DescentProblem,
    task: QualityTask,
    search: DescentConfig,
    sizes: Sizes,
) -> Point:
    """Run gradient descent; the results are decoded at the requested size."""
    state, _ = latent_search.descend(
        problem.starts,
        problem.params,
        Data(*task.train[:2], *task.valid[:2]),
        space=problem.space,
        config=search,
        time_budget=math.inf,
    )
    z = _resize(state.picked.z, sizes.num_weights)
    return Point(z, jnp.zeros_like(state.picked.threshold))


def _newton(
    problem: DescentProblem,
    task: QualityTask,
    search: DescentConfig,
    sizes: Sizes,
) -> Point:
    """Run Gauss-Newton steps through the decoders."""
    del search
    points = _decode(problem, task, DESCENT, sizes)
    rows = Problem(*(jnp.asarray(leaf, jnp.float32) for leaf in task.train))
    rows = rows._replace(weight=rows.weight / rows.weight.sum())
    moved = [
        newton.improve(
            jax.tree.map(lambda leaf, d=depth: leaf[d, 0], points.z),
            problem.params,
            rows,
            space=problem.space,
            depth=depth + 1,
            capacity=1 + sizes.num_weights,
        )
        for depth in range(problem.space.spec.max_depth)
    ]
    z = jax.tree.map(lambda *leaves: jnp.stack(leaves)[:, None], *moved)
    return points._replace(z=z)


SEARCHES: dict[str, Callable[..., Point]] = {
    "decoded": _decode,
    "direct": _descend,
    "latent": _descend,
    "newton": _newton,
}


def _resize(points: Any, num_weights: int) -> Any:
    """Set the number of active weights of points."""
    log_size = jnp.full_like(points.log_size, math.log(num_weights))
    return points._replace(log_size=log_size)
