"""Where parameters come from: the runs that made them, one after another."""

import os
import platform
from pathlib import Path
from typing import Any

from swajax.io import checkpoints, configs
from swajax.pretrain import PretrainingConfig


def describe_run(
    training: PretrainingConfig,
    *,
    seed: int,
    step: int,
    seconds: float,
    before: dict[str, Any] | None,
) -> dict[str, Any]:
    """What made a checkpoint, for its header.

    Args:
      training: settings of the run.
      seed: of the run.
      step: at which the checkpoint was taken.
      seconds: of training until then.
      before: the same of the parameters that the run has started from.
    """
    return {
        "command": format_command(training, seed),
        "seed": seed,
        "step": step,
        "num_networks": step * training.batch_size,
        "minutes": round(seconds / 60, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "before": before,
    }


def read_provenance(path: Path | None) -> dict[str, Any] | None:
    """What made the checkpoint of a file, shipped or of a run; None for no file.

    Raises:
      ValueError: the file does not tell.
    """
    if path is None:
        return None
    header = checkpoints.load(path)[1]
    if "provenance" not in header:
        raise ValueError(f"{path} does not tell which run has made it")
    return header["provenance"]


def format_command(training: PretrainingConfig, seed: int) -> str:
    """The command line that gives this run, with all that is not by default."""
    default = type(training)(
        autoencoder=type(training.autoencoder)(preset=training.autoencoder.preset)
    )
    values, usual = configs.to_dict(training), configs.to_dict(default)
    model = values.pop("autoencoder")
    given = {name: model[name] for name in ("preset", "activation")}
    given |= {name: value for name, value in values.items() if value != usual[name]}
    given |= {"seed": seed}
    words = [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
    return " ".join(["python -m swajax.pretrain", *words])


def list_runs(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    """All runs behind a checkpoint, the first one first."""
    before = provenance.get("before")
    return [*(list_runs(before) if before else []), provenance]
