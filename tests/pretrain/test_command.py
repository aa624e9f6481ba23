"""The pretraining command end to end: resumed, killed, distributed, rejected."""

import dataclasses
import functools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax import pretrain as pretraining
from swajax.autoencoder.pretrained import load_pretrained
from swajax.io import checkpoints, commands, interrupts, runlog
from swajax.pretrain import __main__ as pretrain_command
from swajax.pretrain import journal
from swajax.pretrain.command import PretrainCommand
from swajax.pretrain.curves import draw_curves

NAME = "python -m swajax.pretrain"
ROOT = Path(__file__).parents[2]
NUM_STEPS, CHUNK = 12, 4
# Also for the processes: 16 networks per step, and an odd number for validation.
ARGUMENTS = (
    "--max-depth 2 --max-width 3 --num-probes 4 --batch-size 16 --num-points 8 "
    f"--learning-rate 1e-3 --warmup-steps 0 --num-steps {NUM_STEPS} "
    f"--chunk-steps {CHUNK} --validation-chunks 2 --validation-networks 17"
).split()
COMMAND = commands.parse(PretrainCommand, name=NAME, arguments=ARGUMENTS)
TRAINING = COMMAND.training
MODEL = TRAINING.autoencoder
# Faster to compile, for processes whose numbers need not be equal in all bits.
QUICK = "--xla_backend_optimization_level=0"
MAKE_TRAINER = pretrain_command.make_trainer


class Run(NamedTuple):
    folder: Path
    lines: list[dict[str, Any]]
    arrays: dict[str, np.ndarray]
    num_traces: int


@functools.cache
def get_trainer(training):
    return MAKE_TRAINER(dataclasses.replace(COMMAND, training=training))


@pytest.fixture(autouse=True)
def shared_programs(monkeypatch):
    """Let runs of one configuration share compiled programs."""
    cached = lambda config: get_trainer(config.training)  # noqa: E731
    monkeypatch.setattr(pretrain_command, "make_trainer", cached)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """An uninterrupted run."""
    folder = tmp_path_factory.mktemp("pretraining") / "reference"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pretrain_command, "make_trainer", lambda c: get_trainer(c.training)
        )
        pretrain_command.main(dataclasses.replace(COMMAND, out=folder))
    num_traces = get_trainer(TRAINING).chunk_fn._cache_size()
    return Run(*read_run(folder), num_traces)


def read_run(folder):
    arrays, _ = checkpoints.load(folder / journal.STATE_FILE)
    return folder, runlog.read_metrics(folder), arrays


def resume(folder):
    pretrain_command.main(dataclasses.replace(COMMAND, resume=folder))
    return read_run(folder)


def start_process(*arguments, flags=""):
    # XLA reads a value that starts with a blank as the name of a file.
    flags = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    return subprocess.Popen(
        [sys.executable, "-m", "swajax.pretrain", *ARGUMENTS, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"XLA_FLAGS": flags},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err


def assert_same_numbers(run, reference):
    """Compare bits, except seconds and a validation before an interruption."""
    _, lines, arrays = run
    assert len(lines) == len(reference.lines)
    for line, wanted in zip(lines, reference.lines, strict=True):
        kept = {name: line[name] for name in wanted if name != "seconds"}
        assert kept == {name: wanted[name] for name in kept}
    assert arrays.keys() == reference.arrays.keys()
    for name, array in reference.arrays.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def assert_same_losses(folder, reference):
    """Compare losses of the first chunk; later steps amplify rounding."""
    (line,) = runlog.read_metrics(folder)
    for name in ("loss", "min_loss", "min_mse", "geometry"):
        wanted = reference.lines[0][name]
        np.testing.assert_allclose(line[name], wanted, rtol=1e-5, err_msg=name)


def test_chunks_are_traced_once(reference):
    assert len(reference.lines) == NUM_STEPS // CHUNK
    assert reference.num_traces == 1


def test_a_chunk_is_its_steps():
    trainer = get_trainer(TRAINING)
    start = trainer.init_fn(jax.random.key(0))
    state, metrics = trainer.chunk_fn(start, num_steps=CHUNK)
    static = {"config": TRAINING, "optimizer": pretraining.make_optimizer(TRAINING)}
    step = jax.jit(functools.partial(pretraining.step, **static))
    by_step, losses = trainer.init_fn(jax.random.key(0)), []
    for _ in range(CHUNK):
        by_step, line = step(by_step)
        losses.append(line["loss"])
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-5)
    assert state.step == by_step.step == CHUNK
    for a, b in zip(*map(jax.tree.leaves, (state.params, by_step.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_run_leaves_its_results(reference, capsys):
    assert (reference.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    measured = [n for n in reference.lines if "explained_variance" in n]
    assert [line["step"] for line in measured] == [8, 12]
    best = max(measured, key=lambda line: line["explained_variance"])
    path = reference.folder / journal.BEST_FILE
    params, model = load_pretrained(path)
    _, header = checkpoints.load(path)
    assert model == MODEL and header["step"] == best["step"]
    made = header["provenance"]
    assert made["num_networks"] == 16 * best["step"] and made["before"] is None
    assert header["validation"]["spearman"] == best["spearman"]
    # Resuming a finished run changes nothing and prints the same.
    assert_same_numbers(resume(reference.folder), reference)
    assert f"best at step {best['step']}" in capsys.readouterr().out
    # Its parameters can start another run.
    command = dataclasses.replace(COMMAND, start_from=path)
    state = pretrain_command._start(command, Path("absent"), get_trainer(TRAINING))
    assert state.step == 0
    assert journal.read_progress(Path("absent"), path).before == made
    for a, b in zip(*map(jax.tree.leaves, (state.params, params)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_curves_of_a_run_without_validation(tmp_path):
    runlog.log_metrics(tmp_path, {"step": 2, "loss": 1.0, "spearman": np.nan})
    assert draw_curves(tmp_path).is_file()


def test_a_resumed_run_has_the_same_numbers(reference, tmp_path):
    command = dataclasses.replace(COMMAND, out=tmp_path / "run", time_budget=1e-9)
    pretrain_command.main(command)
    assert [n["step"] for n in runlog.read_metrics(command.out)] == [CHUNK]
    assert (command.out / journal.BEST_FILE).is_file()
    assert_same_numbers(resume(command.out), reference)


def test_ctrl_c_ends_a_run_after_the_chunk(reference, tmp_path, monkeypatch):
    command = dataclasses.replace(COMMAND, out=tmp_path / "run")
    trainer = get_trainer(TRAINING)

    def chunk_fn(state, *, num_steps):
        signal.raise_signal(signal.SIGINT)
        return trainer.chunk_fn(state, num_steps=num_steps)

    interrupted = dataclasses.replace(trainer, chunk_fn=chunk_fn)
    with monkeypatch.context() as patch, interrupts.deferred():
        patch.setattr(pretrain_command, "make_trainer", lambda _: interrupted)
        pretrain_command.main(command)
    assert [n["step"] for n in runlog.read_metrics(command.out)] == [CHUNK]
    assert (command.out / journal.BEST_FILE).is_file()
    assert_same_numbers(resume(command.out), reference)


def test_a_run_killed_before_its_first_saved_state_logs_each_step_once(
    reference, tmp_path
):
    folder = runlog.make_run_folder(tmp_path / "run", COMMAND)
    runlog.log_metrics(folder, {"step": CHUNK, "loss": 1.0})
    assert_same_numbers(resume(folder), reference)


def test_kill_loses_at_most_a_chunk(reference, tmp_path):
    folder = tmp_path / "killed"
    process = start_process("--out", folder)
    while not (folder / journal.STATE_FILE).exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.1)  # anywhere: chunks and files take about as long
    process.kill()
    _, err = process.communicate()
    assert process.returncode == -9, err
    _, lines, arrays = read_run(folder)
    assert 0 < arrays["step"] < NUM_STEPS
    assert lines[-1]["step"] - arrays["step"] <= CHUNK
    assert_same_numbers(resume(folder), reference)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("before", "the loss is nan at step 5; the last good state is kept in .*state"),
        (
            "after",
            "a parameter is not finite after step 8; the last good state is kept",
        ),
        ("at once", "the loss is nan at step 1; none was saved before"),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run(
    monkeypatch, reference, tmp_path, when, message
):
    trainer = get_trainer(TRAINING)

    def poison(state):
        return state._replace(params=jax.tree.map(lambda x: x * jnp.nan, state.params))

    def chunk_fn(state, *, num_steps):
        is_it = state.step == (0 if when == "at once" else CHUNK)
        state = poison(state) if is_it and when != "after" else state
        state, metrics = trainer.chunk_fn(state, num_steps=num_steps)
        return poison(state) if is_it else state, metrics

    poisoned = dataclasses.replace(trainer, chunk_fn=chunk_fn)
    monkeypatch.setattr(pretrain_command, "make_trainer", lambda _: poisoned)
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match=message):
        pretrain_command.main(dataclasses.replace(COMMAND, out=folder))
    if when != "at once":
        _, lines, arrays = read_run(folder)
        assert arrays["step"] == lines[-1]["step"] == CHUNK
        monkeypatch.setattr(pretrain_command, "make_trainer", lambda _: trainer)
        assert_same_numbers(resume(folder), reference)


def test_eight_devices_have_the_losses_of_one(reference, tmp_path):
    flags = f"{QUICK} --xla_force_host_platform_device_count=8"
    budget = ("--time-budget", 1e-6)  # one chunk
    finish(start_process("--out", tmp_path / "run", *budget, flags=flags))
    assert_same_losses(tmp_path / "run", reference)


def test_two_processes_have_the_losses_of_one(reference, tmp_path):
    """The clocks may differ, because the first process decides about the budget."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{probe.getsockname()[1]}"
    together = ["--coordinator", coordinator, "--num-processes", 2]
    processes = [
        start_process(
            *[*together, "--process-id", index, "--time-budget", budget],
            *["--out", tmp_path / "run"],
            flags=QUICK,
        )
        for index, budget in enumerate((1e-6, 1e6))
    ]
    try:
        for process in processes:
            finish(process)
    finally:
        for process in processes:
            process.kill()
    assert_same_losses(tmp_path / "run", reference)


def test_a_run_folder_in_use_is_left_as_it_is(reference):
    before = {path: path.read_bytes() for path in reference.folder.iterdir()}
    with pytest.raises(FileExistsError, match=f"{reference.folder} exists"):
        pretrain_command.main(dataclasses.replace(COMMAND, out=reference.folder))
    assert {path: path.read_bytes() for path in reference.folder.iterdir()} == before
