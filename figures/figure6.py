"""Figure 6: as figure 2, with an autoencoder trained by the mean loss."""

from pathlib import Path

import panels
import reconstructions


def draw(runs: Path, out: Path) -> None:
    """Write figure6.png and its numbers."""
    trained = "training by mean loss"
    names = ["compact-mean_sigmoid"]
    reconstructions.draw(runs, out / "figure6.png", names, trained=trained)


if __name__ == "__main__":
    panels.run_script(draw)
