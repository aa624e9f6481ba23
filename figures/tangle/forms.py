"""Forms of mixing the options of a layer, derived from one description of the layer.

    ws      weight sharing (arXiv:1806.09055): weights per option, mixed outputs
    weo     entangled outputs: slices of one weight, one pass per option, mixed outputs
    sup     superposition: mixed slices, one pass (arXiv:2312.10440)
    single  the largest network without choices

Options of a layer are combinations of its output channels and kernel, the minimum that
weight sharing needs. If a layer also lists a choice of its inputs, each combination
with it is an option, as in the code of arXiv:2312.10440.
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
Vectors = Sequence[Float[Array, " _"]]  # probabilities [K] of each choice


class Layer(NamedTuple):
    """Operation whose weights depend on choices."""

    num_options: tuple[int, ...]  # number of options of each choice
    num_channels: int  # output channels of the largest option
    draw: Callable[[Key], Any]  # draws the weights of the largest option
    take: Callable[[Any, Option], Any]  # returns the slice of one option
    mask: Callable[[Vectors], Any]  # returns the keep probabilities of all weights
    apply: Callable[[Any, Array], Array]  # (weights or slice, inputs) to outputs


def draw(layer: Layer, form: Form, key: Key) -> Any:
    """Draw the weights of a form; those of weight sharing are a tuple."""
    if form != "ws":
        return layer.draw(key)
    options = list(itertools.product(*map(range, layer.num_options)))
    keys = jax.random.split(key, len(options))
    return tuple(
        layer.take(layer.draw(subkey), option)
        for subkey, option in zip(keys, options, strict=True)
    )


def apply(layer: Layer, form: Form, weights: Any, vectors: Vectors, x: Array) -> Array:
    """Return the outputs of the mixture of all options."""
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
        lambda sliced, _: layer.apply(sliced, x),
        weights,
        num_channels=layer.num_channels,
    )
