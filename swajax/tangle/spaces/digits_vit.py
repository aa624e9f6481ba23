"""Transformers on images of 8 x 8 in 16 patches: the class from a token of its own.

The small relative of the AutoFormer space of arXiv:2312.10440 (its appendix), 22,113
networks; the read-out is the class token instead of a mean over patches.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.tangle.choices import Architecture, Probabilities
from swajax.tangle.layers import affine, masks
from swajax.tangle.spaces import transformer
from swajax.tangle.spaces.base import SearchSpace, bind
from swajax.tangle.spaces.transformer import Stack
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class DigitsVitConfig(transformer.TransformerConfig):
    """Options of the space."""

    image_size: int = 8
    """pixels along a side of an image"""
    image_channels: int = 1
    """numbers of a pixel"""
    patch: int = 2
    """pixels along a side of a patch"""
    num_classes: int = 10
    """outputs O"""

    def __post_init__(self) -> None:
        """Reject patches that do not tile an image."""
        super().__post_init__()
        if self.patch < 1 or self.image_size % self.patch:
            raise ValueError(
                f"patch must tile {self.image_size} pixels a side, got {self.patch}"
            )


class Weights(NamedTuple):
    """Of the largest network, or of one that is sliced."""

    patch: Float[Array, "P E"]
    patch_bias: Float[Array, " E"]
    class_token: Float[Array, " E"]
    positions: Float[Array, "S E"]
    stack: Stack
    readout: Float[Array, "E O"]
    readout_bias: Float[Array, " O"]


def make_digits_vit(config: DigitsVitConfig) -> SearchSpace:
    """The space; see `transformer.make_choices` for the names of probabilities."""
    functions = (init, apply, probability_masks, take, apply_alone)
    return bind("digits-vit", transformer.make_choices(config), config, *functions)


def init(config: DigitsVitConfig, key: Key) -> Weights:
    """Normal weights; the class token and the positions small."""
    patch_key, place_key, stack_key, readout_key = jax.random.split(key, 4)
    size, (num, pixels) = max(config.embed), _count_patches(config)
    small = 0.1 * jax.random.normal(place_key, (num + 2, size))
    return Weights(
        *affine.draw_affine(patch_key, (pixels, size)),
        class_token=small[0],
        positions=small[1:],
        stack=transformer.draw_stack(stack_key, config),
        readout=jax.random.normal(readout_key, (size, config.num_classes)) / size**0.5,
        readout_bias=jnp.zeros(config.num_classes),
    )


def apply(
    config: DigitsVitConfig, params: Weights, p: Probabilities, x: Float[Array, "N ..."]
) -> Float[Array, "N O"]:
    """The supernet."""
    keep = transformer.keep_probability(config, p)
    side = affine.output_mask(keep.embed, config.sides)
    tokens = side[None, None] * embed_tokens(config, params, x)
    last = transformer.apply_stack(config, params.stack, p, tokens, keep=keep)
    return affine.linear(
        last[:, 0],
        params.readout,
        params.readout_bias,
        keep_in=side,
        keep_out=jnp.ones(config.num_classes),
    )


def probability_masks(config: DigitsVitConfig, p: Probabilities) -> Weights:
    """Probability that each weight is in the network."""
    keep, (num, pixels) = (
        transformer.keep_probability(config, p),
        _count_patches(config),
    )
    classes = jnp.ones(config.num_classes)
    return Weights(
        patch=masks.outer(jnp.ones(pixels), keep.embed),
        patch_bias=keep.embed,
        class_token=keep.embed,
        positions=masks.outer(jnp.ones(num + 1), keep.embed),
        stack=transformer.mask_stack(config, p, keep),
        readout=masks.outer(keep.embed, classes),
        readout_bias=classes,
    )


def take(
    config: DigitsVitConfig, params: Weights, architecture: Architecture
) -> Weights:
    """The weights of one network."""
    size = transformer.num_channels(config, architecture)
    return Weights(
        patch=params.patch[:, :size],
        patch_bias=params.patch_bias[:size],
        class_token=params.class_token[:size],
        positions=params.positions[:, :size],
        stack=transformer.take_stack(config, params.stack, architecture),
        readout=params.readout[:size],
        readout_bias=params.readout_bias,
    )


def apply_alone(
    config: DigitsVitConfig,
    alone: Weights,
    architecture: Architecture,
    x: Float[Array, "N ..."],
) -> Float[Array, "N O"]:
    """One network."""
    del architecture  # the shapes tell all
    tokens = embed_tokens(config, alone, x)
    last = transformer.apply_stack_alone(config, alone.stack, tokens)
    return last[:, 0] @ alone.readout + alone.readout_bias[None]


def embed_tokens(
    config: DigitsVitConfig, weights: Weights, x: Float[Array, "N Y X C"]
) -> Float[Array, "N S E"]:
    """The class token, then the patches row by row; linear in all of the weights."""
    blocks = affine.split_blocks(x, config.patch)
    patches = blocks.swapaxes(2, 3).reshape(len(x), -1, weights.patch.shape[0])
    tokens = patches @ weights.patch + weights.patch_bias[None, None]
    first = jnp.broadcast_to(weights.class_token, (len(x), 1, tokens.shape[-1]))
    return jnp.concatenate([first, tokens], axis=1) + weights.positions[None]


def _count_patches(config: DigitsVitConfig) -> tuple[int, int]:
    """Patches of an image, and numbers of a patch."""
    num = (config.image_size // config.patch) ** 2
    return num, config.patch**2 * config.image_channels
