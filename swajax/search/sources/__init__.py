"""Sources of a search: random networks, linear models, descents and supernets.

A source finds networks, of whatever size, that are then polished and pruned alike;
several sources compete in one race. A new source is a file with a
`swajax.search.sources.base.Source` and a line in `SOURCES`.
"""

import concurrent.futures
import dataclasses
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import jax

from swajax.io import interrupts
from swajax.search import hosts
from swajax.search.sources import (
    descent,
    learned,
    linear,
    random_networks,
    supernets,
)
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.types import Key, NetworkSpec

SOURCES: dict[str, Source] = {
    "random": random_networks.SOURCE,
    "linear": linear.SOURCE,
    "direct": descent.DIRECT,
    "latent": descent.LATENT,
    "tangle": supernets.SOURCE,
    "learned": learned.SOURCE,
}
KEYS = (
    "random",
    "direct",
    "latent",
    "tangle",
    "linear",
    "learned",
)  # numbers of their keys
SLACK = 1.5  # times their seconds, sources in threads are waited for
LOOK_SECONDS = 0.1  # between two looks for an interrupt
SourceName = Literal[tuple(SOURCES)]


def choose_sources(names: Sequence[str] | None, limits: NetworkSpec) -> tuple[str, ...]:
    """Return the names given, or else the best on average.

    Supernets find large networks that random starts miss, above all with many inputs
    and classes; they need limits that leave a choice. Linear models cost little and are
    often best on few rows.
    """
    if names is not None:
        return tuple(names)
    default = ("random", "linear")
    return (*default, "tangle") if supernets.has_choices(limits) else default


def find_starts(
    key: Key,
    request: StartRequest,
    names: Sequence[str],
    options: dict[str, object],
) -> Iterator[Starts]:
    """Find starts with each of the named sources, one after the other.

    The second source and later ones work in a thread, while the caller uses the starts
    of the first.

    Args:
      key: consumed; a source gets the same key whatever other sources there are.
      request: data, limits and budget. `num_starts` is divided among the sources,
        `seconds` among the timed ones.
      names: keys of `SOURCES`.
      options: settings by `Source.options_field`.

    Yields:
      The starts of each source, in the order of `names`; None for a source that is not
      ready when the time of all sources is over.

    Raises:
      ValueError: the limits are too narrow for a source, or a supernet diverged.
      KeyboardInterrupt: Ctrl-C came before a descent or a supernet had networks. Later
        it ends that source, and the remaining ones are left out.
    """
    num_timed = sum(SOURCES[name].is_timed for name in names)
    num_random = sum(SOURCES[name].is_random for name in names)
    begin, is_closed = request.clock(), threading.Event()
    x64 = jax.config.jax_enable_x64  # a setting of each thread
    own = dataclasses.replace(
        request,
        num_starts=math.ceil(request.num_starts / max(num_random, 1)),
        seconds=request.seconds / max(num_timed, 1),
    )

    def clock() -> float:
        return math.inf if is_closed.is_set() else request.clock()

    def find(name: str, **changes: Any) -> Starts:
        source = SOURCES[name]
        own_key = jax.random.fold_in(key, KEYS.index(name))
        changes |= {"options": options.get(source.options_field)}
        with jax.enable_x64(x64):
            return _find_share(source, own_key, dataclasses.replace(own, **changes))

    executor = concurrent.futures.ThreadPoolExecutor(1)
    try:
        later = [
            executor.submit(find, name, clock=clock, watch=None) for name in names[1:]
        ]
        first = find(names[0])
        interrupts.should_end(has_results=False)
        yield first
        for future in later:
            if interrupts.should_end(has_results=False):
                return
            end = begin + SLACK * request.seconds
            yield _wait(future, lambda end=end: end - request.clock())
    finally:
        is_closed.set()
        executor.shutdown(wait=False, cancel_futures=True)


def _wait(
    future: concurrent.futures.Future, seconds_left: Callable[[], float]
) -> Starts | None:
    """Return the result of a thread; None if it does not come in time."""
    while not future.done():
        interrupts.should_end(has_results=False)
        seconds = seconds_left()
        if seconds <= 0:
            return None
        concurrent.futures.wait([future], timeout=min(seconds, LOOK_SECONDS))
    return future.result()


def _find_share(source: Source, key: Key, request: StartRequest) -> Starts:
    """Find the share of this host: of the same starts as on one host, if that is fast.

    Otherwise each host finds starts of its own.
    """
    if source.is_timed:
        num = hosts.own_number(request.num_starts)
        own = dataclasses.replace(request, num_starts=num)
        return source.find(hosts.own_key(key), own)
    found = source.find(key, request)
    return found._replace(networks=hosts.own_networks(found.networks))
