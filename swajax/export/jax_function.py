"""Pure JAX function and its parameters, for further training or other programs."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Int

from swajax import network as networks
from swajax.data import columns
from swajax.export.agreement import draw_rows
from swajax.export.arithmetic import (
    DOUBLE,
    SINGLE,
    Precision,
    choose_precision,
    find_scale,
)
from swajax.model.fitted import Model
from swajax.model.graph import Graph, make_graph
from swajax.types import Network


class JaxFunction(NamedTuple):
    """`apply(params, numbers, codes)` is pure: jit, grad, vmap and train it."""

    apply: Callable[..., Float[Array, "N O"]]
    params: Float[Array, " P"]  # non-zero weights and biases only


def to_jax(model: Model) -> JaxFunction:
    """Return the model as a function of its parameters and of cells.

    As returned by `read_cells`, `numbers` [N, K] are cells in the units of the table,
    NaN if missing, and `codes` [N, M] are indices of categories, -1 if missing or
    unknown. Outputs are in the units of the target, log-odds of two classes, or one
    logit per class. `with_params` puts trained parameters back into the model.

    Raises:
      ValueError: the function does not agree with `Model.predict` in float32; enable
        `jax_enable_x64` for float64.
    """
    precision = DOUBLE if jax.config.jax_enable_x64 else SINGLE
    choose_precision(model, draw_rows(model), [precision], language="JAX without x64")
    graph, scaling = make_graph(model), model.scaling
    rows = [item.row for item in graph.inputs]
    network = model.network._replace(first=model.network.first[rows])
    values = _pack(network)
    indices = np.flatnonzero(values)
    network = jax.tree.map(jnp.asarray, network)

    def apply(
        params: Float[Array, " P"],
        numbers: Float[Array, "N K"],
        codes: Int[Array, "N M"] | None = None,
    ) -> Float[Array, "N O"]:
        vector = jnp.zeros(values.shape, params.dtype).at[indices].set(params)
        out = networks.apply(
            networks.unpack(vector, network),
            _encode(graph, precision, numbers, codes),
            activations=model.activations,
            depth=int(model.network.depth),
        )
        return out * scaling.target_scale + scaling.target_offset

    return JaxFunction(apply, jnp.asarray(values[indices]))


def with_params(model: Model, params: Float[Array, " P"]) -> Model:
    """Return the model with new parameters, in the order of `to_jax`."""
    vector = _pack(model.network)
    vector[np.flatnonzero(vector)] = params
    network = jax.tree.map(jnp.asarray, model.network)
    network = networks.unpack(jnp.asarray(vector), network)
    return model._replace(network=jax.device_get(network))


def read_cells(
    model: Model, frame: pd.DataFrame
) -> tuple[Float[np.ndarray, "N K"], Int[np.ndarray, "N M"]]:
    """Return the numbers and codes of the columns that the network reads."""
    graph = make_graph(model)
    numbers = np.empty((len(frame), len(graph.numbers)))
    codes = np.empty((len(frame), len(graph.categories)), int)
    for index, column in enumerate(graph.numbers):
        numbers[:, index] = columns.parse(frame[column.name])
    for index, column in enumerate(graph.categories):
        known = pd.Index(column.categories, dtype=object)
        codes[:, index] = known.get_indexer(columns.to_text(frame[column.name]))
    return numbers, codes


def _encode(
    graph: Graph,
    precision: Precision,
    numbers: Float[Array, "N K"],
    codes: Int[Array, "N M"] | None,
) -> Float[Array, "N I"]:
    """Return the inputs of the network; missing numbers have no gradient."""
    read = []
    for item in graph.inputs:
        if item.column.kind == "numeric":
            center, scale, rest = find_scale(item.column, precision)
            cells = numbers[:, graph.numbers.index(item.column)]
            cells = jnp.where(jnp.isnan(cells), item.column.fill, cells)
            read.append((cells - center) * scale + rest)
        else:
            # The last value belongs to -1, the code of missing cells.
            values = jnp.asarray((*item.values, 0.0), numbers.dtype)
            read.append(values[codes[:, graph.categories.index(item.column)]])
    return jnp.stack(read, axis=1) if read else numbers[:, :0]


def _pack(network: Network) -> Float[np.ndarray, " P"]:
    """Pack as `swajax.network.packing.pack` does, in the precision of the file."""
    return np.concatenate([np.ravel(leaf) for leaf in network[:5]])
