"""A teacher from an ONNX file, whose inputs are columns of a table."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from pandas.api import types

from swajax.data.messages import listed, shown
from swajax.data.readers import first_line
from swajax.network import LayeredNetwork, from_onnx

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(string)": np.str_,
}
LINK_FNS = {
    "linear": lambda out: out,
    "sigmoid": jax.nn.sigmoid,
    "softmax": jax.nn.softmax,
}


class Input(NamedTuple):
    """One input of a model."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class OnnxModel(NamedTuple):
    """An ONNX model that can be run."""

    inputs: Sequence[Input]
    run_fn: Callable[[dict[str, np.ndarray]], Any]
    """returns the last output, from the inputs by name"""
    metadata: Mapping[str, str]


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
            needed and not installed.
        """
        self._model = open_model(path)
        known = _read_metadata(self._model.metadata)
        self.classes = tuple(known.get("classes", ()))
        inputs, every = self._model.inputs, list(features)
        self._reads = {
            one.name: known.get(one.name, every if len(inputs) == 1 else [one.name])
            for one in inputs
        }
        for one in inputs:
            fault = _find_fault(one, self._reads[one.name], features)
            if fault:
                raise ValueError(fault)

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        """Return the predictions for rows without missing numbers.

        Raises:
          ValueError: the model cannot be run.
        """
        feed = {
            one.name: _to_cells(one, frame[self._reads[one.name]])
            for one in self._model.inputs
        }
        answers = self._model.run_fn(feed)
        if isinstance(answers, list):  # probabilities by class, one dict per row
            answers = [list(row.values()) for row in answers]
        return np.asarray(answers)


def open_model(path: Path) -> OnnxModel:
    """Read a chain of layers with JAX, and any other model with onnxruntime.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file cannot be read, or onnxruntime is needed and not installed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return _open_layers(from_onnx(path))
    except (ValueError, ImportError) as error:
        reason = str(error).removeprefix(f"{path}: ")
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(
            f"not read as layers ({reason}); pip install onnxruntime to run it"
        ) from None
    try:
        options = {"providers": ["CPUExecutionProvider"]}
        return _open_session(onnxruntime.InferenceSession(path, **options))
    except Exception as error:  # onnxruntime raises many kinds
        raise ValueError(f"no ONNX model: {first_line(error)}") from None


def _open_layers(network: LayeredNetwork) -> OnnxModel:
    link_fn = LINK_FNS[network.link]

    def run(feed: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(link_fn(network.apply(jnp.asarray(feed["x"]))))

    return OnnxModel([Input("x", "tensor(float)", ["N", network.num_inputs])], run, {})


def _open_session(session: Any) -> OnnxModel:
    last = session.get_outputs()[-1].name

    def run(feed: dict[str, np.ndarray]) -> Any:
        try:
            return session.run([last], feed)[0]
        except Exception as error:  # onnxruntime raises many kinds
            raise ValueError(f"cannot be run: {first_line(error)}") from None

    inputs = [Input(one.name, one.type, one.shape) for one in session.get_inputs()]
    return OnnxModel(inputs, run, session.get_modelmeta().custom_metadata_map)


def _read_metadata(metadata: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the names of columns and classes in the metadata of an export."""
    found = {}
    for name, text in metadata.items():
        try:
            value = json.loads(text)
        except ValueError:
            continue
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            found[name] = value
    return found


def _find_fault(one: Input, names: list[str], features: pd.DataFrame) -> str:
    """Return why an input does not fit the table, or ''."""
    has = f"the table has {len(features.columns)} features: {listed(list(features))}"
    absent = [name for name in names if name not in features]
    if absent:
        return f"reads the columns {listed(absent)}; {has}"
    if one.type not in TYPES:
        return f"input {shown(one.name)} is a {one.type}, expected numbers or text"
    width = one.shape[1] if len(one.shape) == 2 else None
    if isinstance(width, int) and width != len(names):
        return f"reads {width} inputs; {has}"
    if len(one.shape) > 2:
        return f"input {shown(one.name)} has the shape {list(one.shape)}; {has}"
    texts = [name for name in names if not types.is_numeric_dtype(features[name])]
    if texts and one.type != "tensor(string)":
        return f"reads numbers, but these columns hold text: {listed(texts)}"
    return ""


def _to_cells(one: Input, cells: pd.DataFrame) -> np.ndarray:
    """Return cells in the type and shape of an input."""
    if one.type == "tensor(string)":
        array = cells.fillna("").to_numpy(dtype=object)
    else:
        array = cells.to_numpy(TYPES[one.type])
    return array if len(one.shape) == 2 else array[:, 0]
