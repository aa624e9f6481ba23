"""Models of hostile names, and tables for them, which the tests of exports share."""

import jax
import numpy as np
import pandas as pd

from swajax.data.encoding import Column, TableEncoder, encoder_to_dict
from swajax.data.splits import Scaling
from swajax.io import checkpoints
from swajax.model.fitted import Model
from swajax.network import apply, simplify
from swajax.types import ACTIVATIONS, NetworkSpec

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
    """A random network of all activations; the last column is not read."""
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


def make_frame(num_rows=1000):
    """Rows with missing cells and categories that training has not seen."""
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
    """Outputs by JAX, in the units of the target."""
    network = jax.tree.map(jax.numpy.asarray, model.network)
    x = jax.numpy.asarray(model.encode(frame))
    out = np.asarray(_apply(network, x, activations=model.activations), float)
    return out * model.scaling.target_scale + model.scaling.target_offset


def constant(model):
    """The same model without any weight but the biases of the outputs."""
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


def make_header(model, **changes):
    """What a search writes into the header of its networks, as far as it is read."""
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
    """A folder with a front of models, as `python -m swajax.search` writes it."""
    folder.mkdir()
    networks = [model.network for model in members]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
    header = make_header(members[0], **changes)
    checkpoints.save(folder / "networks.safetensors", stacked, header=header)
    return folder
