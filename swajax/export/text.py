"""Identifiers, literals and wrapped lines for generated code."""

import keyword
import re
import textwrap
import unicodedata
from collections.abc import Collection, Iterable

import numpy as np

WIDTH = 88  # characters per line
MAX_LENGTH = 40  # characters of an identifier derived from a name


def wrap(text: str, width: int = WIDTH) -> list[str]:
    """Return the lines of a text; long words are not broken."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def wrap_sum(text: str, *, indent: str = "", more: str) -> list[str]:
    """Break a sum into lines of at most 88 characters, where possible.

    Each line after the first begins with a sign, and numbers stay with their factors.

    Args:
      text: the sum, with spaces around its operators.
      indent: start of the first line.
      more: start of the other lines.
    """
    # textwrap does not break at a no-break space.
    hard = text.replace(" * ", "\xa0*\xa0")
    for sign in "+-":
        hard = hard.replace(f" {sign} ", f" {sign}\xa0")
    lines = textwrap.wrap(
        hard,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=more,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in lines]


def to_identifiers(
    names: Iterable[str], taken: Collection[str] = ()
) -> tuple[str, ...]:
    """Return one unique identifier of ASCII letters, digits and _ per name.

    Accents are removed, and all other characters become _. No identifier is a Python
    keyword, begins with _ or is in `taken`.

    >>> to_identifiers(["Größe (µm)", "lambda", "x"], taken={"x"})
    ('Groe_m', 'lambda_2', 'x_2')
    """
    used, chosen = set(taken), []
    for name in names:
        base = to_identifier(name)
        candidate, number = base, 2
        while candidate in used or keyword.iskeyword(candidate):
            candidate, number = f"{base}_{number}", number + 1
        used.add(candidate)
        chosen.append(candidate)
    return tuple(chosen)


def to_identifier(name: str) -> str:
    """Convert a name to ASCII letters, digits and single _, starting with a letter."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    text = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:MAX_LENGTH].rstrip("_")
    return text if text[:1].isalpha() else f"x{text}"


def to_c_string(text: str) -> str:
    """Return a C string literal in UTF-8 with its quotes, also safe inside a comment.

    Everything but printable ASCII is escaped; the result has neither trigraphs (`??/`)
    nor comment delimiters.
    """
    escaped = "".join(map(_escape, text.encode("utf-8", "surrogatepass")))
    return '"' + re.sub(r"(?<=/)\*|\*(?=/)", r"\\052", escaped) + '"'


def to_c_literal(number: float, dtype: type[np.floating] = np.float32) -> str:
    """Return a constant that C reads as the number, rounded to the type.

    >>> to_c_literal(0.1), to_c_literal(1e-60, np.float64)
    ('0.1f', '1e-60')
    """
    # NumPy writes the fewest digits that read back as the same number.
    return f"{dtype(number)!s}{'f' if dtype is np.float32 else ''}"


def to_note(text: str) -> str:
    """Quote a text as one ASCII line of at most 60 characters."""
    quoted = ascii(text)
    return quoted if len(quoted) <= 60 else f"{quoted[:56]}...{quoted[-1]}"


def _escape(byte: int) -> str:
    # Octal, because a hexadecimal escape includes all hexadecimal digits that follow.
    if chr(byte) in '"\\?':
        return f"\\{chr(byte)}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"
