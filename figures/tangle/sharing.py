"""Search spaces with weight sharing: separate weights per option, mixed outputs.

In cells (arXiv:1806.09055) an option is an operation of an edge; in chains of
convolutions (the macro space of arXiv:2312.10440) it is a pair of kernel and output
channels. The supernet does not contain the weights of the network found, which must be
trained from scratch.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from figures.tangle.cellnets import make_cells
from figures.tangle.supernets import Supernet, make_macro
from swajax.tangle.choices import Probabilities
from swajax.tangle.spaces.base import SearchSpace
from swajax.tangle.spaces.digits_cell import DigitsCellConfig
from swajax.tangle.spaces.digits_macro import DigitsMacroConfig
from swajax.tangle.spaces.macro import MacroConfig
from swajax.types import Key

CONFIGS = {"digits-macro": DigitsMacroConfig, "digits-cell": DigitsCellConfig}
"""Configurations of the supported spaces."""


def share_weights(
    space: SearchSpace, config: MacroConfig | DigitsCellConfig
) -> SearchSpace:
    """Return a space with the same choices whose supernet shares weights.

    Args:
      space: macro space or space of cells.
      config: its configuration; a macro space must read out the means of the channels.

    Returns:
      Space whose `init`, `apply` and `masks` belong to the new supernet; its other
      functions do not fit the new weights.
    """
    if isinstance(config, DigitsCellConfig):
        net = make_cells(config, ())  # independent of the image size
    else:
        net = _make_macro(config)
    apply = functools.partial(net.apply, form="ws", unroll=False)

    def init(key: Key) -> Any:
        return net.init(key, "ws")

    def masks(p: Probabilities) -> Any:
        """Return ones: outputs are mixed, so that all weights are in use."""
        del p
        shapes = jax.eval_shape(init, jax.random.key(0))
        return jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)

    return dataclasses.replace(space, init=init, apply=apply, masks=masks)


def _make_macro(config: MacroConfig) -> Supernet:
    """Make a macro supernet with the names of the choices of the space."""
    net = make_macro(config, ())

    def rename(p: Probabilities) -> dict[str, Array]:
        """Count from 0 instead of 1; fill in the probability 1 of single options."""
        numbers = range(len(config.channels))
        found = {f"out{n}": p[f"channels{n + 1}"] for n in numbers}
        kernels = {
            f"kernel{n}": p.get(f"kernel{n + 1}", jnp.ones((1, 1))) for n in numbers
        }
        return found | kernels

    def apply(
        params: Any, p: Probabilities, x: Float[Array, "N Y X _"], **options: Any
    ) -> Float[Array, "N O"]:
        return net.apply(params, rename(p), x, **options)

    return net._replace(apply=apply)
