"""Language models of characters: transformers that see what came before.

The small relative of the language model spaces of arXiv:2312.10440 (its appendix),
22,113 networks. The table of tokens is the read-out too. The size of a head is fixed,
so one pass of attention serves all numbers of heads; in the paper it is channels by
heads, with a pass for each.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from swajax.tangle.choices import Architecture, Probabilities
from swajax.tangle.data import chars
from swajax.tangle.layers import affine, masks
from swajax.tangle.spaces import transformer
from swajax.tangle.spaces.base import SearchSpace, bind
from swajax.tangle.spaces.transformer import Stack
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class CharsGptConfig(transformer.TransformerConfig):
    """Options of the space."""

    embed: tuple[int, ...] = (32, 48, 64)
    ratios: tuple[float | int, ...] = (2, 3, 4)
    head_size: int = 16
    num_tokens: int = len(chars.ALPHABET)
    """kinds of tokens V"""
    context: int = 64
    """tokens S that are seen at most"""

    def __post_init__(self) -> None:
        """Reject numbers below one."""
        super().__post_init__()
        if min(self.num_tokens, self.context) < 1:
            raise ValueError(
                "num_tokens and context must be >= 1, got "
                f"{self.num_tokens} and {self.context}"
            )


class Weights(NamedTuple):
    """Of the largest network, or of one that is sliced."""

    tokens: Float[Array, "V E"]
    positions: Float[Array, "S E"]
    stack: Stack


def make_chars_gpt(config: CharsGptConfig) -> SearchSpace:
    """The space; see `transformer.make_choices` for the names of probabilities.

    Its outputs have a row for each token, example by example.
    """
    functions = (init, apply, probability_masks, take, apply_alone)
    return bind("chars-gpt", transformer.make_choices(config), config, *functions)


def init(config: CharsGptConfig, key: Key) -> Weights:
    """Normal weights; tables of variance 1 / channels, so that logits have about 1."""
    token_key, place_key, stack_key = jax.random.split(key, 3)
    size = max(config.embed)

    def draw(key: Key, num: int) -> Float[Array, "_ E"]:
        return jax.random.normal(key, (num, size)) / size**0.5

    return Weights(
        tokens=draw(token_key, config.num_tokens),
        positions=draw(place_key, config.context),
        stack=transformer.draw_stack(stack_key, config),
    )


def apply(
    config: CharsGptConfig,
    params: Weights,
    p: Probabilities,
    x: Integer[Array, "N S"],
) -> Float[Array, "M V"]:
    """The supernet."""
    _check_length(config, x)
    keep = transformer.keep_probability(config, p)
    side = affine.output_mask(keep.embed, config.sides)
    places = affine.embedding(jnp.arange(x.shape[1]), params.positions, keep=side)
    stream = affine.embedding(x, params.tokens, keep=side) + places[None]
    last = transformer.apply_stack(
        config, params.stack, p, stream, keep=keep, is_seen=_look_back(x.shape[1])
    )
    logits = last @ (side[None] * params.tokens).T
    return logits.reshape(-1, config.num_tokens)


def probability_masks(config: CharsGptConfig, p: Probabilities) -> Weights:
    """Probability that each weight is in the network."""
    keep = transformer.keep_probability(config, p)
    return Weights(
        tokens=masks.outer(jnp.ones(config.num_tokens), keep.embed),
        positions=masks.outer(jnp.ones(config.context), keep.embed),
        stack=transformer.mask_stack(config, p, keep),
    )


def take(
    config: CharsGptConfig, params: Weights, architecture: Architecture
) -> Weights:
    """The weights of one network."""
    size = transformer.num_channels(config, architecture)
    return Weights(
        tokens=params.tokens[:, :size],
        positions=params.positions[:, :size],
        stack=transformer.take_stack(config, params.stack, architecture),
    )


def apply_alone(
    config: CharsGptConfig,
    alone: Weights,
    architecture: Architecture,
    x: Integer[Array, "N S"],
) -> Float[Array, "M V"]:
    """One network."""
    del architecture  # the shapes tell all
    _check_length(config, x)
    num = x.shape[1]
    stream = alone.tokens[x] + alone.positions[None, :num]
    last = transformer.apply_stack_alone(
        config, alone.stack, stream, is_seen=_look_back(num)
    )
    return (last @ alone.tokens.T).reshape(-1, config.num_tokens)


def _check_length(config: CharsGptConfig, x: Array) -> None:
    """Places beyond the last would silently be the last."""
    if x.shape[1] > config.context:
        raise ValueError(
            f"pieces must have <= {config.context} tokens, the context of the space, "
            f"got {x.shape[1]}"
        )


def _look_back(num: int) -> Array:
    """Which tokens each may attend to: those before, and itself."""
    return jnp.tril(jnp.ones((num, num), bool))
