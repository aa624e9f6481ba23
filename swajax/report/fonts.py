"""Fonts for the names of a table, which may be in any script."""

import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure

from swajax.io import png
from swajax.model.fitted import Model
from swajax.report.markup import show

MAX_NOTED = 5  # maximum number of characters without a font that a picture lists


def find_names(model: Model) -> tuple[str, ...]:
    """Return all names of the table that a picture of the model may show."""
    columns = model.scaling.encoder.columns
    texts = [text for column in columns for text in (column.name, *column.categories)]
    return (model.target, *model.scaling.classes, *texts)


def save(
    path: Path, names: Iterable[str], make_figure_fn: Callable[[], Figure]
) -> None:
    """Write a figure as PNG, in fonts that cover the characters of its names.

    Characters that no installed font covers appear as boxes, and a note lists them.

    Args:
      path: the file.
      names: names that the figure shows.
      make_figure_fn: returns the figure.
    """
    families, missing = find_families(frozenset("".join(map(show, names))))
    with matplotlib.rc_context({"font.family": ["sans-serif", *families]}):
        figure = make_figure_fn()
        if missing:
            listed = ", ".join(f"U+{ord(char):04X}" for char in missing[:MAX_NOTED])
            more = ", ..." if len(missing) > MAX_NOTED else ""
            note = f"boxes: no installed font has {listed}{more}"
            figure.text(0.995, 0.002, note, ha="right", va="bottom", fontsize=6)
        png.save(path, figure)


@functools.lru_cache
def find_families(characters: frozenset[str]) -> tuple[list[str], list[str]]:
    """Return installed fonts for characters that the default font lacks.

    Returns:
      Font families, by descending number of covered characters, and the characters that
      none covers.
    """
    missing = {ord(char) for char in characters} - _read_characters(
        font_manager.findfont(font_manager.FontProperties())
    )
    families: list[str] = []
    while missing:
        found = {
            entry.name: missing & _read_characters(entry.fname)
            for entry in font_manager.fontManager.ttflist
            if entry.style == "normal" and "Last Resort" not in entry.name
        }
        best = max(sorted(found), key=lambda name: len(found[name]), default=None)
        if best is None or not found[best]:
            break
        families.append(best)
        missing -= found[best]
    return families, [chr(code) for code in sorted(missing)]


@functools.lru_cache
def _read_characters(path: str) -> frozenset[int]:
    """Return the code points of a font file; none if it cannot be read."""
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
