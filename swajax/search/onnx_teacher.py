"""A teacher from an ONNX file, whose inputs are columns of a table."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from swajax.data.messages import listed, shown
from swajax.data.readers import first_line

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(string)": np.str_,
}


class OnnxTeacher:
    """An ONNX model as a function of the rows of a table.

    An input of the model reads the columns that the metadata of the model list under
    its name, as exports of swajax do; or else all features in the order of the table,
    if it is the only input; or else the column with its name. The last output is the
    prediction.
    """

    def __init__(self, path: Path, features: pd.DataFrame) -> None:
        """Read a model, and check that its inputs fit the features of a table.

        Raises:
          FileNotFoundError: there is no such file.
          ValueError: the file cannot be read, its inputs do not fit, or onnxruntime is
            not installed.
        """
        self._session, self._reads = _open(path), {}
        self._inputs = self._session.get_inputs()
        known = self._read_metadata()
        self.classes = tuple(known.get("classes", ()))
        every = list(features)
        for value in self._inputs:
            default = every if len(self._inputs) == 1 else [value.name]
            self._reads[value.name] = names = known.get(value.name, default)
            fault = _find_fault(value, names, features)
            if fault:
                raise ValueError(f"{path}: {fault}")

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the predictions for rows without missing numbers.

        Raises:
          ValueError: the model cannot be run.
        """
        feed = {
            value.name: _to_cells(value, frame[self._reads[value.name]])
            for value in self._inputs
        }
        last = self._session.get_outputs()[-1].name
        try:
            (answers,) = self._session.run([last], feed)
        except Exception as error:  # onnxruntime raises many kinds
            raise ValueError(f"cannot be run: {first_line(error)}") from None
        if isinstance(answers, list):  # probabilities by class, one dict per row
            answers = [list(row.values()) for row in answers]
        return np.asarray(answers)

    def _read_metadata(self) -> dict[str, list[str]]:
        """Return the names of columns and classes in the metadata of an export."""
        found = {}
        for name, text in self._session.get_modelmeta().custom_metadata_map.items():
            try:
                value = json.loads(text)
            except ValueError:
                continue
            if isinstance(value, list) and all(isinstance(one, str) for one in value):
                found[name] = value
        return found


def _open(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(
            f"{path}: only networks of layers are read without onnxruntime: pip "
            "install onnxruntime"
        ) from None
    try:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many kinds
        raise ValueError(f"{path}: no ONNX model: {first_line(error)}") from None


def _find_fault(value: Any, names: list[str], features: pd.DataFrame) -> str:
    """Return why an input does not fit the table, or ''."""
    has = f"the table has {len(features.columns)} features: {listed(list(features))}"
    absent = [name for name in names if name not in features]
    if absent:
        return f"reads the columns {listed(absent)}; {has}"
    if value.type not in TYPES:
        return f"input {shown(value.name)} is a {value.type}, expected numbers or text"
    width = value.shape[1] if len(value.shape) == 2 else None
    if len(value.shape) > 2 or (isinstance(width, int) and width != len(names)):
        return f"input {shown(value.name)} has the shape {value.shape}; {has}"
    texts = [name for name in names if not types.is_numeric_dtype(features[name])]
    if texts and value.type != "tensor(string)":
        return f"reads numbers, but these columns hold text: {listed(texts)}"
    return ""


def _to_cells(value: Any, cells: pd.DataFrame) -> np.ndarray:
    """Return cells in the type and shape of an input."""
    if value.type == "tensor(string)":
        array = cells.fillna("").to_numpy(dtype=object)
    else:
        array = cells.to_numpy(TYPES[value.type])
    return array if len(value.shape) == 2 else array[:, 0]
