"""One network as data: build, evaluate, pack, simplify, resize and count.

Every function takes ONE network; `jax.vmap` makes it a batch. The fast evaluation of
many networks at once is `swajax.network.batched`, gates with declared gradients are
`swajax.network.gates`, and changes of size are `swajax.network.resize`.
"""

from swajax.network.forward import apply
from swajax.network.layered import (
    LayeredNetwork,
    from_network,
    from_sklearn,
    make_layered,
)
from swajax.network.layers import Layers, from_layers, to_layers
from swajax.network.onnx_reader import from_onnx
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
    "LayeredNetwork",
    "Layers",
    "apply",
    "count_neurons",
    "count_weights",
    "from_layers",
    "from_network",
    "from_onnx",
    "from_sklearn",
    "make_dense",
    "make_family",
    "make_layered",
    "mask_weights",
    "pack",
    "permute",
    "remove_dead_ends",
    "simplify",
    "to_layers",
    "uniform_activation",
    "unpack",
]
