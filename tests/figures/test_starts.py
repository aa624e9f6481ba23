"""The study of how many starts it takes."""

import dataclasses
import json
import math

import numpy as np
import pytest

from figures.starts import __main__ as starts
from figures.starts.__main__ import StartsCommand
from swajax.io import commands

SOURCE = {"errors": [0.1, 0.2, 0.3, None], "seconds": 8.0}


def test_the_number_of_starts_for_even_odds():
    odds = starts.find_odds(SOURCE, 0.1)
    np.testing.assert_allclose(1 - (1 - 0.25) ** odds.starts, 0.5)
    np.testing.assert_allclose(odds.seconds, 2.0 * odds.starts)
    assert starts.find_odds(SOURCE, 0.2) == (1.0, 2.0)
    assert starts.find_odds(SOURCE, 0.05) == (math.inf, math.inf)


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


def test_tasks_of_other_settings_are_refused(tmp_path):
    config = StartsCommand(out=tmp_path, tasks=("sphere",), num_starts=3)
    made = dataclasses.asdict(config) | {"out": None}
    path = tmp_path / "sphere.json"
    path.write_text(json.dumps({"config": made, "task": "sphere"}))
    assert starts.is_there(path, dataclasses.replace(config, out=tmp_path / "x"))
    assert not starts.is_there(tmp_path / "booth.json", config)
    with pytest.raises(ValueError, match="was made with num_weights = 25, not 40"):
        starts.main(dataclasses.replace(config, num_weights=40))


@pytest.mark.parametrize("name", ["num_weights", "num_starts", "descent_steps"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be >= 1"):
        StartsCommand(**{name: 0})
