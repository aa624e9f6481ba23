"""Characters of English prose from the Python standard library: the `help` topics."""

import hashlib
from pydoc_data.topics import topics

import numpy as np
from jaxtyping import UInt8

from swajax.tangle.data.examples import Rows, Split

# Line feed and printable ASCII; fixed, so that the space does not depend on the text.
ALPHABET = "\n" + "".join(map(chr, range(32, 127)))

SHARES = (0.8, 0.1, 0.1)  # contiguous shares of the text, in the order of `Split`


def read_text() -> str:
    """Return all topics in the order of their names, joined by line feeds."""
    return "\n".join(topics[name] for name in sorted(topics))


def hash_text(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, which every result must state."""
    return hashlib.sha256(text.encode()).hexdigest()


def to_ids(text: str) -> UInt8[np.ndarray, " N"]:
    """Return the indices of characters in the alphabet; skip other characters."""
    index = {char: n for n, char in enumerate(ALPHABET)}
    return np.array([index[char] for char in text if char in index], np.uint8)


def load_chars(*, context: int = 64, sha256: str | None = None) -> Split:
    """Load contiguous windows; the targets are the next characters.

    The parts are the first 80 %, next 10 % and last 10 % of the text, not shuffled.

    Args:
      context: number of characters per window.
      sha256: required hash of the text; by default any, as the text depends on the
        version of Python.

    Raises:
      ValueError: the hash differs, or a part is shorter than a window.
    """
    text = read_text()
    if sha256 not in (None, found := hash_text(text)):
        raise ValueError(f"pydoc_data.topics: SHA-256 must be {sha256}, got {found}")
    ids = to_ids(text)
    ends = np.cumsum([round(share * len(ids)) for share in SHARES[:-1]])
    return Split(*(_cut(part, context) for part in np.split(ids, ends)))


def _cut(ids: UInt8[np.ndarray, " N"], context: int) -> Rows:
    if not 1 <= context < len(ids):
        raise ValueError(f"context must be 1..{len(ids) - 1}, got {context}")
    num = (len(ids) - 1) // context
    shape, end = (num, context), num * context
    return Rows(ids[:end].reshape(shape), ids[1 : end + 1].reshape(shape))
