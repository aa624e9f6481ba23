"""How the weight decay of classes is tried."""

import dataclasses

import pytest

from figures.common.results import RunFile
from figures.quality import decay, methods, runs
from figures.quality.decay import DecayCommand
from figures.quality.scores import SIZES
from figures.quality.settings import Settings
from swajax.io import commands


@pytest.fixture
def made(monkeypatch):
    """Runs that find one network, whose loss is the weight decay times ten."""
    calls = []

    def run(name, seed, method, settings):
        value = settings.pipeline.weight_decay
        calls.append((name, seed, method, value))
        level = {"num_weights": [10], "test_loss": [10 * value]}
        return {
            "status": "ok",
            "teacher": None,
            "levels": {"full": level},
            "scale": 2.0,
            "constant_loss": 2.0,
            "settings": methods.describe(method, name, settings),
        }

    monkeypatch.setattr(runs, "run_method", run)
    return calls


def test_each_decay_is_run_once_and_told(made, tmp_path, capsys):
    config = DecayCommand(
        out=tmp_path, decays=("1e-3", "1e-1"), tables=("iris", "wine"), seeds=2
    )
    decay.main(config)
    decay.main(config)
    assert len(made) == len(set(made)) == 8
    assert {call[2] for call in made} == {"default"}
    rows = (tmp_path / "decay.md").read_text().splitlines()[-2:]
    assert rows[0] == "| 1e-3 | 4 |" + " 0.005 |" * len(SIZES) + " 0.01 | 2.01 |"
    assert rows[1].startswith("| 1e-1 | 4 | 0.500 |")
    assert rows[0] in capsys.readouterr().out


def test_what_is_there_is_kept(made, tmp_path):
    config = DecayCommand(out=tmp_path, decays=("1",), tables=("iris",), seeds=1)
    decay.main(config)
    kept = RunFile(tmp_path / decay.FILE_NAME)
    ((name, run),) = kept.items()
    run["levels"]["full"]["test_loss"] = [0.5]
    kept.add(name, run)
    decay.main(config)
    assert "| 1 | 1 | 0.250 |" in (tmp_path / "decay.md").read_text()


def test_runs_of_other_settings_are_refused(made, tmp_path):
    config = DecayCommand(out=tmp_path, decays=("1",), tables=("iris",), seeds=1)
    decay.main(config)
    other = dataclasses.replace(config, settings=Settings(seconds=5.0))
    with pytest.raises(ValueError, match=r"made with seconds = 20.0, not 5.0"):
        decay.main(other)
    assert len(made) == 1


def test_a_decay_whose_runs_failed_has_no_row():
    failed = {"status": "failed", "levels": {}}
    assert len(decay.format_table({"1": [failed]}).splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tables", "irs"], "no table 'irs' (did you mean 'iris'?)"),
        (["--seeds", "0"], "seeds must be >= 1"),
        (["--decays", "-1"], "decays must be numbers >= 0, got -1"),
        (["--decays", "much"], "could not convert string to float: 'much'"),
    ],
)
def test_mistakes_are_one_line(arguments, words, capsys):
    code = commands.run_command(
        decay.main, DecayCommand, name="decay", arguments=arguments
    )
    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (2, 1)
    assert words in error
