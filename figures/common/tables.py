"""Tables in Markdown."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from swajax.io import files


def format_rows(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    alignment: Sequence[str] | None = None,
) -> str:
    """Return a table in Markdown.

    Args:
      header: titles of the columns.
      rows: cells of each row; a bar inside a cell becomes a slash.
      alignment: rule below each title, such as `:--` or `--:` [---].

    >>> print(format_rows(["name", "value"], [["a|b", "1"]]))
    | name | value |
    |---|---|
    | a/b | 1 |
    """

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    rule = "|---" * len(header) + "|" if alignment is None else line(alignment)
    return "\n".join([line(header), rule, *map(line, rows)])


def write(path: Path, text: str) -> None:
    """Replace a text file; it ends with one line feed."""
    files.write_bytes(path, f"{text.strip()}\n".encode())
