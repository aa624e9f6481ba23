"""HTML and SVG text in which contents of a table are always escaped."""

import html
from collections.abc import Iterable

VOID = ("input", "meta")


class Markup(str):
    """Text that is markup; `tag` escapes all other text."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | int | float | None) -> Markup:
    """Return an element; text is escaped, `Markup` is not.

    Args:
      name: name of the element.
      *children: its content.
      **attributes: `class_` stands for class and `stroke_width` for stroke-width.
        Attributes that are True have no value; False and None are omitted. Numbers have
        at most one decimal.

    >>> tag("p", "1 < 2", class_="note")
    '<p class="note">1 &lt; 2</p>'
    """
    text = "".join(
        _format_attribute(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    inside = join(children)
    return Markup(
        f"<{name}{text}>" if name in VOID else f"<{name}{text}>{inside}</{name}>"
    )


def join(parts: Iterable[str]) -> Markup:
    """Concatenate markup and escaped text."""
    return Markup(
        "".join(p if isinstance(p, Markup) else html.escape(p) for p in parts)
    )


def show(name: str, most: int = 28) -> str:
    """Shorten a name to at most `most` characters and remove unprintable ones.

    Line breaks and marks of writing direction count as unprintable.
    """
    short = name if len(name) <= most else f"{name[: most - 1]}…"
    return (
        "".join(
            char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"
            for char in short
        )
        or "(no name)"
    )


def _format_attribute(name: str, value: str | int | float) -> str:
    if value is True:
        return f" {name}"
    if not isinstance(value, str):
        value = f"{value:.1f}".removesuffix(".0")
    return f' {name}="{html.escape(value)}"'
