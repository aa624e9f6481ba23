"""Starts from files, in the units of a table: ONNX models and networks of searches."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from swajax.data.encoding import Column, TableEncoder, input_names
from swajax.data.loaded_table import LoadedTable
from swajax.data.messages import listed, shown
from swajax.data.problem import choose_objective, thin
from swajax.data.splits import Scaling
from swajax.model.results import load_front
from swajax.network import from_network, from_onnx
from swajax.network.layered import LayeredNetwork
from swajax.search.given_starts import adapt, match_outputs, mean_loss

MAX_ROWS = 1000  # that tell the units of the inputs


class Reading(NamedTuple):
    """Inputs of a start: old input j is `scale[j] * x[index[j]] + offset[j]`."""

    index: Int[np.ndarray, " J"]
    scale: Float[np.ndarray, " J"]
    offset: Float[np.ndarray, " J"]
    kind: np.ndarray  # of each column, as in `swajax.data.encoding.Column`


def load_starts(
    path: Path | str, loaded: LoadedTable
) -> tuple[list[LayeredNetwork], str]:
    """Load networks that read and predict what networks of this table do.

    Args:
      path: an ONNX file, whose inputs are the features of the table, in order, and
        whose output is the target, or logits; the folder of a run of `python -m
        swajax.search`; or a safetensors file of networks. The inputs of an ONNX file
        may be in the units of the table, standardised, or scaled to [-1, 1] or [0, 1]:
        what predicts the training rows best is used.
      loaded: the table.

    Returns:
      The networks, and a note for the user.

    Raises:
      FileNotFoundError: there is no such path, or no finished run in the folder.
      ValueError: the file is damaged, an operator is not supported, or names or numbers
        of columns or classes do not fit.
    """
    if Path(path).is_file() and Path(path).suffix != ".safetensors":
        return _choose_units(from_onnx(path), loaded, str(path))
    models = load_front(path)
    scaling, target = models[0].scaling, models[0].target
    reading = _read_names(scaling.encoder, loaded.scaling.encoder, str(path))
    _check_target(scaling.classes, target, loaded, str(path))
    own = scaling.target_scale, scaling.target_offset
    networks = (from_network(model.network, model.activations) for model in models)
    found = [_convert(one, reading, *own, loaded.scaling) for one in networks]
    return found, f"starts: {len(found)} networks of {path}"


def _choose_units(
    network: LayeredNetwork, loaded: LoadedTable, source: str
) -> tuple[list[LayeredNetwork], str]:
    """Return the network with inputs in the units that predict best, and a note."""
    own = _read_columns(network, loaded, source)
    objective, train = choose_objective(loaded.scaling.classes), loaded.dataset.train
    rows = thin(train, MAX_ROWS)
    rows = rows._replace(weight=rows.weight / rows.weight.sum())
    x = rows.x[:, own.index]
    spread = np.where(own.scale == 0, 0, 1 / np.maximum(x.std(axis=0), 1e-6))
    is_number = own.kind == "numeric"
    best, note = np.inf, ""
    for units, scale, offset in (
        ("the units of the table", own.scale, own.offset),
        ("standardised", spread, -x.mean(axis=0) * spread),
        ("scaled to [-1, 1]", np.sign(own.scale), 0.0),
        ("scaled to [0, 1]", 0.5 * np.sign(own.scale), 0.5),
    ):
        reading = own._replace(
            scale=np.where(is_number, scale, own.scale),
            offset=np.where(is_number, offset, own.offset),
        )
        one = _convert(network, reading, 1.0, 0.0, loaded.scaling)
        one = adapt(one, train.x.shape[1], train.y.shape[1], objective)
        one = match_outputs(one, rows, objective)
        loss = mean_loss(one, rows, objective)
        if not note or loss < best:
            best, found = loss, one
            note = f"start: {source}, inputs {units}, loss {loss:.3g} in training"
    return [found], note


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
    names, entries = list(input_names(encoder)), []
    for name, cells in loaded.table.frame.items():
        column = known.get(name)
        if column is None:  # constant in the training rows
            is_text = cells.dtype == object
            value = 0.0 if is_text else float(np.nan_to_num(cells.iloc[0]))
            entries.append((0, 0.0, value, "constant"))
            continue
        scale, offset = 1 / column.scale, -column.offset / column.scale
        entries += [
            (names.index(own), scale, offset, column.kind)
            for own in input_names(TableEncoder((column,)))
        ]
    if network.num_inputs != len(entries):
        raise ValueError(
            f"{source}: the network reads {network.num_inputs} inputs, the table has "
            f"{len(entries)}: {listed(list(loaded.table.frame))}"
        )
    return Reading(*map(np.array, zip(*entries, strict=True)))


def _read_names(old: TableEncoder, new: TableEncoder, source: str) -> Reading:
    """Return the inputs of a network of another search, by name."""
    theirs, ours = _inputs(old), _inputs(new)
    if set(theirs) != set(ours):
        differ = sorted(set(theirs) ^ set(ours))
        raise ValueError(
            f"{source}: its networks and the table have different inputs; only one "
            f"of them has {listed(differ)}"
        )
    names = list(ours)
    pairs = [(column, ours[name]) for name, column in theirs.items()]
    scale = np.array([a.scale / b.scale for a, b in pairs])
    offset = np.array([a.offset - a.scale * b.offset / b.scale for a, b in pairs])
    kinds = np.array([column.kind for column in theirs.values()])
    return Reading(np.array([*map(names.index, theirs)]), scale, offset, kinds)


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
