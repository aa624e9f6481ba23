"""Transformers for text and images as supernets in every form of `forms`."""

import functools
from typing import Any

import jax
from jaxtyping import Array

from figures.tangle import forms, layers
from figures.tangle.forms import Form
from figures.tangle.supernets import Supernet, read_out
from swajax.tangle.layers.affine import draw_affine, mix_depths
from swajax.tangle.spaces.transformer import TransformerConfig
from swajax.types import Key


def make_transformer(
    config: TransformerConfig,
    *,
    num_positions: int,
    num_tokens: int | None = None,
    num_pixels: int = 0,
) -> Supernet:
    """Make a language model, or a classifier of images.

    Args:
      config: choices, and the size of a head.
      num_positions: number of tokens of a text, or of patches of an image.
      num_tokens: number of kinds of tokens; None for images.
      num_pixels: number of values per patch.
    """
    embed, depths = config.embed, config.depths
    is_text, depth, size = num_tokens is not None, max(depths), max(embed)
    entry = layers.make_linear(num_pixels, embed)
    if is_text:
        entry = layers.make_embedding(num_tokens, num_positions, embed)
    attend = layers.make_attention(
        embed, config.heads, head_size=config.head_size, is_causal=is_text
    )
    widen = layers.make_feed_forward(embed, config.ratios)
    shapes = {
        "embed": (1, len(embed)),
        "depth": (1, len(depths)),
        "heads": (depth, len(config.heads)),
        "ratio": (depth, len(config.ratios)),
    }

    def init(key: Key, form: Form) -> Any:
        keys = jax.random.split(key, 4)
        blocks = [
            jax.vmap(functools.partial(forms.draw, layer, form))(
                jax.random.split(subkey, depth)
            )
            for layer, subkey in zip((attend, widen), keys, strict=False)
        ]
        last = draw_affine(keys[3], (size, num_tokens or 10))
        return forms.draw(entry, form, keys[2]), blocks, last

    def apply(params: Any, p: Any, x: Array, form: Form, *, unroll: bool) -> Array:
        first, blocks, last = params
        x = forms.apply(entry, form, first, [p["embed"][0]], x)

        def block(x: Array, rows: Any) -> tuple[Array, Array]:
            weights, heads, ratio = rows
            for layer, own_weights, vector in zip(
                (attend, widen), weights, (heads, ratio), strict=True
            ):
                vectors = [vector, p["embed"][0]]
                x = x + forms.apply(layer, form, own_weights, vectors, x)
            return x, x

        rows = (blocks, p["heads"], p["ratio"])
        x, states = jax.lax.scan(block, x, rows, unroll=unroll)
        if form != "single":
            x = mix_depths(states, p["depth"][0], depths)
        return read_out(x if is_text else x.mean(axis=1), last)

    shape = (num_positions,) if is_text else (num_positions, num_pixels)
    return Supernet(shapes, init, apply, shape, num_tokens)
