"""Properties of this process: its age, and whether JAX can run in it."""

import os
import time
from pathlib import Path

MIN_SECONDS = 0.5  # of work, however much of its time budget the start has taken

_first_pid: int | None = None  # of the first process that was checked
_begin: float | None = None  # time of the start of this process, if it is a command


def check_not_forked() -> None:
    """Check that this is no forked child of a process in which JAX has run.

    Raises:
      RuntimeError: it is one: without the threads of the runtime JAX would hang.
    """
    global _first_pid
    if _first_pid is None:
        _first_pid = os.getpid()
    if _first_pid != os.getpid():
        raise RuntimeError(
            "JAX has run before this process was forked, and would hang here: start "
            'processes by "spawn", as multiprocessing.get_context("spawn") does'
        )


def begin_command() -> None:
    """Count the start of this process to the time of its command."""
    global _begin
    _begin = time.monotonic() - find_age()


def remaining_time(time_budget: float | None) -> float | None:
    """Return the seconds of a time budget that are left since `begin_command`."""
    if time_budget is None or _begin is None:
        return time_budget
    return max(_begin + time_budget - time.monotonic(), MIN_SECONDS)


def find_age() -> float:
    """Return the seconds since this process was started; 0 if the system is silent."""
    try:
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        now = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return 0.0
    return now - int(after_name[19]) / os.sysconf("SC_CLK_TCK")


def share_of_maps() -> float:
    """Return the share of its memory maps that this process has; 0 if it is unknown.

    Linux limits their number. Compiled programs take many, and without any left the
    compiler crashes.
    """
    try:
        limit = int(Path("/proc/sys/vm/max_map_count").read_text())
        with Path("/proc/self/maps").open("rb") as file:
            return sum(1 for _ in file) / limit
    except OSError:
        return 0.0
