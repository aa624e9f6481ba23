"""Pictures of a run with hostile names."""

import matplotlib.image
import pytest
from export_cases import make_model
from report_cases import HOSTILE, make_run

from swajax.report import pictures, surface


@pytest.mark.parametrize("num_classes", [0, 4])
def test_pictures_of_hostile_names_are_written(tmp_path, draw_network, num_classes):
    run, _ = make_run(tmp_path / "run", draw_network, num_classes=num_classes)
    pictures.write(run)
    for name in ("diagram", "predictions", "responses"):
        image = matplotlib.image.imread(run / f"{name}.png")
        assert image.std() > 0.02
    assert not (run / "surface.png").exists()


def test_a_surface_needs_two_numbers(tmp_path, line, draw_network):
    path = tmp_path / "surface.png"
    assert not surface.draw(path, make_model(draw_network, depth=2))
    assert not path.exists()
    assert surface.draw(path, line._replace(target=HOSTILE[3]))
    assert matplotlib.image.imread(path).std() > 0.02
