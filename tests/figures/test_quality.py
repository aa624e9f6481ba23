"""The quality benchmark: its clock, measures, comparisons, and that runs are kept."""

import dataclasses
import json
import signal
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from figures.common import results
from figures.common.clock import WorkClock
from figures.quality import __main__ as quality
from figures.quality import (
    comparison,
    methods,
    outcomes,
    package_tables,
    plots,
    redraws,
    rivals,
    runs,
    scores,
    tables,
    tasks,
)
from figures.quality.comparison import Entry
from figures.quality.rivals import extras
from figures.quality.rivals.extras import Fitted
from figures.quality.settings import Settings
from swajax.data.problem import Problem
from swajax.io import commands
from swajax.latent_search import DescentConfig
from swajax.latent_search.spaces import TabularPoint
from swajax.model.front import Front
from swajax.network import uniform_activation
from swajax.search.config import SearchConfig
from swajax.types import Network, NetworkSpec

STUBS = ("default", "direct")
TINY = Settings(
    seconds=0.01,
    candidate_steps=40,
    pipeline=SearchConfig(
        max_weights=8, num_starts=4, num_rounds=0, max_width=2, max_depth=1
    ),
    search=DescentConfig(
        num_starts=1, num_screened=2, sparsity_weights=(1e-3,), chunk_steps=10
    ),
)


def _make_run(method, task, seed, *, sizes, losses, group="functions", **more):
    level = {
        "num_weights": sizes,
        "test_loss": losses,
        "seconds": 1.0,
        "candidate_steps": 7,
    }
    return {
        "method": method,
        "group": group,
        "task": task,
        "seed": seed,
        "status": "ok",
        "message": "",
        "levels": {"full": level},
        "scale": 2.0,
        "constant_loss": 2.2,
        "teacher": None,
        "work_seconds": 1.0,
        "wall_seconds": 2.0,
        "curve": [],
    } | more


def _fail(run):
    return run | {"status": "failed", "message": "OSError: no", "levels": {}}


@pytest.mark.parametrize("name", rivals.METHODS)
def test_what_a_rival_does_not_run_is_no_setting_of_it(name):
    other = dataclasses.replace(
        TINY, pipeline=dataclasses.replace(TINY.pipeline, max_varied=7)
    )
    narrow = dataclasses.replace(
        TINY, pipeline=dataclasses.replace(TINY.pipeline, max_width=3)
    )
    own, *changed = (methods.describe(name, "iris", s) for s in (TINY, other, narrow))
    assert (own != changed[0]) == (name in ("direct", "random"))
    assert own != changed[1]


def test_settings_that_a_run_has_besides_play_no_part(tmp_path):
    old = {"seconds": 1.0, "pipeline": {"gone": 3}}
    results.check(tmp_path, old, {"seconds": 1.0})
    with pytest.raises(ValueError, match=r"with pipeline.new = None, not 2: remove"):
        results.check(tmp_path, old, {"seconds": 1.0, "pipeline": {"new": 2}})


# The clock.


def test_compilation_counts_once_however_it_is_nested(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    clock = WorkClock()
    for span in ((1.0, 2.0), (2.5, 2.75), (0.0, 3.0), (5.0, 6.0), (5.5, 7.0)):
        clock.add_span(*span)
    assert clock.compile_seconds == 3.0 + 2.0
    assert clock() == 95.0


def test_the_clock_stands_still_in_a_pause(monkeypatch):
    now = 10.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = WorkClock()
    with clock.paused():
        clock.add_span(10.0, 13.0)  # in the pause: must not be taken off twice
        now = 13.0
        with clock.paused():
            now = 14.0
        assert clock() == 10.0
    now = 15.0
    assert clock() == pytest.approx(11.0)
    assert clock.compile_seconds == 3.0


def test_the_clock_hears_jax_compile_while_it_is_on():
    def compile_one():
        jax.block_until_ready(jax.jit(lambda x: jnp.sin(x) + 1)(jnp.ones(3)))

    with WorkClock() as clock:
        compile_one()
        heard = clock.compile_seconds
        assert heard > 0
    compile_one()
    assert clock.compile_seconds == heard


# Measures of one run.


def test_errors_at_sizes_are_those_of_the_largest_network_that_fits():
    run = _make_run("a", "t", 0, sizes=[5, 20, 90], losses=[0.2, 0.02, 2e-9])
    measured = scores.measure(run)
    assert measured.errors == pytest.approx({10: 0.1, 20: 0.01, 40: 0.01, 80: 0.01})
    assert measured.losses == pytest.approx({10: 0.2, 20: 0.02, 40: 0.02, 80: 0.02})
    late = scores.measure(run | {"levels": {"full": run["levels"]["full"]}}, "raw")
    assert late is None
    assert scores.measure(_fail(run)) is None


def test_without_a_network_that_small_the_error_is_that_of_a_constant():
    run = _make_run("a", "t", 0, sizes=[15], losses=[None])
    measured = scores.measure(run)
    assert measured.errors[10] == pytest.approx(1.1)
    assert measured.errors[20] == np.inf
    assert measured.hypervolume == 0.0


def test_the_hypervolume_is_the_area_under_the_staircase():
    # 1 decade from 5 to 20 weights, 2 from 20 to 80, none for what is larger.
    run = _make_run("a", "t", 0, sizes=[5, 20, 90], losses=[0.2, 0.02, 2e-9])
    wanted = (15 * 1 + 60 * 2) / 80
    assert scores.measure(run).hypervolume == pytest.approx(wanted)
    # Worse than a constant counts as a constant, too good as the floor.
    run = _make_run("a", "t", 0, sizes=[40, 60], losses=[9.0, 1e-30])
    assert scores.measure(run).hypervolume == pytest.approx(20 * 8 / 80)


@pytest.mark.parametrize(("size", "is_recovered"), [(14, False), (16, True)])
def test_a_teacher_is_recovered_at_its_own_size_or_below(size, is_recovered):
    run = _make_run("a", "t", 0, sizes=[5, 16, 30], losses=[1.0, 0.019, 0.001])
    run["teacher"] = {"activation": "sigmoid", "num_weights": size}
    measured = scores.measure(run)
    assert measured.smallest == 16
    assert measured.is_recovered is is_recovered
    assert measured.at_teacher == pytest.approx(0.0095 if is_recovered else 0.5)


# Methods side by side.


def _collect(rows):
    return comparison.collect(
        [
            _make_run(method, task, seed, sizes=[1], losses=[2.0 * error])
            if error is not None
            else _fail(_make_run(method, task, seed, sizes=[1], losses=[1.0]))
            for method, task, seed, error in rows
        ]
    )


def test_failures_have_the_worst_value_and_lose():
    table = _collect(
        [
            ("a", "t", 0, None),
            ("b", "t", 0, 0.1),
            ("c", "t", 0, 5.0),
            ("a", "u", 0, None),
            ("b", "u", 0, 0.1),
            ("c", "u", 0, 0.2),
        ]
    )
    values = comparison.error_values(table, 10)
    a, b, c = (values[Entry(name, "full")] for name in "abc")
    assert a == pytest.approx({("functions", "t", 0): 5.0, ("functions", "u", 0): 1.0})
    assert comparison.compare(a, b, is_more_better=False).wins == 0.0
    assert comparison.compare(b, a, is_more_better=False).wins == 1.0
    assert comparison.compare(a, c, is_more_better=False).mean == pytest.approx(5**0.5)
    areas = comparison.hypervolume_values(table)
    ratio = comparison.compare(
        areas[Entry("a", "full")], areas[Entry("b", "full")], is_more_better=True
    )
    assert ratio.mean == pytest.approx(comparison.MIN_HYPERVOLUME / (79 / 80))
    assert ratio.wins == 0.0


def test_ratios_pair_the_seeds_and_weigh_the_tasks_alike():
    table = _collect(
        [
            *(("a", "t", seed, 0.02) for seed in range(3)),
            *(("b", "t", seed, 0.01) for seed in range(3)),
            ("a", "u", 0, 0.01),
            ("b", "u", 0, 0.02 * 4),
            ("a", "v", 0, 0.3),  # b has not run there yet: no loss of it
        ]
    )
    values = comparison.error_values(table, 10)
    ratio = comparison.compare(
        values[Entry("a", "full")], values[Entry("b", "full")], is_more_better=False
    )
    assert ratio.mean == pytest.approx((2 * 1 / 8) ** 0.5)
    assert (ratio.low, ratio.high) == pytest.approx((1 / 8, 2))
    assert (ratio.wins, ratio.num_units) == (0.5, 2)
    same = comparison.compare(
        values[Entry("a", "full")], values[Entry("a", "full")], is_more_better=False
    )
    assert same[:4] == (1.0, 1.0, 1.0, 0.5)


def test_planted_teachers_are_units_of_their_own():
    assert comparison.find_unit(("planted", "t", 3)) == ("planted", "t", "3")
    assert comparison.find_unit(("tables", "t", 3)) == ("tables", "t")


def test_teachers_that_not_all_methods_have_seen_stand_apart():
    def make(method, kind, seed, size):
        how = {"group": "planted", "teacher": {"num_weights": 9}}
        return _make_run(method, kind, seed, sizes=[size], losses=[0.002], **how)

    found = [make("a", "t", 0, 5), make("a", "t", 1, 11), make("a", "u", 0, 6)]
    few = [*found, make("b", "t", 0, 7), make("b", "u", 0, 8)]
    text = tables.format_planted(comparison.collect(few))
    both, more = text.split("# More teachers: methods that have seen every one")
    assert "## All kinds\n" in both and "## u\n" in both
    assert "| a | 2 | 0.001 | 6 | 100% |" in both
    assert "| b | 2 | 0.001 | 8 | 100% |" in both
    assert "| a | 3 | 0.001 | 6 | 67% |" in more and "| b |" not in more
    assert "| a | 2 | 1.1 | 11 | 50% |" in more  # higher of two: a constant's error
    assert "More" not in tables.format_planted(comparison.collect(found))
    assert not tables.format_planted(
        comparison.collect([_make_run("a", "t", 0, sizes=[1], losses=[1.0])])
    )


def test_a_run_that_failed_has_failed_at_every_level():
    run = _fail(_make_run("explore-direct", "t", 0, sizes=[1], losses=[1.0]))
    table = comparison.collect([run])
    assert {entry.level for entry in table} == set(outcomes.LEVELS)
    assert all(own[("functions", "t", 0)] is None for own in table.values())


# Plans and files.


def test_the_plan_is_balanced_wherever_it_ends():
    config = quality.QualityCommand(seeds=1, planted_seeds=2, methods=STUBS)
    plan = list(quality.plan(config))
    assert len(plan) == len(set(plan)) == (2 * 6 + 18 + 7) * 2
    assert [p.method for p in plan] == list(STUBS) * (len(plan) // 2)
    half = [tasks.find_group(p.task) for p in plan[:31:2]]
    assert {group: half.count(group) for group in tasks.GROUPS} == {
        "planted": 3,
        "functions": 9,
        "tables": 4,
    }
    assert {p.seed for p in plan[: 31 * 2]} == {0}


@pytest.fixture
def stub(monkeypatch):
    """Methods that give one fixed network at once, and the list of their calls."""
    calls = []
    monkeypatch.setattr(plots, "write", lambda *_: None)
    spec = NetworkSpec(2, 1, 1, 1, ("linear",))
    network = Network(
        first=np.array([[[1.0], [0.0]]]),
        hidden=np.zeros((1, 0, 1, 1)),
        readout=np.ones((1, 1, 1)),
        bias=np.zeros((1, 1, 1)),
        readout_bias=np.zeros((1, 1)),
        mask=np.ones((1, 1, 1)),
        activation=uniform_activation(spec)[None],
        depth=np.ones(1, np.int32),
    )
    losses = np.array([0.5])
    front = Front(network, np.array([2]), losses, losses, losses, 0)

    def run(name, key, task, *, settings, clock):
        assert task.test is None
        calls.append((task.name, task.seed, name))
        return outcomes.Outcome(
            {"full": outcomes.Level(front, ("linear",), 1.0, 10)}, []
        )

    monkeypatch.setattr(methods, "run", run)
    return calls


def _command(tmp_path, **more):
    return quality.QualityCommand(
        out=tmp_path, tasks=("sphere", "booth"), seeds=2, methods=STUBS, **more
    )


def test_what_is_there_is_kept(stub, tmp_path, capsys):
    quality.main(_command(tmp_path))
    assert len(stub) == 8
    quality.main(_command(tmp_path))
    assert len(stub) == 8
    path = results.make_path(tmp_path, "booth", 1, "direct")
    path.unlink()
    quality.main(_command(tmp_path))
    assert stub[8:] == [("booth", 1, "direct")]
    run = json.loads(path.read_bytes())
    assert run["seeds"] == {"points": 1}
    assert run["settings"]["seconds"] == 20.0
    assert "| direct | 4 | 0 |" in capsys.readouterr().out
    for name in ("overview", "comparison", "tasks", "failures"):
        assert (tmp_path / f"{name}.md").read_text()


def test_the_test_loss_of_a_run_is_that_of_its_networks(stub, tmp_path):
    task = tasks.make_task("booth", 1)
    run = runs.run("booth", 1, "default", TINY)
    wanted = np.square(task.test.x[0] - task.test.y[0]).mean()
    np.testing.assert_allclose(run["levels"]["full"]["test_loss"], [wanted], rtol=1e-6)
    np.testing.assert_allclose(run["scale"], task.test.y.var())
    wanted = np.square(task.test.y - task.train.y.mean()).mean()
    np.testing.assert_allclose(run["constant_loss"], wanted)


def test_after_its_minutes_it_begins_nothing_more(stub, tmp_path):
    quality.main(_command(tmp_path, minutes=1e-9))
    assert len(stub) == 1
    quality.main(_command(tmp_path))
    assert len(stub) == 8


def test_processes_share_the_runs(stub, tmp_path):
    quality.main(_command(tmp_path, part=1, parts=3))
    first = len(stub)
    for part in (2, 3):
        quality.main(_command(tmp_path, part=part, parts=3))
    assert 0 < first < 8 and len(stub) == len(set(stub)) == 8


def test_rivals_of_other_packages_are_judged_by_their_outputs(monkeypatch):
    task = tasks.make_task("booth", 0)

    def find(seed, train, valid, *, max_weights, **_):
        assert train.x.shape == task.train.x.shape and max_weights == 8
        return [Fitted(3, 0.5, 0.4, lambda x: np.full((x.shape[1], 1), 2.0))]

    monkeypatch.setitem(extras.EXTRAS, "pykan", find)
    monkeypatch.setattr(methods, "describe", lambda *_: {})
    run = runs.run("booth", 0, "pykan", TINY)
    assert run["message"] == ""
    wanted = np.square(task.test.y - 2.0).mean()
    np.testing.assert_allclose(run["levels"]["full"]["test_loss"], [wanted], rtol=1e-6)
    np.testing.assert_allclose(scores.measure(run).losses[10], wanted, rtol=1e-6)
    table = comparison.collect([run])
    assert "| pykan |" in tables.format_overview(table, [run])


def test_quick_is_no_part_of_the_results(stub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quality, "QUICK_TASKS", ("sphere", "booth"))
    monkeypatch.setattr(quality.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    quality.main(quality.QualityCommand(quick=True))
    assert {call[::2] for call in stub} == {
        (task, method)
        for task in quality.QUICK_TASKS
        for method in quality.QUICK_METHODS
    }
    assert not (tmp_path / "figures").exists()


def test_the_quick_form_runs_from_start_to_end(tmp_path):
    quality.main(quality.QualityCommand(quick=True, out=tmp_path))
    found = results.load(tmp_path)
    assert len(found) == len(quality.QUICK_TASKS) * len(quality.QUICK_METHODS)
    for run in found:
        assert run["status"] == "ok", run["message"]
        assert np.isfinite(scores.measure(run).errors[80])
    table = (tmp_path / "overview.md").read_text()
    assert all(f"| {method} | 2 | 0 |" in table for method in quality.QUICK_METHODS)


def test_runs_of_other_settings_are_refused(stub, tmp_path):
    quality.main(_command(tmp_path))
    other = Settings(seconds=5.0)
    with pytest.raises(ValueError, match=r"seconds = 20.0, not 5.0"):
        quality.main(_command(tmp_path, settings=other))
    quality.main(_command(tmp_path, settings=other, summarize=True))


def test_failures_are_kept_and_can_be_tried_again(stub, tmp_path, monkeypatch):
    work = methods.run

    def fail(name, *args, **kwargs):
        if name == "direct":
            raise RuntimeError("broken\nin two lines")
        return work(name, *args, **kwargs)

    monkeypatch.setattr(methods, "run", fail)
    quality.main(_command(tmp_path))
    assert "RuntimeError: broken in two lines" in (tmp_path / "failures.md").read_text()
    assert "| direct | 4 | 4 |" in (tmp_path / "overview.md").read_text()
    monkeypatch.setattr(methods, "run", work)
    quality.main(_command(tmp_path))
    assert len(stub) == 4
    quality.main(_command(tmp_path, retry=True))
    assert len(stub) == 8


def test_what_takes_too_long_is_late(stub, monkeypatch):
    monkeypatch.setattr(runs, "LATE_SECONDS", -1.0)
    assert runs.run("sphere", 0, "default", TINY)["status"] == "late"
    # Its budget is no time.
    assert runs.run("sphere", 0, "explore-direct-steps", TINY)["status"] == "ok"


def test_ctrl_c_leaves_no_half_run(stub, tmp_path, monkeypatch):
    work = methods.run

    def swallow(*args, **kwargs):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # as the pipeline does
            return work(*args, **kwargs)

    monkeypatch.setattr(methods, "run", swallow)
    with pytest.raises(KeyboardInterrupt):
        quality.main(_command(tmp_path))
    assert not list(tmp_path.rglob("*.json"))


def test_what_hangs_is_ended():
    with pytest.raises(TimeoutError), results.interrupting(0.01):
        time.sleep(10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--methods", "explore-tabulr"], "did you mean 'explore-tabular'"),
        (["--tasks", "iriss"], "did you mean 'iris'"),
        (["--groups", "none"], "'planted', 'functions', 'tables'"),
        (["--seconds", "0"], "seconds must be > 0"),
        (["--methods", "explore-paper"], "no pretrained autoencoder 'paper"),
        (["--methods", "lassonet"], "pip install swajax[rivals]"),
        (["--part", "3", "--parts", "2"], "part must be in 1..parts, got 3 of 2"),
        (["--summarize"], "no runs"),
    ],
)
def test_mistakes_are_one_line(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "lassonet", None)
    arguments = [*arguments, "--out", str(tmp_path)]
    name = "python -m figures.quality"
    code = commands.run_command(
        quality.main, quality.QualityCommand, name=name, arguments=arguments
    )
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert words in error


def test_runs_of_another_folder_are_shown_beside_where_they_match(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder, method, task, seed, loss in (
        (ours, "explore-direct-mixed", "t", 0, 0.2),
        (ours, "l0", "t", 1, 0.2),
        (theirs, "default", "t", 0, 0.1),
        (theirs, "default", "u", 0, 1e-6),
        (theirs, "default", "t", 2, 1e-6),
        (theirs, "l0", "t", 0, 1e-6),
    ):
        run = _make_run(method, task, seed, sizes=[4], losses=[loss])
        results.save(results.make_path(folder, task, seed, method), run)
    tables.write(ours, theirs)
    rows = (ours / "comparison.md").read_text().split("against `default`")[1]
    rows = [row for row in rows.splitlines() if row.startswith("| ")][1:]
    assert len(rows) == 1
    assert rows[0].startswith("| explore-direct-mixed | 1 | 2.00 ")
    assert "| t |" in (ours / "tasks.md").read_text()
    assert "| u |" not in (ours / "tasks.md").read_text()
    found = [path.name for path in (ours / "runs").iterdir()]
    assert sorted(found) == ["t.0.explore-direct-mixed.json", "t.1.l0.json"]
    with pytest.raises(ValueError, match="nowhere: no runs"):
        tables.write(ours, tmp_path / "nowhere")


def test_tasks_are_compared_on_the_seeds_that_all_have():
    found = [
        _make_run("default", "t", 0, sizes=[4], losses=[0.2]),
        _make_run("default", "t", 1, sizes=[4], losses=[2.0]),
        _make_run("default", "u", 1, sizes=[4], losses=[0.4]),
        _make_run("direct", "t", 0, sizes=[4], losses=[0.4]),
    ]
    table = comparison.share_seeds(comparison.collect(found))
    places = {entry.method: set(own) for entry, own in table.items()}
    both = ("functions", "t", 0)
    assert places == {"default": {both, ("functions", "u", 1)}, "direct": {both}}
    assert "| t | **0.1** | 0.2 |" in tables.format_tasks(table)


def test_a_curve_has_few_points_however_stages_take_turns(monkeypatch):
    now = 10.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    task = tasks.make_task("sphere", 0)
    judge = outcomes.Judge(task, ("tanh",), WorkClock(), 0.0)
    front = Front(None, np.array([3]), *np.zeros((3, 1)), 0)
    for stage, seconds in (
        ("vary", 10.0),
        ("shrink", 10.1),  # the first of its kind
        ("vary", 10.2),
        ("shrink", 10.3),
        ("vary", 12.0),
        ("shrink", 12.1),
        ("done", 12.2),
    ):
        now = seconds
        judge.watch(stage, 5, lambda: front)
    stages = [point["stage"] for point in judge.curve]
    assert stages == ["vary", "shrink", "vary", "done"]


def test_pictures_of_few_runs(tmp_path):
    point = {"stage": "explore", "seconds": 1.0, "candidate_steps": 5}
    curve = [
        point | {"num_weights": [4], "valid_loss": [0.5]},
        point | {"seconds": 2.0, "num_weights": [4], "valid_loss": [None]},
    ]
    found = [
        _make_run("explore-direct", "t", 0, sizes=[4], losses=[0.2], curve=curve),
        _make_run("direct", "t", 0, sizes=[4], losses=[0.1]),
    ]
    plots.write(tmp_path, comparison.collect(found), found)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"errors.png", "against_direct.png", "curves.png"}


# Tasks.


def test_every_task_has_its_group_and_parts():
    names = [name for own in tasks.list_names().values() for name in own]
    assert len(names) == len(set(names)) == 6 + 18 + 7
    assert set(tasks.PATIENCE) < set(names)
    task = tasks.make_task("iris", 3)
    assert (task.group, task.objective, task.seeds) == (
        "tables",
        "softmax",
        {"split": 3},
    )
    shares = task.train.y.mean(axis=1)
    wanted = -(task.test.y * np.log(shares)[:, None]).sum(axis=0).mean()
    np.testing.assert_allclose(tasks.constant_loss(task), wanted, rtol=1e-6)


def test_the_constant_of_two_classes():
    ones = np.ones(4)
    y = np.array([[0.0, 1.0, 1.0, 1.0]])
    part = Problem(np.zeros((1, 4)), y, ones)
    task = tasks.QualityTask("t", "tables", 0, {}, "logistic", part, part, part)
    wanted = -(np.log(0.25) + 3 * np.log(0.75)) / 4
    np.testing.assert_allclose(tasks.constant_loss(task), wanted)


def test_spaces_of_one_activation_have_no_tables():
    assert methods.is_applicable("explore-compact", "linear-2x14")
    assert not methods.is_applicable("explore-compact", "iris")
    assert methods.is_applicable("explore-tabular", "iris")
    assert tasks.find_activation("leaky-relu-3x35") == "leaky_relu"
    assert tasks.find_activation("goldstein-price") == "sigmoid"


def test_tables_of_an_absent_package_say_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(package_tables, "PACKAGE", "no_such_package")
    with pytest.raises(ValueError, match="pip install no_such_package"):
        package_tables.load_cars()
    monkeypatch.setattr(runs, "run", None)
    with pytest.raises(ValueError, match="pip install no_such_package"):
        how = {"tasks": ("booth", "cars"), "methods": ("default",)}
        quality.main(quality.QualityCommand(out=tmp_path, **how))


def test_tables_of_the_package():
    pytest.importorskip(package_tables.PACKAGE)
    cars, weather = package_tables.load_cars(), package_tables.load_weather()
    assert (cars.task, len(cars.target)) == ("regression", 398)
    assert (weather.task, len(weather.target)) == ("classification", 1461)
    assert len(weather.classes) == 5


# Explorers.


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


def test_an_ablation_runs_from_start_to_end():
    run = runs.run("sphere", 0, "explore-direct-steps", TINY)
    assert run["message"] == ""
    assert set(run["levels"]) == set(outcomes.LEVELS)
    steps = {name: run["levels"][name]["candidate_steps"] for name in outcomes.LEVELS}
    assert TINY.candidate_steps == steps["raw"] < steps["polished"] <= steps["full"]
    assert run["curve"][0]["stage"] == "explore"
    assert run["curve"][-1]["stage"] == "done"
    assert all(np.isfinite(scores.measure(run, level).errors[80]) for level in steps)
    table = comparison.collect([run])
    assert "explore-direct-steps (raw)" in tables.format_overview(table, [run])
