"""Figure 2: outputs of unseen networks beside those of their decoded forms."""

from pathlib import Path

import panels
import reconstructions

EXPERIMENTS = ["compact_sigmoid", "compact_leaky_relu", "compact_linear"]


def draw(runs: Path, out: Path) -> None:
    """Write figure2.png and its numbers."""
    trained = "training by min loss"
    reconstructions.draw(runs, out / "figure2.png", EXPERIMENTS, trained=trained)


if __name__ == "__main__":
    panels.run_script(draw)
