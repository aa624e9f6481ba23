"""Predictions against true values."""

import numpy as np
import pytest
from export_cases import make_model
from report_cases import make_part

from swajax.data.problem import Problem
from swajax.report import predictions


def test_predictions_in_the_units_of_the_target(line):
    part = Problem(
        np.array([[0.0, 0.5, 0.0]], np.float32),
        np.array([[1.0]], np.float32),
        np.ones(1, np.float32),
    )
    np.testing.assert_allclose(predictions.predict_numbers(line, part), [[15.0], [10]])


@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_matrix_counts_rows_by_truth_and_prediction(draw_network, num_classes):
    model = make_model(draw_network, depth=2, num_classes=num_classes)
    part = make_part(model)
    counts = predictions.count_classes(model, part)
    truth = part.y[:, 0].astype(int) if num_classes == 2 else part.y.argmax(axis=1)
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(truth))
    out = model.outputs(part.x)
    guess = (out[:, 0] > 0) * 1 if num_classes == 2 else out.argmax(axis=1)
    assert counts[1, 0] == np.sum((truth == 1) & (guess == 0))
