"""A clock of work: it stands still while JAX traces, lowers or compiles.

So that budgets mean the same whether a program is in the cache or not.
"""

import contextlib
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from jax import monitoring

# Tracing, lowering and compiling, the last with the look into the cache on disk.
COMPILATION = "/jax/core/compile/"


class WorkClock:
    """Seconds of work, for use as `with WorkClock() as clock: ... clock()`.

    Outside of the `with` it counts compilation as work. Tracing a function traces those
    that it calls, and each tells its own time, so what counts is the union of the spans
    rather than their sum.
    """

    def __init__(self) -> None:
        """Without any spans."""
        self._spans: list[tuple[float, float]] = []  # disjoint, in order
        self._compiling = 0.0
        self._paused = 0.0
        self._halted: float | None = None

    def __call__(self) -> float:
        """Seconds of work since some moment."""
        if self._halted is not None:
            return self._halted
        return time.monotonic() - self._compiling - self._paused

    def __enter__(self) -> "WorkClock":
        """Begin to listen."""
        monitoring.register_event_time_span_listener(self._listen)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listen no more."""
        monitoring.unregister_event_time_span_listener(self._listen)

    @property
    def compile_seconds(self) -> float:
        """Seconds of compilation until now, those in pauses included."""
        return self._compiling

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still, while something is measured that is no part of the work."""
        before, self._halted = self._halted, self()
        try:
            yield
        finally:
            self._halted, moment = before, self._halted
            self._paused += self() - moment

    def _listen(self, event: str, begin: float, end: float, **_: Any) -> None:
        if event.startswith(COMPILATION):
            self.add_span(begin, end)

    def add_span(self, begin: float, end: float) -> None:
        """Count a span of compilation; spans come in the order of their ends."""
        while self._spans and self._spans[-1][1] >= begin:
            earlier = self._spans.pop()
            self._compiling -= earlier[1] - earlier[0]
            begin, end = min(begin, earlier[0]), max(end, earlier[1])
        self._spans.append((begin, end))
        self._compiling += end - begin
