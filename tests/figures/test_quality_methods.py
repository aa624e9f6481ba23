"""Tasks, runs of methods on them, and starting points."""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quality_cases import fixed_outcome

from figures.common.clock import WorkClock
from figures.quality import (
    comparison,
    methods,
    outcomes,
    package_tables,
    redraws,
    rivals,
    runs,
    scores,
    tables,
    tasks,
)
from figures.quality.__main__ import QUICK_SETTINGS as TINY
from figures.quality.rivals import extras
from figures.quality.rivals.extras import Fitted
from swajax.data.problem import Problem
from swajax.latent_search import TabularPoint
from swajax.model.front import Front


@pytest.fixture
def stub(monkeypatch):
    """Methods that return one fixed network at once."""

    def run(name, key, task, *, settings, clock):
        assert task.test is None
        return fixed_outcome()

    monkeypatch.setattr(methods, "run_method", run)


@pytest.mark.parametrize("name", rivals.RIVALS)
def test_what_a_rival_does_not_run_is_no_setting_of_it(name):
    other = dataclasses.replace(
        TINY, pipeline=dataclasses.replace(TINY.pipeline, max_perturbed=7)
    )
    narrow = dataclasses.replace(
        TINY, pipeline=dataclasses.replace(TINY.pipeline, max_width=3)
    )
    own, *changed = (methods.describe(name, "iris", s) for s in (TINY, other, narrow))
    assert (own != changed[0]) == (name in ("direct", "random"))
    assert own != changed[1]


def test_the_test_loss_of_a_run_is_that_of_its_networks(stub, tmp_path):
    task = tasks.make_task("booth", 1)
    run = runs.run_method("booth", 1, "default", TINY)
    wanted = np.square(task.test.x[:, 0] - task.test.y[:, 0]).mean()
    np.testing.assert_allclose(run["levels"]["full"]["test_loss"], [wanted], rtol=1e-6)
    np.testing.assert_allclose(run["scale"], task.test.y.var())
    wanted = np.square(task.test.y - task.train.y.mean()).mean()
    np.testing.assert_allclose(run["constant_loss"], wanted)


def test_rivals_of_other_packages_are_evaluated_by_their_outputs(monkeypatch):
    task = tasks.make_task("booth", 0)

    def find(seed, train, valid, *, max_weights, **_):
        assert train.x.shape == task.train.x.shape and max_weights == 8
        return [Fitted(3, 0.5, 0.4, lambda x: np.full((len(x), 1), 2.0))]

    monkeypatch.setitem(extras.EXTRAS, "pykan", find)
    monkeypatch.setattr(methods, "describe", lambda *_: {})
    run = runs.run_method("booth", 0, "pykan", TINY)
    assert run["message"] == ""
    wanted = np.square(task.test.y - 2.0).mean()
    np.testing.assert_allclose(run["levels"]["full"]["test_loss"], [wanted], rtol=1e-6)
    np.testing.assert_allclose(scores.score_run(run).losses[10], wanted, rtol=1e-6)
    table = comparison.collect([run])
    assert "| pykan |" in tables.format_overview(table, [run])


def test_what_takes_too_long_is_late(stub, monkeypatch):
    monkeypatch.setattr(runs, "LATE_SECONDS", -2.0)
    assert runs.run_method("sphere", 0, "default", TINY)["status"] == "late"
    # Its budget is not a time.
    assert runs.run_method("sphere", 0, "explore-direct-steps", TINY)["status"] == "ok"


def test_a_curve_has_few_points_however_stages_take_turns(monkeypatch):
    now = 10.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    task = tasks.make_task("sphere", 0)
    evaluator = outcomes.Evaluator(task, ("tanh",), WorkClock(), 0.0)
    front = Front(None, np.array([3]), *np.zeros((3, 1)), 0)
    for stage, seconds in (
        ("perturb", 10.0),
        ("prune", 10.1),  # the first of its kind
        ("perturb", 10.2),
        ("prune", 10.3),
        ("perturb", 12.0),
        ("prune", 12.1),
        ("done", 12.2),
    ):
        now = seconds
        evaluator.watch(stage, 5, lambda: front)
    stages = [point["stage"] for point in evaluator.curve]
    assert stages == ["perturb", "prune", "perturb", "done"]


def test_every_task_has_its_group_and_parts():
    names = [name for own in tasks.list_names().values() for name in own]
    assert len(names) == len(set(names)) == 6 + 18 + 7
    assert set(tasks.BUDGET_FACTORS) < set(names)
    task = tasks.make_task("iris", 3)
    assert (task.group, task.objective, task.seeds) == (
        "tables",
        "softmax",
        {"split": 3},
    )
    shares = task.train.y.mean(axis=0)
    wanted = -(task.test.y * np.log(shares)).sum(axis=1).mean()
    np.testing.assert_allclose(tasks.constant_loss(task), wanted, rtol=1e-6)


def test_the_constant_of_two_classes():
    ones = np.ones(4)
    y = np.array([[0.0], [1.0], [1.0], [1.0]])
    part = Problem(np.zeros((4, 1)), y, ones)
    task = tasks.QualityTask("t", "tables", 0, {}, "logistic", part, part, part)
    wanted = -(np.log(0.25) + 3 * np.log(0.75)) / 4
    np.testing.assert_allclose(tasks.constant_loss(task), wanted)


def test_spaces_of_one_activation_have_no_tables():
    assert methods.is_applicable("explore-compact", "linear-2x14")
    assert not methods.is_applicable("explore-compact", "iris")
    assert methods.is_applicable("explore-tabular", "iris")
    assert tasks.find_activation("leaky-relu-3x35") == "leaky_relu"
    assert tasks.find_activation("goldstein-price") == "sigmoid"


def test_tables_of_the_package():
    pytest.importorskip(package_tables.PACKAGE)
    cars, weather = package_tables.load_cars(), package_tables.load_weather()
    assert (cars.task, len(cars.target)) == ("regression", 398)
    assert (weather.task, len(weather.target)) == ("classification", 1461)
    assert len(weather.classes) == 5


def test_drawn_starts_are_like_the_encoded_or_uniform(key):
    points = {"z": 3 + 2 * jax.random.normal(key, (4000, 2)), "n": jnp.arange(4000)}
    noise = redraws.redraw(key, points, "noise")
    np.testing.assert_allclose(noise["z"].mean(), 3, atol=0.1)
    np.testing.assert_allclose(noise["z"].std(), 2, atol=0.1)
    assert (noise["n"] == points["n"]).all()
    uniform = redraws.redraw(key, points, "uniform")["z"]
    assert 0 <= uniform.min() and uniform.max() < 1
    assert redraws.redraw(key, points, "encoded") is points


def test_drawn_starts_keep_the_sizes_they_are_decoded_at(key):
    sizes = jnp.log(jnp.array([5.0, 20.0]))
    points = TabularPoint(jnp.full((2, 3), 7.0), sizes)
    found = redraws.redraw(key, points, "uniform")
    assert (found.log_size == sizes).all() and (found.embedding < 1).all()
