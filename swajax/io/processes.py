"""A check that JAX can run in this process."""

import os

_first_pid: int | None = None  # of the first process that was checked


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
