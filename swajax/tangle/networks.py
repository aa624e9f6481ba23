"""Networks found in the space `mlp`, stored as a front that `swajax.load` reads.

found-START.safetensors   candidates of one start, with their validation losses
networks.safetensors      Pareto-optimal candidates of loss and size
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Shaped

from swajax import network as network_lib
from swajax.data.encoding import encoder_to_dict
from swajax.data.splits import Scaling
from swajax.data.tables import Table
from swajax.io import checkpoints
from swajax.tangle.choices import Architecture, one_hot
from swajax.tangle.layers import axes
from swajax.tangle.spaces import mlp
from swajax.tangle.spaces.base import SearchSpace
from swajax.tangle.spaces.mlp import MlpConfig, Weights
from swajax.types import Network

FRONT_FILE = "networks.safetensors"


def save_candidates(
    folder: Path,
    start: int,
    candidates: Mapping[str, Weights],
    scores: Mapping[str, Mapping[str, Any]],
    *,
    architecture: Architecture,
    space: SearchSpace,
) -> None:
    """Write the candidates of one start into the folder of a run.

    Args:
      folder: folder of the run.
      start: index of the search.
      candidates: sliced weights by name.
      scores: scores from `standalone.score_candidates` on the rows for architectures.
      architecture: architecture of all candidates.
      space: space `mlp`.
    """
    built = [
        to_network(sliced, architecture, config=space.config)
        for sliced in candidates.values()
    ]
    found = jax.tree.map(lambda *leaves: np.stack(leaves), *built)
    losses = [float(scores[name]["loss"]) for name in candidates]
    path = folder / f"found-{start}.safetensors"
    checkpoints.save(path, found, header={"valid_loss": losses})


def to_network(
    sliced: Weights, architecture: Architecture, *, config: MlpConfig
) -> Network:
    """Return sliced weights as a network without dead parts.

    Args:
      sliced: weights of one network.
      architecture: architecture of the network.
      config: configuration of the space.
    """
    params = axes.put(mlp.declare(config), sliced, architecture)
    p = one_hot(architecture, mlp.make_choices(config))
    network = mlp.to_network(params, p, config=config)
    return network_lib.simplify(network, activations=config.activations)


def write_front(
    folder: Path, table: Table, scaling: Scaling, config: MlpConfig
) -> dict[str, Any]:
    """Write the front of all candidates of a run; the pick has the lowest loss.

    Args:
      folder: folder of the run.
      table: table that the networks were fitted to.
      scaling: scaling of its columns.
      config: configuration of the space.

    Returns:
      Facts about table and front for results.json.
    """
    found, losses = _read_candidates(folder)
    sizes = np.asarray(jax.vmap(network_lib.count_weights)(found))
    kept = choose_front(sizes, losses)
    header = {
        "source": table.source,
        "target": table.target_name,
        "task": table.task,
        "classes": scaling.classes,
        "encoder": encoder_to_dict(scaling.encoder),
        "target_scale": scaling.target_scale,
        "target_offset": scaling.target_offset,
        "activations": config.activations,
        "pick": len(kept) - 1,
    }
    front = jax.tree.map(lambda leaf: leaf[kept], found)
    checkpoints.save(folder / FRONT_FILE, front, header=header)
    rows = zip(sizes[kept].tolist(), losses[kept].tolist(), strict=True)
    sizes_and_losses = [{"num_weights": n, "valid_loss": v} for n, v in rows]
    return header | {"notes": table.notes, "front": sizes_and_losses}


def choose_front(
    sizes: Shaped[np.ndarray, " B"], losses: Float[np.ndarray, " B"]
) -> np.ndarray:
    """Return the indices of the Pareto-optimal candidates, by ascending size.

    Raises:
      ValueError: no loss is finite.

    Example:
      >>> choose_front(np.array([3, 1, 2]), np.array([0.1, 0.3, 0.4])).tolist()
      [1, 0]
    """
    order = np.lexsort((losses, sizes))
    order = order[np.isfinite(losses[order])]
    if not len(order):
        raise ValueError("no network of the search has a finite loss")
    before = np.minimum.accumulate(np.concatenate([[np.inf], losses[order][:-1]]))
    return order[losses[order] < before]


def _read_candidates(folder: Path) -> tuple[Network, Float[np.ndarray, " B"]]:
    found, losses = [], []
    for path in sorted(folder.glob("found-*.safetensors")):
        arrays, header = checkpoints.load(path)
        found.append(Network(**arrays))
        losses += header["valid_loss"]
    stacked = jax.tree.map(lambda *leaves: np.concatenate(leaves), *found)
    return stacked, np.array(losses, np.float64)
