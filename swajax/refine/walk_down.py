"""Walk a large network down: many weights and whole neurons leave at a time.

Costs and corrections are those of `swajax.refine.block_pruning`, and Gauss-Newton steps
follow each removal. Host code around one compiled program per shape of the network.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from swajax.data.problem import Problem
from swajax.network.layered import LayeredNetwork
from swajax.refine import gauss_newton
from swajax.refine.block_pruning import (
    Blocks,
    choose,
    find_blocks,
    find_costs,
    narrow,
    remove,
)
from swajax.refine.gauss_newton import Matrices, Names, Trace
from swajax.refine.matrices import (
    Stack,
    compact,
    count,
    make_linear,
    simplify,
    to_layered,
    to_stack,
)
from swajax.refine.quadratic import Fit

KEPT_SHARE = 0.8  # of the weights, that stay at each removal
NUM_STEPS = 4  # Gauss-Newton steps after each
COMPACT_SHARE = 0.5  # of the neurons and inputs: arrays get smaller, to be compiled
MAX_WIDTH = 128  # inputs of a layer with one block per neuron
LAYER_STEPS = 20  # Gauss-Newton steps after a layer has left
NUM_CANDIDATES = 3  # layers that are left out on trial


class Stop(NamedTuple):
    """A network on the way down."""

    network: LayeredNetwork
    num_weights: int
    loss: float  # with the weight decay


@dataclasses.dataclass(frozen=True)
class Goal:
    """Limits of the networks of a walk."""

    largest: int
    """weights and biases of the largest network to yield"""
    smallest: int
    """weights and biases of the last one"""
    max_width: int
    """neurons per hidden layer"""
    max_depth: int
    """hidden layers"""


def walk_down(
    network: LayeredNetwork,
    problem: Problem,
    *,
    fit: Fit,
    goal: Goal,
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> Iterator[Stop]:
    """Yield smaller and smaller networks within the limits, fitted to the rows.

    Args:
      network: start; its outputs are those of the objective.
      problem: rows to fit, whose weights sum to 1.
      fit: objective and weight decay.
      goal: limits; the last network has at most `goal.smallest` weights.
      seconds_left: returns the time that is left; less of it makes larger steps.
    """
    problem = jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), problem)
    stack = _narrow(to_stack(network), problem, fit)
    stack = _reduce_depth(stack, problem, fit, goal.max_depth)
    state = _advance(stack, problem, fit)
    first, last = max(count(stack), goal.largest + 1), goal.largest
    widths, pace = stack.widths, _Pace(seconds_left)
    while True:
        size = count(state.stack)
        if size <= goal.largest and max(state.stack.widths) <= goal.max_width:
            found = to_layered(state.stack, network.num_inputs)
            yield Stop(found, size, state.loss)
        if size <= goal.smallest:
            return
        target = max(goal.smallest, int(pace.share(size / goal.smallest) * size))
        way = min(1.0, math.log(first / target) / math.log(first / last))
        limits = [
            math.ceil(width * min(1.0, goal.max_width / width) ** way - 1e-9)
            for width in widths
        ]
        stack = state.stack
        kept = choose(stack.matrices, state.costs, target, limits)
        matrices = remove(stack.matrices, state.blocks, kept)
        stack = simplify(stack._replace(matrices=matrices))
        stack = compact(stack, COMPACT_SHARE)
        if not len(stack.inputs):  # a constant is left
            return
        state = _advance(stack, problem, fit)


class _State(NamedTuple):
    stack: Stack
    loss: float
    blocks: Blocks
    costs: list[np.ndarray]


def _advance(stack: Stack, problem: Problem, fit: Fit) -> _State:
    """Fit a network, and compute the costs of its weights."""
    rows = problem._replace(x=problem.x[:, stack.inputs])
    matrices, loss, trace = jax.device_get(
        _fit_and_trace(stack.matrices, rows, stack.short_names, fit, NUM_STEPS)
    )
    blocks = find_blocks(trace)
    costs = find_costs(matrices, blocks)
    return _State(stack._replace(matrices=matrices), float(loss), blocks, costs)


@functools.partial(jax.jit, static_argnames="names")
def _fit_and_trace(
    matrices: Matrices,
    rows: Problem,
    names: Names,
    fit: Fit,
    num_steps: int | Int[Array, ""],
) -> tuple[Matrices, Float[Array, ""], Trace]:
    matrices, loss = gauss_newton.refit(
        matrices, rows, names, fit=fit, num_steps=num_steps
    )
    return matrices, loss, gauss_newton.trace(matrices, rows, names, fit=fit)


class _Pace:
    """The share of the weights that stays at each removal."""

    def __init__(self, seconds_left: Callable[[], float]) -> None:
        self.seconds_left, self.last = seconds_left, math.inf

    def share(self, factor: float) -> float:
        """Return the share, if the network must still shrink by a factor."""
        left, spent = self.seconds_left(), 0.0
        if left < math.inf:
            spent, self.last = self.last - left, left
        num = max(1.0, left / max(spent, 1e-3)) if spent < math.inf else math.inf
        return min(KEPT_SHARE, factor ** (-1 / num))


def _narrow(stack: Stack, problem: Problem, fit: Fit) -> Stack:
    """Narrow layers whose blocks, one per neuron, would not fit into memory."""
    while max(map(len, stack.matrices)) > 1 + MAX_WIDTH:
        rows = problem._replace(x=problem.x[:, stack.inputs])
        traced = _trace(stack.matrices, rows, stack.short_names, fit=fit)
        stack = narrow(stack, jax.device_get(traced), MAX_WIDTH)
        stack, _ = _fit(stack, problem, fit, NUM_STEPS)
    return stack


def _reduce_depth(stack: Stack, problem: Problem, fit: Fit, max_depth: int) -> Stack:
    """Leave layers out that are nearly linear, one by one, and fit the others."""
    while len(stack.names) > max_depth:
        x = problem.x[:, stack.inputs]
        trials = [make_linear(stack, x, layer) for layer in range(len(stack.names))]
        trials.sort(key=lambda trial: _fit(trial, problem, fit, 0)[1])
        fitted = [
            _fit(trial, problem, fit, LAYER_STEPS) for trial in trials[:NUM_CANDIDATES]
        ]
        stack, _ = min(fitted, key=lambda pair: pair[1])
    return stack


def _fit(
    stack: Stack, problem: Problem, fit: Fit, num_steps: int
) -> tuple[Stack, float]:
    rows = problem._replace(x=problem.x[:, stack.inputs])
    matrices, loss = jax.device_get(
        _refit(stack.matrices, rows, stack.short_names, fit=fit, num_steps=num_steps)
    )
    loss = float(loss) if np.isfinite(loss) else math.inf
    return stack._replace(matrices=matrices), loss


_trace = jax.jit(gauss_newton.trace, static_argnames="names")
_refit = jax.jit(gauss_newton.refit, static_argnames=("names", "num_products"))
