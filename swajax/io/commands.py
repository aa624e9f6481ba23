"""Shared parts of the commands: parsing, and errors as one line and an exit code."""

import contextlib
import io
import itertools
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro

from swajax.io import interrupts, processes
from swajax.io.configs import check_range

Config = TypeVar("Config")

EXIT_ERROR = 2
EXIT_INTERRUPT = 130  # 128 + SIGINT, as shells do
NO_BACKEND = "Unable to initialize backend"  # JAX, where JAX_PLATFORMS names no device


def run_as_process(
    main_fn: Callable[[Config], None],
    config_class: type[Config],
    *,
    name: str,
    is_long: bool = False,
) -> NoReturn:
    """Run the command of this process, then end the process with its exit code.

    Args:
      main_fn: the command.
      config_class: frozen dataclass of the options.
      name: name of the command in messages.
      is_long: whether it calls `swajax.io.interrupts.should_end` between its blocks.
        Until that has results to keep, Ctrl-C (exit code 130) and SIGTERM (143) end the
        process at once.

    A reader that closes its pipe (`| head`) does not end the work.
    """
    interrupts.end_imports()
    processes.begin_command()
    sys.stdout, sys.stderr = map(_outlive_pipe, (sys.stdout, sys.stderr))
    deferred = interrupts.deferred_by_command(name)
    with deferred if is_long else contextlib.nullcontext():
        code = run_command(main_fn, config_class, name=name)
    if is_long or code == EXIT_INTERRUPT:
        interrupts.end_process(code)  # programs may still be compiled in threads
    sys.exit(code)


def run_command(
    main_fn: Callable[[Config], None],
    config_class: type[Config],
    *,
    name: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the command line, run the command and return its exit code.

    Characters that the terminal cannot encode are written as escapes. A `UserWarning`
    is written as one line.

    Args:
      main_fn: the command; it has saved its state when it raises `KeyboardInterrupt`.
      config_class: frozen dataclass of the options; field docstrings are the help.
      name: name of the command in messages, such as `python -m swajax.search`.
      arguments: command line without the name; by default that of the process.

    Returns:
      0 on success; 2 after an expected error (`ValueError`, `OSError`, or devices that
      JAX cannot start), written as one line to stderr; 130 after Ctrl-C. Any other
      exception is a bug and propagates.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with _one_line_warnings(name):
            main_fn(parse(config_class, name=name, arguments=arguments))
    except (ValueError, OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and NO_BACKEND not in str(error):
            raise  # a bug
        sys.stderr.write(f"{name}: error: {describe_error(error)}\n")
        return EXIT_ERROR
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return EXIT_INTERRUPT
    return 0


def parse(
    config_class: type[Config], *, name: str, arguments: Sequence[str] | None = None
) -> Config:
    """Return the configuration that a command line specifies.

    Args:
      config_class: frozen dataclass of the options.
      name: name of the command in the help.
      arguments: command line without the name; by default that of the process.

    Raises:
      ValueError: an option is unknown, missing or has a wrong value.
      SystemExit: with code 0, after `--help`.
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


def check_seed_and_budget(seed: int, time_budget: float | int | None = None) -> None:
    """Check the two options that most commands share.

    Args:
      seed: seed of all random choices, in [0, 2^32).
      time_budget: seconds, above 0; None for no limit.

    Raises:
      ValueError: a value is out of its range; names the option.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be in [0, 2^32), got {seed}")
    check_range("time_budget", time_budget, above=0, unit="s")


def use_compilation_cache() -> None:
    """Keep compiled programs in the user's cache folder for later runs.

    `JAX_COMPILATION_CACHE_DIR` has precedence. Without a writable cache folder,
    programs are compiled again in each run; a warning says so.
    """
    import jax  # here, so that commands without compiled programs do not load it

    if jax.config.jax_compilation_cache_dir is not None:
        return
    folder = _make_cache_folder()
    if folder is None:
        warnings.warn(
            "no writable cache folder: programs are compiled again in each run "
            "(JAX_COMPILATION_CACHE_DIR names one)",
            stacklevel=2,
        )
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def describe_error(error: Exception) -> str:
    """Return the message of an error as one line, with the file of an `OSError`."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


class _LastingPipe(io.FileIO):
    """Raw stream that drops what no reader takes."""

    def write(self, data: Any) -> int | None:
        try:
            return super().write(data)
        except BrokenPipeError:
            return len(data)


def _outlive_pipe(stream: Any) -> Any:
    """Return a stream to the same file whose writes do not fail if a pipe closes."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    raw = _LastingPipe(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),  # as `python -u`
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _make_cache_folder() -> Path | None:
    """Create the cache folder; None if that fails or the user has no home."""
    try:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(root) / "swajax"
        folder.mkdir(parents=True, exist_ok=True)
    except (RuntimeError, OSError):  # no home; or no right to write there
        return None
    return folder if os.access(folder, os.W_OK) else None


@contextlib.contextmanager
def _one_line_warnings(name: str) -> Iterator[None]:
    """Write each `UserWarning` as one line, without its place in the code."""
    show = warnings.showwarning

    def show_short(message: Any, category: type[Warning], *where: Any) -> None:
        if category is not UserWarning:
            show(message, category, *where)
            return
        sys.stderr.write(f"{name}: note: {' '.join(str(message).split())}\n")

    warnings.showwarning = show_short
    try:
        yield
    finally:
        warnings.showwarning = show


def _unbox(text: str) -> str:
    """Extract the message from tyro's output: title, message, advice between rulers.

    tyro draws boxes where the terminal can show them and plain rulers elsewhere.
    """
    _, *lines = (line.strip("│ ") for line in text.strip().splitlines())
    body = itertools.takewhile(_is_text, itertools.dropwhile(_is_ruler, lines))
    return re.sub(r"^Error parsing \w+: ", "", " ".join(body))


def _is_ruler(line: str) -> bool:
    return not line.strip("╰─╯- ")


def _is_text(line: str) -> bool:
    return not _is_ruler(line)
