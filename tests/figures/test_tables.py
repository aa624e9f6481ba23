"""The study of real tables: its methods, runs and summary on one small table."""

import pytest

from figures.common import results
from figures.common.results import RunFile
from figures.tables import __main__ as study
from figures.tables import linear


@pytest.mark.study
@pytest.mark.filterwarnings("ignore:the time budget did not")
def test_all_methods_are_run_once_and_summarized(tmp_path):
    methods = ("folds", "hold-out", "linear")
    own = {"out": tmp_path, "tables": ("iris",), "methods": methods, "quick": True}
    study.main(study.TablesCommand(**own))
    runs = RunFile(tmp_path / results.FILE_NAME)
    assert len(runs) == 3
    assert {run["method"] for run in runs.values()} == set(methods)
    assert all(0 < run["score"] <= 1 for run in runs.values())
    tables = [(tmp_path / name).read_text() for name in ("aims.md", "tables.md")]
    assert "iris" in tables[1]
    study.main(study.TablesCommand(out=tmp_path, summarize=True))
    assert [(tmp_path / name).read_text() for name in ("aims.md", "tables.md")] == (
        tables
    )


@pytest.mark.study
def test_rules_are_compared_once(tmp_path):
    linear.main(linear.LinearCommand(out=tmp_path, quick=True))
    (run,) = RunFile(tmp_path / linear.FILE_NAME).values()
    assert set(run["scores"]) == set(linear.RULES)
    assert run["sizes"]["largest"] == max(run["sizes"].values())
    assert 0.8 < run["scores"]["largest"] <= 1
    table = (tmp_path / "linear.md").read_text()
    linear.main(linear.LinearCommand(out=tmp_path, summarize=True))
    assert (tmp_path / "linear.md").read_text() == table
