"""Scores of runs, comparisons of methods, tables and pictures."""

import numpy as np
import pytest

from figures.common import results
from figures.common.results import RunFile
from figures.quality import comparison, outcomes, plots, scores, tables
from figures.quality.comparison import Entry


def _make_run(method, task, seed, *, sizes, losses, group="functions", **more):
    level = {
        "num_weights": sizes,
        "test_loss": losses,
        "seconds": 1.0,
        "network_steps": 7,
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


def test_errors_at_sizes_are_those_of_the_largest_network_that_fits():
    run = _make_run("a", "t", 0, sizes=[5, 20, 90], losses=[0.2, 0.02, 2e-9])
    scored = scores.score_run(run)
    assert scored.errors == pytest.approx({10: 0.1, 20: 0.01, 40: 0.01, 80: 0.01})
    assert scored.losses == pytest.approx({10: 0.2, 20: 0.02, 40: 0.02, 80: 0.02})
    late = scores.score_run(run | {"levels": {"full": run["levels"]["full"]}}, "raw")
    assert late is None
    assert scores.score_run(_fail(run)) is None


def test_without_a_network_that_small_the_error_is_that_of_a_constant():
    run = _make_run("a", "t", 0, sizes=[15], losses=[None])
    scored = scores.score_run(run)
    assert scored.errors[10] == pytest.approx(1.1)
    assert scored.errors[20] == np.inf
    assert scored.hypervolume == 0.0


def test_the_hypervolume_is_the_area_under_the_staircase():
    # 1 decade from 5 to 20 weights, 2 from 20 to 80, none for larger networks.
    run = _make_run("a", "t", 0, sizes=[5, 20, 90], losses=[0.2, 0.02, 2e-9])
    wanted = (15 * 1 + 60 * 2) / 80
    assert scores.score_run(run).hypervolume == pytest.approx(wanted)
    # Errors above a constant's count as a constant's; tiny ones count as the floor.
    run = _make_run("a", "t", 0, sizes=[40, 60], losses=[9.0, 1e-30])
    assert scores.score_run(run).hypervolume == pytest.approx(20 * 8 / 80)


@pytest.mark.parametrize(("size", "is_recovered"), [(14, False), (16, True)])
def test_a_teacher_is_recovered_at_its_own_size_or_below(size, is_recovered):
    run = _make_run("a", "t", 0, sizes=[5, 16, 30], losses=[1.0, 0.019, 0.001])
    run["teacher"] = {"activation": "sigmoid", "num_weights": size}
    scored = scores.score_run(run)
    assert scored.smallest == 16
    assert scored.is_recovered is is_recovered
    assert scored.at_teacher == pytest.approx(0.0095 if is_recovered else 0.5)


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
            ("a", "v", 0, 0.3),  # b has no run there, which is not a loss
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


def test_runs_of_another_folder_are_shown_beside_where_they_match(tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir()
    for folder, method, task, seed, loss in (
        (ours, "explore-direct-mixed", "t", 0, 0.2),
        (ours, "l0", "t", 1, 0.2),
        (theirs, "default", "t", 0, 0.1),
        (theirs, "default", "u", 0, 1e-6),
        (theirs, "default", "t", 2, 1e-6),
        (theirs, "l0", "t", 0, 1e-6),
    ):
        run = _make_run(method, task, seed, sizes=[4], losses=[loss])
        name = results.make_name(task, seed, method)
        RunFile(folder / "runs.jsonl").add(name, run)
    tables.write(ours, theirs)
    rows = (ours / "comparison.md").read_text().split("against `default`")[1]
    rows = [row for row in rows.splitlines() if row.startswith("| ")][1:]
    assert len(rows) == 1
    assert rows[0].startswith("| explore-direct-mixed | 1 | 2.00 ")
    assert "| t |" in (ours / "tasks.md").read_text()
    assert "| u |" not in (ours / "tasks.md").read_text()
    assert list(RunFile(ours / "runs.jsonl")) == ["t.0.explore-direct-mixed", "t.1.l0"]
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
    cases = {entry.method: set(own) for entry, own in table.items()}
    both = ("functions", "t", 0)
    assert cases == {"default": {both, ("functions", "u", 1)}, "direct": {both}}
    assert "| t | **0.1** | 0.2 |" in tables.format_tasks(table)


def test_pictures_of_few_runs(tmp_path):
    point = {"stage": "explore", "seconds": 1.0, "network_steps": 5}
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
