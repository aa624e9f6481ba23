"""TODO swajax/search/sources/descent.py."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.problem import MAX_ROWS, Problem
from swajax.latent_search import Data, DescentConfig, descent, spaces
from swajax.latent_search.descent import Budget, Explorer, NetworksFn
from swajax.network import resize
from swajax.objectives import Objective
from swajax.search.config import ExploreConfig, Source
from swajax.search.sources.base import SourceTask
from swajax.types import Key, Network, NetworkSpec

MAX_INPUTS = 512
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
    explorer = make_explorer(
        key,
        source,
        task.objective,
        config=config,
        limits=task.limits,
        max_weights=task.max_weights,
    )
    _check_limits(explorer.space.spec, task.limits)
    found, steps = descent.descend(
        explorer,
        functools.partial(_draw_rows, task.train, task.valid),
        search=config.search,
        budget=_make_budget(explorer, config.search, seconds),
        clock=clock,
        watch=watch,
    )
    return resize.fit_into(found, explorer.space.spec, task.limits), steps


def _make_budget(explorer: Explorer, search: DescentConfig, seconds: float) -> Budget:
    num = search.num_starts * len(search.sparsity_weights)
    num *= explorer.space.spec.max_depth
    return Budget(seconds=seconds, candidate_steps=search.num_steps * num)


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
) -> Explorer:
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
    search = config.search
    if source == "direct":
        key, network_key = jax.random.split(key)
        networks = spaces.draw_networks(network_key, search, limits, max_weights)
        starts = spaces.unfold_starts(key, networks)
        return Explorer(spaces.make_direct_space(limits, objective), None, starts)
    params, model = load_pretrained(config.preset, config.activation)
    if model.preset == "tabular":
        space = spaces.make_tabular_space(model, limits, objective)
        networks = spaces.draw_networks(key, search, space.spec, max_weights)
        starts = spaces.encode_starts(params, networks, model=model)
    else:
        space = spaces.make_compact_space(model, num_inputs=limits.num_inputs)
        starts = spaces.draw_compact_starts(
            key, params, config=search, autoencoder_config=model
        )
    return Explorer(space, params, starts)
