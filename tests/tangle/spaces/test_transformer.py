"""The feed-forward module of transformers, against sums of padded slices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_layer_cases import (
    INS,
    ROWS,
    TOLERANCE,
    draw,
    of_channels,
    shares,
    size,
    sum_padded,
)

from swajax.tangle.layers import axes
from swajax.tangle.spaces import transformer


@pytest.mark.parametrize("masking", ["input", "both"])
def test_superposed_feed_forward_has_sums_of_padded_slices(masking):
    config = transformer.TransformerConfig(embed=INS, ratios=(1, 2), masking=masking)
    stack = transformer.draw_stack(jax.random.key(0), config)
    weights = jax.tree.map(lambda leaf: leaf[0], stack.layers)
    weights = weights._replace(widen_bias=draw(1, 12), narrow_bias=draw(2, 6))
    e, r = shares(0), shares(1, 2)
    p = {"embed": e[None], "ratio": jnp.tile(r, (4, 1)), "heads": jnp.ones((4, 3)) / 3}
    kept = axes.keep(transformer.make_dimensions(config), p)
    kept = kept._replace(heads=kept.heads[0], neurons=kept.neurons[0])
    x = draw(3, 2, ROWS, 6)
    apply = jax.jit(transformer._feed_forward, static_argnames="masking")
    found = apply(x, weights, kept, masking=masking)

    def neurons(option):
        return size(INS[option[0]] * config.ratios[option[1]])

    widen, narrow = weights.widen, sum_padded(weights.narrow, (e, r), neurons)
    widen_bias, narrow_bias = weights.widen_bias, weights.narrow_bias
    if masking == "both":

        def in_slices(option):
            return of_channels(option), neurons(option)

        widen = sum_padded(widen, (e, r), in_slices)
        narrow = sum_padded(weights.narrow, (e, r), lambda o: in_slices(o)[::-1])
        widen_bias = sum_padded(widen_bias, (e, r), neurons)
        narrow_bias = sum_padded(narrow_bias, (e,), of_channels)
    hidden = jax.nn.gelu(x @ widen + widen_bias[None, None])
    wanted = hidden @ narrow + narrow_bias[None, None]
    np.testing.assert_allclose(found, wanted, **TOLERANCE)
