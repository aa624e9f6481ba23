"""One search: its data, settings, clock and counts of work."""

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
from swajax.search.hosts import Merger
from swajax.search.pool import Pool
from swajax.types import Network, NetworkSpec


@dataclasses.dataclass
class Job:
    """Data, settings and progress of one search."""

    train: Problem  # padded NumPy arrays
    valid: Problem  # padded NumPy arrays
    spec: NetworkSpec
    fit: Fit
    config: SearchConfig
    time_budget: float | None
    clock: Callable[[], float]
    begin: float
    merger: Merger
    network_steps: int = 0

    def seconds(self) -> float:
        """Return the time since the start."""
        return self.clock() - self.begin

    def seconds_left(self) -> float:
        """Return the rest of the time budget, infinite without one."""
        budget = self.time_budget
        return math.inf if budget is None else budget - self.seconds()

    def is_over(self, share: float = 1.0) -> bool:
        """Return whether this share of the time budget is spent."""
        budget = self.time_budget
        return budget is not None and self.seconds() >= share * budget

    def sample_rows(self, num: int) -> Problem:
        """Draw training rows that cost as much as `num` rows of one output.

        A row costs one unit per function of the outputs that is differentiated.
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
        rows: Problem | None = None,
    ) -> tuple[Network, Float[np.ndarray, " R"]]:
        """Run `num_steps` polish steps on some rows or all; return losses too."""
        self.network_steps += num_steps * len(sizes)
        rows = self.train if rows is None else rows
        return batches.polish_batch(
            networks, sizes, rows, fit=self.fit, num_steps=num_steps
        )

    def make_pool(self, networks: Network) -> Pool:
        """Simplify networks and return them with their sizes and training losses."""
        return pools.make_pool(
            *batches.simplify_and_score(networks, self.train, fit=self.fit)
        )

    def validate(
        self, networks: Network
    ) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
        """Return validation losses and standard errors of the excess over the best."""
        return batches.validation_scores(networks, self.valid, fit=self.fit)


def make_job(
    train: Problem,
    valid: Problem,
    objective: Objective,
    config: SearchConfig,
    time_budget: float | None,
    clock: Callable[[], float],
) -> Job:
    """Start a search now; the arguments are those of `swajax.search.run.find_front`."""
    spec = config.make_spec(train.x.shape[1], train.y.shape[1])
    train, valid = (pad(thin(part)) for part in (train, valid))
    decay = config.weight_decay
    if decay is None:
        decay = 1e-9 if objective == "squared" else decay_of_classes(train)
    fit = Fit(objective, config.activations, decay)
    merger = Merger(config.num_kept)
    return Job(train, valid, spec, fit, config, time_budget, clock, clock(), merger)


def decay_of_classes(train: Problem) -> float:
    """Return the weight decay of a standard normal prior, 1 / effective number of rows.

    Without it, weights grow without bound where classes are separable. The value is
    rounded to a power of two, since each value compiles its own program.

    Args:
      train: rows whose weights sum to 1.
    """
    num_rows = 1 / np.square(train.weight).sum()
    return 2.0 ** -round(np.log2(num_rows))
