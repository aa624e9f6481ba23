"""Files of a pretraining run.

state.safetensors   state of the run after the last chunk
best.safetensors    parameters of the best validation so far
"""

from pathlib import Path
from typing import Any, NamedTuple

from swajax.io import checkpoints, configs
from swajax.pretrain import PretrainingState
from swajax.pretrain.command import PretrainCommand
from swajax.pretrain.provenance import describe_run, read_provenance

STATE_FILE = "state.safetensors"
BEST_FILE = "best.safetensors"

# Keys of metrics.jsonl that describe the training; all others describe a validation.
TRAINING_METRICS = ("step", "seconds", "loss", "min_loss", "min_mse", "geometry")


class PretrainProgress(NamedTuple):
    """Progress of a run, stored with its state."""

    best: float  # largest explained variance so far
    seconds: float
    before: dict[str, Any] | None  # provenance of the initial parameters


def save_best(
    folder: Path,
    params: Any,
    line: dict[str, Any],
    *,
    config: PretrainCommand,
    before: dict[str, Any] | None,
) -> None:
    """Replace the file of the best parameters.

    Args:
      folder: the run folder.
      params: parameters of the autoencoder.
      line: metrics of the step, as logged.
      config: options of the run.
      before: provenance of the initial parameters.
    """
    measured = {k: value for k, value in line.items() if k not in TRAINING_METRICS}
    header = {
        "autoencoder": configs.to_dict(config.training.autoencoder),
        "step": line["step"],
        "validation": measured,
        "provenance": describe_run(
            config,
            step=line["step"],
            seconds=line["seconds"],
            before=before,
        ),
    }
    checkpoints.save(folder / BEST_FILE, params, header=header)


def save_state(
    folder: Path, state: PretrainingState, progress: PretrainProgress
) -> None:
    """Replace the file of the run's state."""
    checkpoints.save(folder / STATE_FILE, state, header=progress._asdict())


def read_progress(folder: Path, start_from: Path | None) -> PretrainProgress:
    """Return the progress of a run; all hosts must see the same files."""
    if not (folder / STATE_FILE).exists():
        return PretrainProgress(-float("inf"), 0.0, read_provenance(start_from))
    _, header = checkpoints.load(folder / STATE_FILE)
    return PretrainProgress(*(header[name] for name in PretrainProgress._fields))
