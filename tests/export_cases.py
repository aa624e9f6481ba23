"""Models with hostile names and hard scales, and tables for them."""

from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

from swajax.data.encoding import Column, TableEncoder, encoder_to_dict
from swajax.data.splits import Scaling
from swajax.io import checkpoints
from swajax.model.fitted import Model
from swajax.network import apply, simplify
from swajax.types import ACTIVATIONS, DEFAULT_ACTIVATIONS, Network, NetworkSpec

HOSTILE = (
    '*/ #error "x" /*',
    "??/\n\"\"\"'''\\",
    "Größe \u202e $_{x}$ %s {0} \\end{align*}",
    "lambda",
    "__import__('os').system('false')",
)
CATEGORIES = ("*/", "\\", "ü??/")
COLUMNS = (
    Column(HOSTILE[0], "numeric", fill=3.0, scale=0.5, offset=-1.0),
    Column(HOSTILE[1], "category", categories=("a\nb", 'c"d')),
    Column(HOSTILE[2], "numeric", fill=1999.0, scale=0.04, offset=-80.137),
    Column(HOSTILE[3], "category", categories=CATEGORIES),
    Column("never read", "numeric"),
)
TARGET = HOSTILE[4]
CLASSES = ("first??/", 'second"\\', "*/third\n", "ü")

_apply = jax.jit(apply, static_argnames="activations")
_simplify = jax.jit(simplify, static_argnames="activations")


def make_model(draw_network, *, depth, num_classes=0, seed=0):
    """Return a random network with all activations that ignores the last column."""
    num_outputs = num_classes if num_classes > 2 else 1
    spec = NetworkSpec(
        num_inputs=7,
        num_outputs=num_outputs,
        max_width=5,
        max_depth=3,
        activations=ACTIVATIONS,
    )
    network = draw_network(seed, spec=spec, depth=depth, density=0.8)
    network = network._replace(first=network.first.at[-1].set(0.0))
    network = _simplify(network, activations=ACTIVATIONS)
    network = jax.tree.map(lambda leaf: np.array(leaf, leaf.dtype.kind + "8"), network)
    scale, offset = (1.0, 0.0) if num_classes else (250.0, -1e3)
    scaling = Scaling(TableEncoder(COLUMNS), scale, offset, CLASSES[:num_classes])
    return Model(network, ACTIVATIONS, scaling, TARGET)


def make_all(draw_network):
    """Return a model with a neuron of each activation, in two layers."""
    model = constant(make_model(draw_network, depth=2))
    network, eye = model.network, np.eye(len(ACTIVATIONS))
    network.first[0] = [0.5, -1.0, 1.5, 0.7, 2.0]
    network.bias[0] = [0.1, 0.2, -0.3, 0.4, -0.5]
    network.hidden[0, :, :3] = np.linspace(-0.4, 0.5, 15).reshape(5, 3)
    network.readout[:3, 0] = [0.3, -0.6, 0.4]
    network.mask[0], network.mask[1, :3] = 1.0, 1.0
    network.activation[0], network.activation[1, :3] = eye[:5], eye[5:]
    return model


def make_frame(num_rows=1000):
    """Return rows with missing cells and unknown categories."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(index=range(num_rows))
    for column in reversed(COLUMNS):
        if column.kind == "numeric":
            cells = (rng.uniform(-1, 1, num_rows) - column.offset) / column.scale
            cells = cells.astype(np.float32).astype(float)
            frame[column.name] = np.where(
                rng.uniform(size=num_rows) < 0.1, np.nan, cells
            )
        else:
            choices = np.array([*column.categories, "unseen", None], dtype=object)
            frame[column.name] = pd.Series(rng.choice(choices, num_rows), dtype=object)
    return frame


def reference(model, frame):
    """Return the outputs in JAX, in the units of the target."""
    network = jax.tree.map(jax.numpy.asarray, model.network)
    x = jax.numpy.asarray(model.encode(frame))
    out = np.asarray(_apply(network, x, activations=model.activations), float)
    return out * model.scaling.target_scale + model.scaling.target_offset


def constant(model):
    """Return the model without weights except the biases of its outputs."""
    network = model.network
    mask = np.zeros_like(network.mask)
    return model._replace(
        network=network._replace(
            first=np.zeros_like(network.first),
            hidden=np.zeros_like(network.hidden),
            readout=np.zeros_like(network.readout),
            bias=np.zeros_like(network.bias),
            mask=mask,
            readout_bias=np.linspace(0.25, 1.0, network.readout.shape[1]),
        )
    )


class Scales(NamedTuple):
    """Center and half range of the columns, mean and deviation of the target."""

    center: float = 0.0
    half_range: float = 1.0
    mean: float = 0.0
    deviation: float = 1.0


# Reported cases that float32 cannot hold, or only with a suitable order of operations.
HARD = {
    "offset target": Scales(mean=101_325_000.0, deviation=0.37),
    "seconds since 1970": Scales(center=1.7e9, half_range=1800.0),
    "nanoseconds since 1970": Scales(center=1.7e18, half_range=7.5e8),
    "tiny target": Scales(mean=5e-63, deviation=1e-60),
    "huge target": Scales(deviation=1e60),
    "tiny columns": Scales(center=3e-61, half_range=1e-60),
    "small columns": Scales(center=3e-9, half_range=1e-8),
    "huge columns": Scales(half_range=1e60),
    "year": Scales(center=2002.5, half_range=10.0, mean=1e4, deviation=50.0),
}


def make_scaled(scales, *, gain=1.0):
    """Return a model of two numeric columns: gain * tanh(2 a) + 0.2 b + 0.1.

    With a large gain the network also subtracts gain * 0.999 * tanh(2 a), so that its
    outputs are small differences of large numbers.
    """
    columns = tuple(
        Column(
            name,
            "numeric",
            scales.center,
            1 / scales.half_range,
            -scales.center / scales.half_range,
        )
        for name in ("a", "b")
    )
    is_large, kinds = float(gain > 1), np.zeros((1, 3, 4))
    kinds[0, [0, 1, 2], [1, 1, 3]] = 1.0  # tanh, tanh, linear
    network = Network(
        first=np.array([[2.0, 2.0 * is_large, 0.0], [0.0, 0.0, 1.0]]),
        hidden=np.zeros((0, 3, 3)),
        readout=np.array([[gain], [-0.999 * gain * is_large], [0.2]]),
        bias=np.array([[0.0, 0.001 * is_large, 0.0]]),
        readout_bias=np.array([0.1]),
        mask=np.array([[1.0, is_large, 1.0]]),
        activation=kinds,
        depth=np.array(1),
    )
    encoder = TableEncoder(columns)
    scaling = Scaling(encoder, scales.deviation, scales.mean, ())
    return Model(network, DEFAULT_ACTIVATIONS, scaling, "y")


def make_scaled_frame(scales, num_rows=200):
    """Return rows over the ranges of `make_scaled`."""
    cells = np.random.default_rng(3).uniform(-1, 1, (num_rows, 2))
    return pd.DataFrame(scales.center + scales.half_range * cells, columns=["a", "b"])


def make_header(model, **changes):
    """Return the fields of a search's header that are read."""
    scaling = model.scaling
    return {
        "target": model.target,
        "classes": scaling.classes,
        "encoder": encoder_to_dict(scaling.encoder),
        "target_scale": scaling.target_scale,
        "target_offset": scaling.target_offset,
        "activations": model.activations,
        "pick": 1,
    } | changes


def write_run(folder, members, **changes):
    """Write a folder with a front of models, as `python -m swajax.search` does."""
    folder.mkdir()
    networks = [model.network for model in members]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
    header = make_header(members[0], **changes)
    checkpoints.save(folder / "networks.safetensors", stacked, header=header)
    return folder
