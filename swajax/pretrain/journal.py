"""What a pretraining run leaves in its folder, and how it goes on from there.

state.safetensors   all of the run after the last chunk
best.safetensors    parameters of the best validation so far
"""

from pathlib import Path
from typing import Any, NamedTuple

from swajax.io import checkpoints, configs
from swajax.pretrain import PretrainingConfig, PretrainingState
from swajax.pretrain.provenance import describe_run, read_provenance

STATE_FILE = "state.safetensors"
BEST_FILE = "best.safetensors"

# What is told of the training itself, in a line of the log, and not of a validation.
TRAINING_METRICS = ("step", "seconds", "loss", "min_loss", "min_mse", "geometry")


class PretrainProgress(NamedTuple):
    """How far a run has come."""

    best: float  # explained variance
    seconds: float
    before: dict[str, Any] | None  # what made the first parameters


def save_best(
    folder: Path,
    params: Any,
    line: dict[str, Any],
    *,
    config: PretrainingConfig,
    seed: int,
    before: dict[str, Any] | None,
) -> None:
    """Replace the best parameters; `line` is that of the log."""
    measured = {k: value for k, value in line.items() if k not in TRAINING_METRICS}
    header = {
        "autoencoder": configs.to_dict(config.autoencoder),
        "step": line["step"],
        "validation": measured,
        "provenance": describe_run(
            config,
            seed=seed,
            step=line["step"],
            seconds=line["seconds"],
            before=before,
        ),
    }
    checkpoints.save(folder / BEST_FILE, params, header=header)


def save_state(
    folder: Path, state: PretrainingState, progress: PretrainProgress
) -> None:
    """Replace the state of the run."""
    checkpoints.save(folder / STATE_FILE, state, header=progress._asdict())


def read_progress(folder: Path, start_from: Path | None) -> PretrainProgress:
    """How far the run of a folder has come; of several hosts all must agree."""
    if not (folder / STATE_FILE).exists():
        return PretrainProgress(-float("inf"), 0.0, read_provenance(start_from))
    _, header = checkpoints.load(folder / STATE_FILE)
    return PretrainProgress(*(header[name] for name in PretrainProgress._fields))
