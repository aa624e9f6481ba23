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


def rename_stage(callback: Callback | None, stage: str | None) -> Callback | None:
    """Return a callback that names the stages, and shows no networks, of a fold."""
    if callback is None or stage is None:
        return callback
    return lambda progress: callback(progress._replace(stage=stage, pool=None))
