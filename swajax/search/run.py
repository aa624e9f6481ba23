"""From rows to a front of tiny networks: find starts, race, prune, grow, select.

* sources: many networks to start from;
* race: Levenberg-Marquardt steps for all of them, more for the better ones;
* passes: each network loses weights, from the largest size down, and gains the most
  promising ones, from the smallest up; small networks are perturbed on the way, and the
  best networks of each size are kept;
* selection: the front of validation loss against size.

Host code that calls compiled programs on blocks of networks, in float32 unless x64 is
switched on; only the front is polished in float64.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool

from swajax.data.problem import Problem, check_parts, normalise_weights
from swajax.io import interrupts, processes
from swajax.io.configs import check_range
from swajax.io.devices import all_devices
from swajax.model.front import Front
from swajax.network import resize
from swajax.objectives import Objective
from swajax.refine import batches, buckets
from swajax.search import pool as pools
from swajax.search import programs, stages
from swajax.search.config import SearchConfig
from swajax.search.job import Job, make_job
from swajax.search.pool import Pool
from swajax.search.sources import SOURCES, choose_sources, find_starts
from swajax.search.sources.base import StartRequest, Starts
from swajax.types import Key, Network

FIRST_SHARE = 0.5  # of the remaining time, for the first prune pass
LAST_STEPS, MIN_LAST_STEPS = 200, 40
LAST_ROWS = 4096  # with more rows, the last polish takes fewer steps
LAST_BUCKET = 64  # smaller networks are polished as if they had so many weights


class SearchProgress(NamedTuple):
    """The argument of the callback, after each block of work."""

    stage: str  # sources, polish, prune, perturb or grow
    seconds: float  # since the start
    pool: Pool | None  # the networks so far; None while sources work
    network_steps: int  # optimizer steps times networks so far
    num_blocks: int  # estimated number of blocks of all stages but sources


Callback = Callable[[SearchProgress], None]


def find_front(
    key: Key,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective = "squared",
    config: SearchConfig | None = None,
    starts: Network | None = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    devices: Sequence[jax.Device] | None = None,
    callback: Callback | None = None,
) -> Front:
    """Find the front of tiny networks for a data set: the smallest error of each size.

    Args:
      key: consumed; the same key gives the same front unless a time budget ends the
        work.
      train: rows to fit: x [N, I] scaled to about unit size, y [N, O], weight [N]. Of
        more than `swajax.data.problem.MAX_ROWS` rows a random part is used, as of
        `valid`.
      valid: rows to choose networks by.
      objective: loss of a row: "squared" (y scaled to unit variance), "logistic" (y 0
        or 1) or "softmax" (y one-hot).
      config: limits, effort and sources; by default `SearchConfig()`.
      starts: networks within the limits of `config`, leaves [R, ...], instead of those
        of the sources.
      time_budget: seconds, compilation included. The last 15 % of it are for the polish
        of the front. A warning names what it did not allow.
      clock: returns seconds. With another than the default, programs are waited for.
      devices: devices of this process that share the work; all by default. The front
        does not depend on their number.
      callback: called after each block of work.

    Returns:
      The networks that no smaller one beats on `valid`, smallest first, and the index
      `pick` of the smallest one within one standard error of the best.

    Raises:
      ValueError: rows do not fit together, the objective is unknown, the time budget
        is not above 0, a source does not apply, or no network has a finite loss.
      KeyboardInterrupt: Ctrl-C came before the first networks. Later it ends the work
        after the current block and the front so far is returned, as it is if the
        callback raises this exception; a second Ctrl-C skips the last polish.
      RuntimeError: the process was forked after a search.

    Example:
      >>> import jax, numpy as np
      >>> from swajax.data.problem import Problem
      >>> from swajax.search.config import SearchConfig
      >>> x = np.linspace(-1, 1, 64)[:, None]
      >>> rows = Problem(x, 2 * np.tanh(3 * x), np.ones(64))
      >>> small = SearchConfig(
      ...     max_weights=4, max_depth=1, max_width=2, activations=("tanh",),
      ...     num_starts=8, num_rounds=0, max_perturbed=0, sources=("random",),
      ... )
      >>> front = find_front(jax.random.key(0), rows, rows, config=small)
      >>> int(front.num_weights[front.pick])
      2
    """
    processes.check_not_forked()
    check_parts(train, valid, objective)
    check_range("time_budget", time_budget, above=0, unit="s")
    config = config or SearchConfig()
    if starts is None:
        config.check(train.x.shape[1], objective)
    train, valid = (normalise_weights(part) for part in (train, valid))
    source_key, key = jax.random.split(key)
    chosen = all_devices(devices)
    job = make_job(train, valid, objective, config, time_budget, clock, chosen)
    stages.request_programs(job)
    if jax.default_backend() != "tpu":
        with jax.enable_x64(True):
            request_last_programs(job)
    found = (
        _find_starts(source_key, train, valid, job, callback)
        if starts is None
        else iter([Starts(starts, 0)])
    )
    try:
        with interrupts.deferred():
            pool = find_pool(key, job, found, callback=callback)
            front = select(pool, job)
    finally:
        programs.drop_waiting()
    if job.left_out:
        warnings.warn(
            f"the time budget did not suffice for {', '.join(job.left_out)}",
            stacklevel=2,
        )
    return front


def _find_starts(
    key: Key, train: Problem, valid: Problem, job: Job, callback: Callback | None
) -> Iterator[Starts]:
    """Run the sources within their share of the time budget."""
    config, objective = job.config, job.fit.objective
    limits = config.make_spec(train.x.shape[1], train.y.shape[1])
    budget = np.inf if job.time_budget is None else job.time_budget

    def watch(num_steps: int, networks_fn: Callable[[], Network]) -> None:
        del networks_fn
        if callback is not None:
            callback(SearchProgress("sources", job.seconds(), None, num_steps, 0))

    request = StartRequest(
        train,
        valid,
        objective,
        limits,
        config.max_weights,
        config.num_starts,
        seconds=float(config.source_share * budget),
        clock=job.clock,
        devices=job.devices,
        watch=watch,
    )
    fields = {source.options_field for source in SOURCES.values()} - {None}
    options = {name: getattr(config, name) for name in fields}
    names = choose_sources(config.sources, limits)
    for name, starts in zip(
        names, find_starts(key, request, names, options), strict=False
    ):
        if starts is None:
            job.leave_out(f"the source {name}")
        else:
            yield starts


def find_pool(
    key: Key, job: Job, found: Iterable[Starts], *, callback: Callback | None = None
) -> Pool:
    """Find networks of all sizes, before the last polish, until the job's time ends.

    Args:
      key: consumed.
      job: data, settings and clock.
      found: starts within the limits, of one source after the other.
      callback: called after each block of work.

    Raises:
      ValueError: no network has a finite loss, or none within `max_weights` was
        reached.
      KeyboardInterrupt: Ctrl-C came before the first networks.
    """
    pool = None
    try:
        for stage, pool in _run_stages(key, job, _fit_starts(found, job)):
            is_ready = bool(_is_small(pool, job.config).any())
            # Before the callback: what it prints is not lost by an interrupt.
            is_ending = interrupts.should_end(has_results=is_ready)
            if callback is not None:
                spent = job.seconds(), pool, job.network_steps
                callback(SearchProgress(stage, *spent, job.num_blocks))
            is_ending |= interrupts.should_end(has_results=is_ready)
            if is_ready and (is_ending or job.is_over(stages.SEARCH_SHARE)):
                break
    except KeyboardInterrupt:
        if pool is None or interrupts.count():  # not from the callback
            raise
    if pool is None or not len(pool.loss):
        raise ValueError("no network has a finite loss: the data hold huge numbers")
    if not _is_small(pool, job.config).any():
        raise ValueError(f"no network of {job.config.max_weights} weights was reached")
    return pool


def _run_stages(key: Key, job: Job, starts: Iterable[Network]) -> stages.Stages:
    pool = yield from stages.race(starts, job)
    if not len(pool.loss):
        return pool
    num = job.config.num_rounds
    keys = iter(jax.random.split(key, 2 * num + 1))
    for index in range(num):
        share = 1.0 if index else FIRST_SHARE
        pool = yield from stages.prune_pass(next(keys), pool, job, share=share)
        pool = yield from stages.grow_pass(next(keys), pool, job)
    return (yield from stages.prune_pass(next(keys), pool, job))


def select(pool: Pool, job: Job) -> Front:
    """Return the front, its networks polished where that does not hurt on validation.

    In float64 where the backend has it and the time budget suffices for its programs:
    the last digits count.
    """
    has_x64 = jax.default_backend() != "tpu"
    if has_x64:
        with jax.enable_x64(True):
            request_last_programs(job)
            has_x64 = all(
                job.is_ready(*program, seconds=job.seconds_left())
                for program in _last_programs(job)
            )
    if not has_x64:
        job.leave_out("the last polish in float64")
    with jax.enable_x64(has_x64):
        return _select(pool, job)


def request_last_programs(job: Job) -> None:
    """Compile the programs of `select`, under the current floating-point type."""
    for program in _last_programs(job):
        job.request(*program)


def _last_programs(job: Job) -> list[tuple[batches.ProgramName, int, Problem]]:
    return [
        ("losses", 1, job.valid),
        ("losses", 1, job.train),
        *(("polish", size, job.train) for size in _last_buckets(job.config)),
    ]


def _last_buckets(config: SearchConfig) -> list[int]:
    """Return the capacities of the last polish: few programs for few networks."""
    largest = buckets.bucket_of(config.max_weights)
    return sorted({min(LAST_BUCKET, largest), largest})


def _select(pool: Pool, job: Job) -> Front:
    pool = pool.take(_is_small(pool, job.config))
    pool = pool._replace(network=jax.tree.map(_to_float64, pool.network))
    front = pools.front_of(pool, *job.validate(pool.network))
    polished = _polish_front(front, job)
    # Both compete: only validation rows tell which is better.
    both = [front.network, polished]
    networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *both)
    pool = pools.make_pool(
        networks, batches.count(networks), job.validate(networks, job.train)[0]
    )
    scores = job.validate(pool.network)
    front = pools.front_of(pool, *scores, max_error=job.config.max_error)
    first = front.network.first[:, : job.spec.num_inputs]
    return front._replace(network=front.network._replace(first=first))


def _polish_front(front: Front, job: Job) -> Network:
    """Polish the networks of a front on all rows until the time budget is spent.

    A second Ctrl-C ends it too.
    """
    networks = jax.tree.map(np.copy, front.network)
    capacities = np.array(_last_buckets(job.config))
    sizes = capacities[np.searchsorted(capacities, front.num_weights)]
    share = min(1.0, LAST_ROWS / len(job.train.x))
    num_steps = max(MIN_LAST_STEPS, round(share * LAST_STEPS))
    for index in job.divide(sizes, sizes, job.train):
        if job.is_over() or interrupts.count() > 1:
            break
        part = jax.tree.map(lambda leaf, i=index: leaf[i], networks)
        part, _ = job.polish(part, sizes[index], num_steps, job.train)
        for leaf, new in zip(networks, part, strict=True):
            leaf[index] = new
    return networks


def _is_small(pool: Pool, config: SearchConfig) -> Bool[np.ndarray, " R"]:
    return pool.num_weights <= config.max_weights


def _fit_starts(found: Iterable[Starts], job: Job) -> Iterator[Network]:
    """Move starts to the host, cut to the largest size and padded to the inputs."""
    for starts in found:
        job.network_steps += starts.num_steps
        largest = stages.largest_size(job.config)
        networks = jax.device_get(resize.cut(starts.networks, num_weights=largest))
        more = job.train.x.shape[1] - networks.first.shape[1]
        first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
        yield networks._replace(first=first)


def _to_float64(leaf: np.ndarray) -> np.ndarray:
    return leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf
