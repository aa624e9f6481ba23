"""What the commands share: one clear line and an exit code for each ending."""

import dataclasses
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

import jax
import pytest

from swajax.io import commands
from swajax.io.commands import NO_BACKEND

NAME = "python -m swajax.search"


@dataclasses.dataclass(frozen=True)
class Config:
    """Search small networks."""

    data: str
    """a table"""
    num_steps: int = 3
    """optimizer steps"""
    preset: Literal["compact", "paper"] = "compact"
    """autoencoder"""

    def __post_init__(self):
        if self.num_steps < 1:
            raise ValueError(f"--num-steps must be >= 1, got {self.num_steps}")


def run(main_fn, *arguments):
    return commands.run_command(main_fn, Config, name=NAME, arguments=arguments)


def test_the_command_gets_its_configuration(capsys):
    seen = []
    assert run(seen.append, "--data", "x.csv", "--num-steps", "7") == 0
    assert seen == [Config(data="x.csv", num_steps=7)]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing: --data STR"),
        (["--data", "x", "--num-steps", "a"], "parsing --num-steps: .*'a'"),
        (["--data", "x", "--num-steps", "0"], "error: --num-steps must be >= 1, got 0"),
        (["--data", "x", "--preset", "huge"], r"'huge' .*\('compact', 'paper'\)"),
        (["--data", "x", "--bogus", "1"], "Unrecognized options: --bogus"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(capsys, arguments, message):
    assert run(pytest.fail, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"{NAME}: error: ")
    assert re.search(message, err)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("column 'y':\n  no number"), 2, "error: column 'y': no number"),
        (FileNotFoundError("x.csv: missing"), 2, "error: x.csv: missing"),
        (OSError(28, "No space left", "a.json"), 2, "error: a.json: No space left"),
        (ValueError(), 2, "error: ValueError"),
        (RuntimeError(f"{NO_BACKEND} 'x'"), 2, f"error: {NO_BACKEND} 'x'"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_expected_errors_are_one_line(capsys, error, code, line):
    assert run(lambda _: raise_(error), "--data", "x") == code
    assert capsys.readouterr().err == f"{NAME}: {line}\n"


def test_boxes_and_plain_rulers_hold_the_same_message():
    boxed = [
        "╭─ Value error ────────╮",
        "│ Error parsing C: one │",
        "│ --two                │",
        "│ ──────────────────── │",
        "│ For full helptext    │",
        "╰──────────────────────╯",
    ]
    plain = [
        " Value error            ",
        " ---------------------- ",
        "  Error parsing C: one  ",
        "  --two                 ",
        "  --------------------  ",
        "  For full helptext     ",
    ]
    for lines in (boxed, plain):
        assert commands._unbox("\n".join(lines)) == "one --two"


def test_bugs_keep_their_traceback():
    with pytest.raises(AssertionError, match="a bug"):
        run(lambda _: raise_(AssertionError("a bug")), "--data", "x")


def test_help_shows_the_docstrings(capsys):
    with pytest.raises(SystemExit, match="0"):
        run(pytest.fail, "--help")
    out, err = capsys.readouterr()
    for text in (f"usage: {NAME}", "Search small networks.", "optimizer steps"):
        assert text in out
    assert err == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_terminal_shows_any_name(encoding):
    code = f"""
import dataclasses, sys, warnings
from swajax.io import commands
from swajax.io.commands import NO_BACKEND
@dataclasses.dataclass(frozen=True)
class Config:
    name: str
def main(config):
    print(config.name)
    warnings.warn(config.name)
    raise ValueError(config.name)
arguments = ["--name", {chr(0x6570)!r}]
sys.exit(commands.run_command(main, Config, name="c", arguments=arguments))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )
    assert (ended.returncode, ended.stdout) == (2, "\\u6570\n")
    assert ended.stderr == "c: note: \\u6570\nc: error: \\u6570\n"


@pytest.mark.parametrize("case", ["no home", "read-only home"])
def test_a_user_without_a_cache_folder_gets_a_note(monkeypatch, tmp_path, case):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def home():
        if case == "no home":
            raise RuntimeError("Could not determine home directory.")
        (tmp_path / "file").touch()
        return tmp_path / "file"

    monkeypatch.setattr(Path, "home", home)
    folder = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        with pytest.warns(UserWarning, match="no writable cache folder"):
            commands.use_compilation_cache()
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_compilation_cache_dir", folder)


@pytest.mark.parametrize(
    ("seed", "budget", "message"),
    [
        (-1, None, r"seed must be in \[0, 2\^32\), got -1"),
        (2**32, None, "seed must be in"),
        (0, 0, "time_budget must be > 0 s, got 0"),
        (0, float("nan"), "time_budget must be > 0 s, got nan"),
    ],
)
def test_seeds_and_budgets(seed, budget, message):
    commands.check_seed_and_budget(2**32 - 1, 0.1)
    with pytest.raises(ValueError, match=message):
        commands.check_seed_and_budget(seed, budget)


def test_the_package_imports_no_command():
    # `python -m swajax.search` would import the command twice, and warn.
    code = "import swajax, sys; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    modules = subprocess.run(command, check=True, capture_output=True, text=True)
    assert not {"swajax.search", "swajax.pretrain"} & set(modules.stdout.split())


def raise_(error):
    raise error


CLOSED = """
import dataclasses, pathlib, sys
from swajax.io import commands
from swajax.io.commands import NO_BACKEND

@dataclasses.dataclass(frozen=True)
class Config:
    out: pathlib.Path

def main(config):
    for stream in 9999 * [sys.stdout, sys.stderr]:
        print("a message", file=stream, flush=True)
    config.out.write_text("done")

commands.run_as_process(main, Config, name="test")
"""


def test_a_closed_pipe_does_not_end_the_work(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", CLOSED, "--out", tmp_path / "out"]
    result = subprocess.run(command, stdout=writer, stderr=writer)
    os.close(writer)
    assert result.returncode == 0 and (tmp_path / "out").read_text() == "done"


def test_unbuffered_output_stays_unbuffered():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as file:
        original = io.TextIOWrapper(io.FileIO(writer, "w"), write_through=True)
        commands._outlive_pipe(original).write("first answer\n")
        os.set_blocking(reader, False)
        assert file.read(100) == b"first answer\n"
        original.close()
