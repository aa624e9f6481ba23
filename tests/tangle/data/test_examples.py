"""Splits, losses of both kinds of targets, and means over blocks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle.data import loaders
from swajax.tangle.data.examples import (
    BLOCK,
    Rows,
    divide,
    keep_outputs,
    mean_loss,
    mean_over_blocks,
)
from swajax.tangle.train import standalone


def test_rows_are_divided_anew_and_none_is_lost():
    split = loaders.load_split("digits-macro", 0)
    found = divide(split, 0.8)
    assert [len(part.y) for part in found] == [480, 120, 1197]
    whole = np.concatenate([found.weights.x, found.architecture.x])
    np.testing.assert_array_equal(
        whole, np.concatenate([split.weights.x, split.architecture.x])
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
    with pytest.raises(ValueError, match="class indices need softmax"):
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
    assert mean == 2 * BLOCK - 1  # the mean of two blocks would be smaller


def test_of_rows_so_many_outputs_are_kept():
    x = np.zeros((7, 10), np.float32)
    ids = Rows(x, np.zeros((7, 10), np.int32))
    assert [len(keep_outputs(ids, n).x) for n in (1, 29, 30, 999)] == [1, 2, 3, 7]
    assert [len(keep_outputs(Rows(x, x), n).y) for n in (1, 5, 999)] == [1, 5, 7]
