"""A fitted network with its scaling: prediction, files, and input of exports.

A `Model` is independent of the run or estimator that produced it. The code runs on the
host in NumPy and float64, without compilation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32

from swajax.data.encoding import encode, encoder_from_dict, encoder_to_dict, input_names
from swajax.data.messages import listed
from swajax.data.splits import Scaling
from swajax.io import checkpoints
from swajax.network.activations import RECORDS
from swajax.types import ACTIVATIONS, Network

FIELDS = ("target", "classes", "encoder", "target_scale", "target_offset")


class Model(NamedTuple):
    """A network with the scaling from the cells of a table to predictions.

    As returned by `swajax.network.simplify`, leaves are NumPy arrays, masks are 0 or 1,
    each neuron has one activation, and no weight is dead.
    """

    network: Network
    activations: tuple[str, ...]
    scaling: Scaling
    target: str
    """name of the predicted column"""

    @property
    def num_weights(self) -> int:
        """Number of non-zero weights and biases."""
        return int(count_weights(self.network))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that are read, in the order of training."""
        return tuple(column.name for column in self.scaling.encoder.columns)

    def encode(self, frame: pd.DataFrame) -> Float32[np.ndarray, "N I"]:
        """Convert rows to inputs of the network; columns are found by name.

        Raises:
          ValueError: a column is missing, or a cell cannot be read.
        """
        return encode(self.scaling.encoder, frame)

    def outputs(self, x: Float[np.ndarray, "N I"]) -> Float[np.ndarray, "N O"]:
        """Compute the outputs for encoded rows.

        The outputs are numbers in the units of the target (regression), the log-odds of
        the second of two classes, or one logit per class.
        """
        x = np.asarray(x, np.float64)
        out = evaluate(self.network, x, activations=self.activations)
        return out * self.scaling.target_scale + self.scaling.target_offset

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Predict one number or one class name per row.

        Args:
          frame: columns of the table, found by name.

        Raises:
          ValueError: a column is missing, or a cell cannot be read.
        """
        if not self.scaling.classes:
            return self.outputs(self.encode(frame))[:, 0]
        names = np.array(self.scaling.classes, dtype=object)
        return names[self.predict_proba(frame).argmax(axis=1)]

    def predict_proba(self, frame: pd.DataFrame) -> Float[np.ndarray, "N C"]:
        """Predict the probabilities of the classes, in the order of `scaling.classes`.

        Raises:
          ValueError: as in `predict`, or the target is a number.
        """
        if not self.scaling.classes:
            raise ValueError(f"{self.target!r} is a number and has no classes")
        return to_probabilities(self.outputs(self.encode(frame)))


def to_probabilities(outputs: Float[np.ndarray, "N O"]) -> Float[np.ndarray, "N C"]:
    """Convert log-odds [N, 1] of two classes, or one logit per class, to probabilities.

    >>> to_probabilities(np.array([[0.0]]))
    array([[0.5, 0.5]])
    """
    from scipy.special import expit, softmax  # slow to import

    if outputs.shape[1] == 1:
        return expit(outputs * [[-1.0, 1.0]])
    return softmax(outputs, axis=1)


def evaluate(
    network: Network, x: Float[np.ndarray, "N I"], *, activations: tuple[str, ...]
) -> Float[np.ndarray, "N O"]:
    """Compute the outputs of one network in NumPy, without compilation.

    Args:
      network: as in `Model`: NumPy arrays, one activation per neuron.
      x: encoded rows.
      activations: names of the activations of the network.
    """
    for layer in range(network.depth):
        weights = network.first if layer == 0 else network.hidden[layer - 1]
        pre = x @ weights + network.bias[layer]
        kinds = network.activation[layer].argmax(axis=-1)
        for index, name in enumerate(activations):
            pre[:, kinds == index] = RECORDS[name].numpy_fn(pre[:, kinds == index])
        x = pre * network.mask[layer]
    return x @ network.readout + network.readout_bias


def count_weights(network: Network) -> np.ndarray | np.integer:
    """Count the non-zero weights and biases of networks [...] without dead parts."""
    batch = np.ndim(network.depth)
    counts = [
        np.count_nonzero(leaf, axis=tuple(range(batch, leaf.ndim)))
        for leaf in network[:5]
    ]
    return np.sum(counts, axis=0)


def save(path: Path | str, model: Model) -> None:
    """Write a model, replacing the file atomically; `swajax.load` reads it exactly."""
    scaling = model.scaling
    header = {
        "target": model.target,
        "classes": scaling.classes,
        "encoder": encoder_to_dict(scaling.encoder),
        "target_scale": scaling.target_scale,
        "target_offset": scaling.target_offset,
        "activations": model.activations,
    }
    checkpoints.save(path, model.network, header=header)


def from_file(
    arrays: Mapping[str, np.ndarray], header: Mapping[str, Any], *, source: str
) -> Model:
    """Build a model from the arrays and the header of a file.

    Args:
      arrays: leaves of the network, by name.
      header: the scaling and the names, as `save` writes them.
      source: name of the file, for error messages.

    Raises:
      ValueError: a part is missing, has another version, or does not fit the others.
    """
    try:
        model = _read(arrays, header)
        _check(model)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(
            f"{source}: not a network of this version of swajax ({detail})"
        ) from error
    return model


def _read(arrays: Mapping[str, np.ndarray], header: Mapping[str, Any]) -> Model:
    target, classes, encoder, scale, offset = (header[name] for name in FIELDS)
    if set(arrays) != set(Network._fields):
        raise ValueError(f"arrays {listed(sorted(arrays))}")
    texts = [target, *classes, *header["activations"]]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name is not text")
    return Model(
        network=Network(**arrays),
        activations=tuple(header["activations"]),
        scaling=Scaling(
            encoder_from_dict(encoder), float(scale), float(offset), tuple(classes)
        ),
        target=target,
    )


def _check(model: Model) -> None:
    """Check shapes, names and numbers; reject a model that no search can find."""
    network, scaling = model.network, model.scaling
    num_layers, width = network.mask.shape
    num_inputs = len(input_names(scaling.encoder))
    num_outputs = len(scaling.classes) if len(scaling.classes) > 2 else 1
    num_kinds = len(model.activations)
    wanted = Network(
        first=(num_inputs, width),
        hidden=(num_layers - 1, width, width),
        readout=(width, num_outputs),
        bias=(num_layers, width),
        readout_bias=(num_outputs,),
        mask=(num_layers, width),
        activation=(num_layers, width, num_kinds),
        depth=(),
    )
    for name, leaf, shape in zip(Network._fields, network, wanted, strict=True):
        if leaf.shape != shape or not np.isfinite(leaf).all():
            raise ValueError(f"{name} has shape {leaf.shape} or is not finite")
    if not set(model.activations) <= set(ACTIVATIONS):
        raise ValueError(f"activations {listed(model.activations)}")
    if not np.issubdtype(network.depth.dtype, np.integer):
        raise ValueError(f"depth has type {network.depth.dtype}")
    if not 1 <= network.depth <= num_layers or len(scaling.classes) == 1:
        raise ValueError(f"depth {network.depth}, {len(scaling.classes)} classes")
    is_present = network.mask == 1
    kinds = network.activation[is_present]
    if not (is_present | (network.mask == 0)).all() or not (
        ((kinds == 0) | (kinds == 1)).all() and (kinds.sum(axis=-1) == 1).all()
    ):
        raise ValueError("a mask is not 0 or 1, or a neuron has two activations")
    if not np.isfinite([scaling.target_scale, scaling.target_offset]).all():
        raise ValueError("the scaling of the target is not finite")
