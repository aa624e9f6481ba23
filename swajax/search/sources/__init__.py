"""Where a search starts: random networks, or what gradient descent makes of them.

`latent` follows the gradient of error plus sparsity penalty back into the embedding
space of an autoencoder (`swajax.latent_search`); `direct` does the same, with the same
gates, losses and optimiser, on the weights themselves; `random` leaves all to the
polish. `tangle` draws networks from weight-entangled supernets (`swajax.tangle`). What
they find, whatever its size, is polished and shrunk in the same way, and if there are
several, in one race: its first steps tell whose starts go on.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, get_args

import jax
import numpy as np

from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.problem import Problem
from swajax.latent_search.descent import NetworksFn
from swajax.objectives import Objective
from swajax.search.config import ExploreConfig, SearchConfig, Source
from swajax.search.sources.base import SourceTask
from swajax.search.sources.descent import MAX_INPUTS, _check_limits, _descend
from swajax.search.sources.random_networks import draw_starts
from swajax.search.sources.supernets import _train_supernets
from swajax.types import Key, Network, NetworkSpec


class Starts(NamedTuple):
    """Where the pipeline begins."""

    networks: Network | None
    """leaves [R, ...]; none if the pipeline may draw random ones"""
    candidate_steps: int
    """of gradient descent"""


def check(
    config: ExploreConfig, task: str, num_inputs: int, pipeline_config: SearchConfig
) -> None:
    """Reject tables and limits that a space has no networks for, or no choice among.

    Raises:
      ValueError: says why, and what to do.
    """
    limits = pipeline_config.make_spec(1, 1)
    sources = () if config.by is None else config.by
    if "tangle" in sources and not _has_choices(limits):
        raise ValueError(
            "supernets choose among widths, depths and activations: they need "
            "--max-width 3, --max-depth 2 and two activations or more"
        )
    if "latent" not in sources:
        return
    _, model = load_pretrained(config.preset, config.activation)
    _check_limits(model.spec, limits)
    if model.preset == "tabular" and num_inputs > MAX_INPUTS:
        raise ValueError(
            f"the space {config.preset} reads networks input by input, {MAX_INPUTS} at "
            f"most, here are {num_inputs}; use --explore.by random, direct or tangle"
        )
    is_served = num_inputs <= model.num_inputs and task == "regression"
    if model.preset != "tabular" and not is_served:
        raise ValueError(
            f"the space {config.preset} has networks with up to {model.num_inputs} "
            f"inputs and a number as output, here are {num_inputs} inputs and a "
            f"{task}; use --explore.by random, direct or tangle"
        )


def choose_sources(config: ExploreConfig, limits: NetworkSpec) -> tuple[Source, ...]:
    """Those of the settings, or what is best on the whole.

    Supernets find large networks that random starts miss, where inputs and classes are
    many above all. They need limits that leave a choice.
    """
    if config.by is not None:
        return config.by
    return ("random", "tangle") if _has_choices(limits) else ("random",)


def find_starts(
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    config: ExploreConfig,
    pipeline_config: SearchConfig,
    seconds: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
    watch: Callable[[int, NetworksFn], None] | None = None,
) -> Starts:
    """Networks to polish, of all sources.

    Args:
      key: consumed.
      train: rows to learn from.
      valid: rows to choose by.
      objective: what is fitted.
      config: how starts are found.
      pipeline_config: limits of the networks.
      seconds: for all descents together; one chunk of each is always taken.
      clock: tells the seconds.
      watch: see `descent.descend`.

    Raises:
      ValueError: the limits are too narrow for the space, or lack an activation; or a
        supernet has gone astray.
      KeyboardInterrupt: Ctrl-C came before a descent had found anything.
    """
    limits = pipeline_config.make_spec(train.x.shape[1], train.y.shape[1])
    sources = choose_sources(config, limits)
    num_descents = sum(source != "random" for source in sources)
    if not num_descents:
        return Starts(None, 0)
    task = SourceTask(train, valid, objective, limits, pipeline_config.max_weights)
    each = {"config": config, "seconds": seconds / num_descents, "clock": clock}
    num_random = math.ceil(pipeline_config.num_starts / len(sources))
    fewer = dataclasses.replace(pipeline_config, num_starts=num_random)
    networks, num_steps = [], 0
    for source, own_key in zip(sources, _split(key, sources), strict=True):
        steps = 0
        if source == "random":
            found = draw_starts(own_key, fewer, limits, train)
        elif source == "tangle":
            found, steps = _train_supernets(own_key, task, **each)
        else:
            found, steps = _descend(own_key, source, task, watch=watch, **each)
        networks.append(found)
        num_steps += steps
    join = functools.partial(jax.tree.map, lambda *leaves: np.concatenate(leaves))
    return Starts(join(*networks), num_steps)


def _has_choices(limits: NetworkSpec) -> bool:
    """Whether a supernet has widths, depths and activations to choose among."""
    is_large = limits.max_width >= 3 and limits.max_depth >= 2
    return is_large and len(limits.activations) >= 2


def _split(key: Key, sources: Sequence[Source]) -> list[Key]:
    """A key a source, the same whatever other sources there are."""
    return [jax.random.fold_in(key, get_args(Source).index(name)) for name in sources]
