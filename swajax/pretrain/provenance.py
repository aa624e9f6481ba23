"""Provenance of parameters: the chain of runs that trained them."""

import dataclasses
import os
import platform
from pathlib import Path
from typing import Any

from swajax.io import checkpoints
from swajax.pretrain.command import PretrainCommand

# Options that do not affect the parameters of a step, and paths: the provenance of the
# initial parameters is stored separately.
OMITTED = (
    "training",
    "seed",
    "time_budget",
    "out",
    "resume",
    "start_from",
    "coordinator",
    "num_processes",
    "process_id",
)


def describe_run(
    config: PretrainCommand,
    *,
    step: int,
    seconds: float,
    before: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the provenance of a checkpoint, for its header.

    Args:
      config: options of the run.
      step: step of the checkpoint.
      seconds: seconds of training up to this step.
      before: provenance of the initial parameters, if taken from a checkpoint.
    """
    return {
        "command": format_command(config),
        "seed": config.seed,
        "step": step,
        "num_networks": step * config.training.batch_size,
        "minutes": round(seconds / 60, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "before": before,
    }


def read_provenance(path: Path | None) -> dict[str, Any] | None:
    """Return the provenance of a checkpoint file; None for no file.

    Raises:
      ValueError: the file has no provenance.
    """
    if path is None:
        return None
    header = checkpoints.load(path)[1]
    if "provenance" not in header:
        raise ValueError(f"{path} does not name the run that trained it")
    return header["provenance"]


def format_command(config: PretrainCommand) -> str:
    """Return the command line of a run, with every option that is not the default.

    Preset, activation and seed are always included; the options in `OMITTED` never are.
    """
    training, model = config.training, config.training.autoencoder
    usual_model = type(model)(preset=model.preset)
    usual = type(training)(autoencoder=usual_model)
    options = {"preset": model.preset, "activation": model.activation}
    options |= _differences(model, usual_model)
    options |= _differences(training, usual, omitted=("autoencoder",))
    options |= _differences(config, PretrainCommand(usual), omitted=OMITTED)
    options |= {"seed": config.seed}
    words = [f"--{name.replace('_', '-')} {value}" for name, value in options.items()]
    return " ".join(["python -m swajax.pretrain", *words])


def _differences(
    config: Any, usual: Any, omitted: tuple[str, ...] = ()
) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(config)]
    pairs = {name: (getattr(config, name), getattr(usual, name)) for name in names}
    return {n: a for n, (a, b) in pairs.items() if a != b and n not in omitted}


def list_runs(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the provenance of all runs behind a checkpoint, oldest first."""
    before = provenance.get("before")
    return [*(list_runs(before) if before else []), provenance]
