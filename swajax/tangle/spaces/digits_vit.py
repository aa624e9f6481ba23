"""Transformers on images of 8 x 8 pixels in 16 patches, read out by a class token.

A small version of the AutoFormer space of arXiv:2312.10440 (appendix) with 22,113
networks; it reads out the class token instead of the mean over patches.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.tangle.choices import Architecture, Probabilities
from swajax.tangle.layers import affine, axes
from swajax.tangle.layers.axes import Leaf
from swajax.tangle.spaces import transformer
from swajax.tangle.spaces.base import SearchSpace, make_search_space
from swajax.tangle.spaces.transformer import Stack
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class DigitsVitConfig(transformer.TransformerConfig):
    """Options of the space."""

    image_size: int = 8
    """pixels along a side of an image"""
    image_channels: int = 1
    """channels of the images"""
    patch: int = 2
    """pixels along a side of a patch"""
    num_classes: int = 10
    """outputs O"""

    def __post_init__(self) -> None:
        """Reject patches that do not tile an image."""
        super().__post_init__()
        if self.patch < 1 or self.image_size % self.patch:
            raise ValueError(
                f"patch must divide the image size {self.image_size}, got {self.patch}"
            )


class Weights(NamedTuple):
    """Weights of the largest network, or the slices of one network."""

    patch: Float[Array, "P E"]
    patch_bias: Float[Array, " E"]
    class_token: Float[Array, " E"]
    positions: Float[Array, "S E"]
    stack: Stack
    readout: Float[Array, "E O"]
    readout_bias: Float[Array, " O"]


def make_digits_vit(config: DigitsVitConfig) -> SearchSpace:
    """Return the space; see `transformer.make_choices` for the names of its choices."""
    return make_search_space(
        "digits-vit",
        transformer.make_choices(config),
        config,
        declared=declare(config),
        init=init,
        apply=apply,
        apply_standalone=apply_standalone,
    )


def declare(config: DigitsVitConfig) -> Weights:
    """Return the axes of each weight."""
    embed = transformer.make_dimensions(config).embed
    classes = axes.fixed(config.num_classes)
    num_patches = (config.image_size // config.patch) ** 2
    pixels = axes.fixed(config.patch**2 * config.image_channels)
    return Weights(
        patch=Leaf(pixels, embed),
        patch_bias=Leaf(embed),
        class_token=Leaf(embed),
        positions=Leaf(axes.fixed(num_patches + 1), embed),
        stack=transformer.declare_stack(config),
        readout=Leaf(embed, classes),
        readout_bias=Leaf(classes),
    )


def init(config: DigitsVitConfig, key: Key) -> Weights:
    """Draw normal weights; class token and positions have standard deviation 0.1."""
    patch_key, place_key, stack_key, readout_key = jax.random.split(key, 4)
    declared = declare(config)
    num, size = declared.positions.shape
    small = 0.1 * jax.random.normal(place_key, (num + 1, size))
    readout = jax.random.normal(readout_key, declared.readout.shape) / size**0.5
    return Weights(
        *affine.draw_affine(patch_key, declared.patch.shape),
        class_token=small[0],
        positions=small[1:],
        stack=transformer.draw_stack(stack_key, config),
        readout=readout,
        readout_bias=jnp.zeros(config.num_classes),
    )


def apply(
    config: DigitsVitConfig, params: Weights, p: Probabilities, x: Float[Array, "N ..."]
) -> Float[Array, "N O"]:
    """Evaluate the supernet, from images to the logits of the classes."""
    keep = axes.keep(transformer.make_dimensions(config), p)
    side = affine.output_mask(keep.embed, config.masking)
    tokens = side[None, None] * embed_tokens(config, params, x)
    last = transformer.apply_stack(config, params.stack, p, tokens, keep=keep)
    return affine.linear(
        last[:, 0],
        params.readout,
        params.readout_bias,
        keep_in=side,
        keep_out=jnp.ones(config.num_classes),
    )


def apply_standalone(
    config: DigitsVitConfig,
    sliced: Weights,
    architecture: Architecture,
    x: Float[Array, "N ..."],
) -> Float[Array, "N O"]:
    """Evaluate one network with plain layers."""
    del architecture  # given by the shapes
    tokens = embed_tokens(config, sliced, x)
    last = transformer.apply_stack_standalone(config, sliced.stack, tokens)
    return last[:, 0] @ sliced.readout + sliced.readout_bias[None]


def embed_tokens(
    config: DigitsVitConfig, weights: Weights, x: Float[Array, "N Y X C"]
) -> Float[Array, "N S E"]:
    """Return the class token and the patches row by row; linear in all weights."""
    blocks = affine.split_blocks(x, config.patch)
    patches = blocks.swapaxes(2, 3).reshape(len(x), -1, weights.patch.shape[0])
    tokens = patches @ weights.patch + weights.patch_bias[None, None]
    first = jnp.broadcast_to(weights.class_token, (len(x), 1, tokens.shape[-1]))
    return jnp.concatenate([first, tokens], axis=1) + weights.positions[None]
