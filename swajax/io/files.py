"""Atomic writing of files: a reader finds the old content or the new one."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def is_writer() -> bool:
    """Return whether this process writes files; of several hosts, the first does."""
    import jax  # here, so that reading and writing files does not load it

    return jax.process_index() == 0


def write_bytes(path: Path | str, data: bytes) -> None:
    """Replace a file atomically and durably; do nothing unless `is_writer()`.

    Raises:
      OSError: the file cannot be written; the error names it.
    """
    if not is_writer():
        return
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` if the block succeeds.

    Args:
      path: file to write; its folder must exist. It is unchanged if the block raises.

    Raises:
      OSError: the file cannot be written; the error names `path`.
    """
    path = Path(path)
    # The name is fixed, so the next write replaces the remains of a killed process.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with naming_full_disk(path), temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and str(error.filename) == str(temporary):
            error.filename = str(path)  # the name that the user knows
        raise


@contextlib.contextmanager
def naming_full_disk(path: Path | str) -> Iterator[None]:
    """Add the name of the file to an error of a full disk, which has none."""
    try:
        yield
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if is_full and error.filename is None:
            error.filename = str(path)
        raise


def check_new(path: Path) -> None:
    """Check that a result can be written to a new file, before the work begins.

    Raises:
      FileExistsError: the file exists; results are never overwritten.
      NotADirectoryError: the folder does not exist.
      PermissionError: the folder is not writable.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists: choose another --out")
    if not path.parent.is_dir():
        raise NotADirectoryError(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        code = errno.EACCES
        raise PermissionError(code, os.strerror(code), str(path))
