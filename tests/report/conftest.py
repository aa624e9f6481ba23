"""A hand-made model for the tests of pictures."""

import numpy as np
import pytest

from swajax.data.encoding import Column, TableEncoder
from swajax.data.splits import Scaling
from swajax.model.fitted import Model
from swajax.types import DEFAULT_ACTIVATIONS, Network


@pytest.fixture
def line():
    """y = 10 + 5 * tanh(2 a - b + 0.5) with a third column that is not read."""
    names = ("a", "b", "unread")
    columns = tuple(Column(n, "numeric", 3.0, 0.5, -1.0) for n in names)
    network = Network(
        first=np.array([[2.0], [-1.0], [0.0]]),
        hidden=np.zeros((0, 1, 1)),
        readout=np.ones((1, 1)),
        bias=np.array([[0.5]]),
        readout_bias=np.zeros(1),
        mask=np.ones((1, 1)),
        activation=np.array([[[0.0, 1.0, 0.0, 0.0]]]),
        depth=np.int32(1),
    )
    scaling = Scaling(TableEncoder(columns), 5.0, 10.0, ())
    return Model(network, DEFAULT_ACTIVATIONS, scaling, "y")
