"""What the commands share: parsing, and errors as one line and an exit code."""

import contextlib
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import jax
import tyro

Config = TypeVar("Config")

EXIT_ERROR = 2
EXIT_INTERRUPT = 130  # 128 + SIGINT, as shells do


def run_command(
    main_fn: Callable[[Config], None],
    config_class: type[Config],
    *,
    name: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the command line, run the command, and give its exit code.

    Args:
      main_fn: the command; it has saved its state when it lets a `KeyboardInterrupt`
        through.
      config_class: frozen dataclass of the options, field docstrings are the help.
      name: as typed by the user, `python -m swajax.search`.
      arguments: by default those of the process.

    Returns:
      0; 2 after an expected error (`ValueError`, `OSError`), told in one line on
      stderr; 130 after Ctrl-C. Anything else is a bug and keeps its traceback.
    """
    try:
        main_fn(parse(config_class, name=name, arguments=arguments))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{name}: error: {describe(error)}\n")
        return EXIT_ERROR
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return EXIT_INTERRUPT
    return 0


def parse(
    config_class: type[Config], *, name: str, arguments: Sequence[str] | None = None
) -> Config:
    """The configuration that a command line asks for.

    Raises:
      ValueError: the options are wrong.
      SystemExit: with code 0 after `--help`.
    """
    stderr = io.StringIO()
    try:
        with contextlib.redirect_stderr(stderr):
            return tyro.cli(config_class, prog=name, args=arguments)
    except SystemExit as error:
        if not error.code:
            raise
        message = _unbox(stderr.getvalue()).replace(f" from {name}", "")
        raise ValueError(f"{message} (see --help)") from None


def use_compilation_cache() -> None:
    """Keep compiled programs under the user's cache folder, for the next run.

    What the user has set (`JAX_COMPILATION_CACHE_DIR`) holds.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    jax.config.update("jax_compilation_cache_dir", str(Path(root) / "swajax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def describe(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _unbox(text: str) -> str:
    """The message in what tyro draws: title, message and advice between rulers.

    It draws boxes where the terminal can show them and plain rulers elsewhere.
    """
    _, *lines = (line.strip("│ ") for line in text.strip().splitlines())
    body = itertools.takewhile(_is_text, itertools.dropwhile(_is_ruler, lines))
    return re.sub(r"^Error parsing \w+: ", "", " ".join(body))


def _is_ruler(line: str) -> bool:
    return not line.strip("╰─╯- ")


def _is_text(line: str) -> bool:
    return not _is_ruler(line)
