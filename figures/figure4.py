"""Figure 4: one decoder and one teacher at three sparsity weights."""

from pathlib import Path

import panels
import searches

DECODER = 3


def draw(runs: Path, out: Path) -> None:
    """Write figure4.png and its numbers."""
    rows = searches.load_rows(
        runs,
        "shallow",
        is_shown=lambda one: one["depth"] == DECODER,
        describe=lambda one: (
            f"sparsity weight {7000 * one['sparsity_weight']:.3g}/7000"
        ),
    )
    title = (
        "A teacher of 2 hidden layers and 14 weights (blue) and the networks of 3 "
        "hidden layers\nfound from its data at three sparsity weights (red)\n"
        f"{searches.NOTE}"
    )
    panels.draw_grid(out / "figure4.png", rows, title=title)


if __name__ == "__main__":
    panels.run_script(draw)
