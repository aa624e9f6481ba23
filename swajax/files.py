"""Writing files so that a reader finds the old content or the new, never a half."""

import os
from pathlib import Path

import jax


def is_writer() -> bool:
    """Whether this process writes files: the first of several hosts does."""
    return jax.process_index() == 0


def write_bytes(path: Path | str, data: bytes) -> None:
    """Replace a file at once, durably; does nothing on hosts that do not write."""
    if not is_writer():
        return
    path = Path(path)
    # A fixed name: what a killed process left behind is overwritten by the next.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
