"""From a table to a front of tiny networks: explore, polish, shrink, select.

* explore: many small networks, as starts;
* polish: all of them for a few Levenberg-Marquardt steps, the better ones for more;
* shrink: down from the largest, each network loses a weight at a time; up again, each
  gains the weight that promises most; networks are kept by size, the best of each;
* select: the front of validation loss against size.

Host code that calls compiled programs on blocks of networks. All is in float64 where
there is one; see `swajax.polish`.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from swajax import pareto, prior, shrink
from swajax.network import count_weights, pack, simplify, unpack
from swajax.objectives import Objective
from swajax.pareto import Front, Pool
from swajax.polish import Fit, Problem, evaluate, polish
from swajax.types import Activation, Key, Network, NetworkSpec

RACE = ((25, 0.3), (60, 0.3), (120, 1.0))  # steps, and the share that goes on
SHRINK_STEPS, GROW_STEPS, LAST_STEPS = 8, 12, 200
BLOCK_NUMBERS = 2**21  # numbers in the largest array of a block
MAX_BLOCK = 16
PLACES = (32, 64, 128, 256)  # rooms for weights; each is a compiled program


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
        if not 3 <= self.max_weights <= PLACES[-1] - 1:
            raise ValueError(
                f"max_weights must be in 3..{PLACES[-1] - 1}, got {self.max_weights}"
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
    callback: Callable[[Progress], None] | None = None,
) -> Front:
    """The front of networks for a data set.

    Args:
      key: consumed; the same key gives the same front if no budget ends the work.
      train: points to fit, on the last axis, scaled to about unit size.
      valid: points to choose by.
      objective: what is fitted.
      config: how.
      starts: networks within the limits of `config`, leaves [R, ...], to be used
        instead of random ones.
      time_budget: seconds after which no more work begins.
      callback: called after each block of work.

    Raises:
      ValueError: no network has a finite loss.
      KeyboardInterrupt: Ctrl-C before the first networks; later it ends the work.
    """
    with jax.enable_x64(jax.default_backend() != "tpu"):
        job = _make_job(train, valid, objective, config, time_budget, callback)
        pool = None
        try:
            for stage, pool in _work(key, job, starts):
                if callback is not None:
                    callback(Progress(stage, time.monotonic() - job.begin, pool))
                if job.is_over() and _is_small(pool, config).any():
                    break
        except KeyboardInterrupt:
            if pool is None:
                raise
        if pool is None or not len(pool.loss):
            raise ValueError("no network has a finite loss: the data hold huge numbers")
        if not _is_small(pool, config).any():
            raise ValueError(f"no network of {config.max_weights} weights was reached")
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

    train: Problem  # padded, as `valid`
    valid: Problem
    spec: NetworkSpec
    fit: Fit
    config: PipelineConfig
    time_budget: float | None
    callback: Callable[[Progress], None] | None
    begin: float = dataclasses.field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        """Whether the time is up."""
        spent = time.monotonic() - self.begin
        return self.time_budget is not None and spent >= self.time_budget


def _make_job(
    train: Problem,
    valid: Problem,
    objective: Objective,
    config: PipelineConfig,
    time_budget: float | None,
    callback: Callable[[Progress], None] | None,
) -> Job:
    decay = config.weight_decay
    if decay is None:
        decay = 1e-9 if objective == "squared" else 1e-4
    fit = Fit(objective, config.activations, decay)
    spec = NetworkSpec(
        num_inputs=train.x.shape[0],
        num_outputs=train.y.shape[0],
        max_width=config.max_width,
        max_depth=config.max_depth,
        activations=config.activations,
    )
    return Job(_pad(train), _pad(valid), spec, fit, config, time_budget, callback)


def _pad(problem: Problem) -> Problem:
    """Up to round numbers of points, which weigh nothing, and of inputs, which are 0.

    So tables of like size share compiled programs.
    """
    num_inputs, num_points = problem.x.shape
    more_inputs = max(4, 2 ** math.ceil(math.log2(num_inputs))) - num_inputs
    step = max(64, 2 ** (math.ceil(math.log2(num_points)) - 2))
    more = -num_points % step
    rows = ((0, 0), (0, more))
    padded = Problem(
        np.pad(problem.x, ((0, more_inputs), (0, more))),
        np.pad(problem.y, rows),
        np.pad(problem.weight / problem.weight.sum(), (0, more)),
    )
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), padded)


def select(pool: Pool, job: Job) -> Front:
    """The front, polished to the end where that does not hurt on validation data."""
    pool = pool.take(_is_small(pool, job.config))
    front = pareto.make_front(pool, *_validate(pool.network, job))
    last, _ = _polish_all(front.network, front.num_weights, job, LAST_STEPS)
    done = _pool_of(last, job)
    pool = pareto.merge([pool, done], num_each=2 * job.config.num_kept)
    front = pareto.make_front(
        pool, *_validate(pool.network, job), max_error=job.config.max_error
    )
    first = front.network.first[:, : job.spec.num_inputs]
    return front._replace(network=front.network._replace(first=first))


def _is_small(pool: Pool, config: PipelineConfig) -> Bool[np.ndarray, " R"]:
    return pool.num_weights <= config.max_weights


def _draw_starts(key: Key, job: Job) -> Network:
    size_key, network_key = jax.random.split(key)
    num = job.config.num_starts
    low, high = np.log(4.0), np.log(1.3 * job.config.max_weights)
    sizes = jnp.exp(jax.random.uniform(size_key, (num,), minval=low, maxval=high))
    keys = jax.random.split(network_key, num)
    return _sample(keys, sizes.astype(jnp.int32), spec=job.spec)


def _widen(networks: Network, job: Job) -> Network:
    """Starts on the host, not too large, in float64 and with the padded inputs."""
    most = min(2 * job.config.max_weights, PLACES[-1] - 1)
    networks = _cut(networks, num_weights=most)
    networks = jax.tree.map(_to_float64, jax.device_get(networks))
    more = job.train.x.shape[0] - job.spec.num_inputs
    first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
    return networks._replace(first=first)


def _race(starts: Network, job: Job) -> Stages:
    """Polish all a little, of each tenth of the sizes the better ones more."""
    networks, sizes = starts, _count(starts)
    kept = []
    for steps, share in RACE:
        networks, loss = _polish_all(networks, sizes, job, steps)
        kept.append(_pool_of(networks, job))
        pool = pareto.merge(kept, num_each=job.config.num_kept)
        yield "polish", pool
        index = _best_of_sizes(sizes, loss, share)
        networks = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        sizes = sizes[index]
    return pool


def _best_of_sizes(
    sizes: np.ndarray, loss: np.ndarray, share: float, num_groups: int = 10
) -> np.ndarray:
    """Index of the best share of each tenth of the sizes."""
    order = np.lexsort((loss, sizes))
    groups = np.array_split(order, min(num_groups, len(order)))
    return np.concatenate(
        [g[np.argsort(loss[g])][: max(1, round(share * len(g)))] for g in groups]
    )


def _descend(pool: Pool, job: Job) -> Stages:
    """From the largest size down, each network loses a weight or a neuron."""
    size = int(pool.num_weights.max())
    while size > 1:
        index = np.flatnonzero((pool.num_weights == size) & ~pool.is_shrunk)
        if len(index):
            smaller = _in_blocks(_remove, pool.network, index, size, job)
            smaller, _ = _polish_all(smaller, None, job, SHRINK_STEPS, size)
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
            larger = _in_blocks(_grow, pool.network, index, size, job)
            larger, _ = _polish_all(larger, None, job, GROW_STEPS, size + 1)
            pool = pool.mark(index, "is_grown")
            pool = _add(pool, larger, job)
            yield "grow", pool
    return pool


def _add(pool: Pool, networks: Network, job: Job) -> Pool:
    return pareto.merge([pool, _pool_of(networks, job)], num_each=job.config.num_kept)


def _pool_of(networks: Network, job: Job) -> Pool:
    """Networks without dead parts, with their sizes and losses."""
    fn = functools.partial(_finish, fit=job.fit)
    networks, counts, loss = _in_chunks(fn, networks, job.train)
    return pareto.make_pool(networks, counts, loss)


def _polish_all(
    networks: Network,
    sizes: np.ndarray | None,
    job: Job,
    num_steps: int,
    max_size: int | None = None,
) -> tuple[Network, Float[np.ndarray, " R"]]:
    """Networks of all sizes, those of like size together."""
    num = len(networks.depth)
    sizes = np.full(num, max_size) if sizes is None else sizes
    rooms = np.array([_room(int(size)) for size in sizes])
    loss = np.zeros(num)
    networks = jax.tree.map(np.array, networks)
    for room in np.unique(rooms):
        index = np.flatnonzero(rooms == room)
        fn = functools.partial(_polish, num_steps=num_steps)
        done, own = _in_blocks(fn, networks, index, int(room) - 1, job)
        loss[index] = own
        for leaf, new in zip(networks, done, strict=True):
            leaf[index] = new
    return networks, loss


def _in_blocks(
    fn: Callable[..., Any], networks: Network, index: np.ndarray, size: int, job: Job
) -> Any:
    """`fn` of some networks, in blocks of one shape; repeats fill up the last one."""
    room = _room(size)
    numbers = job.train.x.shape[1] * job.train.y.shape[0] * room
    block = 2 ** int(np.log2(np.clip(BLOCK_NUMBERS / numbers, 1, MAX_BLOCK)))
    outs = []
    for start in range(0, len(index), block):
        own = np.resize(index[start : start + block], block)
        part = jax.tree.map(lambda leaf, i=own: leaf[i], networks)
        out = fn(part, job.train, fit=job.fit, num_places=room)
        num = len(index[start : start + block])
        outs.append(jax.tree.map(lambda leaf, n=num: leaf[:n], jax.device_get(out)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *outs)


def _room(size: int) -> int:
    return next(room for room in PLACES if room > size)


def _validate(
    networks: Network, job: Job
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Validation loss of networks, and its standard error over the points."""
    return _in_chunks(functools.partial(_evaluate, fit=job.fit), networks, job.valid)


def _in_chunks(
    fn: Callable[..., Any], networks: Network, problem: Problem, size: int = 64
) -> Any:
    """`fn` of all networks, so many at a time; repeats fill up the last ones."""
    outs, num = [], len(networks.depth)
    for start in range(0, num, size):
        own = np.resize(np.arange(start, min(start + size, num)), size)
        part = jax.tree.map(lambda leaf, i=own: leaf[i], networks)
        outs.append(jax.device_get(fn(part, problem)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num], *outs)


def _count(networks: Network) -> np.ndarray:
    return np.asarray(jax.vmap(count_weights)(networks))


def _to_float64(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf


@functools.partial(jax.jit, static_argnames="num_weights")
def _cut(networks: Network, *, num_weights: int) -> Network:
    """Networks with at most so many weights, the largest."""

    def one(network: Network) -> Network:
        weights = pack(network)
        limit = jnp.sort(jnp.abs(weights))[max(0, len(weights) - num_weights)]
        return unpack(jnp.where(jnp.abs(weights) >= limit, weights, 0.0), network)

    return jax.vmap(one)(networks)


@functools.partial(jax.jit, static_argnames="spec")
def _sample(keys: jax.Array, sizes: jax.Array, *, spec: NetworkSpec) -> Network:
    return jax.vmap(functools.partial(prior.sample_small, spec=spec))(keys, sizes)


@functools.partial(jax.jit, static_argnames=("fit", "num_places"))
def _polish(networks, problem, *, fit, num_places, num_steps):
    def one(network: Network) -> Any:
        return polish(
            network, problem, fit=fit, num_places=num_places, num_steps=num_steps
        )

    return jax.vmap(one)(networks)


@functools.partial(jax.jit, static_argnames=("fit", "num_places"))
def _remove(networks: Network, problem: Problem, *, fit: Fit, num_places: int):
    fn = functools.partial(shrink.remove, fit=fit, num_places=num_places)
    return jax.vmap(fn, in_axes=(0, None))(networks, problem)


@functools.partial(jax.jit, static_argnames=("fit", "num_places"))
def _grow(networks: Network, problem: Problem, *, fit: Fit, num_places: int):
    del num_places  # growing looks at all places
    return jax.vmap(functools.partial(shrink.grow, fit=fit), in_axes=(0, None))(
        networks, problem
    )


@functools.partial(jax.jit, static_argnames="fit")
def _finish(networks: Network, problem: Problem, *, fit: Fit):
    def one(network: Network) -> Any:
        left = simplify(network, activations=fit.activations)
        return left, count_weights(left), evaluate(left, problem, fit=fit)[0]

    return jax.vmap(one)(networks)


@functools.partial(jax.jit, static_argnames="fit")
def _evaluate(networks: Network, problem: Problem, *, fit: Fit):
    def one(network: Network) -> Any:
        loss, each = evaluate(network, problem, fit=fit)
        square = (problem.weight * jnp.square(each - loss)).sum()
        # 1 / sum of squares is the number of points that the weights amount to.
        return loss, jnp.sqrt(square * jnp.square(problem.weight).sum())

    return jax.vmap(one)(networks)
