"""The study of sources of starts."""

import dataclasses
import math

import numpy as np
import pytest

from figures.common import results
from figures.starts import __main__ as starts
from figures.starts.__main__ import StartsCommand
from swajax.io import commands

SOURCE = {"errors": [0.1, 0.2, 0.3, None], "seconds": 8.0}


def test_the_number_of_starts_for_a_probability_of_one_half():
    effort = starts.estimate_effort(SOURCE, 0.1)
    np.testing.assert_allclose(1 - (1 - 0.25) ** effort.starts, 0.5)
    np.testing.assert_allclose(effort.seconds, 2.0 * effort.starts)
    assert starts.estimate_effort(SOURCE, 0.2) == (1.0, 2.0)
    assert starts.estimate_effort(SOURCE, 0.05) == (math.inf, math.inf)


def test_the_goal_is_what_one_in_ten_random_starts_reaches():
    errors = [*np.linspace(0, 1, 11).tolist(), None]
    random = {"errors": errors, "seconds": 1.0}
    found = {"task": "t", "sources": {"random": random, "direct": SOURCE}}
    np.testing.assert_allclose(starts.find_goal(found), 0.1)
    table = starts.format_table([found])
    assert "| t | direct | 0.1 |" in table
    assert starts.draw([found, found]).axes[0].get_title() == "t"


def test_unknown_tasks_are_refused(capsys):
    arguments = ["--tasks", "diabetes"]
    name = "python -m figures.starts"
    options = {"name": name, "arguments": arguments}
    assert commands.run_command(starts.main, StartsCommand, **options) == 2
    assert "no task 'diabetes'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The quick form, run once."""
    out = tmp_path_factory.mktemp("starts")
    command = StartsCommand(out=out, tasks=("sphere",), num_weights=8, quick=True)
    starts.main(command)
    return command


def test_the_quick_form_compares_sources_without_decoders(command):
    (run,) = results.load(command.out)
    assert tuple(run["sources"]) == ("random", "direct")
    for name, source in run["sources"].items():
        first, last = (np.array(source[k], float) for k in ("first_errors", "errors"))
        assert len(first) == len(last) == 6, name
        assert np.nanmin(last) <= np.nanmin(first) * 1.5
    assert "| sphere | direct |" in (command.out / "starts.md").read_text()
    assert (command.out / "starts.png").exists()


def test_tasks_of_other_settings_are_refused(command, monkeypatch):
    monkeypatch.setattr(starts, "compare_sources", None)
    starts.main(command)
    with pytest.raises(ValueError, match="was made with num_weights = 8, not 40"):
        starts.main(dataclasses.replace(command, num_weights=40))
    starts.main(dataclasses.replace(command, num_weights=40, summarize=True))


@pytest.mark.parametrize("name", ["num_weights", "num_starts", "descent_steps"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be >= 1"):
        StartsCommand(**{name: 0})
