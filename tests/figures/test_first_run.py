"""The seconds that a user waits."""

import json

import pytest

from figures.speed import first_run
from figures.speed.first_run import FirstRunCommand


def test_every_table_is_searched_without_and_with_programs(tmp_path, monkeypatch):
    calls = []

    def search(folder, arguments, name):
        calls.append((arguments[0], name))
        return {"first_answer_seconds": 1.0, "seconds": 2.0}

    monkeypatch.setattr(first_run, "_search", search)
    first_run.main(FirstRunCommand(out=tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_bytes())
    assert [row["programs_kept"] for row in found["rows"]] == [False, True] * 2
    assert [name for name, _ in calls[:2]] == ["diabetes"] * 2
    assert len({call for call in calls}) == 4


def test_a_search_that_fails_is_told(tmp_path):
    with pytest.raises(ValueError, match="has failed: 2"):
        first_run._search(tmp_path, ["absent.csv"], "run")
