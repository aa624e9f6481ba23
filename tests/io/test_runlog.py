"""Run folders: nothing overwritten, nothing lost but a half-written line."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.io import runlog


@dataclasses.dataclass(frozen=True)
class Config:
    num_steps: int = 3
    out: Path | None = None


def test_a_new_folder_holds_the_configuration(tmp_path):
    config = Config(num_steps=5, out=Path("x"))
    folder = runlog.make_run_folder(tmp_path / "deep" / "run", config)
    assert json.loads((folder / "config.json").read_text())["num_steps"] == 5
    assert runlog.read_config(folder, Config) == config


def test_an_empty_folder_is_taken_and_a_used_one_refused(tmp_path):
    folder = runlog.make_run_folder(tmp_path, Config())
    before = (folder / "config.json").read_bytes()
    with pytest.raises(FileExistsError, match=r"exists.* another --out .*--resume"):
        runlog.make_run_folder(tmp_path, Config(num_steps=9))
    with pytest.raises(FileExistsError, match="exists"):
        runlog.make_run_folder(folder / "config.json", Config())
    assert (folder / "config.json").read_bytes() == before


def test_a_folder_without_results_is_used_again(tmp_path):
    make = functools.partial(runlog.make_run_folder, tmp_path, is_resumable=False)
    make(Config())
    runlog.log_metrics(tmp_path, {"loss": 1.0})
    make(Config(num_steps=9))
    assert runlog.read_config(tmp_path, Config).num_steps == 9
    assert runlog.read_metrics(tmp_path) == []
    (tmp_path / "results.json").touch()
    with pytest.raises(FileExistsError, match="exists and is not empty"):
        make(Config())


def test_every_changed_byte_of_a_configuration_is_noticed(tmp_path):
    folder = runlog.make_run_folder(tmp_path, Config(out=Path("a")))
    path = folder / "config.json"
    whole = path.read_bytes()
    for place, byte in enumerate(whole):
        for other in {ord("0"), ord("7"), byte ^ 1} - {byte}:
            path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
            if bytes([byte, other]).isspace():
                continue  # the layout means nothing
            with pytest.raises(ValueError, match=r"config\.json: "):
                runlog.read_config(folder, Config)


def test_a_configuration_of_an_older_version_has_no_checksum(tmp_path):
    (tmp_path / "config.json").write_text('{"num_steps": 5}')
    with pytest.warns(UserWarning, match=r"config\.json has no checksum"):
        assert runlog.read_config(tmp_path, Config) == Config(num_steps=5)


def test_default_folders_are_numbered_on(tmp_path):
    root = tmp_path / "runs"
    assert runlog.default_run_folder("search", root) == root / "search-001"
    for name in ("search-001", "search-012", "search-x", "other-099"):
        (root / name).mkdir(parents=True)
    assert runlog.default_run_folder("search", root) == root / "search-013"
    assert runlog.default_run_folder("a.c", root) == root / "a.c-001"


def test_metrics_come_back_and_not_finite_ones_are_null(tmp_path):
    assert runlog.read_metrics(tmp_path) == []
    runlog.log_metrics(tmp_path, {"step": 1, "loss": jnp.float32(0.1)})
    runlog.log_metrics(
        tmp_path, {"step": np.int64(2), "loss": jnp.nan, "by_depth": jnp.ones(2)}
    )
    first, second = runlog.read_metrics(tmp_path)
    assert np.float32(first["loss"]) == np.float32(0.1)
    assert second == {"step": 2, "loss": None, "by_depth": [1.0, 1.0]}


def test_resuming_drops_later_lines_and_the_half_written_one(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for step in range(1, 5):
        runlog.log_metrics(tmp_path, {"step": step, "loss": 1 / step})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        num_lines = whole[:length].count(b"\n")
        assert [m["step"] for m in runlog.read_metrics(tmp_path)] == [
            *range(1, num_lines + 1)
        ]
    runlog.truncate_metrics(tmp_path, 2)
    runlog.log_metrics(tmp_path, {"step": 3, "loss": 1 / 3})
    assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:3])


@pytest.mark.parametrize("line", ["{", "3", "[" * 100_000])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(ValueError, match=r"metrics.jsonl:2: no JSON"):
        runlog.read_metrics(tmp_path)


@pytest.mark.parametrize("text", ["", "3", "{", '{"bogus": 1}', '{"num_steps": "x"}'])
def test_a_damaged_configuration_is_named(tmp_path, text):
    with pytest.raises(FileNotFoundError, match="no run to resume"):
        runlog.read_config(tmp_path, Config)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config.json: "):
        runlog.read_config(tmp_path, Config)


def test_only_the_first_host_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    runlog.make_run_folder(tmp_path / "run", Config())
    runlog.log_metrics(tmp_path, {"step": 1})
    runlog.write_json(tmp_path / "result.json", {})
    assert not list(tmp_path.iterdir())
