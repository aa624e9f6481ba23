"""One search of a data set: its settings, its data, and how far it is."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from swajax.data.problem import Problem, pad, take_rows, thin
from swajax.objectives import Objective, num_directions
from swajax.refine import batches
from swajax.refine.quadratic import Fit
from swajax.search import pool as pools
from swajax.search.config import SearchConfig
from swajax.search.pool import Pool
from swajax.types import Network, NetworkSpec


@dataclasses.dataclass
class Job:
    """One search: data, settings, and how far it is."""

    train: Problem  # padded, of NumPy arrays, as `valid`
    valid: Problem
    spec: NetworkSpec
    fit: Fit
    config: SearchConfig
    time_budget: float | None
    clock: Callable[[], float]
    begin: float
    candidate_steps: int = 0

    def seconds(self) -> float:
        """How long it has been at work."""
        return self.clock() - self.begin

    def seconds_left(self) -> float:
        """What is left of the time budget: endless without one."""
        budget = self.time_budget
        return math.inf if budget is None else budget - self.seconds()

    def is_over(self, share: float = 1.0) -> bool:
        """Whether this share of the time budget, if there is one, is spent."""
        budget = self.time_budget
        return budget is not None and self.seconds() >= share * budget

    def take_points(self, num: int) -> Problem:
        """A random part of the training points that costs as much as so many.

        A point costs as much as the functions of the outputs that are differentiated.
        """
        cost = num_directions(self.spec.num_outputs, self.fit.objective)
        is_real = self.train.weight > 0
        if is_real.sum() * cost <= num:
            return self.train
        real = take_rows(self.train, is_real)
        return pad(thin(real, max(num // cost, 1)))

    def polish(
        self,
        networks: Network,
        sizes: np.ndarray,
        num_steps: int,
        points: Problem | None = None,
    ) -> tuple[Network, Float[np.ndarray, " R"]]:
        """Networks after so many steps, and their losses, on some points or all."""
        self.candidate_steps += num_steps * len(sizes)
        points = self.train if points is None else points
        return batches.polish_batch(
            networks, sizes, points, fit=self.fit, num_steps=num_steps
        )

    def make_pool(self, networks: Network) -> Pool:
        """Networks without dead parts, with their sizes and losses."""
        return pools.make_pool(
            *batches.simplify_and_score(networks, self.train, fit=self.fit)
        )

    def judge(
        self, networks: Network
    ) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
        """Validation losses, and standard errors of their gaps to the lowest."""
        return batches.validation_scores(networks, self.valid, fit=self.fit)


def make_job(
    train: Problem,
    valid: Problem,
    objective: Objective,
    config: SearchConfig,
    time_budget: float | None,
    clock: Callable[[], float],
) -> Job:
    """A search of a data set that begins now; the arguments are those of `run`."""
    spec = config.make_spec(train.x.shape[1], train.y.shape[1])
    train, valid = (pad(thin(part)) for part in (train, valid))
    decay = config.weight_decay
    if decay is None:
        decay = 1e-9 if objective == "squared" else decay_of_classes(train)
    fit = Fit(objective, config.activations, decay)
    return Job(train, valid, spec, fit, config, time_budget, clock, clock())


def decay_of_classes(train: Problem) -> float:
    """What a standard normal prior of the weights amounts to: 1 / number of points.

    Few rows of classes are soon told apart, and weights would grow without end. To a
    power of two: each value is a compiled program.

    Args:
      train: points, whose weights have the sum 1.
    """
    num_points = 1 / np.square(train.weight).sum()
    return 2.0 ** -round(np.log2(num_points))
