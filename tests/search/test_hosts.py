"""A search by two processes: as good as by one, and ended together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from swajax.search import hosts
from swajax.search import pool as pools
from swajax.search.hosts import Merger

ROOT = Path(__file__).parents[2]
ARGUMENTS = (
    "--data sphere --max-weights 9 --num-starts 48 --num-rounds 1 --num-kept 8 "
    "--max-perturbed 6 --max-width 4 --max-depth 1 --activations tanh sigmoid "
    "--sources random"
).split()
QUICK = "--xla_backend_optimization_level=0"  # faster to compile


@pytest.fixture
def processes():
    started = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(processes, *arguments):
    flags = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()
    process = subprocess.Popen(
        [sys.executable, "-m", "swajax.search", *ARGUMENTS, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    processes.append(process)
    return process


def start_two(processes, *arguments, own=lambda index: []):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        coordinator = f"127.0.0.1:{probe.getsockname()[1]}"
    together = ["--coordinator", coordinator, "--num-processes", 2, *arguments]
    return [
        start(processes, *together, "--process-id", index, *own(index))
        for index in range(2)
    ]


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def read_losses(folder):
    """Return the smallest validation loss of at most 1, 2, ... 9 weights."""
    front = json.loads((folder / "results.json").read_text())["front"]
    losses = np.full(10, np.inf)
    for row in front:
        losses[row["num_weights"]] = row["valid_loss"]
    return np.minimum.accumulate(losses)[1:]


def test_two_processes_find_at_least_what_one_finds(processes, tmp_path):
    """They have as many starts, and keep twice as many networks on the way."""
    both = start_two(processes, "--out", tmp_path / "two")
    alone = start(processes, "--out", tmp_path / "one")
    first, second, _ = map(finish, (*both, alone))
    assert "report.html" in first and "weights" not in second
    two, one = (read_losses(tmp_path / name) for name in ("two", "one"))
    assert np.isfinite(two).sum() >= np.isfinite(one).sum()
    is_there = np.isfinite(one)
    ratios = two[is_there] / one[is_there]
    assert np.exp(np.log(ratios).mean()) < 1.02, ratios


def test_a_signal_to_one_ends_both_with_results(processes, tmp_path):
    both = start_two(processes, "--out", tmp_path / "run", "--num-rounds", 100)
    for line in both[0].stdout:
        if line.startswith("after"):  # the first networks
            break
    time.sleep(0.5)  # until it knows that it has results
    both[0].send_signal(signal.SIGINT)
    out, _ = map(finish, both)
    assert "RMSE" in out and (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("index", [0, 1])
def test_a_process_that_dies_ends_the_other_one(processes, tmp_path, index):
    both = start_two(processes, "--out", tmp_path / "run")
    both[0].stdout.readline()
    begin = time.monotonic()
    both[index].kill()
    _, err = both[1 - index].communicate(timeout=60)
    assert time.monotonic() - begin < 60
    assert err == (
        f"python -m swajax.search: error: process {index} of 2 has ended; so does "
        "this one\n"
    )
    assert both[1 - index].returncode == 2


def test_processes_with_other_options_are_told(processes, tmp_path):
    out = ("--out", tmp_path / "run")
    both = start_two(processes, *out, own=lambda index: ["--seed", index])
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert all(process.returncode == 2 for process in both)
    assert any("have different tables or options" in err for err in errors)


def make_pool(sizes, losses):
    num = len(sizes)
    network = hosts.Network(
        first=np.arange(2.0 * num, dtype=np.float32).reshape(num, 2, 1),
        hidden=np.zeros((num, 0, 1, 1), np.float32),
        readout=np.ones((num, 1, 1), np.float32),
        bias=np.zeros((num, 1, 1), np.float32),
        readout_bias=np.zeros((num, 1), np.float32),
        mask=np.ones((num, 1, 1), np.float32),
        activation=np.ones((num, 1, 1, 1), np.float32),
        depth=np.ones(num, np.int32),
    )
    no = np.zeros(num, bool)
    structure = np.arange(num) + 2**40
    return pools.Pool(network, np.array(sizes), np.array(losses), structure, no, ~no)


def as_process(monkeypatch, index, num=2):
    monkeypatch.setattr(jax, "process_count", lambda: num)
    monkeypatch.setattr(jax, "process_index", lambda: index)


def test_shares_are_all_there_is(monkeypatch):
    pool = make_pool([1, 1, 1, 2, 3], [0.3, 0.1, 0.2, 0.5, 0.4])
    parts, nums = [], []
    for index in range(2):
        as_process(monkeypatch, index)
        parts.append(Merger(8).own(pool))
        nums.append(hosts.own_number(7))
    assert sorted(nums) == [3, 4]
    assert parts[0].loss.tolist() == [0.1, 0.3, 0.5, 0.4]
    assert parts[1].loss.tolist() == [0.2]


def test_merged_pools_are_those_of_all_processes(monkeypatch):
    own, other = make_pool([1, 2], [0.3, 0.1]), make_pool([2, 3, 3], [0.2, 0.4, 0.5])
    other = other._replace(structure=other.structure + 100)
    as_process(monkeypatch, 0)
    found = iter([np.array([[2, 0, 0], [3, 0, 1]]), None])

    def gather(values):
        header = next(found)
        if header is not None:
            header[:, 1] = values[1]
            return header
        rest = np.pad(hosts._pack(other), ((0, len(values) - 3), (0, 0)))
        return np.stack([values, rest])

    monkeypatch.setattr(hosts, "_gather", gather)
    merger = Merger(8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts.math, "log2", lambda _: 2.0)  # four rows
        merged = merger.merge(own)
    assert merger.has_ended
    assert merged.num_weights.tolist() == [1, 2, 2, 3, 3]
    assert merged.loss.tolist() == [0.3, 0.1, 0.2, 0.4, 0.5]
    assert merged.is_grown.all() and not merged.is_pruned.any()
    np.testing.assert_array_equal(
        np.sort(merged.network.first.ravel()), [0, 0, 1, 1, 2, 2, 3, 3, 4, 5]
    )
