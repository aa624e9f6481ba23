"""Runs of a study in one JSON Lines file.

Each line of the file is a JSON object, either a run or a value that runs share::

    {"id": "1f0c9a3e52d4", "shared": {"seconds": 20.0, ...}}
    {"run": "iris.0.default", "settings": "1f0c9a3e52d4", "seed": 0, ...}

The fields in `SHARED` (settings, versions) repeat over hundreds of runs. They are
stored once, above the first run that has them, and runs refer to them by a hash of
their content.

The file is append-only: a run is appended by one locked write, so that several
processes may share a file and a killed process loses at most the run in progress. If
two lines have the same name, the later one counts.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from swajax.io import runlog

FILE_NAME = "runs.jsonl"
SHARED = ("settings", "config", "sources", "versions", "data")

Run = dict[str, Any]


class RunFile(Mapping[str, Run]):
    """The runs of a file by name, in alphabetical order."""

    def __init__(self, path: Path) -> None:
        """Read a file; one that does not exist has no runs.

        Args:
          path: of the JSON Lines file.

        Raises:
          ValueError: a line other than the last is damaged; names file and line.
        """
        self.path = path
        self._runs: dict[str, Run] = {}
        self._shared: dict[str, Any] = {}
        if path.exists():
            self._read()

    def __getitem__(self, name: str) -> Run:
        """Return the run of a name, shared values included."""
        return self._runs[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        # A longer method name precedes its prefix, as in a list of file names.
        return iter(sorted(self._runs, key=lambda name: f"{name}."))

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self._runs)

    def has(self, name: str, wanted: Run, *, field: str | None = "settings") -> bool:
        """Return whether a run exists and was made with the given settings.

        Args:
          name: of the run.
          wanted: settings now.
          field: of the run that holds its settings; None for the run itself.

        Raises:
          ValueError: the run was made with other settings.
        """
        if name not in self:
            return False
        made = self[name] if field is None else self[name].get(field, {})
        check(f"{self.path}: {name}", made, wanted)
        return True

    def add(self, name: str, run: Run) -> None:
        """Append a run; numbers that are not finite become null.

        Args:
          name: unique in the file; replaces an earlier run of the same name.
          run: JSON values, arrays or scalars.
        """
        run = runlog.to_plain(run)
        stored, lines = {"run": name} | run, []
        for field in SHARED:
            if isinstance(run.get(field), dict):
                stored[field] = digest = _hash(run[field])
                if digest not in self._shared:
                    self._shared[digest] = run[field]
                    lines.append({"id": digest, "shared": run[field]})
        text = "".join(json.dumps(line) + "\n" for line in (*lines, stored))
        _append(self.path, text.encode())
        self._runs[name] = run

    def _read(self) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True)
        if lines and not _is_whole(lines[-1]):
            del lines[-1]
            sys.stderr.write(f"{self.path}: dropped a damaged last line\n")
        for number, line in enumerate(lines, start=1):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                where = f"{self.path}:{number}"
                raise ValueError(f"{where}: not a run ({error})") from error

    def _take(self, line: Run) -> None:
        """Store one line: a shared value or a run, whose references it resolves."""
        if "shared" in line:
            self._shared[line["id"]] = line["shared"]
            return
        name = line.pop("run")
        for field in SHARED:
            if isinstance(line.get(field), str):
                line[field] = self._shared[line[field]]
        self._runs[name] = line


def load(folder: Path) -> list[Run]:
    """Return all runs of a folder's `runs.jsonl`, in the order of their names."""
    return list(RunFile(folder / FILE_NAME).values())


def make_missing(
    runs: RunFile,
    planned: Sequence[tuple[str, Callable[[], Run]]],
    describe: Callable[[Run], str] | None = None,
) -> None:
    """Make runs and append each to the file as soon as it is complete.

    Args:
      runs: file of the study.
      planned: name and function of each run.
      describe: text for the log line of a run.
    """
    for index, (name, make_fn) in enumerate(planned, start=1):
        begin = time.monotonic()
        with interrupting():
            run = make_fn()
        runs.add(name, run)
        text = f"{describe(run)}; " if describe else ""
        seconds = time.monotonic() - begin
        sys.stdout.write(f"[{index}/{len(planned)}] {name}: {text}{seconds:.0f} s\n")
        sys.stdout.flush()


def make_name(task: str, seed: int, method: str) -> str:
    """Return the name of a run, such as `iris.0.default`."""
    return f"{task}.{seed}.{method}"


def choose_folder(out: Path | None, study: str, *, is_quick: bool) -> Path:
    """Return the folder for results.

    Args:
      out: folder that the user asks for, if any.
      study: default folder below `figures`.
      is_quick: use a new temporary folder instead of the default: runs of an earlier
        call would be skipped, and tiny runs must not be mixed with results.
    """
    if out is None:
        out = Path("figures", study)
        if is_quick:
            prefix = f"swajax-{study.replace('/', '-')}-"
            out = Path(tempfile.mkdtemp(prefix=prefix))
    out.mkdir(parents=True, exist_ok=True)
    return out


def check(label: str, made: Run, wanted: Run) -> None:
    """Refuse a run of other settings.

    Args:
      label: file and run, for the message.
      made: settings of the run; those absent from `wanted` are ignored.
      wanted: settings now.

    Raises:
      ValueError: names the first setting that differs.
    """
    old, new = _flatten(made), _flatten(runlog.to_plain(wanted))
    for name in sorted(new):
        if old.get(name) != new.get(name):
            raise ValueError(
                f"{label} was made with {name} = {old.get(name)}, not {new.get(name)}: "
                "remove outdated runs, or choose another --out"
            )


@contextlib.contextmanager
def interrupting(seconds: float | None = None) -> Iterator[None]:
    """Limit the time of a run, and discard a run that Ctrl-C ended early.

    At Ctrl-C a search returns its best result so far. Such a result is not a complete
    run, so the interrupt is raised again at the end of the block. Signals reach the
    main thread only; in other threads this context does nothing.

    Args:
      seconds: limit; None for no limit.

    Raises:
      TimeoutError: inside the block, after `seconds`.
      KeyboardInterrupt: inside the block and at its end.
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


def count_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _append(path: Path, data: bytes) -> None:
    """Append whole lines durably; first remove a damaged last line."""
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        old = file.read()
        start = old.rstrip(b"\n").rfind(b"\n") + 1
        if old and not _is_whole(old[start:]):
            file.truncate(start)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _is_whole(line: bytes) -> bool:
    """Return whether a line ends and is JSON."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n")


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()[:12]


def _flatten(values: Run, prefix: str = "") -> Run:
    """Return nested dictionaries as one, with dotted names."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
