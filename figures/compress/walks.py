"""Walks of a deep network, of dense networks of tables, and of 8,000 weights."""

import functools
import itertools
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from figures.common.results import Run
from swajax.data.problem import Problem, choose_objective
from swajax.data.splits import split_table
from swajax.data.tables import Table
from swajax.model import evaluation
from swajax.network import from_sklearn, make_layered
from swajax.network.layered import LayeredNetwork
from swajax.objectives import Objective
from swajax.refine.quadratic import Fit
from swajax.refine.walk_down import Goal, walk_down
from swajax.search.config import SearchConfig
from swajax.search.run import find_front

MARGIN = 0.01  # of the variance, R2 or accuracy
DEPTH, WIDTH = 9, 7
Method = str  # walk: from the dense network; search: without it


def walk_deep(config: SearchConfig, seed: int) -> Run:
    """Search from a leaky network 2-7x9-1 without biases, for its own outputs."""
    rng = np.random.default_rng(seed)
    network = draw_network(rng, (2, *[WIDTH] * DEPTH, 1), "leaky_relu")
    parts = [make_rows(network, rng.uniform(-1, 1, (1000, 2))) for _ in range(2)]
    spread = parts[0].y.std()
    parts = [rows._replace(y=rows.y / spread) for rows in parts]
    begin = time.process_time()
    front = find_front(jax.random.key(seed), *parts, config=config, starts=network)
    return {
        "weights": network.count_weights(),
        "sizes": front.num_weights,
        "losses": front.valid_loss,
        "cpu_seconds": time.process_time() - begin,
    }


def walk_large(sizes: tuple[int, ...], goal: Goal) -> Run:
    """Walk a dense relu network down to the limits, and stop the time."""
    rng = np.random.default_rng(0)
    network = draw_network(rng, sizes, "relu")
    x = np.float32(rng.uniform(-1, 1, (2000, sizes[0])))
    y = np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]
    rows = Problem(x, y / y.std(), np.full(len(x), 1 / len(x)))
    begin, cpu = time.monotonic(), time.process_time()
    stop = next(walk_down(network, rows, fit=Fit(weight_decay=1e-5), goal=goal))
    return {
        "weights": network.count_weights(),
        "left": stop.num_weights,
        "loss": stop.loss,
        "seconds": time.monotonic() - begin,
        "cpu_seconds": time.process_time() - cpu,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def walk_table(
    load_fn: Callable[[], Table],
    seed: int,
    config: SearchConfig,
    time_budget: float,
    *,
    has_start: bool,
) -> Run:
    """Search with or without scikit-learn's dense network, and compare with it.

    The reported size is the smallest one whose test score is at most `MARGIN` below
    that of the dense network; the test rows choose nothing else.
    """
    dataset, scaling, _ = split_table(load_fn(), seed=seed)
    objective = choose_objective(scaling.classes)
    model = fit_dense(dataset.train, objective, seed)
    score = model.score(dataset.test.x, _labels(dataset.test, objective))
    dense = from_sklearn(model)
    front = find_front(
        jax.random.key(seed),
        dataset.train,
        dataset.valid,
        objective=objective,
        config=config,
        starts=dense if has_start else None,
        time_budget=time_budget,
        clock=time.process_time,
    )
    found = evaluation.tabulate(front, dataset, scaling, activations=config.activations)
    name = f"{found.measures[1]}_test"
    good = [r["num_weights"] for r in found.rows if r[name] >= score - MARGIN]
    best = max(row[name] for row in found.rows)
    about = {"weights": dense.count_weights(), "score": score, "best": best}
    return about | {"size": min(good, default=None)}


def fit_dense(rows: Problem, objective: Objective, seed: int) -> Any:
    """Fit scikit-learn's dense network (64, 64)."""
    kind = MLPRegressor if objective == "squared" else MLPClassifier
    model = kind(hidden_layer_sizes=(64, 64), max_iter=500, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows.x, _labels(rows, objective))


def draw_network(
    rng: np.random.Generator, sizes: tuple[int, ...], kind: str
) -> LayeredNetwork:
    """Draw a network without biases, weights of variance 2 / fan-in."""
    shapes = list(itertools.pairwise(sizes))
    weights = [rng.normal(size=shape) * np.sqrt(2 / shape[0]) for shape in shapes]
    biases = [np.zeros(num) for num in sizes[1:]]
    return make_layered(weights, biases, [kind] * (len(sizes) - 2))


def make_rows(network: LayeredNetwork, x: np.ndarray) -> Problem:
    """Return rows of which the network gives the targets, of mean 0."""
    y = np.asarray(network.apply(np.float32(x)), np.float64)
    return Problem(x, y - y.mean(), np.ones(len(x)))


def _labels(rows: Problem, objective: Objective) -> np.ndarray:
    return rows.y.argmax(axis=1) if objective == "softmax" else rows.y[:, 0]


METHODS = {
    "walk": functools.partial(walk_table, has_start=True),
    "search": functools.partial(walk_table, has_start=False),
}
