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
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from swajax import blocks, descent, spaces, tasks
from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.splits import Part
from swajax.descent import Budget, Explorer, NetworksFn
from swajax.latent_search import Data, SearchConfig
from swajax.objectives import Objective
from swajax.pipeline import PipelineConfig, draw_starts
from swajax.tangle.rows import Rows
from swajax.tangle.starts import SupernetConfig, find_networks
from swajax.types import Activation, Key, Network, NetworkSpec

MAX_INPUTS = 512
BATCH_ROWS = 4096  # of a mini-batch

Source = Literal["random", "direct", "latent", "tangle"]


@dataclasses.dataclass(frozen=True)
class ExploreConfig:
    """How starts are found."""

    by: tuple[Source, ...] | None = None
    """random networks; gradient descent on weights; on points of a learned space; or
    weight-entangled supernets [random and tangle, in one race]"""
    share: float = 0.2
    """of a time budget, for all descents together"""
    preset: str = "tabular"
    """latent: pretrained autoencoder, or a path to a checkpoint file"""
    activation: Activation | None = None
    """latent: activation of its networks, if there are several autoencoders"""
    search: SearchConfig = dataclasses.field(
        default_factory=lambda: SearchConfig(
            num_steps=500, num_starts=8, chunk_steps=25
        )
    )
    """direct and latent: the gradient descent"""
    supernet: SupernetConfig = dataclasses.field(default_factory=SupernetConfig)
    """tangle: supernets, and networks drawn from them"""

    def __post_init__(self) -> None:
        """Reject no or repeated sources, and shares that are none."""
        by = ("random",) if self.by is None else self.by
        if not by or len(set(by)) < len(by) or not set(by) <= set(get_args(Source)):
            raise ValueError(
                f"by must be one or more of {', '.join(get_args(Source))}, each once, "
                f"got {self.by}"
            )
        if not 0 < self.share < 1:
            raise ValueError(f"share must be in (0, 1), got {self.share}")


class Starts(NamedTuple):
    """Where the pipeline begins."""

    networks: Network | None
    """leaves [R, ...]; none if the pipeline may draw random ones"""
    candidate_steps: int
    """of gradient descent"""


def check(
    config: ExploreConfig, task: str, num_inputs: int, pipeline_config: PipelineConfig
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
    train: Part,
    valid: Part,
    *,
    objective: Objective,
    config: ExploreConfig,
    pipeline_config: PipelineConfig,
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
    task = _Task(train, valid, objective, limits, pipeline_config.max_weights)
    each = {"config": config, "seconds": seconds / num_descents, "clock": clock}
    num_random = math.ceil(pipeline_config.num_starts / len(sources))
    fewer = dataclasses.replace(pipeline_config, num_starts=num_random)
    networks, num_steps = [], 0
    for source, own_key in zip(sources, _split(key, sources), strict=True):
        steps = 0
        if source == "random":
            found = draw_starts(own_key, fewer, limits, tasks.to_problem(train))
        elif source == "tangle":
            found, steps = _train_supernets(own_key, task, **each)
        else:
            found, steps = _descend(own_key, source, task, watch=watch, **each)
        networks.append(found)
        num_steps += steps
    join = functools.partial(jax.tree.map, lambda *leaves: np.concatenate(leaves))
    return Starts(join(*networks), num_steps)


class _Task(NamedTuple):
    """What networks are wanted for."""

    train: Part
    valid: Part
    objective: Objective
    limits: NetworkSpec
    max_weights: int


def _train_supernets(
    key: Key,
    task: _Task,
    *,
    config: ExploreConfig,
    seconds: float,
    clock: Callable[[], float],
) -> tuple[Network, int]:
    """Networks drawn from supernets, and candidate-steps."""
    return find_networks(
        key,
        _resample(task.train),
        _resample(task.valid),
        objective=task.objective,
        limits=task.limits,
        config=config.supernet,
        seconds=seconds,
        clock=clock,
    )


def _descend(
    key: Key,
    source: Source,
    task: _Task,
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
    return blocks.fit_into(found, explorer.space.spec, task.limits), steps


def _has_choices(limits: NetworkSpec) -> bool:
    """Whether a supernet has widths, depths and activations to choose among."""
    is_large = limits.max_width >= 3 and limits.max_depth >= 2
    return is_large and len(limits.activations) >= 2


def _split(key: Key, sources: Sequence[Source]) -> list[Key]:
    """A key a source, the same whatever other sources there are."""
    return [jax.random.fold_in(key, get_args(Source).index(name)) for name in sources]


def _make_budget(explorer: Explorer, search: SearchConfig, seconds: float) -> Budget:
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


def _draw_rows(train: Part, valid: Part, chunk: int) -> Data:
    """All rows, or a mini-batch of them if they are many or of unequal weight.

    Rows are then drawn anew for each chunk, as often as they weigh.
    """

    def draw(part: Part) -> tuple[jax.Array, jax.Array]:
        num, weight = len(part.y), part.weight.astype(np.float64)
        weight = weight / weight.sum()
        if num <= tasks.MAX_POINTS and np.ptp(weight) == 0:
            return jnp.asarray(part.x), jnp.asarray(part.y)
        num_drawn = num if num <= tasks.MAX_POINTS else BATCH_ROWS
        rows = np.random.default_rng(chunk).choice(num, num_drawn, p=weight)
        return jnp.asarray(part.x[rows]), jnp.asarray(part.y[rows])

    return Data(*draw(train), *draw(valid))


def _resample(part: Part) -> Rows:
    """Rows as often as they weigh, as many for every table: programs are shared."""
    edges = np.cumsum(part.weight, dtype=np.float64)
    places = (np.arange(tasks.MAX_POINTS) + 0.5) / tasks.MAX_POINTS * edges[-1]
    rows = np.searchsorted(edges, places)
    return Rows(part.x[rows], part.y[rows])


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
