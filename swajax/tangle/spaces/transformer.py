"""Transformers as supernets: the part that images and text share.

Choices are the channels of all modules (one vector), the depth, and for each layer its
heads and the ratio of its feed-forward width to the channels (arXiv:2312.10440, its
AutoFormer and language model spaces). Normalisation stands before each module.

Letters: L layers, E channels, T heads of D numbers, F feed-forward neurons, S tokens.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from swajax.io import configs
from swajax.tangle.choices import Architecture, Choice, Probabilities
from swajax.tangle.layers import affine, attention, masks, norms
from swajax.tangle.layers.attention import Attention
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Options that spaces of transformers share."""

    embed: tuple[int, ...] = (16, 24, 32)
    """channels, the same for all modules"""
    depths: tuple[int, ...] = (2, 3, 4)
    """layers"""
    heads: tuple[int, ...] = (2, 3, 4)
    """attention heads, of each layer on its own"""
    ratios: tuple[float | int, ...] = (1, 2, 4)
    """feed-forward neurons a channel, of each layer on its own"""
    head_size: int = 8
    """numbers D of a head, whatever the channels"""
    sides: affine.Sides = "in"
    """which sides of a weight are masked, see `swajax.tangle.layers.affine`"""
    is_paper_norm: bool = False
    """statistics of normalisation over absent channels too, see `norms.layer_norm`"""
    is_unrolled: bool = False
    """the layers of a supernet one by one instead of in a loop: slower to compile, but
    an analysis of costs counts the operations of all of them"""

    def __post_init__(self) -> None:
        """Reject what is no choice, sizes below one and widths that are not whole."""
        configs.check_choices(self)
        make_choices(self)
        if min(*self.embed, *self.heads, self.head_size) < 1:
            raise ValueError(
                "embed, heads and head_size must be >= 1, got "
                f"{self.embed}, {self.heads} and {self.head_size}"
            )
        masks.prefix_product(self.embed, self.ratios)


class Norm(NamedTuple):
    """Of a layer normalisation."""

    scale: Float[Array, " E"]
    bias: Float[Array, " E"]


class Layer(NamedTuple):
    """Weights of a layer; those of a supernet have an axis L before all others."""

    first_norm: Norm
    attention: Attention
    second_norm: Norm
    widen: Float[Array, "E F"]
    widen_bias: Float[Array, " F"]
    narrow: Float[Array, "F E"]
    narrow_bias: Float[Array, " E"]


class Stack(NamedTuple):
    """Everything between the embedding of tokens and the readout."""

    affine: Layer | tuple[Layer, ...]  # a supernet's, or those of one network
    norm: Norm


class Keep(NamedTuple):
    """Survivals; heads and neurons are of one layer, or have an axis L."""

    embed: Float[Array, " E"]
    heads: Float[Array, "*L T"]
    neurons: Float[Array, "*L E F"]  # that both the channel and the neuron are there


def make_choices(config: TransformerConfig) -> tuple[Choice, ...]:
    """The choices; probabilities are named embed, depth, heads and ratio."""
    num_layers = max(config.depths, default=1)
    return (
        Choice("embed", config.embed),
        Choice("depth", config.depths, "depth"),
        Choice("heads", config.heads, "size", num_layers, is_layered=True),
        Choice("ratio", config.ratios, "ratio", num_layers, is_layered=True),
    )


def draw_stack(key: Key, config: TransformerConfig) -> Stack:
    """Normal weights of variance 1 / fan in, 2 / fan in before a rectifier."""
    size = max(config.embed)
    norm = Norm(jnp.ones(size), jnp.zeros(size))
    width = masks.prefix_product(config.embed, config.ratios).shape[-1]

    def draw(key: Key) -> Layer:
        attention_key, widen_key, narrow_key = jax.random.split(key, 3)
        drawn = attention.draw_attention(
            attention_key,
            num_heads=max(config.heads),
            head_size=config.head_size,
            num_channels=size,
        )
        widen = affine.draw_affine(widen_key, (size, width))
        narrow = jax.random.normal(narrow_key, (width, size)) / width**0.5
        return Layer(norm, drawn, norm, *widen, narrow, jnp.zeros(size))

    return Stack(jax.vmap(draw)(jax.random.split(key, max(config.depths))), norm)


def keep_probability(config: TransformerConfig, p: Probabilities) -> Keep:
    """Survivals of channels, heads and neurons."""
    embed, sizes = p["embed"][0], masks.prefix(config.embed)
    products = masks.prefix_product(config.embed, config.ratios)

    def neurons(ratio: Float[Array, " J"]) -> Float[Array, "E F"]:
        return masks.ratio_mask(embed, ratio, sizes, products)

    return Keep(
        embed=masks.keep_probability(embed, sizes),
        heads=masks.keep_probability(p["heads"], masks.prefix(config.heads)),
        neurons=jax.vmap(neurons)(p["ratio"]),
    )


def apply_stack(
    config: TransformerConfig,
    stack: Stack,
    p: Probabilities,
    x: Float[Array, "N S E"],
    *,
    keep: Keep,
    is_seen: Bool[Array, "S S"] | None = None,
) -> Float[Array, "N S E"]:
    """The supernet, its layers by one loop; what comes out is masked.

    Args:
      config: of the space.
      stack: weights.
      p: probabilities; of them the depth is read here.
      x: embedded tokens.
      keep: `survive` of the probabilities.
      is_seen: [query, key] whether it may be attended to; by default all.
    """

    def step(x: Array, layer: tuple[Layer, Array, Array]) -> tuple[Array, Array]:
        weights, *kept = layer
        own = Keep(keep.embed, *kept)
        x = _apply_layer(config, weights, x, keep=own, is_seen=is_seen)
        return x, x

    each = stack.layers, keep.heads, keep.neurons
    states = jax.lax.scan(step, x, each, unroll=config.is_unrolled)[1]
    last = affine.mix_depths(states, p["depth"][0], config.depths)
    return _normalise(config, last, stack.norm, keep.embed)


def apply_stack_alone(
    config: TransformerConfig,
    stack: Stack,
    x: Float[Array, "N S E"],
    *,
    is_seen: Bool[Array, "S S"] | None = None,
) -> Float[Array, "N S E"]:
    """One network: the same layers, of its sizes and with nothing masked."""
    for layer in stack.layers:
        own = Keep(
            jnp.ones(x.shape[-1]),
            jnp.ones(len(layer.attention.out)),
            jnp.ones(layer.widen.shape),
        )
        x = _apply_layer(config, layer, x, keep=own, is_seen=is_seen)
    return _normalise(config, x, stack.norm, jnp.ones(x.shape[-1]))


def mask_stack(config: TransformerConfig, p: Probabilities, keep: Keep) -> Stack:
    """Probability that each weight is in the network."""
    each, inside = jnp.ones(3), jnp.ones(config.head_size)
    used = masks.keep_probability(p["depth"][0], masks.prefix(config.depths))
    norm = Norm(keep.embed, keep.embed)

    def mask(used: Array, heads: Array, neurons: Array) -> Layer:
        kept = Attention(
            qkv=masks.outer(each, heads, inside, keep.embed),
            qkv_bias=masks.outer(each, heads, inside),
            out=masks.outer(heads, inside, keep.embed),
            out_bias=keep.embed,
        )
        ways = neurons, neurons[0], neurons.T, keep.embed
        return jax.tree.map(lambda m: used * m, Layer(norm, kept, norm, *ways))

    return Stack(jax.vmap(mask)(used, keep.heads, keep.neurons), norm)


def take_stack(
    config: TransformerConfig, stack: Stack, architecture: Architecture
) -> Stack:
    """The weights of one network."""
    size = num_channels(config, architecture)
    depth = config.depths[architecture["depth"][0]]

    def take(place: int) -> Layer:
        layer = jax.tree.map(lambda leaf: leaf[place], stack.layers)
        heads = config.heads[architecture["heads"][place]]
        width = int(size * config.ratios[architecture["ratio"][place]])
        qkv, qkv_bias, out, out_bias = layer.attention
        return Layer(
            first_norm=take_norm(layer.first_norm, size),
            attention=Attention(
                qkv[:, :heads, :, :size],
                qkv_bias[:, :heads],
                out[:heads, :, :size],
                out_bias[:size],
            ),
            second_norm=take_norm(layer.second_norm, size),
            widen=layer.widen[:size, :width],
            widen_bias=layer.widen_bias[:width],
            narrow=layer.narrow[:width, :size],
            narrow_bias=layer.narrow_bias[:size],
        )

    return Stack(tuple(map(take, range(depth))), take_norm(stack.norm, size))


def take_norm(norm: Norm, size: int) -> Norm:
    """The first channels of a normalisation."""
    return Norm(norm.scale[:size], norm.bias[:size])


def num_channels(config: TransformerConfig, architecture: Architecture) -> int:
    """Channels of one network."""
    return config.embed[architecture["embed"][0]]


def _apply_layer(
    config: TransformerConfig,
    weights: Layer,
    x: Float[Array, "N S E"],
    *,
    keep: Keep,
    is_seen: Bool[Array, "S S"] | None,
) -> Float[Array, "N S E"]:
    # Normalisation masks the channels that it reads: in the form with each survival
    # once, what follows reads all of them.
    keep_in = affine.output_mask(keep.embed, config.sides)

    def attend(tokens: Float[Array, "S E"]) -> Float[Array, "S E"]:
        return attention.attend(
            tokens,
            weights.attention,
            keep_in=keep_in,
            keep_heads=keep.heads,
            keep_out=keep.embed,
            sides=config.sides,
            is_seen=is_seen,
        )

    x = x + jax.vmap(attend)(_normalise(config, x, weights.first_norm, keep.embed))
    normal = _normalise(config, x, weights.second_norm, keep.embed)
    return x + _feed_forward(normal, weights, keep, sides=config.sides)


def _feed_forward(
    x: Float[Array, "N S E"], weights: Layer, keep: Keep, *, sides: affine.Sides
) -> Float[Array, "N S E"]:
    neurons = keep.neurons[0]  # the first channel is always there
    widen, narrow = weights.widen, neurons[:, None] * weights.narrow
    if sides == "both":
        widen, narrow = keep.neurons * widen, keep.neurons.T * weights.narrow
    widen_bias = affine.output_mask(neurons, sides) * weights.widen_bias
    narrow_bias = affine.output_mask(keep.embed, sides) * weights.narrow_bias
    hidden = jax.nn.gelu(x @ widen + widen_bias[None, None])
    return hidden @ narrow + narrow_bias[None, None]


def _normalise(
    config: TransformerConfig,
    x: Float[Array, "N S E"],
    norm: Norm,
    keep: Float[Array, " E"],
) -> Float[Array, "N S E"]:
    flat = norms.layer_norm(
        x.reshape(-1, x.shape[-1]), *norm, keep=keep, is_paper_form=config.is_paper_norm
    )
    return flat.reshape(x.shape)
