"""Supernets of transformers, shared by images and text.

The choices are the channels of all modules (one vector), the depth and, per layer, the
number of heads and the ratio of feed-forward neurons to channels (arXiv:2312.10440,
AutoFormer and language model spaces). Normalisation precedes each module.

Letters: L layers, E channels, T heads of D numbers, F feed-forward neurons, S tokens.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from swajax.io import configs
from swajax.tangle.choices import Architecture, Choice, Probabilities
from swajax.tangle.layers import affine, attention, axes, masks, norms
from swajax.tangle.layers.attention import Attention
from swajax.tangle.layers.axes import Axis, Layers, Leaf
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """Options that spaces of transformers share."""

    embed: tuple[int, ...] = (16, 24, 32)
    """channels, the same for all modules"""
    depths: tuple[int, ...] = (2, 3, 4)
    """numbers of layers"""
    heads: tuple[int, ...] = (2, 3, 4)
    """attention heads, chosen for each layer"""
    ratios: tuple[float | int, ...] = (1, 2, 4)
    """feed-forward neurons per channel, chosen for each layer"""
    head_size: int = 8
    """size D of a head, independent of the channels"""
    masking: affine.Masking = "input"
    """masked axes of a weight: those that are read (input), or also those that are
    written (both)"""
    is_paper_norm: bool = False
    """compute statistics of normalisation over absent channels too, as in the paper"""
    is_unrolled: bool = False
    """unroll the loop over layers: slower to compile, but a cost analysis counts the
    operations of all layers"""

    def __post_init__(self) -> None:
        """Reject invalid choices, sizes below one and widths that are not whole."""
        configs.convert_fields(self)
        make_choices(self)
        if min(*self.embed, *self.heads, self.head_size) < 1:
            raise ValueError(
                "embed, heads and head_size must be >= 1, got "
                f"{self.embed}, {self.heads} and {self.head_size}"
            )
        masks.prefix_product(self.embed, self.ratios)


class Norm(NamedTuple):
    """Weights of a layer normalisation."""

    scale: Float[Array, " E"]
    bias: Float[Array, " E"]


class Layer(NamedTuple):
    """Weights of a layer; those of a supernet have a leading axis L."""

    first_norm: Norm
    attention: Attention
    second_norm: Norm
    widen: Float[Array, "E F"]
    widen_bias: Float[Array, " F"]
    narrow: Float[Array, "F E"]
    narrow_bias: Float[Array, " E"]


class Stack(NamedTuple):
    """Weights between the embedding of tokens and the readout."""

    layers: Layer | tuple[Layer, ...]  # a tuple for one network
    norm: Norm


class Dimensions(NamedTuple):
    """Axes that are chosen, or the probabilities that their entries are kept.

    The probabilities of heads and neurons are for one layer, or have an axis L.
    """

    embed: Axis | Float[Array, " E"]
    heads: Axis | Float[Array, "*L T"]
    neurons: Axis | Float[Array, "*L E F"]  # both the channel and the neuron are kept


def make_choices(config: TransformerConfig) -> tuple[Choice, ...]:
    """Return the choices embed, depth, heads and ratio."""
    num = max(config.depths, default=1)
    return (
        Choice("embed", config.embed),
        Choice("depth", config.depths, "depth"),
        Choice("heads", config.heads, "size", num, is_layered=True),
        Choice("ratio", config.ratios, "ratio", num, is_layered=True),
    )


def make_dimensions(config: TransformerConfig) -> Dimensions:
    """Return the axes of channels, heads, and channels by neurons."""
    embed, _, heads, _ = make_choices(config)
    sizes = masks.prefix(config.embed)
    products = masks.prefix_product(config.embed, config.ratios)

    def keep(p: Probabilities) -> Float[Array, "L E F"]:
        def layer(ratio: Float[Array, " J"]) -> Float[Array, "E F"]:
            return masks.ratio_mask(p["embed"][0], ratio, sizes, products)

        return jax.vmap(layer)(p["ratio"])

    def slices(architecture: Architecture, layer: int) -> tuple[slice, slice]:
        size = config.embed[architecture["embed"][0]]
        width = size * config.ratios[architecture["ratio"][layer]]
        return slice(size), slice(int(width))

    shape = sizes.shape[1], products.shape[2]
    neurons = Axis(shape, keep, slices, is_layered=True)
    return Dimensions(axes.follow(embed), axes.follow(heads, slice(None)), neurons)


def declare_stack(config: TransformerConfig) -> Stack:
    """Return the axes of each weight."""
    embed, heads, neurons = make_dimensions(config)
    num_channels, num_neurons = neurons.shape
    parts, inside = axes.fixed(3), axes.fixed(config.head_size)
    widen_bias = Axis(
        (num_neurons,),
        lambda p: neurons.keep(p)[:, 0],  # all networks have the first channel
        lambda *where: neurons.slices(*where)[1:],
        is_layered=True,
    )
    narrow = Axis(
        (num_neurons, num_channels),
        lambda p: neurons.keep(p).swapaxes(1, 2),
        lambda *where: neurons.slices(*where)[::-1],
        is_layered=True,
    )
    norm = Norm(Leaf(embed), Leaf(embed))
    attend = Attention(
        qkv=Leaf(parts, heads, inside, embed),
        qkv_bias=Leaf(parts, heads, inside),
        out=Leaf(heads, inside, embed),
        out_bias=Leaf(embed),
    )
    feed_forward = Leaf(neurons), Leaf(widen_bias), Leaf(narrow), Leaf(embed)
    _, depth, *_ = make_choices(config)
    layer = Layer(norm, attend, norm, *feed_forward)
    return Stack(Layers(axes.follow(depth), layer), norm)


def draw_stack(key: Key, config: TransformerConfig) -> Stack:
    """Draw normal weights of variance 1 / fan in, or 2 / fan in before a ReLU."""
    size, width = make_dimensions(config).neurons.shape
    norm = Norm(jnp.ones(size), jnp.zeros(size))

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


def apply_stack(
    config: TransformerConfig,
    stack: Stack,
    p: Probabilities,
    x: Float[Array, "N S E"],
    *,
    keep: Dimensions,
    attention_mask: Bool[Array, "S S"] | None = None,
) -> Float[Array, "N S E"]:
    """Evaluate the layers of the supernet in one loop; absent channels are masked.

    Args:
      config: configuration of the space.
      stack: largest weights.
      p: probabilities, used for the depth.
      x: embedded tokens.
      keep: probabilities that entries are kept, `axes.keep` of `make_dimensions`.
      attention_mask: [query, key], whether the query attends to the key; by default to
        all keys.
    """

    def step(x: Array, layer: tuple[Layer, Array, Array]) -> tuple[Array, Array]:
        weights, *kept = layer
        layer_keep = Dimensions(keep.embed, *kept)
        x = _apply_layer(
            config, weights, x, keep=layer_keep, attention_mask=attention_mask
        )
        return x, x

    each = stack.layers, keep.heads, keep.neurons
    states = jax.lax.scan(step, x, each, unroll=config.is_unrolled)[1]
    last = affine.mix_depths(states, p["depth"][0], config.depths)
    return _normalise(config, last, stack.norm, keep.embed)


def apply_stack_standalone(
    config: TransformerConfig,
    stack: Stack,
    x: Float[Array, "N S E"],
    *,
    attention_mask: Bool[Array, "S S"] | None = None,
) -> Float[Array, "N S E"]:
    """Evaluate the layers of one network at its sizes, without masks."""
    for layer in stack.layers:
        ones = Dimensions(
            jnp.ones(x.shape[-1]),
            jnp.ones(len(layer.attention.out)),
            jnp.ones(layer.widen.shape),
        )
        x = _apply_layer(config, layer, x, keep=ones, attention_mask=attention_mask)
    return _normalise(config, x, stack.norm, jnp.ones(x.shape[-1]))


def _apply_layer(
    config: TransformerConfig,
    weights: Layer,
    x: Float[Array, "N S E"],
    *,
    keep: Dimensions,
    attention_mask: Bool[Array, "S S"] | None,
) -> Float[Array, "N S E"]:
    # Normalisation masks the channels that it reads. With masking="input", the modules
    # after it therefore read all channels.
    keep_in = affine.output_mask(keep.embed, config.masking)

    def attend(tokens: Float[Array, "S E"]) -> Float[Array, "S E"]:
        return attention.attend(
            tokens,
            weights.attention,
            keep_in=keep_in,
            keep_heads=keep.heads,
            keep_out=keep.embed,
            masking=config.masking,
            attention_mask=attention_mask,
        )

    x = x + jax.vmap(attend)(_normalise(config, x, weights.first_norm, keep.embed))
    normal = _normalise(config, x, weights.second_norm, keep.embed)
    return x + _feed_forward(normal, weights, keep, masking=config.masking)


def _feed_forward(
    x: Float[Array, "N S E"],
    weights: Layer,
    keep: Dimensions,
    *,
    masking: affine.Masking,
) -> Float[Array, "N S E"]:
    neurons = keep.neurons[0]  # all networks have the first channel
    widen, narrow = weights.widen, neurons[:, None] * weights.narrow
    if masking == "both":
        widen, narrow = keep.neurons * widen, keep.neurons.T * weights.narrow
    widen_bias = affine.output_mask(neurons, masking) * weights.widen_bias
    narrow_bias = affine.output_mask(keep.embed, masking) * weights.narrow_bias
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
