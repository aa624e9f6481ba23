"""From a table to a front of tiny networks: explore, polish, shrink, select.

* explore: many small networks, as starts;
* polish: all of them for a few Levenberg-Marquardt steps, the better ones for more;
* shrink: down from the largest, each network loses a weight at a time; up again, each
  gains the weight that promises most; networks are kept by size, the best of each;
* select: the front of validation loss against size.

Host code that calls compiled programs on blocks of networks, in the precision that is
switched on, float32 by default; only the front is polished in float64.
"""

import dataclasses
import time
from collections.abc import Callable, Generator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from swajax import blocks, pareto, prior
from swajax.objectives import Objective
from swajax.pareto import Front, Pool
from swajax.polish import Fit, Problem
from swajax.types import Activation, Key, Network, NetworkSpec

RACE = ((25, 0.3), (60, 0.3), (120, 1.0))  # steps, and the share that goes on
SHRINK_STEPS, GROW_STEPS, LAST_STEPS = 8, 12, 200


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """How a front of networks is searched."""

    max_weights: int = 64
    """size of the largest network"""
    max_error: float | None = None
    """pick the smallest network with at most this validation loss"""
    num_starts: int = 512
    """random networks that are polished first"""
    num_rounds: int = 3
    """times down and up the sizes"""
    num_kept: int = 32
    """networks kept of each size"""
    max_width: int = 8
    """neurons a hidden layer at most"""
    max_depth: int = 3
    """hidden layers at most"""
    activations: tuple[Activation, ...] = ("sigmoid", "tanh", "leaky_relu", "linear")
    """activations that a neuron can have"""
    weight_decay: float | None = None
    """half of this times the squared weights is added to the loss [1e-9 for numbers,
    1e-4 for classes]"""

    def __post_init__(self) -> None:
        """Reject sizes that cannot be."""
        for name in ("num_starts", "num_kept"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.num_rounds < 0:
            raise ValueError(f"num_rounds must be >= 0, got {self.num_rounds}")
        if not 3 <= self.max_weights <= blocks.PLACES[-1] - 1:
            raise ValueError(
                f"max_weights must be in 3..{blocks.PLACES[-1] - 1}, "
                f"got {self.max_weights}"
            )

    def make_spec(self, num_inputs: int, num_outputs: int) -> NetworkSpec:
        """Limits of the networks for a table."""
        return NetworkSpec(
            num_inputs=num_inputs,
            num_outputs=num_outputs,
            max_width=self.max_width,
            max_depth=self.max_depth,
            activations=self.activations,
        )


class Progress(NamedTuple):
    """What the callback sees after each block of work."""

    stage: str  # polish, shrink or grow
    seconds: float
    pool: Pool


def num_blocks(config: PipelineConfig) -> int:
    """Blocks of work of a whole run, at most."""
    return len(RACE) + (2 * config.num_rounds + 1) * config.max_weights


def run(
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    config: PipelineConfig,
    starts: Network | None = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    callback: Callable[[Progress], None] | None = None,
) -> Front:
    """The front of networks for a data set.

    Args:
      key: consumed; the same key gives the same front if no budget ends the work.
      train: points to fit, on the last axis, scaled to about unit size; of more than
        `blocks.MAX_POINTS` a random part is used, and of `valid` too.
      valid: points to choose by.
      objective: what is fitted.
      config: how.
      starts: networks within the limits of `config`, leaves [R, ...], to be used
        instead of random ones.
      time_budget: seconds after which no more work begins.
      clock: tells the seconds.
      callback: called after each block of work.

    Raises:
      ValueError: no network has a finite loss.
      KeyboardInterrupt: Ctrl-C before the first networks; later it ends the work.
    """
    job = _make_job(train, valid, objective, config, time_budget, clock)
    pool = None
    try:
        for stage, pool in _work(key, job, starts):
            if callback is not None:
                callback(Progress(stage, job.seconds(), pool))
            is_ready = _is_small(pool, config).any()
            if not len(pool.loss) or (job.is_over() and is_ready):
                break
    except KeyboardInterrupt:
        if pool is None:
            raise
    if pool is None or not len(pool.loss):
        raise ValueError("no network has a finite loss: the data hold huge numbers")
    if not _is_small(pool, config).any():
        raise ValueError(f"no network of {config.max_weights} weights was reached")
    # Where the last digits count, and where there is float64.
    with jax.enable_x64(jax.default_backend() != "tpu"):
        return select(pool, job)


Stages = Generator[tuple[str, Pool], None, Pool]


def _work(key: Key, job: "Job", starts: Network | None) -> Stages:
    """Stage and pool after each block of work, each pool better than the one before."""
    starts = _draw_starts(key, job) if starts is None else starts
    pool = yield from _race(_widen(starts, job), job)
    for _ in range(job.config.num_rounds):
        pool = yield from _descend(pool, job)
        pool = yield from _ascend(pool, job)
    return (yield from _descend(pool, job))


@dataclasses.dataclass
class Job:
    """One search: data, settings, and how far it is."""

    train: Problem  # padded, of NumPy arrays, as `valid`
    valid: Problem
    spec: NetworkSpec
    fit: Fit
    config: PipelineConfig
    time_budget: float | None
    clock: Callable[[], float]
    begin: float

    def seconds(self) -> float:
        """How long it has been at work."""
        return self.clock() - self.begin

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.time_budget is not None and self.seconds() >= self.time_budget


def _make_job(
    train: Problem,
    valid: Problem,
    objective: Objective,
    config: PipelineConfig,
    time_budget: float | None,
    clock: Callable[[], float],
) -> Job:
    decay = config.weight_decay
    if decay is None:
        decay = 1e-9 if objective == "squared" else 1e-4
    fit = Fit(objective, config.activations, decay)
    spec = config.make_spec(train.x.shape[0], train.y.shape[0])
    train, valid = (blocks.pad(blocks.thin(part)) for part in (train, valid))
    return Job(train, valid, spec, fit, config, time_budget, clock, clock())


def select(pool: Pool, job: Job) -> Front:
    """The front, polished to the end where that does not hurt on validation data."""
    pool = pool.take(_is_small(pool, job.config))
    front = pareto.make_front(pool, *_judge(pool, job))
    networks = jax.tree.map(_to_float64, front.network)
    last, _ = _polish(networks, front.num_weights, job, LAST_STEPS)
    pool = pareto.merge([_pool_of(networks, job), _pool_of(last, job)], num_each=2)
    front = pareto.make_front(pool, *_judge(pool, job), max_error=job.config.max_error)
    first = front.network.first[:, : job.spec.num_inputs]
    return front._replace(network=front.network._replace(first=first))


def _is_small(pool: Pool, config: PipelineConfig) -> Bool[np.ndarray, " R"]:
    return pool.num_weights <= config.max_weights


def _draw_starts(key: Key, job: Job) -> Network:
    return prior.sample_starts(
        key,
        num=job.config.num_starts,
        spec=dataclasses.replace(job.spec, num_inputs=job.train.x.shape[0]),
        max_weights=1.3 * job.config.max_weights,
        num_inputs=job.spec.num_inputs,
    )


def _widen(networks: Network, job: Job) -> Network:
    """Starts on the host, not too large, and with the padded inputs."""
    most = min(2 * job.config.max_weights, blocks.PLACES[-1] - 1)
    networks = blocks.cut(networks, num_weights=most)
    networks = jax.device_get(networks)
    more = job.train.x.shape[0] - networks.first.shape[1]
    first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
    return networks._replace(first=first)


def _race(starts: Network, job: Job) -> Stages:
    """Polish all a little, of each tenth of the sizes the better ones more."""
    networks, sizes = starts, blocks.count(starts)
    kept = []
    for steps, share in RACE:
        networks, loss = _polish(networks, sizes, job, steps)
        kept.append(_pool_of(networks, job))
        pool = pareto.merge(kept, num_each=job.config.num_kept)
        yield "polish", pool
        index = pareto.best_of_sizes(sizes, loss, share)
        networks = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        sizes = sizes[index]
    return pool


def _descend(pool: Pool, job: Job) -> Stages:
    """From the largest size down, each network loses a weight or a neuron."""
    size = int(pool.num_weights.max())
    while size > 1:
        index = np.flatnonzero((pool.num_weights == size) & ~pool.is_shrunk)
        if len(index):
            smaller = blocks.remove(pool.network, index, size, job.train, fit=job.fit)
            sizes = np.full(len(index), size)
            smaller, _ = _polish(smaller, sizes, job, SHRINK_STEPS)
            pool = pool.mark(index, "is_shrunk")
            pool = _add(pool, smaller, job)
            yield "shrink", pool
        size -= 1
    return pool


def _ascend(pool: Pool, job: Job) -> Stages:
    """From the smallest size up, each network gains a weight."""
    for size in range(2, job.config.max_weights):
        index = np.flatnonzero((pool.num_weights == size) & ~pool.is_grown)
        if len(index):
            larger = blocks.grow(pool.network, index, size, job.train, fit=job.fit)
            sizes = np.full(len(index), size + 1)
            larger, _ = _polish(larger, sizes, job, GROW_STEPS)
            pool = pool.mark(index, "is_grown")
            pool = _add(pool, larger, job)
            yield "grow", pool
    return pool


def _add(pool: Pool, networks: Network, job: Job) -> Pool:
    return pareto.merge([pool, _pool_of(networks, job)], num_each=job.config.num_kept)


def _pool_of(networks: Network, job: Job) -> Pool:
    """Networks without dead parts, with their sizes and losses."""
    return pareto.make_pool(*blocks.finish(networks, job.train, fit=job.fit))


def _judge(
    pool: Pool, job: Job
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Validation loss of each network, and the standard error of its gap."""
    networks = jax.tree.map(_to_float64, pool.network)
    return blocks.judge(networks, job.valid, fit=job.fit)


def _polish(
    networks: Network, sizes: np.ndarray, job: Job, num_steps: int
) -> tuple[Network, Float[np.ndarray, " R"]]:
    return blocks.polish_all(
        networks, sizes, job.train, fit=job.fit, num_steps=num_steps
    )


def _to_float64(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf
