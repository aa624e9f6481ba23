"""The command of the quality study: its plan, its runs, and their resumption."""

import signal
import sys

import numpy as np
import pytest
from quality_cases import fixed_outcome

from figures.common import results
from figures.common.results import RunFile
from figures.quality import __main__ as quality
from figures.quality import (
    methods,
    outcomes,
    package_tables,
    plots,
    runs,
    scores,
    tasks,
)
from figures.quality.settings import Settings
from swajax.io import commands

STUBS = ("default", "direct")


@pytest.fixture
def stub(monkeypatch):
    """Methods that return one fixed network at once, and the list of their calls."""
    calls = []
    monkeypatch.setattr(plots, "write", lambda *_: None)

    def run(name, key, task, *, settings, clock):
        assert task.test is None
        calls.append((task.name, task.seed, name))
        return fixed_outcome()

    monkeypatch.setattr(methods, "run_method", run)
    return calls


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


def _command(tmp_path, **more):
    return quality.QualityCommand(
        out=tmp_path, tasks=("sphere", "booth"), seeds=2, methods=STUBS, **more
    )


def test_what_is_there_is_kept(stub, tmp_path, capsys):
    quality.main(_command(tmp_path))
    assert len(stub) == 8
    quality.main(_command(tmp_path))
    assert len(stub) == 8
    path = tmp_path / "runs.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(x for x in lines if '"booth.1.direct"' not in x))
    quality.main(_command(tmp_path))
    assert stub[8:] == [("booth", 1, "direct")]
    run = RunFile(path)["booth.1.direct"]
    assert run["seeds"] == {"points": 1}
    assert run["settings"]["seconds"] == 20.0
    assert "| direct | 4 | 0 |" in capsys.readouterr().out
    for name in ("overview", "comparison", "tasks", "failures"):
        assert (tmp_path / f"{name}.md").read_text()


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


def test_quick_is_no_part_of_the_results(stub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(quality, "QUICK_TASKS", ("sphere", "booth"))
    monkeypatch.setattr(results.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    quality.main(quality.QualityCommand(quick=True))
    assert {call[::2] for call in stub} == {
        (task, method)
        for task in quality.QUICK_TASKS
        for method in quality.QUICK_METHODS
    }
    assert not (tmp_path / "figures").exists()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The quick form, run once; with the default and an ablation by steps."""
    folder = tmp_path_factory.mktemp("quality")
    quality.main(quality.QualityCommand(quick=True, out=folder))
    return folder


def test_the_quick_form_runs_from_start_to_end(quick):
    found = results.load(quick)
    assert len(found) == len(quality.QUICK_TASKS) * len(quality.QUICK_METHODS)
    for run in found:
        assert run["status"] == "ok", run["message"]
        assert np.isfinite(scores.score_run(run).errors[80])
    table = (quick / "overview.md").read_text()
    assert all(f"| {method} | 2 | 0 |" in table for method in quality.QUICK_METHODS)


def test_an_ablation_has_all_levels_and_a_curve(quick):
    run = RunFile(quick / "runs.jsonl")["sphere.0.explore-direct-steps"]
    assert set(run["levels"]) == set(outcomes.LEVELS)
    steps = {name: run["levels"][name]["network_steps"] for name in outcomes.LEVELS}
    wanted = quality.QUICK_SETTINGS.network_steps
    assert wanted == steps["raw"] < steps["polished"] <= steps["full"]
    assert run["curve"][0]["stage"] == "explore"
    assert run["curve"][-1]["stage"] == "done"
    for level in steps:
        assert np.isfinite(scores.score_run(run, level).errors[80])
    assert "explore-direct-steps (raw)" in (quick / "overview.md").read_text()


def test_runs_of_other_settings_are_refused(stub, tmp_path):
    quality.main(_command(tmp_path))
    other = Settings(seconds=5.0)
    with pytest.raises(ValueError, match=r"seconds = 20.0, not 5.0"):
        quality.main(_command(tmp_path, settings=other))
    quality.main(_command(tmp_path, settings=other, summarize=True))


def test_failures_are_kept_and_can_be_tried_again(stub, tmp_path, monkeypatch):
    work = methods.run_method

    def fail(name, *args, **kwargs):
        if name == "direct":
            raise RuntimeError("broken\nin two lines")
        return work(name, *args, **kwargs)

    monkeypatch.setattr(methods, "run_method", fail)
    quality.main(_command(tmp_path))
    assert "RuntimeError: broken in two lines" in (tmp_path / "failures.md").read_text()
    assert "| direct | 4 | 4 |" in (tmp_path / "overview.md").read_text()
    monkeypatch.setattr(methods, "run_method", work)
    quality.main(_command(tmp_path))
    assert len(stub) == 4
    quality.main(_command(tmp_path, retry=True))
    assert len(stub) == 8


def test_ctrl_c_leaves_no_half_run(stub, tmp_path, monkeypatch):
    work = methods.run_method

    def swallow(*args, **kwargs):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # as the pipeline does
            return work(*args, **kwargs)

    monkeypatch.setattr(methods, "run_method", swallow)
    with pytest.raises(KeyboardInterrupt):
        quality.main(_command(tmp_path))
    assert not list(tmp_path.rglob("*.jsonl"))


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


def test_tables_of_an_absent_package_say_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(package_tables, "PACKAGE", "no_such_package")
    with pytest.raises(ValueError, match="pip install no_such_package"):
        package_tables.load_cars()
    monkeypatch.setattr(runs, "run_method", None)
    with pytest.raises(ValueError, match="pip install no_such_package"):
        how = {"tasks": ("booth", "cars"), "methods": ("default",)}
        quality.main(quality.QualityCommand(out=tmp_path, **how))
