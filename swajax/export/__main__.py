"""The command `python -m swajax.export`: write a found network as code or a file."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from swajax.export.agreement import Options, find_rows
from swajax.export.formats import FORMATS, describe_formats, export
from swajax.io import commands, files
from swajax.model.results import load


@dataclasses.dataclass(frozen=True)
class ExportCommand:
    """Export a network found by a search, and compare the file with its predictions."""

    run: Annotated[Path, tyro.conf.Positional]
    """folder of a run of python -m swajax.search, or file of an exported model"""
    format: Annotated[
        Literal[*FORMATS], tyro.conf.arg(help=f"file format. {describe_formats()}")
    ]
    out: Path
    """file to write; it must not exist"""
    size: int | None = None
    """export the best network with at most this number of weights; by default, the
    picked network"""
    digits: int | None = None
    """significant digits of the constants of a formula; by default the fewest that
    change the validation error by at most 1 percent or, without validation rows, no
    prediction by more than 1 percent of the standard deviation"""

    def __post_init__(self) -> None:
        """Check the number of digits."""
        if self.digits is not None and not 1 <= self.digits <= 17:
            raise ValueError(f"digits must be in 1..17, got {self.digits}")


def main(config: ExportCommand) -> None:
    """Write one file atomically, and print a summary."""
    files.check_new(config.out)
    model = load(config.run, config.size)
    options = Options(config.out.stem, config.digits)
    rows = find_rows(config.run, model)
    exported = export(model, config.format, rows=rows, options=options)
    files.write_bytes(config.out, exported.data)
    note = f"; {exported.note}" if exported.note else ""
    sys.stdout.write(
        f"network of {model.target!r} with {model.num_weights} weights, written to "
        f"{config.out}{note}\n"
        f"{exported.agreement.describe()}\n"
    )


if __name__ == "__main__":
    commands.run_as_process(main, ExportCommand, name="python -m swajax.export")
