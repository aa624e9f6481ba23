"""Names of a table in code: as identifiers, or as text that ends nowhere by itself.

Columns and classes can be called anything: `*/ system("...")`, a line break, `lambda`.
"""

import keyword
import re
import unicodedata
from collections.abc import Collection, Iterable

MAX_LENGTH = 40  # of an identifier made of a name


def to_identifiers(
    names: Iterable[str], taken: Collection[str] = ()
) -> tuple[str, ...]:
    """An identifier of ASCII letters, digits and _ a name, all of them different.

    Letters lose their accents, anything else becomes _: `Größe (µm)` is `Groe_m`. None
    is a keyword of Python, begins with _ or is `taken`.
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
    """ASCII letters, digits and single _ inside, beginning with a letter."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    text = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:MAX_LENGTH].rstrip("_")
    return text if text[:1].isalpha() else f"x{text}"


def to_c_string(text: str) -> str:
    """A C literal of UTF-8, quotes included, which is safe inside a comment as well.

    Only printable ASCII stands as it is. Neither trigraphs (`??/`) nor the marks of
    comments survive.
    """
    escaped = "".join(map(_escape, text.encode("utf-8", "surrogatepass")))
    return '"' + re.sub(r"(?<=/)\*|\*(?=/)", r"\\052", escaped) + '"'


def to_note(text: str) -> str:
    """Quoted ASCII in one line, cut when it is long, for comments in Python."""
    quoted = ascii(text)
    return quoted if len(quoted) <= 60 else f"{quoted[:56]}...{quoted[-1]}"


def _escape(byte: int) -> str:
    # Octal: after \x a C compiler reads as many digits as follow.
    if chr(byte) in '"\\?':
        return f"\\{chr(byte)}"
    return chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}"
