"""Matplotlib figures as PNG files."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from swajax.io import files

if TYPE_CHECKING:
    import matplotlib.axis
    import matplotlib.figure

POSITIVE, NEGATIVE = "#1f6fb4", "#c2500a"  # distinct for colour-blind readers too


def save(path: Path, figure: "matplotlib.figure.Figure") -> None:
    """Write a figure as PNG, replacing the file atomically.

    Characters missing from all installed fonts are drawn as boxes, without warnings.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(buffer, format="png", dpi=120)
    files.write_bytes(path, buffer.getvalue())


def thin_log_ticks(axis: "matplotlib.axis.Axis") -> None:
    """Put at most 7 plain numbers on a logarithmic axis, for any range of values."""
    # Here, so that commands that draw nothing do not load matplotlib.
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    low, high = axis.get_view_interval()
    is_short, is_long = high <= 4 * low, high > 300 * low
    subs = (1,) if is_long else (1, 2, 5)
    axis.set_major_locator(
        MaxNLocator(5) if is_short else LogLocator(subs=subs, numticks=7)
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:,g}")
