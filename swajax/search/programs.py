"""Compilation of the programs of searches in threads, in the order of their use.

XLA compiles outside of Python's lock, and a program that is called while it is being
compiled is compiled once. With a time budget, a search does not wait for programs of
large networks.
"""

import concurrent.futures
import functools
import math
from collections.abc import Callable, Hashable

import jax

from swajax.io import processes
from swajax.io.devices import count_cores

MAX_THREADS = 4
MAX_MAPS = 0.5  # share of the memory maps, before the next search

_requested: dict[Hashable, concurrent.futures.Future] = {}


def request(key: Hashable, compile_fn: Callable[[], None]) -> None:
    """Compile a program in a thread, after those requested before.

    Args:
      key: of the program; one that was requested before is not compiled again.
      compile_fn: compiles it.
    """
    x64 = jax.config.jax_enable_x64  # a setting of each thread

    def work() -> None:
        with jax.enable_x64(x64):
            compile_fn()

    if key not in _requested:
        _requested[key] = _executor().submit(work)


def is_ready(key: Hashable, *, seconds: float = math.inf) -> bool:
    """Wait for a program, at most some seconds; return whether it is compiled.

    A program that was not requested is ready: its first call compiles it.
    """
    if key not in _requested:
        return True
    timeout = None if seconds == math.inf else max(seconds, 0.0)
    done, _ = concurrent.futures.wait([_requested[key]], timeout=timeout)
    return bool(done)


def make_room() -> None:
    """Drop all compiled programs if they take too many of the process's memory maps.

    So that one process can search any number of tables.
    """
    if processes.share_of_maps() > MAX_MAPS:
        jax.clear_caches()
        for key in [key for key, future in _requested.items() if future.done()]:
            del _requested[key]


def drop_waiting() -> None:
    """Drop the requests that no thread has begun to work on."""
    for key, future in list(_requested.items()):
        if future.cancel():
            del _requested[key]


@functools.cache
def _executor() -> concurrent.futures.ThreadPoolExecutor:
    num = min(MAX_THREADS, max(1, count_cores() // 2))
    return concurrent.futures.ThreadPoolExecutor(num, "compile")
