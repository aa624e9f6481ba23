"""Responses of a network to each of its columns."""

import numpy as np
import pytest
from export_cases import make_model

from swajax.report import responses


def test_responses_are_those_of_the_network(line):
    x = np.array([[0.0, 0.5, 1], [0.5, 0.5, 1], [-0.5, -1, 1]])  # medians 0 and 0.5
    first, second = responses.find_responses(line, x)
    assert (first.column.name, second.column.name) == ("a", "b")  # the stronger first
    np.testing.assert_allclose(first.cells[[0, -1]], [0.0, 4.0])
    scaled = np.linspace(-1, 1, responses.NUM_STEPS)
    want = 10 + 5 * np.tanh(2 * scaled - 0.5 + 0.5)
    np.testing.assert_allclose(first.outputs[:, 0], want)
    np.testing.assert_allclose(second.outputs[:, 0], 10 + 5 * np.tanh(0.5 - scaled))


@pytest.mark.parametrize("num_classes", [0, 2, 4])
def test_responses_to_categories_are_predictions(draw_network, num_classes):
    """Compare with predictions for rows of each category."""
    model = make_model(draw_network, depth=2, num_classes=num_classes)
    x = np.zeros((3, 7), np.float32)
    x[:, 3:6] = np.eye(3)
    found = responses.find_responses(model, x[:1])
    (column,) = (r for r in found if len(r.column.categories) == 3)
    x[:, :3] = 0.0
    x[:, 1] = x[0, 1]
    np.testing.assert_allclose(column.outputs, responses.answer(model, x))
    if num_classes > 2:
        np.testing.assert_allclose(column.outputs.sum(axis=1), 1.0)
