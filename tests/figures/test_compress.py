"""The study of given networks: its runs and its table."""

import pytest

from figures.common.results import RunFile
from figures.compress import __main__ as study


@pytest.mark.study
@pytest.mark.filterwarnings("ignore:the time budget did not")
def test_all_networks_are_walked_once_and_summarized(tmp_path):
    options = {"out": tmp_path, "tables": ("iris",), "quick": True}
    study.main(study.CompressCommand(**options))
    runs = RunFile(tmp_path / "walks.jsonl")
    assert set(runs) == {"large", "deep.0", "iris.0.walk", "iris.0.search"}
    text = (tmp_path / "walks.md").read_text()
    assert "| deep.0 | 413 |" in text and "Median size" in text
    study.main(study.CompressCommand(out=tmp_path, summarize=True))
    assert (tmp_path / "walks.md").read_text() == text
