"""Pretrained autoencoders: shipped ones, files, and rejected files."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax import autoencoder
from swajax.autoencoder import AutoencoderConfig, pretrained
from swajax.io import checkpoints, configs

CONFIG = AutoencoderConfig(preset="compact", activation="tanh", num_probes=8)


@pytest.fixture(scope="module")
def params():
    init = jax.eval_shape(lambda: autoencoder.init(jax.random.key(0), config=CONFIG))
    leaves, structure = jax.tree.flatten(init)
    values = [jnp.full(x.shape, i, x.dtype) for i, x in enumerate(leaves)]
    return jax.tree.unflatten(structure, values)


@pytest.fixture
def path(tmp_path, params):
    path = tmp_path / "mine.safetensors"
    header = {"autoencoder": configs.to_dict(CONFIG)}
    checkpoints.save(path, params, header=header)
    return path


def test_a_file_gives_parameters_and_configuration(path, params):
    for source in (path, str(path)):
        loaded, config = pretrained.load_pretrained(source, "tanh")
        assert config == CONFIG
        assert jax.tree.all(jax.tree.map(np.array_equal, loaded, params))


def test_what_is_not_shipped_is_refused_with_a_list(monkeypatch):
    shipped = [("compact", "leaky_relu"), ("compact", "sigmoid")]
    monkeypatch.setattr(pretrained, "list_pretrained", lambda: shipped)
    message = "'compact relu'; shipped: compact leaky_relu, compact sigmoid. .* path"
    with pytest.raises(ValueError, match=message):
        pretrained.load_pretrained("compact", "relu")


def test_a_file_of_another_activation_is_refused(path):
    with pytest.raises(ValueError, match=f"{path} .* of tanh networks, not of linear"):
        pretrained.load_pretrained(path, "linear")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({}, "not of an autoencoder"),
        ({"autoencoder": {"preset": "huge"}}, "preset must be one of .* got 'huge'"),
        ({"autoencoder": dataclasses.asdict(CONFIG)}, "array 'params/.*' is missing"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, header, message):
    path = tmp_path / "file.safetensors"
    checkpoints.save(path, {"x": np.ones(3)}, header=header)
    with pytest.raises(ValueError, match=f"{path}: .*{message}"):
        pretrained.load_pretrained(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such checkpoint file"):
        pretrained.load_pretrained(tmp_path / "absent.safetensors", "sigmoid")


@pytest.mark.parametrize(("preset", "activation"), pretrained.list_pretrained())
def test_every_shipped_file_loads(preset, activation):
    params, config = pretrained.load_pretrained(preset, activation)
    assert (config.preset, config.activation) == (preset, activation)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
