"""The pictures of a run's picked network, as files."""

from pathlib import Path

from swajax.model.results import load, read_rows
from swajax.report import diagram, predictions, responses, surface


def write(run: Path) -> None:
    """Write diagram, predictions and responses, and the surface where there is one."""
    model, rows = load(run), read_rows(run)
    part, name = (rows.get("test"), "test")
    if part is None:
        part, name = rows["valid"], "validation"
    diagram.draw(run / "diagram.png", model)
    predictions.draw(run / "predictions.png", model, part, name=name)
    responses.draw(run / "responses.png", model, rows["valid"].x)
    surface.draw(run / "surface.png", model)
