"""Arrays of drawn networks, for the tests of the distributions."""

import numpy as np


def all_weights(networks):
    """Concatenate the weights and biases of each network of a batch, in NumPy."""
    parts = (networks.first, networks.hidden, networks.readout)
    parts += (networks.bias, networks.readout_bias)
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
