"""Files of a search in its run folder, used to resume it.

state.safetensors   states of all starts after the last report
metrics.jsonl       one line per report, with the architecture vectors
evaluated.json      scores of the networks evaluated so far
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
EVALUATED_FILE = "evaluated.json"


class SearchPoint(NamedTuple):
    """A point of a search from which it can be resumed."""

    step: int
    seconds: float  # total of all sessions
    state: SupernetState | None  # None before the first report


def log_progress(
    folder: Path, progress: SupernetProgress, seconds: float
) -> dict[str, Any]:
    """Append a report to the log and replace the stored state.

    Args:
      folder: folder of the run.
      progress: the report.
      seconds: total of all sessions.

    Returns:
      The line of the log.
    """
    line = {
        "stage": "supernet",
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


def resume(folder: Path, make_fn: Callable[[], SupernetState]) -> SearchPoint:
    """Read the last point of a search; drop later lines of its log.

    Args:
      folder: folder of the run.
      make_fn: returns states of the same structure; only their shapes are used.

    Raises:
      ValueError: the state file is damaged or belongs to another search.
    """
    path = folder / STATE_FILE
    if not path.exists():
        runlog.truncate_metrics(folder, 0)
        return SearchPoint(0, 0.0, None)
    state = checkpoints.restore(path, jax.eval_shape(make_fn))
    _, header = checkpoints.load(path)
    runlog.truncate_metrics(folder, header["step"])
    return SearchPoint(header["step"], header["seconds"], state)


def save_evaluated(folder: Path, step: int, rows: list[dict[str, Any]]) -> None:
    """Replace the scores of the networks found after a step."""
    runlog.write_json(folder / EVALUATED_FILE, {"step": step, "rows": rows})


def read_evaluated(folder: Path, step: int) -> list[dict[str, Any]]:
    """Read the scores of the networks found after exactly this step."""
    path = folder / EVALUATED_FILE
    if not path.exists():
        return []
    found = json.loads(path.read_bytes())
    return found["rows"] if found["step"] == step else []
