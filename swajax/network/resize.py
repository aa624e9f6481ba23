"""Batches of networks with fewer weights, or in records with larger limits."""

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
    """Keep at most K weights and biases per network, the largest in magnitude.

    Args:
      networks: a batch.
      num_weights: K, at least 0; the other weights and biases become 0.

    Raises:
      ValueError: `num_weights` is negative.

    Example:
      >>> from swajax.network import count_weights, make_dense
      >>> one = make_dense(NetworkSpec(max_width=2, max_depth=1))
      >>> batch = jax.tree.map(lambda leaf: leaf[None], one)
      >>> jax.vmap(count_weights)(cut(batch, num_weights=5)).tolist()
      [5]
    """
    if num_weights < 0:
        raise ValueError(f"num_weights must be >= 0, got {num_weights}")

    def one(network: Network) -> Network:
        weights = pack(network)
        num = min(num_weights, len(weights))
        _, largest = jax.lax.top_k(jnp.abs(weights), num)
        kept = jnp.zeros_like(weights).at[largest].set(weights[largest])
        return unpack(kept, network)

    return jax.vmap(one)(networks)


def fit_into(networks: Network, spec: NetworkSpec, limits: NetworkSpec) -> Network:
    """Copy a batch of networks into records of a larger family; outputs are the same.

    Args:
      networks: a batch, with the shapes of `spec`.
      spec: limits of the given records.
      limits: limits of the new records: the inputs and outputs of `spec`, at least its
        neurons and layers, and all its activations, in any order.

    Raises:
      ValueError: a limit is smaller, or an activation is missing.

    Example:
      >>> from swajax.network import make_dense
      >>> small, large = NetworkSpec(max_width=2), NetworkSpec(max_width=3)
      >>> batch = jax.tree.map(lambda leaf: leaf[None], make_dense(small))
      >>> fit_into(batch, small, large).mask.shape
      (1, 4, 3)
    """
    _check_limits(networks, spec, limits)
    wide, deep = limits.max_width - spec.max_width, limits.max_depth - spec.max_depth
    kinds = np.array([limits.activations.index(name) for name in spec.activations])
    activation = np.zeros((*networks.mask.shape, len(limits.activations)), np.float32)
    activation[..., kinds] = networks.activation
    across, down = (0, wide), (0, deep)
    activation = np.pad(activation, ((0, 0), down, across, (0, 0)))
    # Absent neurons need an activation too: one-hot is an invariant of the record.
    activation[..., 0] += activation.sum(axis=-1) == 0
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


def _check_limits(networks: Network, spec: NetworkSpec, limits: NetworkSpec) -> None:
    ends = {"num_inputs": networks.first.shape[-2]}
    ends["num_outputs"] = networks.readout.shape[-1]
    for name, size in ends.items():
        if getattr(limits, name) != size:
            raise ValueError(
                f"{name} of the limits must be {size}, got {getattr(limits, name)}"
            )
    for name in ("max_width", "max_depth"):
        if getattr(limits, name) < getattr(spec, name):
            raise ValueError(
                f"{name} of the limits must be >= {getattr(spec, name)}, "
                f"got {getattr(limits, name)}"
            )
    if missing := set(spec.activations) - set(limits.activations):
        raise ValueError(f"the limits lack the activations {sorted(missing)}")
