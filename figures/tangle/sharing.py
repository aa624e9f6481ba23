"""Weight sharing as a search space: options with weights of their own, outputs mixed.

What superposition is compared with, for cells (arXiv:1806.09055), where an option is
an operation of an edge, and for convolutions one after another (the macro space of
arXiv:2312.10440), where it is a pair of kernel and output channels. A network that is
found has its weights in no one place, so that it can only be trained anew.
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
"""Of the spaces that can be searched so."""


def share_weights(
    space: SearchSpace, config: MacroConfig | DigitsCellConfig
) -> SearchSpace:
    """The same choices, searched in a supernet of weight sharing.

    Args:
      space: a macro space, or one of cells.
      config: its configuration; a macro one reads out the last channels' means.

    Returns:
      `init`, `apply` and `masks` are the other supernet's; nothing else fits them.
    """
    if isinstance(config, DigitsCellConfig):
        net = make_cells(config, ())  # the size of images does not matter here
    else:
        net = _make_macro(config)
    apply = functools.partial(net.apply, form="ws", unroll=False)

    def init(key: Key) -> Any:
        return net.init(key, "ws")

    def masks(p: Probabilities) -> Any:
        """All weights are in use: outputs are mixed, not weights."""
        del p
        shapes = jax.eval_shape(init, jax.random.key(0))
        return jax.tree.map(lambda leaf: jnp.ones(leaf.shape), shapes)

    return dataclasses.replace(space, init=init, apply=apply, masks=masks)


def _make_macro(config: MacroConfig) -> Supernet:
    """A macro supernet whose choices have the names that they have in the space."""
    net = make_macro(config, ())

    def rename(p: Probabilities) -> dict[str, Array]:
        """Counted from 0 instead of 1; 1 where there is no choice."""
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
