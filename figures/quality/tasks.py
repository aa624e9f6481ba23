"""Tasks of the study: planted teachers, known functions and real tables.

A seed selects the teacher, the points of a function, or the split of a table.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from figures.common import teachers
from figures.common.functions import NUM_TEST, NUM_TRAIN, NUM_VALID, sample_parts
from figures.quality import package_tables
from swajax.data import functions
from swajax.data.built_in import DATASETS
from swajax.data.problem import Problem, choose_objective
from swajax.data.splits import split_table
from swajax.data.tables import Table, load_table
from swajax.network import count_weights
from swajax.objectives import Objective
from swajax.refine import batches
from swajax.refine.quadratic import Fit
from swajax.types import Network, NetworkSpec

GROUPS = ("planted", "functions", "tables")
ACTIVATIONS = ("sigmoid", "leaky_relu", "linear")
TEACHERS = {"2x14": (2, 14), "3x35": (3, 35)}  # hidden layers, live weights
NUM_POINTS = (NUM_TRAIN, NUM_VALID, NUM_TEST)
# Factor of the time budget: with ten classes and 61 inputs the first block of the
# pipeline alone would use the budget of the other tasks.
BUDGET_FACTORS = {"digits": 4.0}
MIN_SHARE = 1e-3  # of a class, for the log loss of a constant


class Teacher(NamedTuple):
    """Activation and size of the network that made the data."""

    activation: str
    num_weights: int  # live


class QualityTask(NamedTuple):
    """One data set with its objective."""

    name: str
    group: str
    seed: int
    seeds: dict[str, int]  # of teacher, points or split
    objective: Objective
    train: Problem
    valid: Problem
    test: Problem | None  # None for methods, which must not see it
    teacher: Teacher | None = None


def list_names() -> dict[str, tuple[str, ...]]:
    """Return the names of the tasks of each group."""
    planted = (
        f"{a.replace('_', '-')}-{size}" for a in ACTIVATIONS for size in TEACHERS
    )
    tables = (*DATASETS, *package_tables.LOADERS)
    return dict(
        zip(GROUPS, (tuple(planted), tuple(functions.FUNCTIONS), tables), strict=True)
    )


def find_group(name: str) -> str:
    """Return the group of a task."""
    return next(group for group, names in list_names().items() if name in names)


def find_activation(name: str) -> str:
    """Return the activation for spaces of one activation.

    It is that of the teacher, as in arXiv:2410.08339, which favours such spaces; for
    other tasks it is the sigmoid.
    """
    kinds = {a.replace("_", "-"): a for a in ACTIVATIONS}
    return kinds.get(name.rpartition("-")[0], "sigmoid")


@functools.lru_cache(maxsize=1)  # the methods of a task run one after another
def make_task(name: str, seed: int) -> QualityTask:
    """Make a task with a seed of its data."""
    return MAKERS[find_group(name)](name, seed)


def make_planted(name: str, seed: int) -> QualityTask:
    """Make noise-free data of a random network with outputs of variance about 1."""
    activation = find_activation(name)
    depth, num_weights = TEACHERS[name.rpartition("-")[2]]
    teacher_key, data_key = jax.random.split(jax.random.key(seed))
    teacher = teachers.plant(
        teacher_key,
        spec=NetworkSpec(activations=(activation,)),
        depth=depth,
        num_weights=num_weights,
        is_unit_variance=True,
    )
    data, x_test, y_test = teachers.sample_data(
        data_key, teacher, activations=(activation,), num_points=NUM_POINTS
    )
    parts = (data[:2], data[2:], (x_test, y_test))
    problems = [_to_problem(x, y) for x, y in parts]
    described = Teacher(activation, int(count_weights(teacher)))
    seeds = {"teacher": seed, "points": seed}
    return QualityTask(name, "planted", seed, seeds, "squared", *problems, described)


def make_function(name: str, seed: int) -> QualityTask:
    """Sample points of a known function."""
    problems = sample_parts(name, seed)
    return QualityTask(name, "functions", seed, {"points": seed}, "squared", *problems)


def make_table(name: str, seed: int) -> QualityTask:
    """Split a table: 60 % training, 20 % validation, 20 % test."""
    dataset, scaling, _ = split_table(_load(name), seed=seed)
    objective = choose_objective(scaling.classes)
    return QualityTask(name, "tables", seed, {"split": seed}, objective, *dataset)


MAKERS: dict[str, Callable[[str, int], QualityTask]] = dict(
    zip(GROUPS, (make_planted, make_function, make_table), strict=True)
)


def constant_loss(task: QualityTask) -> float:
    """Return the test loss of the best constant of the training part."""
    weight = task.train.weight / task.train.weight.sum()
    mean = weight @ task.train.y
    test_weight = task.test.weight / task.test.weight.sum()
    if task.objective == "squared":
        losses = np.square(task.test.y - mean).mean(axis=1)
        return float((losses * test_weight).sum())
    shares = np.clip(mean, MIN_SHARE, 1 - MIN_SHARE)
    losses = -task.test.y * np.log(shares)
    if task.objective == "logistic":
        losses = losses - (1 - task.test.y) * np.log(1 - shares)
    return float((losses.sum(axis=1) * test_weight).sum())


def test_losses(
    task: QualityTask, networks: Network, activations: tuple[str, ...]
) -> Float[np.ndarray, " K"]:
    """Return the test loss of each network, in float64."""
    weight = task.test.weight / task.test.weight.sum()
    fit = Fit(task.objective, activations)
    with jax.enable_x64(jax.default_backend() != "tpu"):
        networks = jax.tree.map(np.asarray, networks)
        return batches.validation_scores(
            networks, task.test._replace(weight=weight), fit=fit
        )[0]


def _load(name: str) -> Table:
    loader = package_tables.LOADERS.get(name)
    return load_table(name) if loader is None else loader()


def _to_problem(x: jax.Array, y: jax.Array) -> Problem:
    points = (np.asarray(a, np.float64) for a in (x, y))
    return Problem(*points, np.ones(len(x)))
