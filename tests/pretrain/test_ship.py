"""Shipping of a run: the file, its precision and its provenance."""

import jax
import numpy as np
import pytest

from swajax import autoencoder
from swajax.autoencoder import AutoencoderConfig, pretrained
from swajax.io import checkpoints, commands, configs
from swajax.pretrain import PretrainingConfig, ship
from swajax.pretrain.command import PretrainCommand
from swajax.pretrain.journal import BEST_FILE
from swajax.pretrain.provenance import (
    describe_run,
    format_command,
    read_provenance,
)

MODEL = AutoencoderConfig(preset="compact", activation="tanh", num_probes=8)
MEASURES = {"explained_variance": 0.9, "mpe_percent_mean": 3.0}
MEASURES |= {"spearman": 0.8, "recall_at_1": 1.0}


@pytest.fixture(scope="module")
def params():
    shapes = jax.eval_shape(lambda: autoencoder.init(jax.random.key(0), config=MODEL))
    return jax.tree.map(lambda leaf: np.full(leaf.shape, 1.0001, leaf.dtype), shapes)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "designs.md").write_text("\nWhat was compared.\n")
    for module in (ship, pretrained):
        monkeypatch.setattr(module, "SHIPPED", folder)
    return folder


def make_run(folder, params, *, step, before=None):
    folder.mkdir()
    training = PretrainingConfig(autoencoder=MODEL, num_steps=step, batch_size=1000)
    made = describe_run(
        PretrainCommand(training, seed=step),
        step=step,
        seconds=60.0 * step,
        before=read_provenance(before),
    )
    header = {"autoencoder": configs.to_dict(MODEL), "provenance": made}
    checkpoints.save(folder / BEST_FILE, params, header=header)
    return folder


def measure(errors):
    """Stub of the validation, for parameters 1.0001 in single and half precision."""

    def fn(params, model):
        is_half = np.asarray(jax.tree.leaves(params)[0]).ravel()[0] == 1.0
        return MEASURES | {"mse": errors[is_half], "mpe_percent": 1.0}

    return fn


@pytest.mark.parametrize(("half_error", "num_bytes"), [(1.0, 2), (1.1, 4)])
def test_half_precision_is_taken_if_it_keeps_the_errors(
    half_error, num_bytes, tmp_path, shipped, params, monkeypatch
):
    monkeypatch.setattr(
        ship, "validate_shipped", measure({False: 1.0, True: half_error})
    )
    ship.main(ship.ShipCommand(make_run(tmp_path / "run", params, step=5)))
    path = shipped / "compact_tanh.safetensors"
    stored, header = checkpoints.load(path)
    numbers = sum(leaf.size for leaf in stored.values())
    assert path.stat().st_size // numbers == num_bytes
    assert header["provenance"]["precision"] == f"float{8 * num_bytes}"
    assert header["validation"]["mse"] == (half_error if num_bytes == 2 else 1.0)
    assert not list((tmp_path / "run").glob("compact*"))


def test_the_chain_of_runs_is_told(tmp_path, shipped, params, monkeypatch):
    monkeypatch.setattr(ship, "validate_shipped", measure({False: 1.0, True: 1.0}))
    ship.main(ship.ShipCommand(make_run(tmp_path / "one", params, step=7)))
    first = shipped / "compact_tanh.safetensors"
    two = make_run(tmp_path / "two", params, step=20, before=first)
    three = make_run(tmp_path / "three", params, step=3, before=two / BEST_FILE)
    # The initial checkpoint of the second run has been overwritten since.
    ship.main(ship.ShipCommand(make_run(tmp_path / "other", params, step=9)))
    ship.main(ship.ShipCommand(three))
    text = (shipped / "PROVENANCE.md").read_text()
    assert "| compact_tanh.safetensors | 30 | 0.0 M | float16 |" in text
    places = [text.index(f"--num-steps {n} --seed {n}`") for n in (7, 20, 3)]
    assert places == sorted(places)
    assert "What was compared." in text


def test_the_mean_of_two_files_can_be_shipped(tmp_path, shipped, params, monkeypatch):
    monkeypatch.setattr(ship, "validate_shipped", measure({False: 1.0, True: 1.1}))
    one = make_run(tmp_path / "one", params, step=5)
    twice = jax.tree.map(lambda leaf: 2 * leaf, params)
    two = make_run(tmp_path / "two", twice, step=7) / BEST_FILE
    ship.main(ship.ShipCommand(one, average_with=two))
    stored = pretrained.load_pretrained(shipped / "compact_tanh.safetensors")[0]
    for leaf, own in zip(*map(jax.tree.leaves, (stored, params)), strict=True):
        np.testing.assert_allclose(leaf, 1.5 * own, rtol=1e-3)
    text = (shipped / "PROVENANCE.md").read_text()
    assert "mean of its parameters and those of `python -m swajax.pretrain" in text


def test_a_file_that_does_not_tell_is_refused(tmp_path, params):
    path = tmp_path / "old.safetensors"
    checkpoints.save(path, params, header={"autoencoder": configs.to_dict(MODEL)})
    with pytest.raises(ValueError, match="does not name the run that trained it"):
        read_provenance(path)


@pytest.mark.parametrize(
    "options",
    [
        "--preset compact --activation sigmoid --seed 0",
        "--preset compact --activation tanh --num-inputs 2 --max-width 3 "
        "--num-probes 8 --num-steps 9 --learning-rate 0.003 --chunk-steps 5 "
        "--validation-networks 17 --seed 4",
        "--preset tabular --activation mixed --geometry-weight 0.5 --seed 1",
    ],
)
def test_a_command_names_every_option_that_is_not_the_default(options):
    name = "python -m swajax.pretrain"
    config = commands.parse(PretrainCommand, name=name, arguments=options.split())
    assert format_command(config) == f"{name} {options}"


def test_the_stored_page_is_that_of_the_headers():
    assert (ship.SHIPPED / "PROVENANCE.md").read_text("utf-8") == (
        ship.format_provenance()
    )
