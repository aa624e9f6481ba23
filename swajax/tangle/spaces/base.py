"""The record of a search space: what a supernet is, whatever it is made of."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from swajax.tangle.choices import (
    Architecture,
    Choice,
    Probabilities,
    check_probabilities,
)
from swajax.types import Key

Params = Any  # a pytree of the largest weights


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """A search space; all functions are pure.

    What holds for each: `apply` at one-hot probabilities is `apply_alone` of the slices
    (`take`), and `masks` there are 1 for what the slices keep and 0 elsewhere.
    """

    name: str
    """as in `swajax.tangle.spaces.SPACES`"""
    choices: tuple[Choice, ...]
    """what is chosen"""
    init: Callable[[Key], Params]
    """key to weights"""
    apply: Callable[[Params, Probabilities, Array], Float[Array, "N O"]]
    """weights, probabilities and inputs to outputs, in one pass for all options"""
    masks: Callable[[Probabilities], Params]
    """probability that each weight is in the network, of the weights' structure"""
    take: Callable[[Params, Architecture], Any]
    """the weights of one network, sliced"""
    apply_alone: Callable[[Any, Architecture, Array], Float[Array, "N O"]]
    """sliced weights, architecture and inputs to outputs, by plain layers"""

    def __post_init__(self) -> None:
        """Reject two choices of one name."""
        names = [choice.name for choice in self.choices]
        if len(set(names)) < len(names):
            raise ValueError(f"space {self.name}: names of choices repeat: {names}")


def bind(
    name: str,
    choices: tuple[Choice, ...],
    config: Any,
    init: Callable[..., Params],
    apply: Callable[..., Array],
    masks: Callable[..., Params],
    take: Callable[..., Any],
    apply_alone: Callable[..., Array],
) -> SearchSpace:
    """The space of functions that take a configuration first.

    Outside jit its `apply` refuses what are no probabilities; in it no value is known.
    """
    own_apply = functools.partial(apply, config)

    def checked_apply(
        params: Params, p: Probabilities, x: Array
    ) -> Float[Array, "..."]:
        if not any(isinstance(value, jax.core.Tracer) for value in p.values()):
            check_probabilities(p, choices)
        return own_apply(params, p, x)

    return SearchSpace(
        name,
        choices,
        init=functools.partial(init, config),
        apply=checked_apply,
        masks=functools.partial(masks, config),
        take=functools.partial(take, config),
        apply_alone=functools.partial(apply_alone, config),
    )


def count_weights(space: SearchSpace, architecture: Architecture) -> int:
    """Weights and biases of one network, sliced; nothing is computed."""
    params = jax.eval_shape(space.init, jax.random.key(0))
    taken = jax.eval_shape(lambda p: space.take(p, architecture), params)
    return sum(leaf.size for leaf in jax.tree.leaves(taken))
