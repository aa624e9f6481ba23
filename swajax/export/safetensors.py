"""Safetensors files of one model, for `swajax.load`."""

import tempfile
from pathlib import Path

import numpy as np

from swajax.export.agreement import (
    Exported,
    Options,
    Rows,
    check,
    compare,
    to_answers,
)
from swajax.model import fitted
from swajax.model.fitted import Model
from swajax.model.results import load


def export(model: Model, rows: Rows, options: Options) -> Exported:
    """Write a model to a file, read it back and compare."""
    del options
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        fitted.save(path, model)
        read = load(path)
        data = path.read_bytes()
    with np.errstate(all="ignore"):
        answers = to_answers(read, read.outputs(read.encode(rows.frame)))
    agreement = check(compare(model, rows, answers), "safetensors")
    return Exported(data, agreement)
