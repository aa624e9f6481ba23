"""Plots of a search."""

from swajax.tangle import plots


def test_pictures_of_a_search_in_regression(tmp_path):
    lines = [
        {
            "num_passes": 2 * n,
            "chosen_loss": [1 / n, 2.0],
            "chosen_accuracy": [None] * 2,
        }
        for n in range(1, 4)
    ]
    plots.draw_curve(tmp_path / "curve.png", lines)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
