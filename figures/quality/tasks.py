"""What is searched: planted teachers, known functions, real tables.

Every seed is another teacher, other points of a function, another split of a table.
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
TEACHERS = {"2x14": (2, 14), "3x35": (3, 35)}  # hidden layers, weights that are not 0
NUM_POINTS = (NUM_TRAIN, NUM_VALID, NUM_TEST)
# Seconds of a task relative to the others: with ten classes and 61 inputs the first
# block of the pipeline alone would take all of the time.
PATIENCE = {"digits": 4.0}
MIN_SHARE = 1e-3  # of a class, for the log loss of a constant


class Teacher(NamedTuple):
    """The network behind the data."""

    activation: str
    num_weights: int  # effective


class QualityTask(NamedTuple):
    """One data set."""

    name: str
    group: str
    seed: int
    seeds: dict[str, int]  # of what is random in the data
    objective: Objective
    train: Problem
    valid: Problem
    test: Problem | None  # what methods get has none
    teacher: Teacher | None = None


def list_names() -> dict[str, tuple[str, ...]]:
    """Names of the tasks of each group."""
    planted = (
        f"{a.replace('_', '-')}-{size}" for a in ACTIVATIONS for size in TEACHERS
    )
    tables = (*DATASETS, *package_tables.LOADERS)
    return dict(
        zip(GROUPS, (tuple(planted), tuple(functions.FUNCTIONS), tables), strict=True)
    )


def find_group(name: str) -> str:
    """The group of a task."""
    return next(group for group, names in list_names().items() if name in names)


def find_activation(name: str) -> str:
    """Activation that a space of one activation takes: the teacher's, or the sigmoid.

    The teacher's is a favour to such a space, and what arXiv:2410.08339 does.
    """
    kinds = {a.replace("_", "-"): a for a in ACTIVATIONS}
    return kinds.get(name.rpartition("-")[0], "sigmoid")


@functools.lru_cache(maxsize=1)  # all methods of a task come one after another
def make_task(name: str, seed: int) -> QualityTask:
    """The task of a name, with a seed of the data."""
    return MAKERS[find_group(name)](name, seed)


def make_planted(name: str, seed: int) -> QualityTask:
    """Noise-free data of a random network, outputs of about variance 1."""
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
    """Points of a known function."""
    parts = sample_parts(name, seed)
    problems = parts
    return QualityTask(name, "functions", seed, {"points": seed}, "squared", *problems)


def make_table(name: str, seed: int) -> QualityTask:
    """A split of a table: 60 % to train, 20 % to choose by, 20 % to test."""
    dataset, scaling, _ = split_table(_load(name), seed=seed)
    problems = dataset
    objective = choose_objective(scaling.classes)
    return QualityTask(name, "tables", seed, {"split": seed}, objective, *problems)


MAKERS: dict[str, Callable[[str, int], QualityTask]] = dict(
    zip(GROUPS, (make_planted, make_function, make_table), strict=True)
)


def constant_loss(task: QualityTask) -> float:
    """Test loss of the best constant of the training part: what no network gives."""
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


def judge(
    task: QualityTask, networks: Network, activations: tuple[str, ...]
) -> Float[np.ndarray, " K"]:
    """Test loss of each network, in float64."""
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
