"""Writing matplotlib figures as PNG."""

import io
import warnings
from pathlib import Path

from matplotlib.figure import Figure

from swajax import files

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
