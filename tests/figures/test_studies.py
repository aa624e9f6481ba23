"""Every study has a page and a command."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

import figures

ROOT = Path(figures.__file__).parent
STUDIES = sorted(path.parent.name for path in ROOT.glob("*/__main__.py"))
STUDIES += ["tangle"]
COMMANDS = {
    "compress": "CompressCommand",
    "compress.teachers": "TeachersCommand",
    "fronts": "FrontsCommand",
    "learned": "LearnedCommand",
    "paper": "ReproductionCommand",
    "quality": "QualityCommand",
    "quality.decay": "DecayCommand",
    "quality.tuning": "TuningCommand",
    "speed": "SpeedCommand",
    "speed.accelerator": "AcceleratorCommand",
    "speed.devices": "DevicesCommand",
    "speed.first_run": "FirstRunCommand",
    "starts": "StartsCommand",
    "tables": "TablesCommand",
    "tangle.accuracy": "AccuracyCommand",
    "tangle.invariants": "InvariantsCommand",
    "tangle.memory": "MemoryCommand",
    "tangle.standalone_table": "TableCommand",
}


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_has_a_page_that_the_index_names(study):
    text = (ROOT / study / "README.md").read_text("utf-8")
    assert "**Question" in text and f"python -m figures.{study}" in text
    assert f"({study}/README.md)" in (ROOT / "README.md").read_text("utf-8")


def test_every_folder_with_a_command_is_listed():
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} - {"common"}
    assert folders == set(STUDIES) == {name.split(".")[0] for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_quick_form(name, capsys):
    main = ".__main__" if "." not in name else ""
    module = importlib.import_module(f"figures.{name}{main}")
    command = getattr(module, COMMANDS[name])
    assert command().quick is False and callable(module.main)
    with pytest.raises(SystemExit) as done:
        tyro.cli(command, args=["--help"])
    assert not done.value.code
    text = capsys.readouterr().out
    assert "--quick" in text and "--out" in text


def test_a_command_starts_from_the_root():
    done = subprocess.run(
        [sys.executable, "-m", "figures.fronts", "--help"],
        cwd=ROOT.parent,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert not done.returncode and "--time-budget" in done.stdout, done.stderr
