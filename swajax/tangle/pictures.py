"""How architecture vectors go during a search."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy.special import softmax

from swajax.report import png
from swajax.tangle.choices import Choice

MAX_ROWS = 24


def draw_vectors(
    path: Path,
    history: Sequence[Mapping[str, Float[np.ndarray, "_ _ _"]]],
    choices: Sequence[Choice],
) -> None:
    """A panel for each row of each choice: softmax of its vectors, mean over starts.

    Args:
      path: of the PNG file.
      history: vectors [S, R, K] of S starts, report by report.
      choices: what they stand for; of very many rows the first are drawn.
    """
    rows = [(c, row) for c in choices for row in range(c.num_rows)][:MAX_ROWS]
    num_columns = min(4, len(rows))
    num_lines = -(-len(rows) // num_columns)
    figure = Figure(figsize=(3 * num_columns, 2.2 * num_lines), layout="constrained")
    panels = figure.subplots(num_lines, num_columns, sharey=True, squeeze=False).ravel()
    for axes, (choice, row) in zip(panels, rows, strict=False):
        vectors = np.stack([report[choice.name][:, row] for report in history])
        shares = softmax(vectors, axis=-1).mean(axis=1)
        for option, share in zip(choice.options, shares.T, strict=True):
            axes.plot(np.linspace(0, 1, len(share)), share, label=str(option))
        place = f" {row + 1}" if choice.num_rows > 1 else ""
        axes.set_title(f"{choice.name}{place}", fontsize=9)
        axes.legend(fontsize=7, loc="upper left")
        axes.set_ylim(0, 1)
    for axes in panels[len(rows) :]:
        axes.axis("off")
    figure.supxlabel("progress of the search", fontsize=9)
    figure.supylabel("softmax of the vectors", fontsize=9)
    png.save(path, figure)
