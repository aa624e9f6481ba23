"""The command `python -m swajax.export`: a found network as code or a file."""

import dataclasses
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Literal

import tyro

from swajax.data.problem import Problem
from swajax.export import c99, numpy_source
from swajax.io import commands, files
from swajax.model import fitted
from swajax.model.fitted import Model
from swajax.model.results import load, read_rows


@dataclasses.dataclass(frozen=True)
class ExportCommand:
    """Export a network that a search has found."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a run of python -m swajax.search, or a file of an exported model"""
    format: Literal["c", "numpy", "onnx", "formula", "safetensors"]
    """C99 header, Python source that needs NumPy, ONNX, SymPy and LaTeX as text, or a
    file for swajax.load"""
    out: Path
    """the file to write, new"""
    size: int | None = None
    """weights of the network, at most; by default the picked one is exported"""
    digits: int | None = None
    """significant digits of a formula; by default the fewest that change the validation
    error by at most 1 percent"""

    def __post_init__(self) -> None:
        """Reject digits that cannot be."""
        if self.digits is not None and not 1 <= self.digits <= 17:
            raise ValueError(f"digits must be in 1..17, got {self.digits}")


def main(config: ExportCommand) -> None:
    """One file, written whole or not at all."""
    files.check_new(config.out)
    model = load(config.run, config.size)
    note = WRITERS[config.format](model, config)
    sys.stdout.write(
        f"{model.target!r} by {model.num_weights} weights, in {config.out}{note}\n"
    )


def _write_c(model: Model, config: ExportCommand) -> str:
    source = c99.to_source(model, config.out.stem)
    files.write_bytes(config.out, source.encode("ascii"))
    size = c99.measure_size(source)
    if size is None:
        return "; without gcc the size of its object code is unknown"
    return f"; {size:,} bytes of object code (gcc -Os, without the functions of math.h)"


def _write_numpy(model: Model, config: ExportCommand) -> str:
    files.write_bytes(config.out, numpy_source.to_source(model).encode("ascii"))
    return ""


def _write_onnx(model: Model, config: ExportCommand) -> str:
    proto = _import("onnx").to_onnx(model)
    files.write_bytes(config.out, proto.SerializeToString())
    return f"; inputs {', '.join(value.name for value in proto.graph.input)}"


def _write_formula(model: Model, config: ExportCommand) -> str:
    formula = _import("formula")
    exact = formula.make_formula(model)
    if config.digits is not None:
        rounded = formula.round_to(exact, config.digits)
    else:
        rounded = formula.shorten(model, exact, _read_valid(config.run))
    text = _import("formula_text").to_text(model, rounded)
    files.write_bytes(config.out, text.encode("ascii"))
    return ""


def _read_valid(run: Path) -> Problem:
    try:
        return read_rows(run)["valid"]
    except FileNotFoundError:
        raise ValueError(
            f"{run} has no validation rows to shorten numbers by: choose --digits"
        ) from None


def _write_safetensors(model: Model, config: ExportCommand) -> str:
    fitted.save(config.out, model)
    return ""


def _import(name: str) -> ModuleType:
    """A module of this package whose library may not be installed."""
    try:
        return importlib.import_module(f"swajax.export.{name}")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the package {error.name} is needed: pip install 'swajax[export]'"
        ) from error


WRITERS = {
    "c": _write_c,
    "numpy": _write_numpy,
    "onnx": _write_onnx,
    "formula": _write_formula,
    "safetensors": _write_safetensors,
}


if __name__ == "__main__":
    sys.exit(commands.run_command(main, ExportCommand, name="python -m swajax.export"))
