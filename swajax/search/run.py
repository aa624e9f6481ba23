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

import dataclasses
import itertools
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Int

from swajax.data.problem import (
    Problem,
    check_parts,
    normalise_weights,
    padded_inputs,
)
from swajax.io import interrupts, processes
from swajax.io.configs import check_range
from swajax.io.devices import all_devices
from swajax.model.front import Front
from swajax.network import resize
from swajax.network.layered import LayeredNetwork
from swajax.objectives import Objective
from swajax.search import hosts, programs, stages
from swajax.search.config import SearchConfig
from swajax.search.folds import check_folds, find_front_by_folds
from swajax.search.given_starts import Given, read_given, walk_starts
from swajax.search.job import Job, make_job
from swajax.search.last_polish import is_small, request_last_programs, select
from swajax.search.pool import Pool
from swajax.search.progress import Callback, Reporter, SearchProgress
from swajax.search.sources.base import Starts
from swajax.search.starts import find_starts_in_time
from swajax.types import Key, Network, NetworkSpec, check_key

FEW_ROWS = 1000  # with fewer, a cross-validated search only prunes once
WALK_SHARE = 0.3  # of a time budget, to walk given networks down
FIRST_SHARE = 0.5  # of the remaining time, for the first prune pass


def find_front(
    key: Key,
    train: Problem,
    valid: Problem | None = None,
    *,
    folds: Int[np.ndarray, " N"] | None = None,
    objective: Objective = "squared",
    config: SearchConfig | None = None,
    starts: Network | Given | None = None,
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
      valid: rows to choose networks by; by default a cross-validation chooses, and all
        rows are fitted.
      folds: fold of each training row in the cross-validation; by default five random
        ones (`swajax.data.folds.divide_into_folds`).
      objective: loss of a row: "squared" (y scaled to unit variance), "logistic" (y 0
        or 1) or "softmax" (y one-hot).
      config: limits, effort and sources; by default `SearchConfig()`.
      starts: networks within the limits of `config`, leaves [R, ...], instead of those
        of the sources; or a network of any size, or several, from
        `swajax.network.from_layers`, `from_sklearn` or `from_onnx`, for inputs and
        targets as those of `train`: it is walked down to the limits, and joins the
        sources. Errors on rows that it has seen are too optimistic.
      time_budget: seconds, compilation included. The last 15 % of it are for the polish
        of the front. A warning names what it did not allow.
      clock: returns seconds. With another than the default, programs are waited for.
      devices: devices of this process that share the work; all by default. The front
        does not depend on their number.
      callback: called after each block of work.

    Under `jax.distributed` all processes call it with the same arguments: each searches
    from its share of the starts, and all return the same front.

    Returns:
      With `valid`, the networks that no smaller one beats on it, smallest first, and
      the index `pick` of the smallest one within one standard error of the best.
      Otherwise the best network of each size with its cross-validated loss.

    Raises:
      ValueError: rows do not fit together, the objective is unknown, the time budget
        is not above 0, a source does not apply, a start has other inputs or outputs,
        or no network has a finite loss.
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
    _check_arguments(key, train, valid, folds, objective, config)
    if valid is None:
        folds = check_folds(key, train, folds, objective)
    check_range("time_budget", time_budget, above=0, unit="s")
    config = config or SearchConfig()
    is_batch = isinstance(starts, Network)
    given = [] if is_batch or starts is None else read_given(starts, train, objective)
    if not is_batch:
        config.check(train.x.shape[1], objective)
    else:
        _check_starts(starts, config.make_spec(train.x.shape[1], train.y.shape[1]))
    train = normalise_weights(train)
    if config.num_rounds is None and valid is None and len(train.x) < FEW_ROWS:
        config = dataclasses.replace(config, num_rounds=0)
    programs.make_room()
    devices, left_out, reporter = all_devices(devices), [], Reporter(callback, clock)

    def search_fn(
        key: Key,
        rows: Problem,
        config: SearchConfig,
        seconds: float | None,
        *,
        sources: tuple[Problem, Problem],
        stage: str | None = None,
    ) -> tuple[Pool, Job]:
        job = make_job(rows, sources[1], objective, config, seconds, clock, devices)
        job.left_out = left_out
        watch = reporter.begin_search(stage)
        has_sources = not is_batch
        return _search(key, job, sources, starts, watch, has_sources=has_sources), job

    try:
        with interrupts.deferred():
            if given:
                more = (objective, config, time_budget, clock)
                starts, time_budget = _walk_in_time(given, train, *more)
            if valid is None:
                more = (objective, config, time_budget, clock, search_fn)
                front = find_front_by_folds(key, train, folds, *more)
            else:
                both = (train, normalise_weights(valid))
                front = select(
                    *search_fn(key, train, config, time_budget, sources=both)
                )
    finally:
        programs.drop_waiting()
    if left_out:
        warnings.warn(
            f"the time budget did not suffice for {', '.join(left_out)}", stacklevel=2
        )
    return front


def _check_arguments(
    key: Key,
    train: Problem,
    valid: Problem | None,
    folds: Int[np.ndarray, " N"] | None,
    objective: Objective,
    config: SearchConfig | None,
) -> None:
    """Check the arguments of `find_front` that depend on nothing else."""
    processes.check_not_forked()
    check_key(key)
    if not isinstance(config, SearchConfig | None):
        raise ValueError(f"config must be a SearchConfig, got {config!r}")
    check_parts(train, train if valid is None else valid, objective)
    if valid is not None and folds is not None:
        raise ValueError("folds choose networks only without validation rows")


def _walk_in_time(
    given: list[LayeredNetwork],
    train: Problem,
    objective: Objective,
    config: SearchConfig,
    time_budget: float | None,
    clock: Callable[[], float],
) -> tuple[Network | None, float | None]:
    """Walk given networks down; return starts and the time that is left."""
    begin = clock()
    end = begin + WALK_SHARE * (time_budget or np.inf)
    starts = walk_starts(given, train, objective, config, lambda: end - clock())
    if time_budget is not None:
        time_budget = max(time_budget + begin - clock(), 1e-3)
    return starts, time_budget


def _check_starts(starts: Network, limits: NetworkSpec) -> None:
    """Check that starts are a batch of networks of the largest shape."""
    shape = np.shape(starts.mask)
    got = (
        *shape[1:],
        *(leaf.shape[-1] for leaf in (starts.readout, starts.activation)),
    )
    wanted = limits.max_depth, limits.max_width, limits.num_outputs
    wanted += (len(limits.activations),)
    inputs = limits.num_inputs, padded_inputs(limits.num_inputs)
    if got != wanted or not shape[0] or starts.first.shape[-2] not in inputs:
        raise ValueError(
            f"starts must be a batch [R, ...] of networks of {inputs[0]} inputs whose "
            f"layers, neurons per layer, outputs and activations are {wanted}, as "
            f"those of the data and of config; got {got}"
        )


def _search(
    key: Key,
    job: Job,
    sources: tuple[Problem, Problem],
    starts: Network | None,
    callback: Callback | None,
    *,
    has_sources: bool,
) -> Pool:
    """Find starts by the rows of the sources, and networks of all sizes."""
    stages.request_programs(job)
    if jax.default_backend() != "tpu":
        with jax.enable_x64(True):
            request_last_programs(job)
    source_key, key = jax.random.split(key)
    found = []
    if starts is not None:
        found.append([Starts(hosts.own_networks(starts), 0)])
    if has_sources:
        found.append(find_starts_in_time(source_key, *sources, job, callback))
    found = itertools.chain(*found)
    return find_pool(key, job, found, callback=callback)


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
            is_ready = bool(is_small(pool, job.config).any())
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
    if pool is not None and not job.merger.has_ended:
        pool = job.merger.merge(pool, is_last=True)
    if pool is None or not len(pool.loss):
        raise ValueError("no network has a finite loss: the data hold huge numbers")
    if not is_small(pool, job.config).any():
        raise ValueError(f"no network of {job.config.max_weights} weights was reached")
    return pool


def _run_stages(key: Key, job: Job, starts: Iterable[Network]) -> stages.Stages:
    pool = yield from _merge((yield from stages.race(starts, job)), job)
    if not len(pool.loss):
        return pool
    num = job.config.num_rounds
    keys = jax.random.split(hosts.own_key(key), 2 * num + 1)
    for number, own_key in enumerate(keys):
        if job.merger.has_ended:
            break
        own = job.merger.own(pool)
        if number % 2:
            own = yield from stages.grow_pass(own_key, own, job)
        else:
            share = FIRST_SHARE if num and not number else 1.0
            own = yield from stages.prune_pass(own_key, own, job, share=share)
        pool = yield from _merge(own, job)
    return pool


def _merge(pool: Pool, job: Job) -> stages.Stages:
    """Merge the pools of all hosts."""
    pool = job.merger.merge(pool)
    if not job.merger.is_alone:
        yield "merge", pool
    return pool


def _fit_starts(found: Iterable[Starts], job: Job) -> Iterator[Network]:
    """Move starts to the host, cut to the largest size and padded to the inputs."""
    for starts in found:
        job.network_steps += starts.num_steps
        largest = stages.largest_size(job.config)
        networks = jax.device_get(resize.cut(starts.networks, num_weights=largest))
        more = job.train.x.shape[1] - networks.first.shape[1]
        first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
        yield networks._replace(first=first)
