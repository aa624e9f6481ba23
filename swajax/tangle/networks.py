"""Front of the networks found in the space `mlp`, as of a search."""

import jax
import numpy as np

from swajax import network as network_lib
from swajax.data.problem import Problem, choose_objective
from swajax.data.splits import Dataset, Scaling
from swajax.model.front import Front, make_front
from swajax.refine import batches
from swajax.refine.quadratic import Fit
from swajax.tangle.choices import Architecture, one_hot
from swajax.tangle.found import FoundNetwork
from swajax.tangle.layers import axes
from swajax.tangle.spaces import mlp
from swajax.tangle.spaces.mlp import MlpConfig, Weights
from swajax.types import Network


def find_front(found: list[FoundNetwork], dataset: Dataset, scaling: Scaling) -> Front:
    """Return the front of all forms of the networks found, as `swajax.find_front` does.

    Args:
      found: networks of the space `mlp`.
      dataset: parts of the table; the network is picked by the validation rows, which
        trained the architecture vectors.
      scaling: scaling of the table.

    Raises:
      ValueError: no validation loss is finite.
    """
    config = found[0].space.config
    networks = [
        to_network(sliced, one.architecture, config=config)
        for one in found
        for sliced in one.weights.values()
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *networks)
    fit = Fit(choose_objective(scaling.classes), config.activations)
    train, valid = (_to_mean(part) for part in (dataset.train, dataset.valid))
    return make_front(
        stacked,
        batches.count(stacked),
        batches.validation_scores(stacked, train, fit=fit)[0],
        *batches.validation_scores(stacked, valid, fit=fit),
    )


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


def _to_mean(rows: Problem) -> Problem:
    """Scale the weights of rows to the sum 1, as losses expect."""
    return rows._replace(weight=rows.weight / rows.weight.sum())
