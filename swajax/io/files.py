"""Writing files so that a reader finds the old content or the new, never a half."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import jax


def is_writer() -> bool:
    """Whether this process writes files: the first of several hosts does."""
    return jax.process_index() == 0


def write_bytes(path: Path | str, data: bytes) -> None:
    """Replace a file at once, durably; does nothing on hosts that do not write."""
    if not is_writer():
        return
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of another when all went well."""
    path = Path(path)
    # A fixed name: what a killed process left behind is overwritten by the next.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and str(error.filename) == str(temporary):
            error.filename = str(path)  # the name that the user knows
        raise


def check_new(path: Path) -> None:
    """Refuse a place for a result before the work is done.

    Raises:
      FileExistsError: there is something already; results are never overwritten.
      NotADirectoryError: the folder is missing.
      PermissionError: nothing can be written into the folder.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists: choose another --out")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        code = errno.EACCES
        raise PermissionError(code, os.strerror(code), str(path))
