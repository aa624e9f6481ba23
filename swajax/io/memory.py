"""Memory of this machine, and refusals of what does not fit into it."""

import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container on Linux


def check_memory(num_bytes: int, what: str) -> None:
    """Check that something fits into the memory of this machine.

    Args:
      num_bytes: memory that it needs.
      what: name for the message.

    Raises:
      ValueError: it is larger.
    """
    limit = find_memory()
    if num_bytes > limit:
        raise ValueError(
            f"{what} needs {num_bytes / 1e9:.3g} GB, more than the "
            f"{limit / 1e9:.3g} GB of memory here"
        )


def find_memory() -> float:
    """Return the bytes of memory that this process may use."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return float(min(pages, int(CGROUP_LIMIT.read_text())))
    except (OSError, ValueError):  # no container, or no limit
        return float(pages)
