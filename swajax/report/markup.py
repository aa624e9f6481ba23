"""HTML and SVG as text, in which what comes from a table can never become markup."""

import html
from collections.abc import Iterable

VOID = ("input", "meta")


class Markup(str):
    """Text that is markup already; any other text is escaped by `tag`."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | int | float | None) -> Markup:
    """An element; `class_` is its class, `stroke_width` its stroke-width.

    An attribute that is True stands without a value, one that is False or None is left
    out. Numbers have at most one digit behind the point.
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
    """Markup as it is and other text escaped, one after the other."""
    return Markup(
        "".join(p if isinstance(p, Markup) else html.escape(p) for p in parts)
    )


def show(name: str, most: int = 28) -> str:
    """A name as it is read: cut when it is long, with a mark for what cannot be seen.

    Line breaks and marks that turn the direction of writing are among the latter.
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
