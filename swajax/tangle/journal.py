"""What a search leaves in its run folder, and how another goes on from there.

state.safetensors   states of all starts after the last report
metrics.jsonl       a line a report, with the architecture vectors
assessed.json       scores of what was found, network by network
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from swajax.io import checkpoints, runlog
from swajax.tangle.experiment import SupernetProgress
from swajax.tangle.train.supernet import SupernetState

STATE_FILE = "state.safetensors"
ASSESSED_FILE = "assessed.json"


class Place(NamedTuple):
    """How far a search has come."""

    step: int
    seconds: float
    state: SupernetState | None  # none before the first report


def log(folder: Path, progress: SupernetProgress, seconds: float) -> dict[str, Any]:
    """Append a report to the log and replace the state; gives the line."""
    line = {
        "step": progress.step,
        "num_passes": progress.num_passes,
        "seconds": seconds,
        "loss": progress.losses.weights,
        "architecture_loss": progress.losses.architecture,
        "chosen_loss": progress.score.loss,
        "chosen_accuracy": progress.score.accuracy,
        "vectors": progress.state.alphas,
    }
    line = jax.device_get(line)
    runlog.log_metrics(folder, line)
    header = {"step": progress.step, "seconds": seconds}
    checkpoints.save(folder / STATE_FILE, progress.state, header=header)
    return line


def resume(folder: Path, make_fn: Callable[[], SupernetState]) -> Place:
    """Where the search of a folder has come to; later lines of its log are dropped.

    Args:
      folder: of the run.
      make_fn: gives states of the right structure; only their shapes are used.

    Raises:
      ValueError: the file of the state is damaged or of another search.
    """
    path = folder / STATE_FILE
    if not path.exists():
        runlog.truncate_metrics(folder, 0)
        return Place(0, 0.0, None)
    state = checkpoints.restore(path, jax.eval_shape(make_fn))
    _, header = checkpoints.load(path)
    runlog.truncate_metrics(folder, header["step"])
    return Place(header["step"], header["seconds"], state)


def save_assessed(folder: Path, step: int, rows: list[dict[str, Any]]) -> None:
    """Replace the scores of what was found after a step."""
    runlog.write_json(folder / ASSESSED_FILE, {"step": step, "rows": rows})


def read_assessed(folder: Path, step: int) -> list[dict[str, Any]]:
    """The scores of what was found after this very step; none if there are none."""
    path = folder / ASSESSED_FILE
    if not path.exists():
        return []
    found = json.loads(path.read_bytes())
    return found["rows"] if found["step"] == step else []
