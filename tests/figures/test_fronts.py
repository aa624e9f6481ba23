"""Errors of a front as they are reported, against scikit-learn's arithmetic."""

import signal

import jax
import numpy as np
import pytest
from sklearn.metrics import log_loss, r2_score, root_mean_squared_error

from figures.fronts import __main__ as fronts
from figures.fronts import plain_models
from swajax.data.encoding import Column, TableEncoder
from swajax.data.problem import Problem
from swajax.data.splits import Dataset, Scaling
from swajax.model import evaluation
from swajax.model.front import Front
from swajax.network import uniform_activation
from swajax.types import Network, NetworkSpec

SCALE, OFFSET = 3.0, -7.0


def _make_networks(num_outputs):
    """Two networks of one linear neuron: a.x, read out by other weights."""
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


def _make_outcome(y, classes=()):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (len(y), 2)).astype(np.float32)
    weight = rng.uniform(0.5, 2, len(y)).astype(np.float32)
    part = Problem(x, y, weight)
    networks = _make_networks(y.shape[1])
    losses = np.array([0.9, 0.4])
    front = Front(networks, np.array([3, 4]), losses, losses, losses / 10, 1)
    encoder = TableEncoder((Column("a", "numeric"), Column("b", "numeric")))
    scaling = Scaling(encoder, SCALE, OFFSET, classes)
    table = evaluation.tabulate(
        front, Dataset(part, part, part), scaling, activations=("linear",)
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
    text = fronts.format_table(table, target="t", picked="the best")
    assert "RMSE" in text and ">: picked, the best" in text


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


def test_the_picture_takes_any_name(tmp_path):
    table, _, _ = _make_outcome(np.arange(12, dtype=np.float32)[:, None])
    path = tmp_path / "front.png"
    fronts.draw(path, table, target="a $x_$ <b>", title="$")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_error_within_a_size_is_that_of_the_largest_network():
    found = {"num_weights": [2, 5, 9], "test_mse_by_variance": [0.5, 0.2, 0.1]}
    errors = [fronts._error_at(found, size) for size in (1, 2, 8, 9, 40)]
    np.testing.assert_array_equal(errors, [np.nan, 0.5, 0.2, 0.1, 0.1])


def test_other_models_learn_the_same_rows():
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (60, 2)).astype(np.float32)
    y = x @ np.array([[1.0], [2.0]], np.float32)
    parts = [
        Problem(x[rows], y[rows], np.ones(20, np.float32))
        for rows in np.split(np.arange(60), 3)
    ]
    encoder = TableEncoder((Column("a", "numeric"), Column("b", "numeric")))
    rows = plain_models.compare(Dataset(*parts), Scaling(encoder, SCALE, OFFSET, ()))
    assert [row["model"] for row in rows] == ["linear", "dense network"]
    assert rows[0]["num_weights"] == 3
    assert rows[1]["num_weights"] == 2 * 32 + 32 + 32 * 32 + 32 + 32 + 1
    assert min(row["r2"] for row in rows) > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tables": ("irsi",)}, "no table 'irsi'; there are: diabetes"),
        ({"tables": ("data/my.csv",)}, "no table 'data/my.csv'"),
        ({"num_seeds": 0}, "num_seeds must be >= 1, got 0"),
        ({"time_budget": 0.0}, "time_budget must be > 0, got 0.0"),
    ],
)
def test_bad_options_of_the_benchmark_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fronts.FrontsCommand(**options)


def test_fronts_are_kept_unless_their_settings_are_others(tmp_path):
    path, made = tmp_path / "f.json", []

    def search():
        made.append(1)
        return {"seconds": 1.0, "time_budget": 120.0, "front": []}

    for _ in range(2):
        fronts._keep(path, {"time_budget": 120.0}, search)
    assert len(made) == 1
    with pytest.raises(ValueError, match=r"made with time_budget = 120.0, not 60.0"):
        fronts._keep(path, {"time_budget": 60.0}, search)


def test_a_front_that_is_interrupted_is_not_kept(tmp_path):
    def search():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # as the pipeline does, with what it has
            return {"seconds": 1.0}

    with pytest.raises(KeyboardInterrupt):
        fronts._keep(tmp_path / "f.json", {}, search)
    assert not list(tmp_path.iterdir())
