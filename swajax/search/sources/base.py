"""What a source of starts is asked for."""

from typing import NamedTuple

from swajax.data.problem import Problem
from swajax.objectives import Objective
from swajax.types import NetworkSpec


class SourceTask(NamedTuple):
    """What networks are wanted for."""

    train: Problem
    valid: Problem
    objective: Objective
    limits: NetworkSpec
    max_weights: int
