"""Checkpoint files: exact round trips, and refusal of whatever is not sound."""

import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy

from swajax.io import checkpoints


class State(NamedTuple):
    params: dict
    opt_state: optax.OptState
    step: jax.Array
    key: jax.Array


HEADER = {"step": 7, "autoencoder": {"preset": "compact"}, "sizes": (1, 2)}


@pytest.fixture
def state(key):
    keys = jax.random.split(key, 3)
    params = {"params": {"Dense_0": {"kernel": jax.random.normal(keys[0], (4, 3))}}}
    opt_state = optax.chain(optax.clip(1.0), optax.adam(1e-3)).init(params)
    return State(params, opt_state, jnp.asarray(7, jnp.int32), keys)


def assert_same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert type(a) is type(e) and jnp.asarray(a).dtype == jnp.asarray(e).dtype
        if checkpoints._is_key(a):
            a, e = jax.random.key_data(a), jax.random.key_data(e)
        assert np.asarray(a).tobytes() == np.asarray(e).tobytes()


@pytest.mark.parametrize("is_abstract", [False, True])
def test_state_round_trip_is_exact(tmp_path, state, is_abstract):
    path = tmp_path / "state.safetensors"
    checkpoints.save(path, state, header=HEADER)
    like = jax.eval_shape(lambda: state) if is_abstract else state
    assert_same(checkpoints.restore(path, like), state)
    arrays, header = checkpoints.load(path)
    assert header == HEADER | {"sizes": [1, 2]}
    assert "params/params/Dense_0/kernel" in arrays


def test_restored_keys_draw_the_same_numbers(tmp_path):
    keys = {name: jax.random.key(3, impl=name) for name in ("threefry2x32", "rbg")}
    checkpoints.save(tmp_path / "keys", keys, header={})
    restored = checkpoints.restore(tmp_path / "keys", jax.eval_shape(lambda: keys))
    for name, key in keys.items():
        assert jnp.array_equal(
            jax.random.uniform(restored[name], (5,)), jax.random.uniform(key, (5,))
        )


@pytest.mark.parametrize(
    "dtype", ["bfloat16", "float16", "float32", "int8", "int32", "uint32", "bool"]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_dtypes_and_shapes_round_trip(tmp_path, dtype, shape):
    tree = [jnp.ones(shape, dtype), np.ones(shape, jnp.dtype(dtype))]
    checkpoints.save(tmp_path / "file", tree, header={})
    assert_same(checkpoints.restore(tmp_path / "file", tree), tree)


def test_python_and_numpy_scalars_transposes_and_a_bare_array(tmp_path):
    tree = {"n": 3, "x": 0.1, "flag": True, "np": np.float64(0.1)}
    tree["transposed"] = np.arange(6.0).reshape(2, 3).T
    for value in (tree, np.arange(3)):
        checkpoints.save(tmp_path / "file", value, header={})
        assert_same(checkpoints.restore(tmp_path / "file", value), value)


def test_not_finite_numbers_survive(tmp_path):
    tree = [np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)]
    for is_half in (False, True):
        checkpoints.save(tmp_path / "file", tree, header={}, is_half=is_half)
        assert_same(checkpoints.restore(tmp_path / "file", tree), tree)


def test_half_precision_halves_the_file_and_restores_float32(tmp_path, key):
    tree = {"x": jax.random.normal(key, (64, 64)), "h": jnp.ones(3, jnp.float16)}
    whole, half = tmp_path / "whole", tmp_path / "half"
    checkpoints.save(whole, tree, header={})
    checkpoints.save(half, tree, header={}, is_half=True)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    expected = tree | {"x": tree["x"].astype(jnp.float16).astype(jnp.float32)}
    assert_same(checkpoints.restore(half, tree), expected)


def test_half_precision_refuses_to_overflow(tmp_path):
    with pytest.raises(ValueError, match="array 'x' holds numbers beyond float16"):
        checkpoints.save(
            tmp_path / "f", {"x": np.float32(1e5)}, header={}, is_half=True
        )
    assert not list(tmp_path.iterdir())


def test_same_tree_same_bytes(tmp_path, state):
    for name in "ab":
        checkpoints.save(tmp_path / name, state, header=HEADER)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_two_leaves_of_one_name_are_refused(tmp_path):
    tree = {"a": {"b": np.ones(1)}, "a/b": np.ones(1)}
    with pytest.raises(ValueError, match="two leaves of the tree are called 'a/b'"):
        checkpoints.save(tmp_path / "file", tree, header={})


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({"x": np.ones(3), "y": np.ones(3)}, "array 'y' is missing"),
        ({}, "array 'x' is not expected"),
        ({"x": np.ones(4)}, r"array 'x' is float64\[3\], expected float64\[4\]"),
        ({"x": np.ones(3, "f4")}, r"'x' is float64\[3\], expected float32\[3\]"),
        ({"x": {"y": np.ones(3)}}, "array 'x/y' is missing"),
    ],
)
def test_restore_names_the_first_misfit(tmp_path, like, message):
    path = tmp_path / "file"
    checkpoints.save(path, {"x": np.ones(3)}, header={})
    with pytest.raises(ValueError, match=f"{path}: .*{message}"):
        checkpoints.restore(path, like)


def test_every_truncation_and_every_flipped_byte_is_refused(tmp_path):
    path = tmp_path / "file"
    checkpoints.save(path, {"x": np.arange(3)}, header={"a": 1})
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [
        whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))
    ]
    for data in [*damaged, whole + b"\0"]:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=f"^{path}: "):
            checkpoints.load(path)


RECORD = {"format": "swajax", "version": 1, "header": {}, "halved": [], "checksum": 0}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (None, "not one of swajax"),
        ({"format": "pt"}, "not one of swajax"),
        ({"swajax": "__import__('os').abort()"}, "not one of swajax"),
        ({"swajax": "[" * 100_000}, "not one of swajax"),
        ({"swajax": "3"}, "not one of swajax"),
        ({"swajax": json.dumps(RECORD | {"format": "other"})}, "not one of swajax"),
        ({"swajax": json.dumps(RECORD | {"header": []})}, "not one of swajax"),
        ({"swajax": json.dumps(RECORD | {"version": 2})}, "version 2, this swajax"),
        ({"swajax": json.dumps(RECORD)}, "checksum does not fit"),
    ],
)
def test_foreign_safetensors_files_are_refused(tmp_path, metadata, message):
    path = tmp_path / "file"
    safetensors.numpy.save_file({"x": np.ones(3)}, path, metadata=metadata)
    with pytest.raises(ValueError, match=f"{path}: .*{message}"):
        checkpoints.load(path)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("the pickle was executed",)


def test_pickles_are_refused_and_never_executed(tmp_path):
    path = tmp_path / "file.npy"
    np.save(path, np.array([Bomb()], object), allow_pickle=True)
    with pytest.raises(ValueError, match="damaged or no safetensors file"):
        checkpoints.load(path)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{path}: no such"):
            checkpoints.load(path)


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    checkpoints.save(path, {"x": np.ones(3)}, header={})
    before = path.read_bytes()

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(path, {"x": np.zeros(3)}, header={})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_only_the_first_host_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    checkpoints.save(tmp_path / "file", {"x": np.ones(3)}, header={})
    assert not list(tmp_path.iterdir())
