"""Whole searches of a few steps, the command, and the table of networks."""

import json

import numpy as np
import pytest

from swajax import commands, runlog
from swajax.tangle import digits_table
from swajax.tangle.__main__ import NAME, TangleCommand, main

FEW = (
    "--space mlp --data iris --num-starts 1 --train-steps 3 --search.num-steps 4 "
    "--search.batch-size 8 --evolution.num-rounds 1 --evolution.num-mutated 2 "
    "--evolution.num-crossed 2 --evolution.num-kept 2 --evolution.batch-size 2"
).split()


def run(*arguments):
    return commands.run_command(main, TangleCommand, name=NAME, arguments=arguments)


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setattr(commands, "use_compilation_cache", lambda: None)


@pytest.mark.parametrize("sampler", ["spos", "drnas"])
def test_the_command_searches_trains_and_writes(sampler, tmp_path, capsys):
    folder = tmp_path / "run"
    assert run(*FEW, "--sampler", sampler, "--out", str(folder)) == 0
    results = json.loads((folder / "results.json").read_text())
    names = [row["name"] for row in results["rows"]]
    assert names == [sampler, "largest", "smallest"]
    for row in results["rows"]:
        for how in ("inherited", "finetuned", "retrained"):
            assert np.isfinite(row[how]["loss"])
            assert 0 <= row[how]["accuracy"] <= 1
        assert row["options"]["depth"][0] in (1, 2, 3)
    sizes = [row["num_weights"] for row in results["rows"]]
    assert sizes[2] <= sizes[0] <= sizes[1]
    lines = runlog.read_metrics(folder)
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["num_passes"] == results["num_passes"]
    assert results["num_passes"] == (4 if sampler == "spos" else 8)
    assert (folder / "vectors.png").read_bytes().startswith(b"\x89PNG")
    assert "retrained" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "nasbench"], "nasbench"),
        (["--sampler", "enas"], "enas"),
        (["--num-starts", "0"], "num_starts must be >= 1"),
        (["--search.num-steps", "0"], "num_steps must be > 0"),
        (["--space", "mlp", "--data", "no.csv"], "no.csv"),
        (["--divergence-weight", "-1"], "divergence_weight must be >= 0"),
    ],
)
def test_bad_options_are_one_line_and_exit_code_2(arguments, message, capsys):
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


TABLE = {
    "rows": [
        {"indices": {"a": [0], "b": [1]}, "test_loss": [0.1, 0.3]},
        {"indices": {"a": [1], "b": [0]}, "test_loss": [0.5, 0.7]},
        {"indices": {"a": [1], "b": [1]}, "test_loss": [0.3, 0.3]},
    ]
}


def test_the_standing_of_a_network_by_hand():
    found = digits_table.find_standing(TABLE, {"a": (1,), "b": (1,)})
    np.testing.assert_allclose(found, [0.3, 0.1, 50.0])
    best = digits_table.find_standing(TABLE, {"b": (1,), "a": (0,)})
    np.testing.assert_allclose(best, [0.2, 0.0, 100.0])
    with pytest.raises(ValueError, match="no such network in the table"):
        digits_table.find_standing(TABLE, {"a": (0,), "b": (0,)})


def test_a_table_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no table; python -m"):
        digits_table.read_table(tmp_path / "no.json")


def test_the_table_is_made_row_by_row_and_goes_on_where_it_was(tmp_path, monkeypatch):
    scored = []

    def score(splits, architecture, *, config):
        del splits, config
        scored.append(architecture)
        if len(scored) == 5:
            raise KeyboardInterrupt
        return {"indices": architecture, "test_loss": [float(len(scored))]}

    monkeypatch.setattr(digits_table, "_score", score)
    config = digits_table.TableCommand(num_seeds=1, out=tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        digits_table.main(config)
    digits_table.main(config)
    table = digits_table.read_table(config.out / digits_table.TABLE.name)
    assert len(table["rows"]) == 243
    assert len(scored) == 244
    different = {json.dumps(row["indices"]) for row in table["rows"]}
    assert len(different) == 243
    other = digits_table.TableCommand(num_seeds=2, out=config.out)
    with pytest.raises(ValueError, match="made with other options"):
        digits_table.main(other)
