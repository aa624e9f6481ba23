"""The study of teachers: its methods, runs and table on one small table."""

import pytest

from figures.common.results import RunFile
from figures.compress import teachers as study


@pytest.mark.study
def test_all_methods_are_run_once_and_summarized(tmp_path):
    own = {"out": tmp_path, "tables": ("iris",), "quick": True}
    study.main(study.TeachersCommand(**own))
    runs = RunFile(tmp_path / "teachers.jsonl")
    assert {run["method"] for run in runs.values()} == set(study.METHODS)
    assert all(0.5 < run["score"] <= 1 for run in runs.values())
    assert len({run["teacher"] for run in runs.values()}) <= 2
    table = (tmp_path / "teachers.md").read_text()
    for method in study.METHODS:
        assert f"| {method} |" in table
    study.main(study.TeachersCommand(out=tmp_path, summarize=True))
    assert (tmp_path / "teachers.md").read_text() == table
