"""One network as data: evaluate, pack, simplify, resize and count.

Every function takes ONE network; `jax.vmap` makes it a batch. The fast evaluation of
many networks at once is `swajax.network.batched`.
"""

from swajax.network.forward import apply
from swajax.network.packing import pack, unpack
from swajax.network.structure import (
    count_neurons,
    count_weights,
    make_dense,
    make_family,
    mask_weights,
    permute,
    remove_dead_ends,
    simplify,
    uniform_activation,
)

__all__ = [
    "apply",
    "count_neurons",
    "count_weights",
    "make_dense",
    "make_family",
    "mask_weights",
    "pack",
    "permute",
    "remove_dead_ends",
    "simplify",
    "uniform_activation",
    "unpack",
]
