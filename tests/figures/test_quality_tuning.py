"""How the settings of the rivals are tried."""

import collections
import dataclasses

import pytest

from figures.quality import __main__ as quality
from figures.quality import rivals, tuning
from figures.quality.tuning import Trial, TuningCommand
from swajax.io import commands


def test_a_trial_changes_one_setting_however_deep():
    own = rivals.RIVALS["direct"].config_class()
    assert Trial("direct").make_config() == own
    changed = Trial("direct", "descent.learning_rate", 0.3).make_config()
    assert changed.descent.learning_rate == 0.3
    assert dataclasses.replace(changed, descent=own.descent) == own
    for trial in tuning.plan(list(tuning.TRIED)):
        config = trial.make_config()
        assert (config == rivals.RIVALS[trial.method].config_class()) == (
            trial.setting is None
        )


def test_all_rivals_have_as_many_trials():
    trials = collections.Counter(t.method for t in tuning.plan(list(tuning.TRIED)))
    assert set(trials.values()) == {5}
    # `random` has nothing to choose.
    assert set(trials) == set(rivals.RIVALS) - {"random"}
    assert TuningCommand().seed >= quality.QualityCommand().planted_seeds


def test_the_table_pairs_trials_with_the_default_settings_by_task():
    def make(task, change, hypervolume):
        return {"method": "l0", "task": task, "change": change} | {
            "hypervolume": hypervolume
        }

    table = tuning.format_table(
        [
            make("iris", "learning_rate = 0.1", 4.0),
            make("iris", tuning.DEFAULT, 2.0),
            make("wine", tuning.DEFAULT, 8.0),
        ]
    )
    first, second = table.splitlines()[2:]
    assert first == "| l0 | default | 2 | 4.00 | 1.00 |"
    assert second == "| l0 | learning_rate = 0.1 | 1 | 4.00 | 2.00 |"


def test_trials_that_are_there_are_kept(tmp_path, monkeypatch, capsys):
    made = []

    def run_trial(trial, task, config):
        made.append((trial.change, task))
        return {
            "method": trial.method,
            "task": task,
            "change": trial.change,
            "hypervolume": 1.0,
            "settings": tuning.describe(trial, config),
        }

    monkeypatch.setattr(tuning, "run_trial", run_trial)
    config = TuningCommand(out=tmp_path, methods=("sklearn",), tasks=("iris", "wine"))
    tuning.main(config)
    assert len(made) == len(set(made)) == 10
    tuning.main(config)
    assert len(made) == 10
    assert "| sklearn | max_iter = 100 | 2 |" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"was made with seconds = .*, not 1.0"):
        tuning.main(dataclasses.replace(config, seconds=1.0))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--methods", "magnitud"], "no method 'magnitud' (did you mean 'magnitude'?)"),
        (["--tasks", "irs"], "no task 'irs' (did you mean 'iris'?)"),
        (["--seconds", "0"], "seconds must be > 0"),
    ],
)
def test_mistakes_are_one_line(arguments, words, capsys):
    code = commands.run_command(
        tuning.main, TuningCommand, name="tuning", arguments=arguments
    )
    assert code == 2
    assert words in capsys.readouterr().err


def test_a_trial_runs(tmp_path):
    config = TuningCommand(out=tmp_path, seconds=0.2)
    trial = Trial("sklearn", "num_networks", 1)
    found = tuning.run_trial(trial, "iris", config)
    assert found["settings"]["method"]["num_networks"] == 1
    assert found["hypervolume"] > 0
