"""Long sums in lines, each of which begins with a sign."""

import keyword
import re
import textwrap
import unicodedata
from collections.abc import Collection, Iterable

WIDTH = 88  # characters


def wrap_sum(text: str, *, indent: str = "", more: str) -> list[str]:
    """Lines of at most 88 characters where that is possible.

    Numbers stay with what they are multiplied by. The first line begins with `indent`,
    the others with `more`.
    """
    # textwrap does not break at the space that is hard.
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
