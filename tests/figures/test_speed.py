"""The study of speed: equal forms, table and waiting times."""

import json

import numpy as np
import pytest

from figures.speed import __main__ as speed
from figures.speed import first_run, large_table, tasks
from figures.speed.__main__ import SpeedCommand
from figures.speed.first_run import FirstRunCommand
from swajax.data import large


def test_both_forms_of_a_polish_step_are_equal():
    found = {task.name: task for task in tasks.polish_tasks()}
    assert len(found) == len(tasks.POLISH_CAPACITIES) + 1
    plain, fast = (
        found[f"Levenberg-Marquardt step, {form} form"] for form in tasks.FORMS
    )
    changes = [np.asarray(task.fn(*task.args)) for task in (plain, fast)]
    assert np.abs(changes[0]).max() > 0.01
    np.testing.assert_allclose(*changes, rtol=1e-2, atol=1e-3)


def test_the_quick_form_writes_numbers_and_table(tmp_path, monkeypatch):
    speed.main(SpeedCommand(out=tmp_path, quick=True))
    rows = json.loads((tmp_path / "speed.json").read_bytes())["rows"]
    assert speed.find_row(rows, rows[0]["task"])["num_calls"] >= 1
    assert min(row["rate"] for row in rows) > 0
    assert speed.find_row(rows, "value and gradient, fast form")["ratio"] > 0
    table = (tmp_path / "speed.md").read_text()
    assert all(row["task"] in table for row in rows)
    (tmp_path / "speed.md").unlink()
    monkeypatch.setattr(speed, "time_all", None)
    speed.main(SpeedCommand(out=tmp_path, summarize=True))
    assert (tmp_path / "speed.md").read_text() == table
    with pytest.raises(ValueError, match="no numbers to summarize"):
        speed.main(SpeedCommand(out=tmp_path / "x", summarize=True))


def test_the_quick_form_reads_tables_in_chunks(tmp_path, monkeypatch):
    class Pool:
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731
        apply = staticmethod(lambda fn, args: fn(*args))

    context = type("Context", (), {"Pool": lambda self, num: Pool()})
    monkeypatch.setattr(large_table.multiprocessing, "get_context", lambda _: context())
    monkeypatch.setattr(large, "MAX_CELLS", 0)
    monkeypatch.setattr(large, "MAX_BYTES", 0)
    large_table.main(large_table.LargeTableCommand(out=tmp_path, quick=True))
    found = json.loads((tmp_path / "large_table.json").read_bytes())
    assert [row["kind"] for row in found["rows"]] == ["parquet", "csv"]
    for row in found["rows"]:
        assert row["is_large"] and sum(row["num_rows"].values()) == 3000
        assert row["num_test_read"] == row["num_rows"]["test"] > 0


def test_every_table_is_searched_without_and_with_programs(tmp_path, monkeypatch):
    calls = []

    def search(folder, arguments, name):
        calls.append((arguments[0], "--time-budget" in arguments, name))
        return {"first_answer_seconds": 1.0, "seconds": 2.0}

    monkeypatch.setattr(first_run, "_search", search)
    first_run.main(FirstRunCommand(out=tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_bytes())
    # The small table without a budget and with three, and two made tables.
    assert [row["programs_kept"] for row in found["rows"]] == [False, True] * 6
    assert [table for table, *_ in calls[:8]] == ["diabetes"] * 8
    assert [has_budget for _, has_budget, _ in calls[::2]] == [
        row["time_budget"] is not None for row in found["rows"][::2]
    ]
    assert len(set(calls)) == 2 + 2 + 4


def test_a_search_that_fails_is_reported(tmp_path):
    with pytest.raises(ValueError, match="failed: exit code 2"):
        first_run._search(tmp_path, ["absent.csv"], "run")
