"""Layers for `forms`, each with slices, masks and operation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from figures.tangle.forms import Layer
from swajax.tangle.layers import affine, attention, masks, norms
from swajax.tangle.layers.attention import Attention
from swajax.types import Key


def make_linear(num_in: int, outs: tuple[int, ...]) -> Layer:
    """Make an affine map of the last axis with a choice of the output size."""

    def mask(vectors: Any) -> Any:
        keep = masks.keep_probability(vectors[0], masks.prefix(outs))
        return masks.outer(jnp.ones(num_in), keep), keep

    return Layer(
        (len(outs),),
        max(outs),
        lambda key: affine.draw_affine(key, (num_in, max(outs))),
        lambda w, option: (w[0][:, : outs[option[0]]], w[1][: outs[option[0]]]),
        mask,
        lambda w, x: _add(x @ w[0], w[1]),
    )


def make_conv(
    num_in: int,
    outs: tuple[int, ...],
    kernels: tuple[int, ...],
    *,
    ins: tuple[int, ...] | None = None,
) -> Layer:
    """Make a convolution with choices of kernel and output channels.

    Args:
      num_in: number of input channels.
      outs: options of the output channels.
      kernels: options of the kernel size.
      ins: options of the input channels, an optional third choice.
    """
    size, reads = max(kernels), ins or (num_in,)

    def take(w: Any, option: Any) -> Any:
        side, num_out = kernels[option[0]], outs[option[1]]
        num = reads[option[2]] if ins else num_in
        start = (size - side) // 2
        kernel = w[0][start : start + side, start : start + side, :num, :num_out]
        return kernel, w[1][:num_out]

    def mask(vectors: Any) -> Any:
        keep_kernel = masks.keep_probability(vectors[0], masks.centre(kernels))
        keep = masks.keep_probability(vectors[1], masks.prefix(outs))
        keep_in = jnp.ones(num_in)
        if ins:
            keep_in = masks.keep_probability(vectors[2], masks.prefix(ins))
        return masks.outer(keep_kernel, keep_in, keep), keep

    def apply(w: Any, x: Any) -> Any:
        return _add(affine.convolve(x[..., : w[0].shape[2]], w[0]), w[1])

    return Layer(
        (len(kernels), len(outs), *([len(ins)] if ins else [])),
        max(outs),
        lambda key: affine.draw_affine(key, (size, size, num_in, max(outs))),
        take,
        mask,
        apply,
    )


def make_embedding(num_kinds: int, num_positions: int, sizes: tuple[int, ...]) -> Layer:
    """Make an embedding of tokens and positions with a choice of the channels."""

    def draw(key: Key) -> Any:
        table = 0.1 * jax.random.normal(key, (num_kinds + num_positions, max(sizes)))
        return table[:num_kinds], table[num_kinds:]

    def mask(vectors: Any) -> Any:
        keep = masks.keep_probability(vectors[0], masks.prefix(sizes))
        return tuple(masks.outer(jnp.ones(n), keep) for n in (num_kinds, num_positions))

    def take(w: Any, option: Any) -> Any:
        return tuple(table[:, : sizes[option[0]]] for table in w)

    def apply(w: Any, x: Any) -> Any:
        return w[0][x] + w[1][None]

    return Layer((len(sizes),), max(sizes), draw, take, mask, apply)


def make_attention(
    sizes: tuple[int, ...],
    heads: tuple[int, ...],
    *,
    head_size: int,
    is_causal: bool = False,
) -> Layer:
    """Make normalisation and self-attention of [N S E]; choices: heads, channels."""
    num, size = max(heads), max(sizes)

    def draw(key: Key) -> Any:
        sizes_of = {"num_heads": num, "head_size": head_size, "num_channels": size}
        return (
            jnp.ones(size),
            jnp.zeros(size),
            attention.draw_attention(key, **sizes_of),
        )

    def take(w: Any, option: Any) -> Any:
        t, e, block = heads[option[0]], sizes[option[1]], w[2]
        sliced = Attention(
            block.qkv[:, :t, :, :e],
            block.qkv_bias[:, :t],
            block.out[:t, :, :e],
            block.out_bias[:e],
        )
        return w[0][:e], w[1][:e], sliced

    def mask(vectors: Any) -> Any:
        keep_heads = masks.keep_probability(vectors[0], masks.prefix(heads))
        keep = masks.keep_probability(vectors[1], masks.prefix(sizes))
        every = jnp.ones(head_size)
        qkv = masks.outer(jnp.ones(3), jnp.ones(num), every, keep)
        out = masks.outer(keep_heads, every, keep)
        bias = jnp.ones((3, num, head_size))
        return keep, keep, Attention(qkv, bias, out, keep)

    def apply(w: Any, x: Any) -> Any:
        block, num_tokens = w[2], x.shape[1]
        ones = jnp.ones(block.qkv.shape[-1])
        causal = jnp.asarray(np.tri(num_tokens, dtype=bool)) if is_causal else None

        def attend(tokens: Any) -> Any:
            return attention.attend(
                tokens,
                block,
                keep_in=ones,
                keep_heads=jnp.ones(block.qkv.shape[1]),
                keep_out=ones,
                attention_mask=causal,
            )

        return jax.vmap(attend)(_normalise(x, *w[:2]))

    return Layer((len(heads), len(sizes)), size, draw, take, mask, apply)


def make_norm(sizes: tuple[int, ...]) -> Layer:
    """Make a normalisation of [N S E] with a choice of the channels."""

    def mask(vectors: Any) -> Any:
        keep = masks.keep_probability(vectors[0], masks.prefix(sizes))
        return keep, keep

    return Layer(
        (len(sizes),),
        max(sizes),
        lambda _: (jnp.ones(max(sizes)), jnp.zeros(max(sizes))),
        lambda w, option: (w[0][: sizes[option[0]]], w[1][: sizes[option[0]]]),
        mask,
        lambda w, x: _normalise(x, *w),
    )


def make_feed_forward(sizes: tuple[int, ...], ratios: tuple[float | int, ...]) -> Layer:
    """Make normalisation and two affine maps of [N S E]; choices: ratio, channels."""
    products = masks.prefix_product(sizes, ratios)
    width, size = products.shape[-1], max(sizes)

    def draw(key: Key) -> Any:
        first, second = jax.random.split(key)
        widen = affine.draw_affine(first, (size, width))
        narrow = affine.draw_affine(second, (width, size))
        return jnp.ones(size), jnp.zeros(size), *widen, *narrow

    def take(w: Any, option: Any) -> Any:
        e = sizes[option[1]]
        f = int(products[option[1], option[0]].sum())
        return w[0][:e], w[1][:e], w[2][:e, :f], w[3][:f], w[4][:f, :e], w[5][:e]

    def mask(vectors: Any) -> Any:
        keep = masks.keep_probability(vectors[1], masks.prefix(sizes))
        both = masks.ratio_mask(vectors[1], vectors[0], masks.prefix(sizes), products)
        return keep, keep, both, jnp.ones(width), both.T, keep

    def apply(w: Any, x: Any) -> Any:
        hidden = jax.nn.gelu(_add(_normalise(x, *w[:2]) @ w[2], w[3]))
        return _add(hidden @ w[4], w[5])

    return Layer((len(ratios), len(sizes)), size, draw, take, mask, apply)


def _normalise(x: Any, scale: Any, bias: Any) -> Any:
    """Normalise the channels that the weights have."""
    x = x[..., : scale.shape[0]]
    mean = x.mean(axis=-1, keepdims=True)
    variance = jnp.square(x - mean).mean(axis=-1, keepdims=True)
    normal = (x - mean) * jax.lax.rsqrt(variance + norms.EPSILON)
    return _add(normal * scale.reshape((1,) * (x.ndim - 1) + (-1,)), bias)


def _add(x: Any, bias: Any) -> Any:
    return x + bias.reshape((1,) * (x.ndim - 1) + (-1,))
