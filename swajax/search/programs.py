"""Compilation of the programs of a search in threads, in the order of their use."""

import concurrent.futures
import os
from collections.abc import Callable, Hashable

import jax

NUM_THREADS = max(1, min(4, (os.cpu_count() or 1) // 2))


class Programs:
    """Programs that are being compiled beside the search.

    XLA compiles outside of Python's lock, and a program that is called while it is
    compiled is compiled once. With a time budget, the search does not wait for programs
    of large networks.
    """

    def __init__(self) -> None:
        """Start without programs."""
        self._executor = concurrent.futures.ThreadPoolExecutor(NUM_THREADS)
        self._futures: dict[Hashable, concurrent.futures.Future] = {}

    def request(self, key: Hashable, compile_fn: Callable[[], None]) -> None:
        """Compile a program in a thread, after those requested before."""
        x64 = jax.config.jax_enable_x64  # a setting of each thread

        def work() -> None:
            with jax.enable_x64(x64):
                compile_fn()

        if key not in self._futures:
            self._futures[key] = self._executor.submit(work)

    def is_ready(self, key: Hashable, *, seconds: float | None = 0.0) -> bool:
        """Wait for a program; return whether it is compiled.

        Args:
          key: of `request`; programs that were not requested are ready.
          seconds: time to wait at most; None for no limit.
        """
        future = self._futures.get(key)
        if future is None:
            return True
        done, _ = concurrent.futures.wait([future], timeout=seconds)
        return bool(done)

    def close(self) -> None:
        """Drop the programs that no thread has started to compile."""
        self._executor.shutdown(wait=False, cancel_futures=True)
