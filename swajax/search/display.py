"""Display of a running search: a bar, a log, and the first networks."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from swajax.data.encoding import input_names
from swajax.data.loaded_table import LoadedTable
from swajax.data.messages import listed, shown
from swajax.io import commands, runlog
from swajax.search import pool as pools
from swajax.search.pool import Pool
from swajax.search.progress import SearchProgress


def describe(loaded: LoadedTable, notes: tuple[str, ...]) -> str:
    """Return the first lines on the screen: table, inputs, rows and notes."""
    table, names = loaded.table, input_names(loaded.scaling.encoder)
    counts = loaded.num_rows
    verbs = {"train": "train", "valid": "validate", "test": "test"}
    classes = f" ({len(table.classes)} classes)" if table.classes else ""
    lines = [
        f"{table.source}: {shown(table.target_name)}{classes} from {len(names)} "
        f"inputs: {listed(names, 8)}; "
        f"{'/'.join(map(str, counts.values()))} rows to "
        f"{'/'.join(verbs[part] for part in counts)}",
        *(f"note: {note}" for note in notes),
    ]
    return "\n".join(lines) + "\n"


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
