"""Results that are kept: never beside others of other settings, and never half made."""

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from swajax.io import runlog


def check(path: Path, made: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse to go on beside a result of other settings.

    Args:
      path: of the result.
      made: its settings; those that it has besides play no part.
      wanted: settings now.

    Raises:
      ValueError: names the file and the first setting that differs.
    """
    old, new = _flatten(made), _flatten(wanted)
    for name in sorted(new):
        if old.get(name) != new.get(name):
            raise ValueError(
                f"{path} was made with {name} = {old.get(name)}, not {new.get(name)}: "
                "remove the runs that are out of date, or choose another --out"
            )


def is_there(path: Path, settings: dict[str, Any]) -> bool:
    """Whether the file of a run is there; one of other settings is refused."""
    if path.exists():
        check(path, json.loads(path.read_bytes())["settings"], settings)
    return path.exists()


@contextlib.contextmanager
def interrupting(seconds: float | None = None) -> Iterator[None]:
    """End what takes far too long, and never take half a run for a whole one.

    A search ends with what it has at Ctrl-C, as if all were well: here the Ctrl-C goes
    on afterwards. Signals reach the main thread only; elsewhere nothing is done.

    Raises:
      TimeoutError: within, after so many seconds, if any.
      KeyboardInterrupt: within and at the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal is_interrupted
        is_interrupted = True
        raise KeyboardInterrupt

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds:.0f} s")

    old = signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGINT, old[0])
        signal.signal(signal.SIGALRM, old[1])
        if is_interrupted:
            raise KeyboardInterrupt


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def make_path(folder: Path, task: str, seed: int, method: str) -> Path:
    """The file of a run."""
    return folder / "runs" / f"{task}.{seed}.{method}.json"


def count_cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load(folder: Path) -> list[dict[str, Any]]:
    """All runs of a folder."""
    return [
        json.loads(p.read_bytes()) for p in sorted((folder / "runs").glob("*.json"))
    ]


def save(path: Path, run: dict[str, Any]) -> None:
    """Write the file of a run at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runlog.write_json(path, run)
