"""Display of a running search: a bar, a log, and the first networks."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from swajax.io import commands, runlog
from swajax.search import pool as pools
from swajax.search.pool import Pool
from swajax.search.progress import SearchProgress


def make_callback(
    bar: tqdm, folder: Path, max_weights: int
) -> Callable[[SearchProgress], None]:
    """Return a callback that logs blocks, moves a bar and prints the first networks.

    Args:
      bar: the bar.
      folder: folder of the run, for the log.
      max_weights: size of the largest network that is printed.
    """
    is_first = is_logged = True
    bar.set_postfix(stage="sources")

    def callback(progress: SearchProgress) -> None:
        nonlocal is_first, is_logged
        pool = progress.pool
        if pool is None:
            bar.set_postfix(stage=progress.stage, network_steps=progress.network_steps)
            return
        small = pool.take(pool.num_weights <= max_weights)
        if is_first and len(small.loss):
            tqdm.write(_format_first(progress.seconds, small))
            is_first = False
        best = float(pool.loss.min(initial=np.inf))
        line = {"stage": progress.stage, "seconds": progress.seconds, "loss": best}
        line |= {"num_networks": len(pool.loss)}
        is_logged = is_logged and _log(folder, line)
        bar.total = progress.num_blocks
        bar.set_postfix(stage=progress.stage, loss=f"{best:.4g}", refresh=False)
        bar.update()

    return callback


def _log(folder: Path, line: dict[str, Any]) -> bool:
    """Append a line to the log; warn and return False if that fails, as on a full disk.

    The search continues: the table of its front can still be printed.
    """
    try:
        runlog.log_metrics(folder, line)
    except OSError as error:
        warnings.warn(f"the log ends: {commands.describe_error(error)}", stacklevel=2)
        return False
    return True


def _format_first(seconds: float, pool: Pool) -> str:
    """Format the first networks: sizes and training losses."""
    front = pools.front_of(pool, pool.loss, np.zeros(len(pool.loss)))
    cells = [
        f"{size}: {loss:.3g}"
        for size, loss in zip(front.num_weights, front.train_loss, strict=True)
    ]
    return (
        f"after {seconds:.0f} s, weights: training loss of the networks found so far\n"
        f"  {', '.join(cells)}"
    )
