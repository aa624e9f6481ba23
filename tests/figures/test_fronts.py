"""The study of fronts: its picture, its other models, its files."""

import dataclasses

import numpy as np
import pytest

from figures.common.results import RunFile
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
        (
            {"tables": ("irsi",)},
            r"no table 'irsi' \(did you mean 'iris'\?\); there are",
        ),
        ({"functions": ("booth",)}, "no function 'booth'"),
        ({"num_seeds": 0}, "num_seeds must be >= 1, got 0"),
        ({"time_budget": 0.0}, "time_budget must be > 0, got 0.0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fronts.FrontsCommand(**options)


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The quick form, run once."""
    command = fronts.FrontsCommand(
        out=tmp_path_factory.mktemp("fronts"),
        functions=("mccormick",),
        num_seeds=1,
        tables=("iris",),
        time_budget=None,
        quick=True,
    )
    fronts.main(command)
    return command


def test_the_quick_form_writes_runs_tables_and_pictures(command):
    runs = RunFile(command.out / "runs.jsonl")
    assert list(runs) == ["iris", "mccormick-0"]
    assert (command.out / "iris.png").read_bytes().startswith(b"\x89PNG")
    assert "| mccormick | " in (command.out / "functions.md").read_text()
    assert "| iris | 4 | log_loss" in (command.out / "tables.md").read_text()
    errors = runs["mccormick-0"]["test_mse_by_variance"]
    assert min(errors) < 0.9 and len(errors) == len(runs["mccormick-0"]["num_weights"])


def test_existing_runs_are_kept_unless_their_settings_differ(command, monkeypatch):
    monkeypatch.setattr(fronts, "find_front", None)
    fronts.main(command)
    with pytest.raises(ValueError, match=r"made with time_budget = None, not 60.0"):
        fronts.main(dataclasses.replace(command, time_budget=60.0))
    fronts.main(dataclasses.replace(command, time_budget=60.0, summarize=True))
