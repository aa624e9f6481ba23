"""Figure 3: what each decoder finds from data of a teacher with 35 weights."""

from pathlib import Path

import panels
import searches


def draw(runs: Path, out: Path) -> None:
    """Write figure3.png and its numbers."""
    rows = searches.load_rows(
        runs,
        "deep",
        is_shown=searches.is_shown_weight,
        describe=lambda one: panels.count(one["depth"], "hidden layer"),
    )
    title = (
        "A teacher of 3 hidden layers and 35 weights (blue) and the networks "
        f"found from its data (red)\n{searches.NOTE}"
    )
    panels.draw_grid(out / "figure3.png", rows, title=title)


if __name__ == "__main__":
    panels.run_script(draw)
