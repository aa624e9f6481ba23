"""Ship a trained autoencoder: `python -m swajax.pretrain.ship RUN`.

The best checkpoint of a pretraining run is stored in half precision if that keeps its
errors, under `swajax/pretrained`, and PROVENANCE.md is written anew from the headers of
all files there and from `designs.md`, what was compared on the way.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro

from swajax.autoencoder.pretrained import SHIPPED, list_pretrained, load_pretrained
from swajax.io import checkpoints, commands, files
from swajax.pretrain.journal import BEST_FILE
from swajax.pretrain.provenance import list_runs, read_provenance
from swajax.pretrain.validation import validate
from swajax.pretrain.validation_tabular import MORE_INPUTS, SIZES

VALIDATION_SEED = 2026  # of no training run: all shipped files face the same networks
MAX_LOSS = 0.01  # what half precision may cost, relative, of each error

ORIGIN = ("minutes", "networks", "precision")
COLUMNS = {
    "explained variance": ("explained_variance", "{:.4f}"),
    "MPE, %": ("mpe_percent", "{:.2f}"),
    "MPE mean, %": ("mpe_percent_mean", "{:.3g}"),
    "MSE": ("mse", "{:.3g}"),
    "Spearman": ("spearman", "{:.3f}"),
    "recall@1": ("recall_at_1", "{:.3f}"),
}

TABULAR_ROWS = {
    "weights of the network itself": "explained_variance",
    **{f"{size} weights at most": f"explained_variance_size_{size}" for size in SIZES},
    **{
        f"{depth} hidden layers": f"explained_variance_depth_{depth}"
        for depth in (1, 2, 3)
    },
    **{
        f"{num} inputs": f"explained_variance_inputs_{num}"
        for num in (1, 2, 4, 8, *MORE_INPUTS)
    },
    "lower quartile": "explained_variance_q25",
    "Spearman": "spearman",
    "recall@1": "recall_at_1",
}

TABULAR_INTRODUCTION = """
## Networks for any table

The embedding of `tabular` is a token for each input and output beside one for the
whole, and a decoder is told how many weights it may use. Explained variance of the best
decoder, medians over 1,600 unseen networks with 1 to 8 inputs and 1 to 3 outputs,
decoded with as many weights as each has itself unless it says otherwise; training saw
no more than 8 inputs. Spearman and recall@1 are of 1,000 networks with 4 inputs and one
output.

"""

INTRODUCTION = """# Where the shipped autoencoders come from

Written by `python -m swajax.pretrain.ship`; the same facts are in the header of each
file. Errors are of the best decoder on 1,600 unseen networks at a grid of 1,000 points,
medians over the networks unless it says mean; the geometry is that of 1,000 networks.
They hold for the file as it is stored.

"""


@dataclasses.dataclass(frozen=True)
class ShipCommand:
    """Put the best checkpoint of a pretraining run into the package."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a run of `python -m swajax.pretrain`"""
    average_with: Path | None = None
    """another checkpoint on the way: the mean of both is shipped; it is often better"""


def main(config: ShipCommand) -> None:
    """Measure in full and half precision, store, and write PROVENANCE.md anew."""
    best = config.run / BEST_FILE
    params, model = load_pretrained(best)
    origin, header = read_provenance(best), checkpoints.load(best)[1]
    if config.average_with is not None:
        other, other_model = load_pretrained(config.average_with)
        if other_model != model:
            raise ValueError(f"{config.average_with} holds {other_model}, not {model}")
        params = jax.tree.map(lambda a, b: (a + b) / 2, params, other)
        made = read_provenance(config.average_with)
        origin = origin | {"averaged_with": made}
    folder = Path(str(SHIPPED))
    path = folder / f"{model.preset}_{model.activation}.safetensors"
    temporary = config.run / path.name
    before = measure(params, model)
    for is_half in (True, False):
        checkpoints.save(temporary, params, header=header, is_half=is_half)
        after = measure(load_pretrained(temporary)[0], model)
        pairs = zip(errors_of(after), errors_of(before), strict=True)
        if all(new <= (1 + MAX_LOSS) * old for new, old in pairs):
            break
    checkpoints.save(
        path,
        params,
        header={
            "autoencoder": header["autoencoder"],
            "validation": after,
            "provenance": origin | {"precision": "float16" if is_half else "float32"},
        },
        is_half=is_half,
    )
    temporary.unlink()
    files.write_bytes(folder / "PROVENANCE.md", format_provenance().encode())
    sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:.1f} MB\n")


def measure(params: Any, model: Any) -> dict[str, float]:
    """Validation on the networks that all shipped files face."""
    return validate(params, jax.random.key(VALIDATION_SEED), config=model)


def errors_of(measures: dict[str, float]) -> list[float]:
    """What half precision must not raise."""
    if "mse" in measures:
        return [measures["mse"], measures["mpe_percent"]]
    return [1 - measures["explained_variance"]]


def format_provenance() -> str:
    """PROVENANCE.md from the headers of all shipped files."""
    folder = Path(str(SHIPPED))
    headers = {
        name: checkpoints.load(folder / name)[1]
        for name in (f"{p}_{a}.safetensors" for p, a in list_pretrained())
    }
    fixed = {n: h for n, h in headers.items() if "mse" in h["validation"]}
    names = ["file", *ORIGIN, *COLUMNS]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for name, header in fixed.items():
        measured = header["validation"]
        cells = [name, *_origin_cells(header["provenance"])]
        cells += [form.format(measured[key]) for key, form in COLUMNS.values()]
        lines.append(f"| {' | '.join(cells)} |")
    text = INTRODUCTION + "\n".join(lines) + "\n"
    if tables := {n: h for n, h in headers.items() if n not in fixed}:
        text += TABULAR_INTRODUCTION + _format_tabular(tables)
    text += (folder / "designs.md").read_text("utf-8")
    chains = {n: map(_tell, list_runs(h["provenance"])) for n, h in headers.items()}
    details = (
        f"- `{name}`: {', then '.join(runs)}.\n" for name, runs in chains.items()
    )
    return text + "\n" + "".join(details)


def _format_tabular(headers: dict[str, dict[str, Any]]) -> str:
    """A column a file, a row a measure."""
    lines = [f"| | {' | '.join(headers)} |", "|---" * (1 + len(headers)) + "|"]
    origins = [_origin_cells(header["provenance"]) for header in headers.values()]
    for index, name in enumerate(ORIGIN):
        cells = [origin[index] for origin in origins]
        lines.append(f"| {' | '.join([name, *cells])} |")
    for name, key in TABULAR_ROWS.items():
        cells = [f"{header['validation'][key]:.3f}" for header in headers.values()]
        lines.append(f"| {' | '.join([name, *cells])} |")
    return "\n".join(lines) + "\n"


def _origin_cells(origin: dict[str, Any]) -> list[str]:
    runs = list_runs(origin)
    return [
        f"{sum(run['minutes'] for run in runs):.0f}",
        f"{sum(run['num_networks'] for run in runs) / 1e6:.1f} M",
        origin["precision"],
    ]


def _tell(run: dict[str, Any]) -> str:
    told = (
        f"`{run['command']}` ({run['minutes']:.0f} minutes, best at step "
        f"{run['step']}, {run['machine']})"
    )
    if other := run.get("averaged_with"):
        told += (
            f", then the mean of its parameters and those of `{other['command']}` at "
            f"step {other['step']}"
        )
    return told


if __name__ == "__main__":
    sys.exit(
        commands.run_command(main, ShipCommand, name="python -m swajax.pretrain.ship")
    )
