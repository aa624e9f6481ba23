"""Starts from files, in the units of a table: ONNX models and networks of searches."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from swajax.data import columns
from swajax.data.encoding import Column, TableEncoder, input_names
from swajax.data.loaded_table import LoadedTable
from swajax.data.messages import listed, shown
from swajax.data.splits import Scaling
from swajax.model.results import load_front
from swajax.network import from_network, from_onnx
from swajax.network.layered import LayeredNetwork


class Reading(NamedTuple):
    """Inputs of a start: old input j is `scale[j] * x[index[j]] + offset[j]`."""

    index: Int[np.ndarray, " J"]
    scale: Float[np.ndarray, " J"]
    offset: Float[np.ndarray, " J"]


def load_starts(path: Path | str, loaded: LoadedTable) -> list[LayeredNetwork]:
    """Load networks that read and predict what networks of this table do.

    Args:
      path: an ONNX file, whose inputs are the features of the table, in order, in their
        own units, and whose output is the target in its units, or logits; the folder of
        a run of `python -m swajax.search`; or a safetensors file of networks.
      loaded: the table.

    Raises:
      FileNotFoundError: there is no such path, or no finished run in the folder.
      ValueError: the file is damaged, an operator is not supported, or names or numbers
        of columns or classes do not fit.
    """
    if Path(path).is_file() and Path(path).suffix != ".safetensors":
        network = from_onnx(path)
        reading = _read_columns(network, loaded, str(path))
        return [_convert(network, reading, 1.0, 0.0, loaded.scaling)]
    models = load_front(path)
    scaling, target = models[0].scaling, models[0].target
    reading = _read_names(scaling.encoder, loaded.scaling.encoder, str(path))
    _check_target(scaling.classes, target, loaded, str(path))
    own = scaling.target_scale, scaling.target_offset
    return [
        _convert(
            from_network(model.network, model.activations),
            reading,
            *own,
            loaded.scaling,
        )
        for model in models
    ]


def _convert(
    network: LayeredNetwork,
    reading: Reading,
    target_scale: float,
    target_offset: float,
    scaling: Scaling,
) -> LayeredNetwork:
    """Fold the units of inputs and target into the first and the last layer."""
    old, biases = np.asarray(network.weights[0], np.float64), [*network.biases]
    first = np.zeros((len(input_names(scaling.encoder)), old.shape[1]))
    np.add.at(first, reading.index, reading.scale[:, None] * old)
    biases[0] = biases[0] + reading.offset @ old
    weights = [first, *network.weights[1:]]
    if not scaling.classes:
        factor = target_scale / (scaling.target_scale or 1.0)
        offset = (target_offset - scaling.target_offset) / (scaling.target_scale or 1.0)
        weights[-1] = weights[-1] * factor
        biases[-1] = biases[-1] * factor + offset
    return dataclasses.replace(
        network,
        weights=tuple(map(np.float32, weights)),
        biases=tuple(map(np.float32, biases)),
    )


def _read_columns(network: LayeredNetwork, loaded: LoadedTable, source: str) -> Reading:
    """Return the inputs of a network that reads all features in their own units."""
    encoder = loaded.scaling.encoder
    known = {column.name: column for column in encoder.columns}
    names, index, scale, offset = list(input_names(encoder)), [], [], []
    for name in loaded.table.frame:
        column = known.get(name)
        if column is None:  # constant in the training rows
            cells, _ = columns.parse_cells(loaded.table.frame[name])
            index, scale = [*index, 0], [*scale, 0.0]
            offset.append(float(np.nan_to_num(cells[0])))
        elif column.kind == "numeric":
            index, scale = [*index, names.index(name)], [*scale, 1 / column.scale]
            offset.append(-column.offset / column.scale)
        else:
            own = input_names(TableEncoder((column,)))
            index += map(names.index, own)
            scale, offset = scale + [1.0] * len(own), offset + [0.0] * len(own)
    if network.num_inputs != len(index):
        raise ValueError(
            f"{source}: the network reads {network.num_inputs} inputs, the table has "
            f"{len(index)}: {listed(list(loaded.table.frame))}"
        )
    return Reading(np.array(index), np.array(scale), np.array(offset))


def _read_names(old: TableEncoder, new: TableEncoder, source: str) -> Reading:
    """Return the inputs of a network of another search, by name."""
    theirs, ours = _inputs(old), _inputs(new)
    if set(theirs) != set(ours):
        missing, more = set(theirs) - set(ours), set(ours) - set(theirs)
        raise ValueError(
            f"{source}: its networks read {listed(sorted(missing)) or 'less'}, the "
            f"table has {listed(sorted(more)) or 'less'} instead"
        )
    names = list(ours)
    pairs = [(column, ours[name]) for name, column in theirs.items()]
    scale = np.array([a.scale / b.scale for a, b in pairs])
    offset = np.array([a.offset - a.scale * b.offset / b.scale for a, b in pairs])
    return Reading(np.array([*map(names.index, theirs)]), scale, offset)


def _inputs(encoder: TableEncoder) -> dict[str, Column]:
    """Return the column of each input."""
    return {
        name: column
        for column in encoder.columns
        for name in input_names(TableEncoder((column,)))
    }


def _check_target(
    classes: tuple[str, ...], target: str, loaded: LoadedTable, source: str
) -> None:
    table, scaling = loaded.table, loaded.scaling
    if target != table.target_name:
        raise ValueError(
            f"{source}: its networks predict {shown(target)}, not "
            f"{shown(table.target_name)}"
        )
    if classes != scaling.classes:
        kinds = [
            f"the classes {listed(own)}" if own else "a number"
            for own in (classes, scaling.classes)
        ]
        raise ValueError(f"{source}: its networks predict {kinds[0]}, not {kinds[1]}")
