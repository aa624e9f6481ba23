"""Search spaces with entangled outputs: one pass per option on common weights.

Superposition approximates this supernet (arXiv:2312.10440): each option uses its slice
with a separate normalisation, and outputs are mixed. Without attention and
normalisation, both are the same function.
"""

import dataclasses
import functools
from typing import Any

import jax
from jaxtyping import Array, Float

from figures.tangle import forms
from figures.tangle.cellnets import make_cells
from figures.tangle.layers import make_attention, make_feed_forward, make_norm
from swajax.tangle.choices import Probabilities
from swajax.tangle.layers import masks
from swajax.tangle.layers.affine import mix_depths
from swajax.tangle.spaces import digits_vit
from swajax.tangle.spaces.base import SearchSpace
from swajax.tangle.spaces.digits_cell import DigitsCellConfig
from swajax.tangle.spaces.digits_vit import DigitsVitConfig, Weights

CONFIGS = {"digits-vit": DigitsVitConfig, "digits-cell": DigitsCellConfig}
"""Configurations of the supported spaces."""


def mix_outputs(
    space: SearchSpace, config: DigitsVitConfig | DigitsCellConfig
) -> SearchSpace:
    """Return a space with the same choices and weights whose supernet mixes outputs.

    Args:
      space: space of transformers or of cells.
      config: configuration of the space.
    """
    if isinstance(config, DigitsVitConfig):
        fn = functools.partial(_apply_vit, config)
    else:
        net = make_cells(config, ())  # independent of the image size
        fn = functools.partial(net.apply, form="weo", unroll=False)
    return dataclasses.replace(space, apply=fn)


def _apply_vit(
    config: DigitsVitConfig,
    params: Weights,
    p: Probabilities,
    x: Float[Array, "N ..."],
) -> Float[Array, "N O"]:
    """Apply `digits_vit` with mixed outputs of each module."""
    attend = make_attention(config.embed, config.heads, head_size=config.head_size)
    widen = make_feed_forward(config.embed, config.ratios)
    normalise = make_norm(config.embed)
    embed = p["embed"][0]

    def step(x: Array, each: Any) -> tuple[Array, Array]:
        layer, heads, ratio = each
        modules = (
            (attend, (*layer.first_norm, layer.attention), heads),
            (widen, (*layer.second_norm, *layer[3:]), ratio),
        )
        for module, weights, vector in modules:
            x = x + forms.apply(module, "weo", weights, [vector, embed], x)
        return x, x

    keep = masks.keep_probability(embed, masks.prefix(config.embed))
    tokens = keep[None, None] * digits_vit.embed_tokens(config, params, x)
    rows = (params.stack.layers, p["heads"], p["ratio"])
    states = jax.lax.scan(step, tokens, rows)[1]
    last = mix_depths(states, p["depth"][0], config.depths)
    last = forms.apply(normalise, "weo", params.stack.norm, [embed], last)
    return last[:, 0] @ params.readout + params.readout_bias[None]
