"""Masked attention, against slices and sums of padded slices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_layer_cases import (
    HEAD_SIZE,
    HEADS,
    INS,
    ROWS,
    TOLERANCE,
    attention_case,
    draw,
    keep,
    of_channels,
    of_heads,
    one_hot,
    ones,
    shares,
    size,
    sum_padded,
)

from swajax.tangle.layers import attention, norms


@pytest.mark.parametrize("masking", ["input", "both"])
@pytest.mark.parametrize("option", [(0, 1), (1, 2), (2, 0)])
def test_one_hot_attention_is_the_sliced_one(masking, option):
    x, weights = attention_case()
    e, t = INS[option[0]], HEADS[option[1]]
    attention_mask = jnp.tril(jnp.ones((ROWS, ROWS), bool))
    attend = jax.jit(attention.attend, static_argnames="masking")
    channels = keep(one_hot(option[0]), INS)
    found = attend(
        x,
        weights,
        keep_in=channels,
        keep_heads=keep(one_hot(option[1]), HEADS),
        keep_out=channels,
        masking=masking,
        attention_mask=attention_mask,
    )
    q, k, v = (
        np.einsum("ne,tde->tnd", x[:, :e], weights.qkv[part, :t, :, :e])
        + weights.qkv_bias[part, :t, None]
        for part in range(3)
    )
    logits = np.where(attention_mask, q @ k.swapaxes(1, 2) / HEAD_SIZE**0.5, -np.inf)
    attended = np.asarray(jax.nn.softmax(jnp.asarray(logits))) @ v
    wanted = np.einsum("tnd,tde->ne", attended, weights.out[:t, :, :e])
    wanted = wanted + weights.out_bias[None, :e]
    np.testing.assert_allclose(found[:, :e], wanted, **TOLERANCE)


def test_superposed_attention_has_sums_of_padded_slices():
    (x, weights), e, t = attention_case(), shares(0), shares(1)
    every = slice(None)

    def in_every(option):
        return every, of_heads(option), every, size(INS[option[1]])

    def out_slices(option):
        return of_heads(option), every, size(INS[option[1]])

    kept = {"keep_in": keep(e, INS), "keep_heads": keep(t, HEADS)}
    found = attention.attend(x, weights, **kept, keep_out=keep(e, INS), masking="both")
    summed = attention.Attention(
        sum_padded(weights.qkv, (t, e), in_every),
        sum_padded(weights.qkv_bias, (t,), lambda o: (every, of_heads(o))),
        sum_padded(weights.out, (t, e), out_slices),
        sum_padded(weights.out_bias, (e,), of_channels),
    )
    whole = {"keep_in": ones(6), "keep_heads": ones(3), "keep_out": ones(6)}
    wanted = attention.attend(x, summed, **whole)
    np.testing.assert_allclose(found, wanted, **TOLERANCE)
    # Only reading layers mask: input channels, and heads of the output projection.
    found = attention.attend(x, weights, **kept, keep_out=keep(e, INS))
    read = weights._replace(
        qkv=sum_padded(weights.qkv, (e,), lambda o: (every,) * 3 + (of_channels(o),)),
        out=sum_padded(weights.out, (t,), of_heads),
    )
    wanted = attention.attend(x, read, **whole)
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_every_probability_has_a_gradient_through_every_layer():
    x, weights = attention_case()

    def total(e, t):
        stream = norms.layer_norm(x, ones(6), ones(6), keep=keep(e, INS))
        how = {"keep_in": keep(e, INS), "keep_out": keep(e, INS), "masking": "both"}
        out = attention.attend(stream, weights, keep_heads=keep(t, HEADS), **how)
        return (draw(3, ROWS, 6) * out).sum()

    for gradient in jax.jit(jax.grad(total, argnums=(0, 1)))(shares(0), shares(1)):
        assert np.isfinite(gradient).all()
        assert np.ptp(gradient) > 1e-4
