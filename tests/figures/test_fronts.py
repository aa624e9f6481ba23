"""The study of fronts: its picture, its other models, its files."""

import signal

import numpy as np
import pytest

from figures.fronts import __main__ as fronts
from figures.fronts import plain_models
from swajax.data.encoding import Column, TableEncoder
from swajax.data.problem import Problem
from swajax.data.splits import Dataset, Scaling
from swajax.model.evaluation import FrontTable
from swajax.report.fronts import draw

SCALE, OFFSET = 3.0, -7.0


def test_the_picture_takes_any_name(tmp_path):
    errors = {"rmse_valid": 2.0, "rmse_test": 3.0}
    rows = [errors | {"num_weights": size} for size in (2, 5)]
    path = tmp_path / "front.png"
    table = FrontTable(rows, ("rmse", "r2"), 1)
    draw(path, table, target="a $x_$ <b>", title="$")
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
