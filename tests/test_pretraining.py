"""Losses by hand, and the command from end to end: resumed, killed, spread, refused."""

import dataclasses
import functools
import os
import shutil
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

from swajax import (
    autoencoder,
    checkpoints,
    commands,
    network,
    pretrain,
    pretraining,
    runlog,
)
from swajax.autoencoder.pretrained import load_pretrained
from swajax.report.curves import draw_curves

NAME = "python -m swajax.pretrain"
ROOT = Path(__file__).parents[1]
NUM_STEPS, CHUNK = 24, 2
# Also for the processes: 16 networks a step, and an odd number to validate.
ARGUMENTS = (
    "--max-depth 2 --max-width 3 --num-probes 4 --batch-size 16 --num-points 8 "
    f"--learning-rate 1e-3 --num-steps {NUM_STEPS} --chunk-steps {CHUNK} "
    "--validation-chunks 6 --validation-networks 17"
).split()
COMMAND = commands.parse(pretrain.PretrainCommand, name=NAME, arguments=ARGUMENTS)
TRAINING = COMMAND.training
MODEL = TRAINING.autoencoder
# Quicker to compile, for processes whose numbers need not be the same bit for bit.
QUICK = "--xla_backend_optimization_level=0"
MAKE_TRAINER = pretrain.make_trainer


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
    """Runs of one configuration share what is compiled."""
    cached = lambda config: get_trainer(config.training)  # noqa: E731
    monkeypatch.setattr(pretrain, "make_trainer", cached)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """A run from beginning to end, without interruption."""
    folder = tmp_path_factory.mktemp("pretraining") / "reference"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "make_trainer", lambda c: get_trainer(c.training))
        pretrain.main(dataclasses.replace(COMMAND, out=folder))
    num_traces = get_trainer(TRAINING).chunk_fn._cache_size()
    return Run(*read_run(folder), num_traces)


@pytest.fixture(scope="module")
def state_like():
    return jax.eval_shape(get_trainer(TRAINING).init_fn, jax.random.key(0))


def read_run(folder):
    arrays, _ = checkpoints.load(folder / pretrain.STATE_FILE)
    return folder, runlog.read_metrics(folder), arrays


def resume(folder):
    pretrain.main(dataclasses.replace(COMMAND, resume=folder))
    return read_run(folder)


def start_process(*arguments, flags=""):
    flags = f"{os.environ.get('XLA_FLAGS', '')} {flags}"
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
    """Bit for bit, but for the seconds and a validation before an interruption."""
    _, lines, arrays = run
    assert len(lines) == len(reference.lines)
    for line, wanted in zip(lines, reference.lines, strict=True):
        kept = {name: line[name] for name in wanted if name != "seconds"}
        assert kept == {name: wanted[name] for name in kept}
    assert arrays.keys() == reference.arrays.keys()
    for name, array in reference.arrays.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def assert_same_losses(folder, reference):
    for name in ("loss", "min_loss", "mse", "geometry"):
        wanted = [line[name] for line in reference.lines]
        losses = [line[name] for line in runlog.read_metrics(folder)]
        np.testing.assert_allclose(losses, wanted, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("error", "best", "mean"),
    [
        ("raw", (1 + 0.5) / 2, (1 + 4 + 2 + 0.5) / 4),
        ("normalised", (1 + 0.125) / 2, (1 + 1 + 2 + 0.125) / 4),
        ("log", np.log(1.1 * 0.225) / 2, np.log(1.1 * 1.1 * 2.1 * 0.225) / 4),
    ],
)
@pytest.mark.parametrize("loss", ["min", "mean"])
def test_losses_by_hand(monkeypatch, loss, error, best, mean):
    """Two decoders, two networks with the variances 1 and 4."""
    errors = jnp.array([[1.0, 4.0], [2.0, 0.5]])
    z = jnp.array([[0.0, 1.0], [1.0, 3.0]])
    y = jnp.array([[[0.0], [2.0]], [[1.0], [5.0]]])
    monkeypatch.setattr(pretraining, "LOG_FLOOR", 0.1)
    monkeypatch.setattr(pretraining, "encode_groups", lambda *a, **k: (z, y))
    monkeypatch.setattr(pretraining, "decoder_errors", lambda *a, **k: errors)
    config = dataclasses.replace(
        TRAINING, loss=loss, error=error, mean_weight=0.5, geometry_weight=0.0
    )
    value, metrics = pretraining.batch_loss(None, (), jnp.zeros((2, 3)), config=config)
    wanted = mean if loss == "mean" else best + 0.5 * mean
    assert metrics["loss"] == value
    numbers = {"loss": wanted, "min_loss": best, "mse": 0.75}
    for name, number in numbers.items():
        assert float(metrics[name]) == pytest.approx(number, rel=1e-5), name
    config = dataclasses.replace(config, geometry_weight=2.0)
    more, metrics = pretraining.batch_loss(None, (), jnp.zeros((2, 3)), config=config)
    geometry = 1 - pretraining.distance_correlation(z, y)
    assert float(more) == pytest.approx(wanted + 2 * float(geometry), rel=1e-5)
    assert metrics["geometry"] == geometry


def test_distance_correlation_is_that_of_numpy(maybe_jit):
    rng = np.random.default_rng(0)
    z = np.float32(rng.normal(size=(7, 5)))
    y = np.float32(rng.normal(size=(7, 4, 2)) * 10 ** rng.uniform(-1, 1, (7, 1, 1)))
    pairs = np.triu_indices(7, k=1)

    def distances(rows):
        rows = rows.reshape(7, -1)
        return np.sqrt(np.square(rows[:, None] - rows[None]).mean(axis=2))[pairs]

    wanted = np.corrcoef(distances(z), np.log(distances(y) + 1e-3))[0, 1]
    found = maybe_jit(pretraining.distance_correlation)(jnp.asarray(z), jnp.asarray(y))
    assert abs(found - wanted) < 1e-4 and abs(wanted) < 0.9
    by_pair = maybe_jit(pretraining.pairwise_distances)(jnp.asarray(z))
    np.testing.assert_allclose(by_pair[pairs], distances(z), rtol=1e-3)


def test_distance_correlation_has_a_gradient_for_equal_embeddings():
    y = jnp.arange(3.0)[:, None, None]
    gradient = jax.grad(pretraining.distance_correlation)(jnp.zeros((3, 2)), y)
    assert np.isfinite(gradient).all()


def test_decoder_errors_are_those_of_each_network(key, reference):
    params, _ = load_pretrained(reference.folder / pretrain.BEST_FILE)
    z = jax.random.normal(key, (3, MODEL.embedding_size))
    x, y = jnp.linspace(-1, 1, 15).reshape(5, 3), jnp.ones((3, 5, 1))
    errors = jax.jit(functools.partial(pretraining.decoder_errors, config=MODEL))
    found = errors(params, z, x, y)
    decode_all = jax.jit(functools.partial(autoencoder.decode_all, config=MODEL))
    for index in range(3):
        for depth, decoded in enumerate(decode_all(params, z[index])):
            out = network.apply(decoded, x, activations=MODEL.spec.activations)
            wanted = np.square(np.asarray(out) - 1).mean()
            np.testing.assert_allclose(found[depth, index], wanted, rtol=1e-3)


def test_a_step_keeps_structure_and_dtypes(state_like):
    static = {"config": TRAINING, "optimizer": pretraining.make_optimizer(TRAINING)}
    after, _ = jax.eval_shape(functools.partial(pretraining.step, **static), state_like)
    assert jax.tree.structure(after) == jax.tree.structure(state_like)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(state_like), strict=True):
        assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, False)


def test_chunks_are_traced_once(reference):
    assert len(reference.lines) == NUM_STEPS // CHUNK
    assert reference.num_traces == 1


def test_a_chunk_is_its_steps():
    trainer = get_trainer(TRAINING)
    state, metrics = trainer.chunk_fn(trainer.init_fn(jax.random.key(0)), num_steps=2)
    static = {"config": TRAINING, "optimizer": pretraining.make_optimizer(TRAINING)}
    step = jax.jit(functools.partial(pretraining.step, **static))
    by_step, losses = trainer.init_fn(jax.random.key(0)), []
    for _ in range(2):
        by_step, line = step(by_step)
        losses.append(line["loss"])
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-5)
    assert state.step == by_step.step == 2
    for a, b in zip(*map(jax.tree.leaves, (state.params, by_step.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_each_step_has_new_networks_and_points(reference):
    losses = [line["loss"] for line in reference.lines]
    assert len(set(losses)) == len(losses)


def test_a_run_leaves_its_results(reference, capsys):
    assert (reference.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    measured = [n for n in reference.lines if "explained_variance" in n]
    assert [line["step"] for line in measured] == [12, 24]
    best = max(measured, key=lambda line: line["explained_variance"])
    path = reference.folder / pretrain.BEST_FILE
    params, model = load_pretrained(path)
    _, header = checkpoints.load(path)
    assert model == MODEL and header["step"] == best["step"]
    assert header["num_networks"] == 16 * best["step"]
    assert header["validation"]["spearman"] == best["spearman"]
    # To go on with a run that has ended changes nothing, and tells the same.
    assert_same_numbers(resume(reference.folder), reference)
    assert f"best at step {best['step']}" in capsys.readouterr().out
    # Its parameters can be the start of another.
    command = dataclasses.replace(COMMAND, start_from=path)
    state = pretrain._start(command, Path("absent"), get_trainer(TRAINING))
    assert state.step == 0
    for a, b in zip(*map(jax.tree.leaves, (state.params, params)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_curves_of_a_run_without_validation(tmp_path):
    runlog.log_metrics(tmp_path, {"step": 2, "loss": 1.0, "spearman": np.nan})
    assert draw_curves(tmp_path).is_file()


def test_a_resumed_run_has_the_same_numbers(reference, tmp_path):
    command = dataclasses.replace(COMMAND, out=tmp_path / "run", time_budget=1e-9)
    pretrain.main(command)
    assert [n["step"] for n in runlog.read_metrics(command.out)] == [CHUNK]
    assert (command.out / pretrain.BEST_FILE).is_file()
    assert_same_numbers(resume(command.out), reference)


def test_kill_loses_at_most_a_chunk(reference, tmp_path):
    folder = tmp_path / "killed"
    process = start_process("--out", folder)
    while not (folder / pretrain.STATE_FILE).exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.1)  # anywhere: the chunks are shorter than that
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
        ("before", "the loss is nan at step 3; the last good state is kept in .*state"),
        (
            "after",
            "a parameter is not finite after step 4; the last good state is kept",
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
    monkeypatch.setattr(pretrain, "make_trainer", lambda _: poisoned)
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match=message):
        pretrain.main(dataclasses.replace(COMMAND, out=folder))
    if when != "at once":
        _, lines, arrays = read_run(folder)
        assert arrays["step"] == lines[-1]["step"] == CHUNK
        monkeypatch.setattr(pretrain, "make_trainer", lambda _: trainer)
        assert_same_numbers(resume(folder), reference)


def test_eight_devices_have_the_losses_of_one(reference, tmp_path):
    flags = f"{QUICK} --xla_force_host_platform_device_count=8"
    finish(start_process("--out", tmp_path / "run", flags=flags))
    assert_same_losses(tmp_path / "run", reference)


def test_two_processes_have_the_losses_of_one(reference, tmp_path):
    """Their clocks need not agree on the time budget: the first one decides."""
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
        for index, budget in enumerate((1e6, 1e-6))
    ]
    try:
        for process in processes:
            finish(process)
    finally:
        for process in processes:
            process.kill()
    assert_same_losses(tmp_path / "run", reference)


@pytest.fixture
def refused(capsys):
    """Run the command in process; the one line with which it refuses."""

    def run(*arguments):
        code = commands.run_command(
            pretrain.main,
            pretrain.PretrainCommand,
            name=NAME,
            arguments=[*ARGUMENTS, *map(str, arguments)],
        )
        out, err = capsys.readouterr()
        assert (code, out) == (2, "") and err.count("\n") == 1
        assert err.startswith(f"{NAME}: error: ")
        return err

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--activation relu", "'relu'"),
        ("--batch-size 15", "batch_size must be a positive multiple of 2"),
        ("--chunk-steps 0", "chunk_steps must be >= 1, got 0"),
        ("--validation-networks 0", "validation_networks must be >= 1, got 0"),
        ("--learning-rate 0", "learning_rate must be > 0, got 0"),
        ("--time-budget nan", "time_budget must be > 0 s, got nan"),
        ("--coordinator localhost:1", "coordinator, num_processes and process_id go"),
        ("--max-width 2", "max_width must be >= num_inputs = 3, got 2"),
        ("--resume absent", "absent: no run to resume, absent/config.json is missing"),
        ("--start-from absent.safetensors", "absent.safetensors: no such checkpoint"),
    ],
)
def test_bad_options_are_refused(refused, tmp_path, arguments, message):
    assert message in refused(*arguments.split(), "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_folder_in_use_is_left_as_it_is(refused, reference):
    before = {path: path.read_bytes() for path in reference.folder.iterdir()}
    assert f"{reference.folder} exists" in refused("--out", reference.folder)
    assert {path: path.read_bytes() for path in reference.folder.iterdir()} == before


def test_batches_that_cannot_be_split_are_refused(monkeypatch, refused, tmp_path):
    monkeypatch.setattr(pretrain, "make_trainer", MAKE_TRAINER)
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    message = refused("--out", tmp_path / "run")
    assert "batch_size must be a multiple of 6 on 3 devices, got 16" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [pretrain.STATE_FILE, "config.json"])
def test_a_damaged_run_is_not_resumed(refused, reference, tmp_path, name):
    folder = shutil.copytree(reference.folder, tmp_path / "run")
    damaged = folder / name
    damaged.write_bytes(damaged.read_bytes()[:-9])
    metrics = (folder / "metrics.jsonl").read_bytes()
    assert str(damaged) in refused("--resume", folder)
    assert (folder / "metrics.jsonl").read_bytes() == metrics


def test_a_foreign_checkpoint_is_no_start(refused, reference, tmp_path):
    state, best = (
        reference.folder / n for n in ("state.safetensors", "best.safetensors")
    )
    out = ("--out", tmp_path / "run")
    assert f"{state}: a checkpoint, but not of an" in refused(
        "--start-from", state, *out
    )
    message = refused("--start-from", best, "--max-width", 4, *out)
    assert f"{best} holds " in message and "not what is trained" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["loss", "error", "optimizer", "schedule"])
def test_unknown_choices_are_refused(name):
    # The type checks of the tests would refuse them first.
    config = dataclasses.replace(TRAINING)
    object.__setattr__(config, name, "huge")
    with pytest.raises(ValueError, match=f"{name} must be one of .* got 'huge'"):
        config.__post_init__()
