"""What a split table asks of a search: its loss, and its rows as a problem."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from swajax.data.splits import Part, Scaling
from swajax.objectives import Objective


class Problem(NamedTuple):
    """Points to fit, on the last axis."""

    x: Float[Array, "*B I N"]
    y: Float[Array, "*B O N"]
    weight: Float[Array, "*B N"]  # sum 1


MAX_POINTS = 20_000  # more of them cost time and hardly change what is found
LARGEST = 1e30  # numbers that float32 and its squares can hold


def choose_objective(scaling: Scaling) -> Objective:
    """What is fitted for a table."""
    if not scaling.classes:
        return "squared"
    return "logistic" if len(scaling.classes) == 2 else "softmax"


def to_part(problem: Problem) -> Part:
    """Points as rows of a table, of mean weight 1."""
    weight = problem.weight / problem.weight.mean()
    return Part(*(np.float32(leaf.T) for leaf in problem._replace(weight=weight)))


def to_problem(part: Part) -> Problem:
    """Rows of a table as the polish takes them."""
    return Problem(*(np.asarray(leaf.T, np.float64) for leaf in part))


def pad(problem: Problem) -> Problem:
    """Up to round numbers of points, which weigh nothing, and of inputs, which are 0.

    So tables of like size share compiled programs.
    """
    num_inputs, num_points = problem.x.shape
    more_inputs = padded_inputs(num_inputs) - num_inputs
    step = max(32, 2 ** (math.ceil(math.log2(num_points)) - 4))
    more = -num_points % step
    rows = ((0, 0), (0, more))
    # What float32 cannot hold is as good as infinite, and refused as such.
    x, y = (np.asarray(a, np.float64) for a in problem[:2])
    x, y = (np.where(np.abs(a) > LARGEST, np.inf, a) for a in (x, y))
    weight = np.asarray(problem.weight, np.float64)
    return Problem(
        np.pad(x, ((0, more_inputs), (0, more))),
        np.pad(y, rows),
        np.pad(weight / weight.sum(), (0, more)),
    )


def padded_inputs(num: int) -> int:
    """A round number of inputs, of at least so many."""
    return max(4, 2 ** math.ceil(math.log2(num)))


def thin(problem: Problem, num_points: int = MAX_POINTS) -> Problem:
    """At most so many points, drawn at random with the same seed each time."""
    if problem.x.shape[1] <= num_points:
        return problem
    rows = np.random.default_rng(0).permutation(problem.x.shape[1])[:num_points]
    return Problem(*(np.asarray(leaf)[..., rows] for leaf in problem))
