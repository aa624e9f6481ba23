"""The ways to mix the options of a layer, all made from one description of it.

    ws      weight sharing (arXiv:1806.09055): own weights an option, outputs mixed
    weo     entangled outputs: slices of one weight, a pass for each, outputs mixed
    sup     superposition: slices mixed, one pass (arXiv:2312.10440)
    single  the largest network alone, without any choice

The options of a layer are those of what it writes, channels and kernel for one: the
least that weight sharing can do. Where a layer's description lists the choice of its
inputs too, each combination is an option, as in the code of arXiv:2312.10440.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.tangle.layers import reference
from swajax.tangle.layers.reference import Option
from swajax.types import Key

Form = Literal["ws", "weo", "sup", "single"]
FORMS: tuple[Form, ...] = get_args(Form)
Vectors = Sequence[Float[Array, " _"]]  # probabilities [K], choice by choice


class Layer(NamedTuple):
    """An operation whose weights depend on choices."""

    num_options: tuple[int, ...]  # of each choice
    num_channels: int  # written by the largest option
    draw: Callable[[Key], Any]  # weights of the largest option
    take: Callable[[Any, Option], Any]  # weights of one option, sliced
    mask: Callable[[Vectors], Any]  # survivals, of the structure of the weights
    apply: Callable[
        [Any, Array], Array
    ]  # weights, sliced or not, and inputs to outputs


def draw(layer: Layer, form: Form, key: Key) -> Any:
    """The weights that a form has; those of weight sharing are a tuple."""
    if form != "ws":
        return layer.draw(key)
    options = list(itertools.product(*map(range, layer.num_options)))
    keys = jax.random.split(key, len(options))
    return tuple(
        layer.take(layer.draw(own), option)
        for own, option in zip(keys, options, strict=True)
    )


def apply(layer: Layer, form: Form, weights: Any, vectors: Vectors, x: Array) -> Array:
    """Outputs of the mixture."""
    if form == "single":
        return layer.apply(weights, x)
    if form == "sup":
        return layer.apply(jax.tree.map(jnp.multiply, weights, layer.mask(vectors)), x)
    if form == "weo":
        return reference.mix_shared(
            vectors,
            lambda option: layer.apply(layer.take(weights, option), x),
            num_channels=layer.num_channels,
        )
    return reference.mix_independent(
        vectors,
        lambda own, _: layer.apply(own, x),
        weights,
        num_channels=layer.num_channels,
    )
