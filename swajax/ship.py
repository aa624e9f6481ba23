"""The command `python -m swajax.ship RUN`: a trained autoencoder into the package.

The best checkpoint of a pretraining run is stored in half precision if that keeps its
errors, under `swajax/pretrained`, and PROVENANCE.md is written anew from the headers of
all files there.
"""

import dataclasses
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from swajax import checkpoints, commands, configs, files, runlog
from swajax.autoencoder.pretrained import SHIPPED, list_pretrained, load_pretrained
from swajax.pretrain import BEST_FILE, PretrainCommand
from swajax.validation import validate

VALIDATION_SEED = 2026  # of no training run: all shipped files face the same networks
MAX_LOSS = 0.01  # what half precision may cost, relative, in MSE and MPE

COLUMNS = {
    "explained variance": ("explained_variance", "{:.4f}"),
    "MPE, %": ("mpe_percent", "{:.2f}"),
    "MPE mean, %": ("mpe_percent_mean", "{:.3g}"),
    "MSE": ("mse", "{:.3g}"),
    "Spearman": ("spearman", "{:.3f}"),
    "recall@1": ("recall_at_1", "{:.3f}"),
}

INTRODUCTION = """# Where the shipped autoencoders come from

Written by `python -m swajax.ship`; the same facts are in the header of each file.
Errors are of the best decoder on 1,600 unseen networks at a grid of 1,000 points,
medians over the networks unless it says mean; the geometry is that of 1,000 networks.
They hold for the file as it is stored.

"""


@dataclasses.dataclass(frozen=True)
class ShipCommand:
    """Put the best checkpoint of a pretraining run into the package."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a run of `python -m swajax.pretrain`"""


def main(config: ShipCommand) -> None:
    """Measure in full and half precision, store, and write PROVENANCE.md anew."""
    command = runlog.read_config(config.run, PretrainCommand)
    params, model = load_pretrained(config.run / BEST_FILE)
    _, header = checkpoints.load(config.run / BEST_FILE)
    folder = Path(str(SHIPPED))
    path = folder / f"{model.preset}_{model.activation}.safetensors"
    temporary = config.run / path.name
    before_run = read_provenance(command.start_from)
    before = measure(params, model)
    for is_half in (True, False):
        checkpoints.save(temporary, params, header=header, is_half=is_half)
        after = measure(load_pretrained(temporary)[0], model)
        if all(after[k] <= (1 + MAX_LOSS) * before[k] for k in ("mse", "mpe_percent")):
            break
    checkpoints.save(
        path,
        params,
        header={
            "autoencoder": header["autoencoder"],
            "validation": after,
            "provenance": {
                "command": format_command(command),
                "seed": command.seed,
                "before": before_run,
                "step": header["step"],
                "num_networks": header["num_networks"],
                "minutes": round(header["seconds"] / 60, 1),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "precision": "float16" if is_half else "float32",
            },
        },
        is_half=is_half,
    )
    temporary.unlink()
    files.write_bytes(folder / "PROVENANCE.md", format_provenance().encode())
    sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB\n")


def measure(params: Any, model: Any) -> dict[str, float]:
    """Validation on the networks that all shipped files face."""
    return validate(params, jax.random.key(VALIDATION_SEED), config=model)


def read_provenance(path: Path | None) -> dict[str, Any] | None:
    """Where the file comes from that a run has started from, if it was shipped."""
    if path is None:
        return None
    return checkpoints.load(path)[1].get("provenance")


def format_command(command: PretrainCommand) -> str:
    """The command line that gives this run, with all that is not by default."""
    words = ["python -m swajax.pretrain"]
    training = command.training
    default = type(training)(
        autoencoder=type(training.autoencoder)(preset=training.autoencoder.preset)
    )
    values, usual = configs.to_dict(training), configs.to_dict(default)
    model = values.pop("autoencoder")
    given = {name: model[name] for name in ("preset", "activation")}
    given |= {name: value for name, value in values.items() if value != usual[name]}
    given |= {"seed": command.seed}
    words += [f"--{name.replace('_', '-')} {value}" for name, value in given.items()]
    return " ".join(words)


def format_provenance() -> str:
    """PROVENANCE.md from the headers of all shipped files."""
    names = ["file", "minutes", "networks", "precision", *COLUMNS]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    details = []
    for preset, activation in list_pretrained():
        file = Path(str(SHIPPED)) / f"{preset}_{activation}.safetensors"
        _, header = checkpoints.load(file)
        origin, measured = header["provenance"], header["validation"]
        runs = list(_chain(origin))
        cells = [
            file.name,
            f"{sum(run['minutes'] for run in runs):.0f}",
            f"{sum(run['num_networks'] for run in runs) / 1e6:.1f} M",
            origin["precision"],
            *(form.format(measured[name]) for name, form in COLUMNS.values()),
        ]
        lines.append(f"| {' | '.join(cells)} |")
        details.append(f"- `{file.name}`: {', then '.join(map(_tell, runs))}.\n")
    return INTRODUCTION + "\n".join(lines) + "\n\n" + "".join(details)


def _chain(origin: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """The runs that made a file, the first one first."""
    if origin is not None:
        yield from _chain(origin.get("before"))
        yield origin


def _tell(run: dict[str, Any]) -> str:
    return (
        f"`{run['command']}` ({run['minutes']:.0f} minutes, best at step "
        f"{run['step']}, {run['machine']})"
    )


if __name__ == "__main__":
    sys.exit(commands.run_command(main, ShipCommand, name="python -m swajax.ship"))
