"""Language models of characters: transformers with causal attention.

A small version of the language model spaces of arXiv:2312.10440 (appendix) with 22,113
networks. The token embedding is also the readout. The size of a head is fixed, so that
one pass of attention serves all numbers of heads; in the paper it is the ratio of
channels to heads, with one pass per number of heads.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from swajax.tangle.choices import Architecture, Probabilities
from swajax.tangle.data import chars
from swajax.tangle.layers import affine, axes
from swajax.tangle.layers.axes import Leaf
from swajax.tangle.spaces import transformer
from swajax.tangle.spaces.base import SearchSpace, make_search_space
from swajax.tangle.spaces.transformer import Stack
from swajax.types import Key


@dataclasses.dataclass(frozen=True)
class CharsGptConfig(transformer.TransformerConfig):
    """Options of the space."""

    embed: tuple[int, ...] = (32, 48, 64)
    ratios: tuple[float | int, ...] = (2, 3, 4)
    head_size: int = 16
    num_tokens: int = len(chars.ALPHABET)
    """size of the vocabulary V"""
    context: int = 64
    """maximum number of tokens S per example"""

    def __post_init__(self) -> None:
        """Reject numbers below one."""
        super().__post_init__()
        if min(self.num_tokens, self.context) < 1:
            raise ValueError(
                "num_tokens and context must be >= 1, got "
                f"{self.num_tokens} and {self.context}"
            )


class Weights(NamedTuple):
    """Weights of the largest network, or the slices of one network."""

    tokens: Float[Array, "V E"]
    positions: Float[Array, "S E"]
    stack: Stack


def make_chars_gpt(config: CharsGptConfig) -> SearchSpace:
    """Return the space; see `transformer.make_choices` for the names of its choices.

    Outputs have one row per token, example by example.
    """
    return make_search_space(
        "chars-gpt",
        transformer.make_choices(config),
        config,
        declared=declare(config),
        init=init,
        apply=apply,
        apply_standalone=apply_standalone,
    )


def declare(config: CharsGptConfig) -> Weights:
    """Return the axes of each weight."""
    embed = transformer.make_dimensions(config).embed
    return Weights(
        tokens=Leaf(axes.fixed(config.num_tokens), embed),
        positions=Leaf(axes.fixed(config.context), embed),
        stack=transformer.declare_stack(config),
    )


def init(config: CharsGptConfig, key: Key) -> Weights:
    """Draw normal weights; tables have variance 1 / E, so that logits have about 1."""
    token_key, place_key, stack_key = jax.random.split(key, 3)
    declared = declare(config)

    def draw(key: Key, leaf: Leaf) -> Float[Array, "_ E"]:
        return jax.random.normal(key, leaf.shape) / leaf.shape[1] ** 0.5

    return Weights(
        tokens=draw(token_key, declared.tokens),
        positions=draw(place_key, declared.positions),
        stack=transformer.draw_stack(stack_key, config),
    )


def apply(
    config: CharsGptConfig,
    params: Weights,
    p: Probabilities,
    x: Integer[Array, "N S"],
) -> Float[Array, "M V"]:
    """Evaluate the supernet, from tokens to the logits of the next tokens."""
    _check_length(config, x)
    keep = axes.keep(transformer.make_dimensions(config), p)
    side = affine.output_mask(keep.embed, config.masking)
    positions = affine.embedding(jnp.arange(x.shape[1]), params.positions, keep=side)
    stream = affine.embedding(x, params.tokens, keep=side) + positions[None]
    how = {"keep": keep, "attention_mask": _causal_mask(x.shape[1])}
    last = transformer.apply_stack(config, params.stack, p, stream, **how)
    logits = last @ (side[None] * params.tokens).T
    return logits.reshape(-1, config.num_tokens)


def apply_standalone(
    config: CharsGptConfig,
    sliced: Weights,
    architecture: Architecture,
    x: Integer[Array, "N S"],
) -> Float[Array, "M V"]:
    """Evaluate one network with plain layers."""
    del architecture  # given by the shapes
    _check_length(config, x)
    num = x.shape[1]
    stream = sliced.tokens[x] + sliced.positions[None, :num]
    last = transformer.apply_stack_standalone(
        config, sliced.stack, stream, attention_mask=_causal_mask(num)
    )
    return (last @ sliced.tokens.T).reshape(-1, config.num_tokens)


def _check_length(config: CharsGptConfig, x: Array) -> None:
    """Reject positions beyond the table, which JAX would clamp silently."""
    if x.shape[1] > config.context:
        raise ValueError(
            f"examples must have <= {config.context} tokens, the context of the space, "
            f"got {x.shape[1]}"
        )


def _causal_mask(num: int) -> Bool[Array, "S S"]:
    """Return the mask by which each token attends to itself and preceding tokens."""
    return jnp.tril(jnp.ones((num, num), bool))
