"""A fixed result of a method of the quality study."""

import numpy as np

from figures.quality import outcomes
from swajax.model.front import Front
from swajax.network import uniform_activation
from swajax.types import Network, NetworkSpec


def fixed_outcome():
    """Return a front of one network: the first of two inputs."""
    spec = NetworkSpec(2, 1, 1, 1, ("linear",))
    network = Network(
        first=np.array([[[1.0], [0.0]]]),
        hidden=np.zeros((1, 0, 1, 1)),
        readout=np.ones((1, 1, 1)),
        bias=np.zeros((1, 1, 1)),
        readout_bias=np.zeros((1, 1)),
        mask=np.ones((1, 1, 1)),
        activation=uniform_activation(spec)[None],
        depth=np.ones(1, np.int32),
    )
    losses = np.array([0.5])
    front = Front(network, np.array([2]), losses, losses, losses, 0)
    return outcomes.Outcome({"full": outcomes.Level(front, ("linear",), 1.0, 10)}, [])
