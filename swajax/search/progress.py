"""Reports of a search on its way."""

from collections.abc import Callable
from typing import NamedTuple

from swajax.search.pool import Pool


class SearchProgress(NamedTuple):
    """The argument of the callback, after each block of work."""

    stage: str  # sources, polish, prune, perturb or grow
    seconds: float  # since the start
    pool: Pool | None  # the networks so far; None while sources work
    network_steps: int  # optimizer steps times networks so far
    num_blocks: int  # estimated number of blocks of all stages but sources


Callback = Callable[[SearchProgress], None]


class Reporter:
    """Calls the callback for all searches of a cross-validation as for one."""

    def __init__(self, callback: Callback | None, clock: Callable[[], float]) -> None:
        """Count seconds, steps and blocks from now."""
        self._callback, self._clock = callback, clock
        self._begin, self._steps, self._blocks = clock(), 0, 0
        self._last: SearchProgress | None = None

    def begin_search(self, stage: str | None) -> Callback | None:
        """Return the callback of the next search, with its stages named `stage`."""
        if self._callback is None:
            return None
        if self._last is not None:
            self._steps, self._blocks = self._last.network_steps, self._last.num_blocks

        def report(progress: SearchProgress) -> None:
            self._last = progress._replace(
                stage=stage or progress.stage,
                seconds=self._clock() - self._begin,
                network_steps=self._steps + progress.network_steps,
                num_blocks=self._blocks + progress.num_blocks,
            )
            self._callback(self._last)

        return report
