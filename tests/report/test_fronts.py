"""The picture of a front."""

import matplotlib.image
import pytest
from export_cases import HOSTILE

from swajax.model.evaluation import FrontTable
from swajax.report import fronts


@pytest.mark.parametrize("measures", [("rmse", "r2"), ("log_loss", "accuracy")])
def test_a_front_is_drawn(tmp_path, measures):
    errors = {"valid": (9.0, 0.1), "test": (8.0, 0.2)}
    rows = [
        {"num_weights": size}
        | {
            f"{measure}_{p}": pair[i]
            for measure in measures
            for p, pair in errors.items()
        }
        for i, size in enumerate((1, 5))
    ]
    path = tmp_path / "front.png"
    table = FrontTable(rows, measures, 1)
    others = {"linear": 0.5}
    fronts.draw(path, table, target=HOSTILE[2], title=HOSTILE[1], others=others)
    assert matplotlib.image.imread(path).std() > 0.02
