"""Data of weight-entangled search, and losses of both kinds of targets."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle.__main__ import TangleCommand, make_task
from swajax.tangle.choices import extreme, one_hot
from swajax.tangle.data import chars, loaders
from swajax.tangle.data.examples import (
    BLOCK,
    Rows,
    divide,
    keep_outputs,
    mean_loss,
    mean_over_blocks,
)
from swajax.tangle.train import standalone
from swajax.tangle.train.supernet import make_loss_fn


def test_a_text_of_another_hash_is_refused():
    text = chars.read_text()
    assert len(text) > 400_000
    chars.load_chars(sha256=hashlib.sha256(text.encode()).hexdigest())
    with pytest.raises(ValueError, match=r"SHA-256 must be 00, got [0-9a-f]{64}"):
        chars.load_chars(sha256="00")


def test_characters_become_places_in_the_alphabet():
    ids = chars.to_ids("a b\tc\u00e9\n~")
    assert "".join(chars.ALPHABET[i] for i in ids) == "a bc\n~"
    assert len(chars.ALPHABET) == len(set(chars.ALPHABET)) == 96


def test_windows_run_through_the_text_and_targets_are_one_ahead():
    ids, split = chars.to_ids(chars.read_text()), chars.load_chars(context=50)
    ends = np.cumsum([0, *(part.x.size for part in split)])
    assert len(ids) - 3 * 51 <= ends[-1] <= len(ids)
    np.testing.assert_allclose(np.diff(ends) / ends[-1], chars.SHARES, atol=0.005)
    np.testing.assert_array_equal(split.weights.x.ravel(), ids[: ends[1]])
    for part in split:
        np.testing.assert_array_equal(part.x.ravel()[1:], part.y.ravel()[:-1])
    first = round(0.8 * len(ids))
    np.testing.assert_array_equal(split.architecture.x[0], ids[first : first + 50])


@pytest.mark.parametrize("context", [0, 10**6])
def test_windows_that_do_not_fit_are_refused(context):
    with pytest.raises(ValueError, match=rf"context must be 1\.\..*got {context}"):
        chars.load_chars(context=context)


def test_data_go_by_the_name_of_the_space():
    split = loaders.load_split("digits-vit", 3)
    assert split.test.x.shape == (1197, 8, 8, 1)
    assert loaders.load_split("chars-gpt", 0).test.x.shape[1:] == (64,)
    with pytest.raises(ValueError, match=r"space must be one of .*got 'mlp'"):
        loaders.load_split("mlp", 0)


def test_rows_are_divided_anew_and_none_is_lost():
    split = loaders.load_split("digits-macro", 0)
    found = divide(split, 0.8)
    assert [len(part.y) for part in found] == [480, 120, 1197]
    whole = np.concatenate([found.weights.x, found.architecture.x])
    np.testing.assert_array_equal(
        whole, np.concatenate([split.weights.x, split.architecture.x])
    )


@pytest.mark.parametrize("name", loaders.LOADERS)
def test_the_command_makes_a_search_of_every_space_that_brings_its_data(name):
    masking = "input" if name == "digits-cell" else "both"
    space, split, objective = make_task(TangleCommand(space=name, masking=masking))
    assert space.name == name
    p = one_hot(extreme(space.choices, is_largest=True), space.choices)
    params = jax.eval_shape(space.init, jax.random.key(0))
    batch = jax.tree.map(lambda part: jnp.asarray(part[:2]), tuple(split.weights))
    loss = jax.eval_shape(make_loss_fn(space, objective), params, p, batch)
    assert loss.shape == ()


def test_results_name_the_text_but_no_data_that_are_the_same_everywhere():
    assert loaders.read_provenance("digits-vit") == {}
    assert loaders.read_provenance("chars-gpt")["sha256"] == chars.hash_text(
        chars.read_text()
    )


def test_indices_of_classes_score_as_one_hot_targets_do(maybe_jit):
    rng = np.random.default_rng(0)
    out = jnp.asarray(rng.normal(size=(6, 4)), jnp.float32)
    ids = jnp.asarray(rng.integers(4, size=(2, 3)), jnp.uint8)
    wide = jnp.eye(4)[ids.ravel()]
    loss_fn = maybe_jit(mean_loss, static_argnames="objective")
    wanted = loss_fn(out, wide, objective="softmax")
    found = loss_fn(out, ids, objective="softmax")
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    scores = [
        standalone.score_outputs(out, Rows(out, y), objective="softmax")
        for y in (ids, wide)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-6)
    with pytest.raises(ValueError, match="indices of classes need softmax"):
        mean_loss(out, ids, objective="squared")


@pytest.mark.parametrize("num", [1, 15, 16, 32, 41])
def test_means_block_by_block_are_those_of_the_whole(num):
    tokens = BLOCK // 16
    rng = np.random.default_rng(num)
    x = rng.normal(size=(num, tokens)).astype(np.float32)
    rows = Rows(x, rng.integers(0, 5, x.shape))
    seen = []

    def measure(part):
        seen.append(len(part.x))
        return {"x": part.x.mean(), "y": (part.y**2).mean(axis=(0, 1))}

    found = jax.jit(lambda x, y: mean_over_blocks(measure, Rows(x, y)))(*rows)
    np.testing.assert_allclose(found["x"], x.mean(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["y"], (rows.y**2).mean(), rtol=1e-5)
    wanted = {1: {1}, 15: {15}, 16: {16}, 32: {16}, 41: {16, 9}}
    assert set(seen) == wanted[num]


def test_rows_of_one_output_each_are_not_divided():
    x = np.arange(2.0 * BLOCK, dtype=np.float32)[:, None]
    mean = mean_over_blocks(lambda rows: rows.x.max(), Rows(x, x))
    assert mean == 2 * BLOCK - 1  # a mean of two blocks' would be less


def test_of_rows_so_many_outputs_are_kept():
    x = np.zeros((7, 10), np.float32)
    ids = Rows(x, np.zeros((7, 10), np.int32))
    assert [len(keep_outputs(ids, n).x) for n in (1, 29, 30, 999)] == [1, 2, 3, 7]
    assert [len(keep_outputs(Rows(x, x), n).y) for n in (1, 5, 999)] == [1, 5, 7]
