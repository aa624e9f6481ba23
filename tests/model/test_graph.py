"""Graphs for exports: present terms, and scales in float32."""

import numpy as np
import pytest
from export_cases import COLUMNS, constant, make_model

from swajax.data.encoding import Column
from swajax.model.graph import Neuron, format_sum, make_graph, to_scale


def test_a_graph_by_hand(draw_network):
    """One neuron of the numbers, one of a category, by -1 and +1."""
    model = constant(make_model(draw_network, depth=2))
    network = model.network
    network.first[[0, 1], [3, 1]] = 2.0, -0.5
    network.hidden[0, [3, 1], 2] = 7.0, 8.0
    network.readout[2] = 3.0
    network.bias[0, 3] = 1.5
    network.mask[[0, 0, 1], [1, 3, 2]] = 1.0
    network.activation[:, :] = np.eye(len(model.activations))[1]
    graph = make_graph(model)
    assert [(x.name, x.row, x.column, x.values) for x in graph.inputs] == [
        ("x1", 0, COLUMNS[0], ()),
        ("x2", 1, COLUMNS[1], (-1.0, 1.0)),
    ]
    assert graph.layers == (
        (
            Neuron("h1", "tanh", 0.0, (("x2", -0.5),)),
            Neuron("h2", "tanh", 1.5, (("x1", 2.0),)),
        ),
        (Neuron("h3", "tanh", 0.0, (("h1", 8.0), ("h2", 7.0))),),
    )
    assert graph.outputs == (Neuron("y1", "linear", 0.25, (("h3", 3.0),)),)
    assert graph.numbers == COLUMNS[:1] and graph.categories == COLUMNS[1:2]


@pytest.mark.parametrize(
    ("bias", "terms", "text"),
    [
        (0.0, (), "0.0"),
        (-0.5, (), "-0.5"),
        (0.0, (("x1", -2.0), ("h1", 3.0)), "-2.0 * x1 + 3.0 * h1"),
        (1.0, (("x1", -2.0),), "1.0 - 2.0 * x1"),
    ],
)
def test_sums_are_written_as_people_do(bias, terms, text):
    assert format_sum(Neuron("h1", "tanh", bias, terms), repr) == text


@pytest.mark.parametrize("center", [0.0, 2002.5, 100_000.3, -7e8 - 0.1])
def test_scales_lose_nothing_in_float32(center):
    spread = max(1.0, 1e-3 * abs(center))
    column = Column("c", "numeric", scale=1 / spread, offset=-center / spread)
    cells = np.float32(center) + spread * np.linspace(-1, 1, 9, dtype=np.float32)
    middle, scale, rest = map(np.float32, to_scale(column))
    want = cells.astype(float) * column.scale + column.offset
    np.testing.assert_allclose((cells - middle) * scale + rest, want, atol=3e-7)
