"""TODO swajax/network/resize.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from swajax.network.packing import pack, unpack
from swajax.network.structure import mask_weights
from swajax.types import Network, NetworkSpec

_mask = jax.jit(jax.vmap(mask_weights))


@functools.partial(jax.jit, static_argnames="num_weights")
def cut(networks: Network, *, num_weights: int) -> Network:
    """Networks with at most so many weights, the largest."""

    def one(network: Network) -> Network:
        weights = pack(network)
        num = min(num_weights, len(weights))
        _, places = jax.lax.top_k(jnp.abs(weights), num)
        kept = jnp.zeros_like(weights).at[places].set(weights[places])
        return unpack(kept, network)

    return jax.vmap(one)(networks)


def fit_into(networks: Network, spec: NetworkSpec, limits: NetworkSpec) -> Network:
    """The same networks, as records of larger limits."""
    wide, deep = limits.max_width - spec.max_width, limits.max_depth - spec.max_depth
    kinds = np.array([limits.activations.index(name) for name in spec.activations])
    activation = np.zeros((*networks.mask.shape, len(limits.activations)), np.float32)
    activation[..., kinds] = networks.activation
    across, down = (0, wide), (0, deep)
    activation = np.pad(activation, ((0, 0), down, across, (0, 0)))
    activation[..., 0] += activation.sum(axis=-1) == 0  # what is absent has one as well
    return _mask(
        Network(
            np.pad(networks.first, ((0, 0), (0, 0), across)),
            np.pad(networks.hidden, ((0, 0), down, across, across)),
            np.pad(networks.readout, ((0, 0), across, (0, 0))),
            np.pad(networks.bias, ((0, 0), down, across)),
            np.asarray(networks.readout_bias),
            np.pad(networks.mask, ((0, 0), down, across)),
            activation,
            np.asarray(networks.depth),
        )
    )
