"""A clock that stops while JAX traces, lowers or compiles.

With it a budget buys the same work whether or not compiled programs are cached.
"""

import contextlib
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from jax import monitoring

# Events of tracing, lowering and compiling; the last includes the look-up on disk.
COMPILATION = "/jax/core/compile/"


class WorkClock:
    """Seconds of work: `with WorkClock() as clock: ...; clock()`.

    Outside the `with` block compilation counts as work. JAX reports nested spans when a
    traced function traces others, so the clock subtracts the union of the spans, not
    their sum.
    """

    def __init__(self) -> None:
        """Start without compilation."""
        self._spans: list[tuple[float, float]] = []  # disjoint, in order
        self._compiling = 0.0
        self._paused = 0.0
        self._frozen: float | None = None

    def __call__(self) -> float:
        """Return the seconds of work since an arbitrary origin."""
        if self._frozen is not None:
            return self._frozen
        return time.monotonic() - self._compiling - self._paused

    def __enter__(self) -> "WorkClock":
        """Start listening to JAX."""
        monitoring.register_event_time_span_listener(self._listen)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening to JAX."""
        monitoring.unregister_event_time_span_listener(self._listen)

    @property
    def compile_seconds(self) -> float:
        """Return the seconds of compilation so far, including those in pauses."""
        return self._compiling

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock during an evaluation that is not part of the work."""
        before, self._frozen = self._frozen, self()
        try:
            yield
        finally:
            self._frozen, moment = before, self._frozen
            self._paused += self() - moment

    def _listen(self, event: str, begin: float, end: float, **_: Any) -> None:
        if event.startswith(COMPILATION):
            self.add_span(begin, end)

    def add_span(self, begin: float, end: float) -> None:
        """Add a span of compilation; spans arrive in the order of their ends."""
        while self._spans and self._spans[-1][1] >= begin:
            earlier = self._spans.pop()
            self._compiling -= earlier[1] - earlier[0]
            begin, end = min(begin, earlier[0]), max(end, earlier[1])
        self._spans.append((begin, end))
        self._compiling += end - begin
