"""Reported errors of a front against scikit-learn."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from sklearn.metrics import log_loss, r2_score, root_mean_squared_error

from swajax.data.encoding import Column, TableEncoder
from swajax.data.problem import Problem, take_rows
from swajax.data.splits import Dataset, Scaling
from swajax.model import evaluation
from swajax.model.front import Front
from swajax.network import uniform_activation
from swajax.types import Network, NetworkSpec

SCALE, OFFSET = 3.0, -7.0


def _make_networks(num_outputs):
    """Two networks of one linear neuron a.x, with different readouts."""
    spec = NetworkSpec(2, num_outputs, 1, 1, ("linear",))
    readout = np.linspace(-1, 2, 2 * num_outputs, dtype=np.float32)
    return Network(
        first=np.array([[[1.0], [-2.0]], [[0.5], [1.0]]], np.float32),
        hidden=np.zeros((2, 0, 1, 1), np.float32),
        readout=readout.reshape(2, 1, num_outputs),
        bias=np.zeros((2, 1, 1), np.float32),
        readout_bias=np.full((2, num_outputs), 0.25, np.float32),
        mask=np.ones((2, 1, 1), np.float32),
        activation=np.stack([uniform_activation(spec)] * 2),
        depth=np.ones(2, np.int32),
    )


def _make_outcome(y, classes=(), ends=None):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (len(y), 2)).astype(np.float32)
    weight = rng.uniform(0.5, 2, len(y)).astype(np.float32)
    part = Problem(x, y, weight)
    networks = _make_networks(y.shape[1])
    losses = np.array([0.9, 0.4])
    front = Front(networks, np.array([3, 4]), losses, losses, losses / 10, 1)
    encoder = TableEncoder((Column("a", "numeric"), Column("b", "numeric")))
    scaling = Scaling(encoder, SCALE, OFFSET, classes)
    test = part if ends is None else take_rows(part, slice(2))
    chunks = [take_rows(part, slice(*pair)) for pair in pairwise(ends or ())]
    table = evaluation.tabulate(
        front,
        Dataset(part, part, test),
        scaling,
        activations=("linear",),
        read_test=None if ends is None else lambda: iter(chunks),
    )
    outputs = np.stack(
        [x @ n.first @ n.readout + n.readout_bias for n in _split(networks)]
    )
    return table, outputs, weight


def _split(networks):
    return [jax.tree.map(lambda leaf, i=i: leaf[i], networks) for i in range(2)]


def test_errors_of_numbers_are_in_the_units_of_the_target():
    y = np.random.default_rng(1).normal(size=(20, 1)).astype(np.float32)
    table, outputs, weight = _make_outcome(y)
    for row, out in zip(table.rows, outputs, strict=True):
        wanted = root_mean_squared_error(
            y * SCALE + OFFSET, out * SCALE + OFFSET, sample_weight=weight
        )
        np.testing.assert_allclose(row["rmse_test"], wanted, rtol=1e-4)
        wanted = r2_score(y, out, sample_weight=weight)
        np.testing.assert_allclose(row["r2_valid"], wanted, rtol=1e-4)
    assert [row["is_picked"] for row in table.rows] == [False, True]
    text = evaluation.format_table(table, target="t", picked="the best")
    assert "RMSE" in text and ">: picked, the best" in text


@pytest.mark.parametrize(("num", "num_lines"), [(3, 2 + 5), (6, 2 + 3)])
def test_a_long_end_of_dominated_networks_shares_a_line(num, num_lines):
    y = np.random.default_rng(0).normal(2, 3, size=(20, 1)).astype(np.float32)
    table, *_ = _make_outcome(y)
    more = [
        table.rows[1]
        | {"num_weights": 50 + k, "is_dominated": True, "is_picked": False}
        for k in range(num)
    ]
    rows = [row | {"is_dominated": False} for row in table.rows] + more
    text = evaluation.format_table(
        table._replace(rows=rows), target="t", picked="the best"
    )
    assert len(text.splitlines()) == num_lines
    assert ("50 and more: 6 networks" in text) == (num == 6)


@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_errors_of_test_rows_in_chunks(classes):
    y = np.random.default_rng(1).normal(2, 1, size=(20, 1)).astype(np.float32)
    y = (y > 2).astype(np.float32) if classes else y
    whole, *_ = _make_outcome(y, classes)
    chunked, *_ = _make_outcome(y, classes, ends=(0, 3, 4, 20))
    for row, wanted in zip(chunked.rows, whole.rows, strict=True):
        for measure in whole.measures:
            name = f"{measure}_test"
            np.testing.assert_allclose(row[name], wanted[name], rtol=1e-5)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_errors_of_classes(num_classes):
    codes = np.random.default_rng(2).integers(0, num_classes, 30)
    one_hot = np.eye(num_classes, dtype=np.float32)[codes]
    y = one_hot if num_classes > 2 else one_hot[:, 1:]
    table, outputs, weight = _make_outcome(y, tuple("abc"[:num_classes]))
    for row, out in zip(table.rows, outputs, strict=True):
        logits = out if num_classes > 2 else np.concatenate([0 * out, out], axis=1)
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        wanted = log_loss(codes, p, sample_weight=weight)
        np.testing.assert_allclose(row["log_loss_test"], wanted, rtol=1e-4)
        wanted = np.average(p.argmax(axis=1) == codes, weights=weight)
        np.testing.assert_allclose(row["accuracy_train"], wanted, rtol=1e-5)


def test_a_constant_has_no_layers(monkeypatch):
    monkeypatch.setattr(
        evaluation, "_count_neurons", lambda networks: 0 * networks.depth
    )
    table, _, _ = _make_outcome(np.arange(12, dtype=np.float32)[:, None])
    assert [row["depth"] for row in table.rows] == [0, 0]
