"""One search of a data set: its settings, its data, and how far it is."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from swajax import blocks, pareto, tasks
from swajax.objectives import Objective, num_directions
from swajax.pareto import Pool
from swajax.polish import Fit, Problem
from swajax.types import Activation, Network, NetworkSpec


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """How a front of networks is searched."""

    max_weights: int = 64
    """size of the largest network"""
    max_error: float | None = None
    """pick the smallest network with at most this validation loss: mean squared error
    over the variance of the target, or log loss in nats"""
    num_starts: int = 768
    """random networks that are polished first, besides as many small ones; fewer where
    others join them"""
    num_rounds: int = 3
    """times down and up the sizes"""
    num_kept: int = 32
    """networks kept of each size"""
    max_varied: int = 20
    """size of the largest networks of which variants are tried; 0: of none"""
    max_width: int = 8
    """neurons a hidden layer at most"""
    max_depth: int = 3
    """hidden layers at most"""
    activations: tuple[Activation, ...] = ("sigmoid", "tanh", "leaky_relu", "linear")
    """activations that a neuron can have"""
    weight_decay: float | None = None
    """half of this times the squared weights is added to the loss [1e-9 for numbers,
    about 1 / points for classes]"""

    def __post_init__(self) -> None:
        """Reject sizes that cannot be."""
        for name in ("num_starts", "num_kept"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("num_rounds", "max_varied", "max_error", "weight_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number >= 0, got {value}")
        if not 3 <= self.max_weights <= blocks.PLACES[-1] - 1:
            raise ValueError(
                f"max_weights must be in 3..{blocks.PLACES[-1] - 1}, "
                f"got {self.max_weights}"
            )
        self.make_spec(num_inputs=1, num_outputs=1)

    def make_spec(self, num_inputs: int, num_outputs: int) -> NetworkSpec:
        """Limits of the networks for a table."""
        return NetworkSpec(
            num_inputs=num_inputs,
            num_outputs=num_outputs,
            max_width=self.max_width,
            max_depth=self.max_depth,
            activations=self.activations,
        )


@dataclasses.dataclass
class Job:
    """One search: data, settings, and how far it is."""

    train: Problem  # padded, of NumPy arrays, as `valid`
    valid: Problem
    spec: NetworkSpec
    fit: Fit
    config: PipelineConfig
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
        real = Problem(*(leaf[..., is_real] for leaf in self.train))
        return tasks.pad(tasks.thin(real, max(num // cost, 1)))

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
        return blocks.polish_all(
            networks, sizes, points, fit=self.fit, num_steps=num_steps
        )

    def make_pool(self, networks: Network) -> Pool:
        """Networks without dead parts, with their sizes and losses."""
        return pareto.make_pool(*blocks.finish(networks, self.train, fit=self.fit))

    def judge(
        self, networks: Network
    ) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
        """Validation losses, and standard errors of their gaps to the lowest."""
        return blocks.judge(networks, self.valid, fit=self.fit)


def make_job(
    train: Problem,
    valid: Problem,
    objective: Objective,
    config: PipelineConfig,
    time_budget: float | None,
    clock: Callable[[], float],
) -> Job:
    """A search of a data set that begins now; the arguments are those of `run`."""
    spec = config.make_spec(train.x.shape[0], train.y.shape[0])
    train, valid = (tasks.pad(tasks.thin(part)) for part in (train, valid))
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
