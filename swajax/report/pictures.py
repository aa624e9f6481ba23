"""Pictures of the picked network of a run."""

from pathlib import Path

from swajax.model.results import load, read_rows
from swajax.report import diagram, predictions, responses, surface


def write(run: Path) -> None:
    """Write diagram.png, predictions.png, and responses.png and surface.png if any.

    Args:
      run: folder of a finished search.

    Raises:
      FileNotFoundError: there are no networks or no rows in the folder.
      ValueError: a file is damaged.
    """
    model, rows = load(run), read_rows(run)
    part, name = (rows.get("test"), "test")
    if part is None:
        part, name = rows["valid"], "validation"
    diagram.draw(run / "diagram.png", model)
    predictions.draw(run / "predictions.png", model, part, name=name)
    responses.draw(run / "responses.png", model, rows["valid"].x)
    surface.draw(run / "surface.png", model)
