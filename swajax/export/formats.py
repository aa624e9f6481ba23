"""The table of export formats, read by the command, the report page and the tests."""

import importlib
from types import ModuleType
from typing import NamedTuple

from swajax.export.agreement import Exported, Options, Rows, draw_rows
from swajax.model.fitted import Model


class Format(NamedTuple):
    """Export format; its module defines `export(model, rows, options) -> Exported`."""

    module: str  # in swajax.export, imported on first use
    ending: str  # ending of file names
    summary: str
    package: str | None = None  # required package beyond the dependencies of swajax


FORMATS = {
    "c": Format("c99", ".h", "C99 header that needs only math.h"),
    "numpy": Format("numpy_source", ".py", "Python module that needs only NumPy"),
    "onnx": Format("onnx", ".onnx", "ONNX model", "onnx"),
    "formula": Format("formula_text", ".txt", "formula, SymPy and LaTeX", "sympy"),
    "safetensors": Format("safetensors", ".safetensors", "file for swajax.load"),
}


def export(
    model: Model,
    format: str,
    *,
    rows: Rows | None = None,
    options: Options | None = None,
) -> Exported:
    """Export a model and compare the result with `Model.predict`.

    Args:
      model: the network to export.
      format: a key of `FORMATS`.
      rows: rows on which the export is compared with `Model.predict`; by default
        random rows within the training ranges.
      options: settings that only some formats use.

    Returns:
      The content of the file, and its largest difference from `Model.predict`.

    Raises:
      ValueError: the format is unknown, needs a package that is not installed, or
        cannot represent the model; or the rows are no `Rows`.
    """
    if format not in FORMATS:
        names = ", ".join(FORMATS)
        raise ValueError(f"format must be one of {names}, got {format!r}")
    if not isinstance(rows, Rows | None):
        raise ValueError("rows must be made by swajax.export.agreement.from_frame")
    module = _import(FORMATS[format])
    return module.export(model, rows or draw_rows(model), options or Options())


def describe_formats() -> str:
    """Return one line with the names and summaries of all formats.

    >>> describe_formats().split("; ")[0]
    'c: C99 header that needs only math.h'
    """
    return "; ".join(f"{name}: {record.summary}" for name, record in FORMATS.items())


def _import(record: Format) -> ModuleType:
    try:
        return importlib.import_module(f"swajax.export.{record.module}")
    except ModuleNotFoundError as error:
        if record.package is None or error.name != record.package:
            raise
        raise ValueError(
            f"the package {error.name} is needed: pip install 'swajax[export]'"
        ) from error
