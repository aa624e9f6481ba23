"""Rivals from other packages, whose networks are no records of swajax.

Each tries several shapes while there is time and gives a front. Their packages are
asked for only when they run (`pip install swajax[rivals]`). Weights of points are not
used: they know none.
"""

import contextlib
import copy
import functools
import importlib
import io
import itertools
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from swajax.data.problem import Problem
from swajax.objectives import Objective, losses

MIN_PROBABILITY = 1e-7
HIDDEN = (4, 2, 8, 1, 3, 6)  # neurons of a hidden layer, tried in this order
GRIDS = (1, 3, 5)  # intervals of a spline
ORDER = 3  # of a spline


# Points [I N] to outputs [N O], which are numbers, or logits as of `objectives`.
PredictFn = Callable[[Float[np.ndarray, "I N"]], Float[np.ndarray, "N O"]]


class Fitted(NamedTuple):
    """One model."""

    num_weights: int  # numbers that are not zero
    train_loss: float
    valid_loss: float
    predict_fn: PredictFn


def run_lassonet(
    seed: int,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    max_weights: int,
    time_budget: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Fitted]:
    """LassoNet (Lemhadri et al., arXiv:1907.12207): fewer inputs along a path.

    Args:
      seed: of the weights at the start.
      train: points to fit.
      valid: points to choose by.
      objective: what is fitted.
      max_weights: size of the largest model.
      time_budget: seconds after which no more work begins.
      clock: tells the seconds.

    Raises:
      ModuleNotFoundError: the package is not there; says how to install it.
    """
    package = import_package("lassonet")
    make = getattr(
        package, "LassoNet" + ("Regressor" if objective == "squared" else "Classifier")
    )
    end, found = clock() + time_budget, []

    def keep(model: Any, history: list[Any]) -> None:
        del history
        state = model.model.state_dict().values()
        size = sum(int((leaf != 0).sum()) for leaf in state)
        # It goes on with the same model.
        predict_fn = functools.partial(
            _predict_lasso, copy.deepcopy(model), objective=objective
        )
        found.append(_judge(size, predict_fn, train, valid, objective))
        if clock() >= end:
            raise TimeoutError

    data = [
        (np.float32(part.x), _to_targets(part, objective)) for part in (train, valid)
    ]
    for hidden in HIDDEN:
        # Not 2 % along the path each time: that would take minutes.
        model = make(
            hidden_dims=(hidden,),
            path_multiplier=1.1,
            n_iters=(1000, 100),
            random_state=seed,
            torch_seed=seed,
            verbose=0,
        )
        with contextlib.suppress(TimeoutError):
            model.path(*data[0], X_val=data[1][0], y_val=data[1][1], callback=keep)
        if clock() >= end:
            break
    return choose(found, max_weights)


def run_pykan(
    seed: int,
    train: Problem,
    valid: Problem,
    *,
    objective: Objective,
    max_weights: int,
    time_budget: float,
    clock: Callable[[], float] = time.monotonic,
) -> list[Fitted]:
    """Kolmogorov-Arnold networks (Liu et al., arXiv:2404.19756) of growing shapes.

    Arguments and errors are those of `run_lassonet`.
    """
    kan, torch = import_package("pykan"), importlib.import_module("torch")
    end, found = clock() + time_budget, []
    sets = {"train": train, "test": valid}  # its own names
    data = {
        f"{name}_{kind}": torch.tensor(np.float32(leaf))
        for name, part in sets.items()
        for kind, leaf in (("input", part.x), ("label", part.y))
    }
    loss_fn = {
        "squared": torch.nn.functional.mse_loss,
        "logistic": torch.nn.functional.binary_cross_entropy_with_logits,
        "softmax": torch.nn.functional.cross_entropy,
    }[objective]
    for size, width, grid in _kan_shapes(
        train.x.shape[1], train.y.shape[1], max_weights
    ):
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            model = kan.KAN(width=width, grid=grid, k=ORDER, seed=seed, auto_save=False)
            # Its own moving of the grid to the points fails on some data.
            model.fit(data, opt="LBFGS", steps=20, loss_fn=loss_fn, update_grid=False)
        predict_fn = functools.partial(_predict_kan, model)
        found.append(_judge(size, predict_fn, train, valid, objective))
        if clock() >= end:
            break
    return choose(found, max_weights)


MODULES = {"pykan": "kan"}  # where they are not named as their packages
EXTRAS = {"lassonet": run_lassonet, "pykan": run_pykan}


def choose(found: list[Fitted], max_weights: int) -> list[Fitted]:
    """Models that no smaller or equally small one beats on validation data, by size."""
    front: list[Fitted] = []
    for one in sorted(found, key=lambda one: (one.num_weights, one.valid_loss)):
        is_better = not front or one.valid_loss < front[-1].valid_loss
        is_allowed = one.num_weights <= max_weights and np.isfinite(one.valid_loss)
        if is_allowed and is_better:
            front.append(one)
    return front


def import_package(name: str) -> ModuleType:
    """The module of a package.

    Raises:
      ModuleNotFoundError: it is not there; says how to install it.
    """
    try:
        return importlib.import_module(MODULES.get(name, name))
    except ImportError as error:
        raise ModuleNotFoundError(
            f"this rival needs the package {name}: pip install swajax[rivals]"
        ) from error


def _kan_shapes(
    num_inputs: int, num_outputs: int, max_weights: int
) -> Iterator[tuple[int, list[int], int]]:
    """Size, widths and grid, the smaller first; two numbers an edge scale its parts."""
    shapes = [[num_inputs, num_outputs]]
    shapes += [[num_inputs, hidden, num_outputs] for hidden in HIDDEN]
    sized = [
        (
            sum(a * b for a, b in itertools.pairwise(s)) * (grid + ORDER + 2),
            s,
            grid,
        )
        for s in shapes
        for grid in GRIDS
    ]
    yield from (shape for shape in sorted(sized) if shape[0] <= max_weights)


def _to_targets(problem: Problem, objective: Objective) -> np.ndarray:
    """Numbers, or classes by their number."""
    if objective == "squared":
        return np.float32(problem.y)
    return np.int64(
        problem.y[:, 0] if objective == "logistic" else problem.y.argmax(axis=1)
    )


def _predict_lasso(
    model: Any, x: Float[np.ndarray, "N I"], *, objective: Objective
) -> Float[np.ndarray, "N O"]:
    x = np.float32(x)
    if objective == "squared":
        return np.asarray(model.predict(x)).reshape(len(x), -1)
    logits = np.log(np.maximum(model.predict_proba(x), MIN_PROBABILITY))
    return logits if objective == "softmax" else logits[:, 1:] - logits[:, :1]


def _predict_kan(model: Any, x: Float[np.ndarray, "N I"]) -> Float[np.ndarray, "N O"]:
    torch = importlib.import_module("torch")
    return model(torch.tensor(np.float32(x.T))).detach().numpy()


def _judge(
    size: int,
    predict_fn: PredictFn,
    train: Problem,
    valid: Problem,
    objective: Objective,
) -> Fitted:
    means = (mean_loss(predict_fn, part, objective) for part in (train, valid))
    return Fitted(size, *means, predict_fn)


def mean_loss(predict_fn: PredictFn, problem: Problem, objective: Objective) -> float:
    """Weighted mean of the losses of a model."""
    outputs, y = jnp.float32(predict_fn(problem.x).T), jnp.float32(problem.y.T)
    each = losses(outputs, y, objective=objective)
    return float(np.average(each, weights=problem.weight))
