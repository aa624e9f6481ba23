"""Detection of file formats and text encodings from the first bytes of a file."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path

PARQUET, ZIP, GZIP = b"PAR1", b"PK", b"\x1f\x8b"
GZIP_ERRORS = (gzip.BadGzipFile, EOFError, zlib.error)
MOST_BYTES = 16  # number of leading bytes that identify a format
FOREIGN = {
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow or Feather file",
    b"\x93NUMPY": "a single NumPy array",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
    b"%PDF-": "a PDF document",
    b"7z\xbc\xaf": "a 7z archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    **{b"BZh%d1AY&SY" % level: "a bzip2 archive" for level in range(1, 10)},
}
ENCODINGS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def is_gzip(path: Path) -> bool:
    """Return whether a file is compressed with gzip."""
    with path.open("rb") as file:
        return file.read(2) == GZIP


def open_binary(path: Path) -> io.BufferedIOBase:
    """Open a file for reading; gzip files are decompressed."""
    return gzip.open(path) if is_gzip(path) else path.open("rb")


def open_text(path: Path, errors: str = "strict") -> io.TextIOWrapper:
    """Open a text file in the encoding of its byte order mark; by default UTF-8."""
    encoding = find_encoding(read_start(path))
    file = open_binary(path)
    return io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")


def read_start(path: Path) -> bytes:
    """Read the first bytes of a file; raises the errors of `read_bytes`."""
    return read_bytes(path, MOST_BYTES)


def read_bytes(path: Path, most: int = -1) -> bytes:
    """Read a file, or its first bytes; gzip files are decompressed.

    Raises:
      ValueError: a gzip file is damaged.
    """
    try:
        with open_binary(path) as file:
            return file.read(most)
    except GZIP_ERRORS as error:
        raise ValueError(f"not a readable gzip file: {error}") from None


def find_encoding(start: bytes) -> str:
    """Return the encoding named by the byte order mark of a text, or UTF-8."""
    found = (name for mark, name in ENCODINGS.items() if start.startswith(mark))
    return next(found, "utf-8")


def check_known(start: bytes) -> None:
    """Reject files in the format of another program.

    Raises:
      ValueError: the format is known but not readable; the message names it.
    """
    for mark, kind in FOREIGN.items():
        if start.startswith(mark):
            raise ValueError(f"{kind}, expected a CSV, TSV, Parquet or NPZ file")


def check_npz(raw: bytes) -> None:
    """Reject ZIP files that are damaged or hold no NumPy arrays.

    Raises:
      ValueError: the file is damaged or has another format; the message names it.
    """
    try:
        names = zipfile.ZipFile(io.BytesIO(raw)).namelist()
    except zipfile.BadZipFile as error:
        raise ValueError(f"not a readable NPZ file: {error}") from None
    if not names or any(name.endswith(".npy") for name in names):
        return
    kind = "a ZIP archive without arrays: unpack it first"
    if any(name.startswith("xl/") for name in names):
        kind = "an Excel workbook: save the sheet as CSV first"
    elif "content.xml" in names:
        kind = "an OpenDocument file: save the sheet as CSV first"
    raise ValueError(kind)
