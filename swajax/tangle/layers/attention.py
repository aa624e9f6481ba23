"""Multi-head self-attention with masks of channels and heads."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from swajax.tangle.layers import masks
from swajax.tangle.layers.affine import Masking, output_mask
from swajax.types import Key


class Attention(NamedTuple):
    """Weights of self-attention with T heads of size D on E channels.

    Queries, keys and values have a separate axis, as have heads, so that slices of
    fewer heads are aligned in all three. If they were packed on one axis, keys of one
    option would be added to queries of another.
    """

    qkv: Float[Array, "3 T D E"]
    qkv_bias: Float[Array, "3 T D"]
    out: Float[Array, "T D E"]
    out_bias: Float[Array, " E"]


def draw_attention(
    key: Key, *, num_heads: int, head_size: int, num_channels: int
) -> Attention:
    """Draw normal weights of variance 1 / fan in; biases are 0."""
    qkv_key, out_key = jax.random.split(key)
    shape = (num_heads, head_size, num_channels)
    return Attention(
        qkv=jax.random.normal(qkv_key, (3, *shape)) / num_channels**0.5,
        qkv_bias=jnp.zeros((3, num_heads, head_size)),
        out=jax.random.normal(out_key, shape) / (num_heads * head_size) ** 0.5,
        out_bias=jnp.zeros(num_channels),
    )


def attend(
    x: Float[Array, "N E"],
    weights: Attention,
    *,
    keep_in: Float[Array, " E"],
    keep_heads: Float[Array, " T"],
    keep_out: Float[Array, " E"],
    masking: Masking = "input",
    attention_mask: Bool[Array, "N N"] | None = None,
) -> Float[Array, "N E"]:
    """Attend among N tokens, in one pass for all options (arXiv:2312.10440, 3).

    The size of a head is fixed, so that all options scale the logits equally.

    Args:
      x: tokens.
      weights: weights of the largest option.
      keep_in: keep probabilities of the channels that are read.
      keep_heads: keep probabilities of the heads; they mask the output projection,
        which reads heads, and with masking="both" queries, keys and values, which
        write them.
      keep_out: keep probabilities of the channels that are written.
      masking: see `swajax.tangle.layers.affine`.
      attention_mask: [query, key], whether the query attends to the key; by default to
        all keys.

    Returns:
      The tokens after the output projection.
    """
    keep_out = output_mask(keep_out, masking)
    written_heads = output_mask(keep_heads, masking)
    every = jnp.ones(weights.qkv.shape[2], x.dtype)
    mask = masks.outer(jnp.ones(3, x.dtype), written_heads, every, keep_in)
    bias = weights.qkv_bias * written_heads[None, :, None]
    qkv = jnp.einsum("ne,qtde->qtnd", x, mask * weights.qkv) + bias[:, :, None]
    values = _mix_values(*qkv, attention_mask=attention_mask)
    out = weights.out * masks.outer(keep_heads, every, keep_out)
    return jnp.einsum("tnd,tde->ne", values, out) + (weights.out_bias * keep_out)[None]


def _mix_values(
    queries: Float[Array, "T N D"],
    keys: Float[Array, "T N D"],
    values: Float[Array, "T N D"],
    *,
    attention_mask: Bool[Array, "N N"] | None,
) -> Float[Array, "T N D"]:
    logits = jnp.einsum("tnd,tmd->tnm", queries, keys) / queries.shape[-1] ** 0.5
    if attention_mask is not None:
        logits = jnp.where(attention_mask[None], logits, -jnp.inf)
    return jax.nn.softmax(logits) @ values
