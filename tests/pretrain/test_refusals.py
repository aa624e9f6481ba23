"""Errors of the pretraining command: one line, exit code 2, no files left."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import pytest

from swajax import autoencoder
from swajax.io import checkpoints, commands, configs, runlog
from swajax.pretrain import __main__ as pretrain_command
from swajax.pretrain import journal
from swajax.pretrain.command import PretrainCommand

NAME = "python -m swajax.pretrain"
ARGUMENTS = "--max-depth 2 --max-width 3 --num-probes 4 --batch-size 16".split()
COMMAND = commands.parse(PretrainCommand, name=NAME, arguments=ARGUMENTS)


@pytest.fixture
def refused(capsys):
    """Run the command in process; return its one-line error."""

    def run(*arguments):
        code = commands.run_command(
            pretrain_command.main,
            PretrainCommand,
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
        ("--activation elu", "'elu'"),
        ("--batch-size 15", "batch_size must be a positive multiple of 2"),
        ("--chunk-steps 0", "chunk_steps must be >= 1, got 0"),
        ("--validation-networks 0", "validation_networks must be >= 1, got 0"),
        ("--learning-rate 0", "learning_rate must be > 0, got 0"),
        ("--time-budget nan", "time_budget must be > 0 s, got nan"),
        ("--coordinator localhost:1", "process_id must be given together"),
        ("--max-width 2", "max_width must be >= num_inputs = 3, got 2"),
        ("--resume absent", "absent: no run to resume, absent/config.json is missing"),
        ("--start-from absent.safetensors", "absent.safetensors: no such checkpoint"),
    ],
)
def test_bad_options_are_refused(refused, tmp_path, arguments, message):
    assert message in refused(*arguments.split(), "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_batches_that_cannot_be_split_are_refused(monkeypatch, refused, tmp_path):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    message = refused("--out", tmp_path / "run")
    assert "batch_size must be a multiple of 6 on 3 devices, got 16" in message
    assert not (tmp_path / "run").exists()


def make_file(path, config, header):
    init = functools.partial(autoencoder.init, config=config)
    like = jax.eval_shape(init, jax.random.key(0))
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)
    checkpoints.save(path, params, header=header)


def test_a_damaged_state_is_not_resumed(refused, tmp_path):
    folder = runlog.make_run_folder(tmp_path / "run", COMMAND)
    runlog.log_metrics(folder, {"step": 1})
    state = folder / journal.STATE_FILE
    checkpoints.save(state, {"x": jnp.zeros(9)}, header={"best": 0.0})
    whole = state.read_bytes()
    for damaged, what in ((whole[:-9], "damaged"), (whole, "is missing")):
        state.write_bytes(damaged)
        message = refused("--resume", folder)
        assert f"{state}: " in message and what in message
    assert runlog.read_metrics(folder) == [{"step": 1}]


def test_a_damaged_configuration_is_not_resumed(refused, tmp_path):
    folder = runlog.make_run_folder(tmp_path / "run", COMMAND)
    config = folder / "config.json"
    config.write_bytes(config.read_bytes()[:-9])
    assert f"{config}: no JSON" in refused("--resume", folder)


def test_a_foreign_checkpoint_is_no_start(refused, tmp_path):
    path, out = tmp_path / "mine.safetensors", ("--out", tmp_path / "run")
    make_file(path, COMMAND.training.autoencoder, header={})
    message = refused("--start-from", path, *out)
    assert f"{path}: a checkpoint, but not of an autoencoder" in message
    wide = dataclasses.replace(COMMAND.training.autoencoder, max_width=4)
    make_file(path, wide, header={"autoencoder": configs.to_dict(wide)})
    message = refused("--start-from", path, *out)
    assert f"{path} holds " in message and "not the configuration to train" in message
    assert not (tmp_path / "run").exists()
