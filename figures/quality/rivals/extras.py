"""Rivals of other packages, whose models are not networks of swajax.

Each fits several shapes within the time budget and returns a front. The packages are
imported only when they run (`pip install swajax[rivals]`). They do not support weights
of points.
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
HIDDEN = (4, 2, 8, 1, 3, 6)  # hidden neurons, in the order of the trials
GRIDS = (1, 3, 5)  # intervals of a spline
ORDER = 3  # of a spline


# Points [N I] to outputs [N O]: numbers, or logits as in `objectives`.
PredictFn = Callable[[Float[np.ndarray, "N I"]], Float[np.ndarray, "N O"]]


class Fitted(NamedTuple):
    """A fitted model with its losses."""

    num_weights: int  # non-zero numbers
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
    """Run LassoNet (Lemhadri et al., arXiv:1907.12207) along its path of inputs.

    Args:
      seed: of the initial weights.
      train: rows to fit.
      valid: rows that choose the models.
      objective: loss.
      max_weights: largest number of weights.
      time_budget: seconds after which no new fit begins.
      clock: returns seconds.

    Returns:
      Models by size, each better on validation data than all smaller ones.

    Raises:
      ModuleNotFoundError: the package is not installed.
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
        # LassoNet continues with the same object.
        predict_fn = functools.partial(
            _predict_lasso, copy.deepcopy(model), objective=objective
        )
        found.append(_fit_result(size, predict_fn, train, valid, objective))
        if clock() >= end:
            raise TimeoutError

    data = [
        (np.float32(part.x), _to_targets(part, objective)) for part in (train, valid)
    ]
    for hidden in HIDDEN:
        # The default factor of 1.02 would take minutes.
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
    """Run Kolmogorov-Arnold networks (Liu et al., arXiv:2404.19756) of growing shapes.

    Arguments, result and errors are those of `run_lassonet`.
    """
    kan, torch = import_package("pykan"), importlib.import_module("torch")
    end, found = clock() + time_budget, []
    sets = {"train": train, "test": valid}  # names in pykan
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
        with contextlib.redirect_stderr(io.StringIO()):  # progress bar
            model = kan.KAN(width=width, grid=grid, k=ORDER, seed=seed, auto_save=False)
            # Updates of the grid fail on some data.
            model.fit(data, opt="LBFGS", steps=20, loss_fn=loss_fn, update_grid=False)
        predict_fn = functools.partial(_predict_kan, model)
        found.append(_fit_result(size, predict_fn, train, valid, objective))
        if clock() >= end:
            break
    return choose(found, max_weights)


MODULES = {"pykan": "kan"}  # names that differ from the package
EXTRAS = {"lassonet": run_lassonet, "pykan": run_pykan}


def choose(found: list[Fitted], max_weights: int) -> list[Fitted]:
    """Return models that no smaller or equally large one beats, by size."""
    front: list[Fitted] = []
    for one in sorted(found, key=lambda one: (one.num_weights, one.valid_loss)):
        is_better = not front or one.valid_loss < front[-1].valid_loss
        is_allowed = one.num_weights <= max_weights and np.isfinite(one.valid_loss)
        if is_allowed and is_better:
            front.append(one)
    return front


def import_package(name: str) -> ModuleType:
    """Import the module of a package.

    Raises:
      ModuleNotFoundError: the package is not installed.
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
    """Yield size, widths and grid, smallest first.

    An edge has the coefficients of its spline and two scales.
    """
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
    """Return numbers, or integer codes of classes."""
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
    return model(torch.tensor(np.float32(x))).detach().numpy()


def _fit_result(
    size: int,
    predict_fn: PredictFn,
    train: Problem,
    valid: Problem,
    objective: Objective,
) -> Fitted:
    means = (mean_loss(predict_fn, part, objective) for part in (train, valid))
    return Fitted(size, *means, predict_fn)


def mean_loss(predict_fn: PredictFn, problem: Problem, objective: Objective) -> float:
    """Return the weighted mean loss of a model."""
    outputs, y = jnp.float32(predict_fn(problem.x).T), jnp.float32(problem.y.T)
    each = losses(outputs, y, objective=objective)
    return float(np.average(each, weights=problem.weight))
