"""Writing matplotlib figures as PNG."""

import io
import warnings
from pathlib import Path

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from swajax.io import files

POSITIVE, NEGATIVE = "#1f6fb4", "#c2500a"  # also told apart by the colour-blind


def save(path: Path, figure: Figure) -> None:
    """A file that is whole or not there.

    Letters that no installed font has are drawn as boxes, without a warning each.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(buffer, format="png", dpi=120)
    files.write_bytes(path, buffer.getvalue())


def thin_log_ticks(axis: Axis) -> None:
    """Few and plain numbers on a logarithmic axis, however short it is."""
    low, high = axis.get_view_interval()
    is_short, is_long = high <= 4 * low, high > 300 * low
    subs = (1,) if is_long else (1, 2, 5)
    axis.set_major_locator(
        MaxNLocator(5) if is_short else LogLocator(subs=subs, numticks=7)
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter("{x:,g}")
