"""Linear models of each size with their cross-validated losses.

They are what a larger or another network has to beat: on few rows, the noise of the
losses prefers one of the many networks that a search finds to a linear model.
"""

import itertools

import jax
import numpy as np
from jaxtyping import Float, Int

from swajax.data.problem import Problem, thin
from swajax.objectives import Objective, losses_on_host
from swajax.search.cross_validation import LARGEST_LOSS, Curve
from swajax.search.sources.linear import count, select_forward, to_network
from swajax.types import Network, NetworkSpec

DECAYS = (0.03, 0.3, 3.0, 30.0)  # relative to that of a unit normal prior
FEW_DECAYS = (0.3, 3.0)  # of several outputs, whose models take longer
MAX_ROWS = 4000  # for several outputs

Path = list[Float[np.ndarray, "J O"]]


def find_linear_models(
    rows: Problem,
    folds: Int[np.ndarray, " N"],
    held: list[int],
    objective: Objective,
    limits: NetworkSpec,
    max_weights: int,
    unit: float,
) -> tuple[Network, Curve] | None:
    """Return linear models of increasing size, fitted to all rows, and their losses.

    The inputs are selected anew without each fold; the weight decay is the one with
    the smallest loss of any size.

    Args:
      rows: all rows.
      folds: fold of each row.
      held: folds to hold out.
      objective: the loss.
      limits: limits of the networks.
      max_weights: size of the largest model.
      unit: weight decay of a unit normal prior.

    Returns:
      Networks, leaves [K, ...], and their curve; None if there are no such models.
    """
    is_single = rows.y.shape[1] == 1
    best, best_path = None, []
    for factor in DECAYS if is_single else FEW_DECAYS:
        options = (objective, limits, max_weights, factor * unit)
        path, paths = _find(rows, *options), []
        for fold in held:
            part = rows._replace(weight=np.where(folds == fold, 0, rows.weight))
            paths.append(_find(part, *options))
        num = min(map(len, (path, *paths)))
        if not num:
            continue
        curve = _evaluate(
            [one[:num] for one in paths], path[:num], rows, folds, held, objective
        )
        if best is None or curve.means.min() < best.means.min():
            best, best_path = curve._replace(decay=factor * unit), path[:num]
    if best is None:
        return None
    networks = [to_network(weights, limits) for weights in best_path]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *networks), best


def _find(
    rows: Problem,
    objective: Objective,
    limits: NetworkSpec,
    max_weights: int,
    decay: float,
) -> Path:
    rows = rows if rows.y.shape[1] == 1 else thin(rows, MAX_ROWS)
    path = select_forward(rows, objective, limits.max_width, decay)
    return list(
        itertools.takewhile(lambda weights: count(weights) <= max_weights, path)
    )


def _evaluate(
    paths: list[Path],
    path: Path,
    rows: Problem,
    folds: Int[np.ndarray, " N"],
    held: list[int],
    objective: Objective,
) -> Curve:
    """Return the losses on held-out rows by the number of selections."""
    index, outputs = [], []
    for fold, own in zip(held, paths, strict=True):
        index.append(np.flatnonzero(folds == fold))
        x = rows.x[index[-1]]
        outputs.append(np.array([x @ weights[1:] + weights[0] for weights in own]))
    index, outputs = np.concatenate(index), np.concatenate(outputs, axis=1)
    loss = losses_on_host(outputs, rows.y[index], objective)
    loss = np.where(np.isfinite(loss), loss, LARGEST_LOSS)
    sizes = np.array([count(weights) for weights in path])
    weight = np.asarray(rows.weight)[index]
    return Curve(sizes, np.float32(outputs), loss, weight, index, 0.0)
