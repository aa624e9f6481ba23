"""What a split table asks of a search: its loss, and its rows as a problem."""

import numpy as np

from swajax.data.splits import Part, Scaling
from swajax.objectives import Objective
from swajax.polish import Problem


def choose_objective(scaling: Scaling) -> Objective:
    """What is fitted for a table."""
    if not scaling.classes:
        return "squared"
    return "logistic" if len(scaling.classes) == 2 else "softmax"


def to_problem(part: Part) -> Problem:
    """Rows of a table as the polish takes them."""
    return Problem(*(np.asarray(leaf.T, np.float64) for leaf in part))
