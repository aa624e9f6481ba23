"""Curves of a pretraining run from its metrics.jsonl."""

from pathlib import Path

from matplotlib.figure import Figure

from swajax.io import runlog

PANELS = {
    "training loss": ("loss", "min_loss"),
    "explained variance (median)": (
        "explained_variance",
        *(f"explained_variance_depth_{depth}" for depth in range(1, 5)),
    ),
    "median percentage error": ("mpe_percent",),
    "geometry of the embedding": ("spearman", "recall_at_1"),
}


def draw_curves(folder: Path | str) -> Path:
    """Draw losses and validation metrics against steps; write curves.png.

    Returns:
      The path of the picture, in the run folder.
    """
    lines = runlog.read_metrics(folder)
    figure = Figure(figsize=(10, 7), layout="constrained")
    for axes, (title, names) in zip(
        figure.subplots(2, 2).flat, PANELS.items(), strict=True
    ):
        for name in names:
            points = [(line["step"], line[name]) for line in lines if name in line]
            if points:
                axes.plot(*zip(*points, strict=True), label=name.replace("_", " "))
        axes.set(title=title, xlabel="step")
        if axes.lines:
            axes.legend(fontsize="small")
        axes.grid(alpha=0.3)
        if "explained" in title:
            axes.set_ylim(-0.5, 1.02)
    path = Path(folder) / "curves.png"
    figure.savefig(path, dpi=120)
    return path
