"""Signals to the process of a search, and Ctrl-C in library calls."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import swajax
from swajax import latent_search
from swajax.data.problem import Problem
from swajax.estimators import SparseMLPRegressor
from swajax.io import processes
from swajax.search import run, sources, stages, starts
from swajax.search.config import SearchConfig
from swajax.search.run import find_front

ROOT = Path(__file__).parents[2]
OPTIONS = (
    "--data himmelblau --max-weights 9 --num-starts 8 --num-rounds 0 --num-kept 4 "
    "--max-width 3 --max-depth 1 --activations tanh --sources random"
).split()
CONFIG = SearchConfig(
    max_weights=9,
    num_starts=8,
    num_rounds=0,
    num_kept=4,
    max_width=3,
    max_depth=1,
    max_perturbed=0,
    activations=("tanh",),
    sources=("random",),
)


def start(out, cache):
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "swajax.search", *OPTIONS, "--out", str(out)],
            cwd=ROOT,
            env=os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, old)


def wait_for(path, process):
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)


def test_ctrl_c_in_the_first_compilation_ends_a_search_at_once(tmp_path):
    process = start(tmp_path / "run", tmp_path / "cache")
    wait_for(tmp_path / "run" / "config.json", process)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "python -m swajax.search: interrupted\n"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["config.json"]


@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGINT)])
def test_a_signal_ends_a_search_with_results(tmp_path, numbers):
    cache = jax.config.jax_compilation_cache_dir
    process = start(tmp_path / "run", cache)
    wait_for(tmp_path / "run" / "metrics.jsonl", process)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err == "python -m swajax.search: ending, results follow\n"
    assert "weights neurons layers" in out
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert {json.loads(line)["stage"] for line in lines} <= {"fold 1 of 2", "polish"}
    assert swajax.load(tmp_path / "run").num_weights <= 9


@pytest.fixture
def ctrl_c(monkeypatch):
    """Press Ctrl-C when the nth call of an attribute ends."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press(module, name, num=1):
        fn, calls = getattr(module, name), []

        def pressing(*args, **options):
            out = fn(*args, **options)
            calls.append(name)
            if len(calls) == num:
                signal.raise_signal(signal.SIGINT)
            return out

        monkeypatch.setattr(module, name, pressing)
        return calls

    yield press
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, old)


def make_rows(num=40):
    x = np.random.default_rng(0).uniform(-1, 1, (num, 2))
    return Problem(x, np.tanh(2 * x[:, :1] - x[:, 1:]), np.ones(num))


def search(config=CONFIG, **more):
    rows = make_rows()
    return find_front(jax.random.key(0), rows, rows, config=config, **more)


def test_ctrl_c_in_a_block_ends_the_search_after_it(ctrl_c):
    reports = []
    blocks = ctrl_c(stages.pools, "merge")  # by stages, once a block
    front = search(callback=reports.append)
    assert len(blocks) == len(reports) == 1
    assert np.isfinite(front.valid_loss).all()


def test_ctrl_c_right_after_the_first_answer_keeps_it(ctrl_c):
    reports = []

    def press(report):
        reports.append(report)
        signal.raise_signal(signal.SIGINT)

    front = search(callback=press)
    (report,) = reports
    best = report.pool.loss[report.pool.num_weights <= CONFIG.max_weights].min()
    assert front.train_loss.min() <= best * 1.01


def test_ctrl_c_before_the_first_networks_is_raised(ctrl_c, monkeypatch):
    ctrl_c(starts, "find_starts")
    monkeypatch.setattr(run, "select", pytest.fail)
    with pytest.raises(KeyboardInterrupt):
        search(callback=lambda _: None)


def test_a_second_ctrl_c_skips_the_last_polish(ctrl_c, monkeypatch):
    ctrl_c(stages.pools, "merge")
    ctrl_c(run, "find_pool")
    polished, polish = [], run.Job.polish

    def spy(*args, **options):
        polished.append(args)
        return polish(*args, **options)

    monkeypatch.setattr(run.Job, "polish", spy)
    assert len(search().num_weights)
    assert len(polished) == 1  # by the race


def test_ctrl_c_in_a_source_keeps_what_it_found(ctrl_c, monkeypatch):
    make, chunks, reports = latent_search.loop._make_chunk, [], []

    def make_pressing(*static):
        advance = make(*static)

        def pressing(*args):
            chunks.append(args)
            signal.raise_signal(signal.SIGINT)
            return advance(*args)

        return pressing

    monkeypatch.setattr(latent_search.loop, "_make_chunk", make_pressing)
    config = dataclasses.replace(
        CONFIG,
        sources=("direct", "random"),
        descent=sources.descent.DescentSourceConfig(
            descent=latent_search.DescentConfig(
                num_steps=6, chunk_steps=2, num_starts=2, sparsity_weights=(1e-4,)
            )
        ),
    )
    front = search(config, callback=reports.append)
    assert len(chunks) == 1 and len(front.num_weights)
    assert [report.stage for report in reports] == ["sources", "polish"]


def test_a_search_in_a_forked_child_is_refused(monkeypatch):
    monkeypatch.setattr(processes, "_first_pid", os.getpid() + 1)
    with pytest.raises(RuntimeError, match="spawn"):
        search()


def test_an_estimator_warns_that_its_fit_was_cut_short(ctrl_c):
    ctrl_c(stages.pools, "merge")
    rows = make_rows()
    options = {"num_starts": 8, "num_rounds": 0, "max_weights": 9, "max_perturbed": 0}
    model = SparseMLPRegressor(
        **options, max_width=3, max_depth=1, activations=("tanh",)
    )
    with pytest.warns(ConvergenceWarning, match="cut short by an interrupt"):
        model.fit(rows.x, rows.y[:, 0])
    assert np.isfinite(model.predict(rows.x)).all()
