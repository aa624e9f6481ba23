"""Layout of the diagram of a network."""

import numpy as np
import pytest
from export_cases import constant, make_model
from report_cases import make_hostile

from swajax.report import diagram, responses


def test_a_diagram_shows_only_the_weights_of_the_network(line):
    drawn = diagram.lay_out(line)
    assert {n.text for n in drawn.nodes.values()} == {"a", "b", "tanh", "y"}
    assert sorted(edge.weight for edge in drawn.edges) == [-1.0, 1.0, 2.0]
    signs = {n.text: np.sign(n.bias) for n in drawn.nodes.values()}
    assert signs == {"a": 0, "b": 0, "tanh": 1, "y": 0}
    svg = diagram.to_svg(line)
    assert svg.count('class="positive"') == 2
    assert svg.count('class="negative"') == 1
    assert "a to tanh: 2" in svg


@pytest.mark.parametrize("num_classes", [0, 2, 4])
def test_boxes_of_a_diagram_lie_inside_and_apart(draw_network, num_classes):
    drawn = diagram.lay_out(make_model(draw_network, depth=3, num_classes=num_classes))
    boxes = [
        (n.x - n.width / 2, n.y - 12, n.x + n.width / 2, n.y + 12)
        for n in drawn.nodes.values()
    ]
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert 0 <= left
        assert right <= drawn.width
        assert 0 <= top
        assert bottom <= drawn.height
        for other in boxes[:i]:
            is_beside = right <= other[0] or other[2] <= left
            assert is_beside or bottom <= other[1] or other[3] <= top
    for edge in drawn.edges:
        assert drawn.nodes[edge.source].x < drawn.nodes[edge.target].x


def test_the_layout_avoids_crossing_edges(line):
    """Two inputs, each read by the neuron opposite the other."""
    crossed = line.network._replace(
        first=np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]),
        hidden=np.zeros((0, 2, 2)),
        readout=np.ones((2, 1)),
        bias=np.zeros((1, 2)),
        mask=np.ones((1, 2)),
        activation=np.tile(line.network.activation, (1, 2, 1)),
    )
    nodes = diagram.lay_out(line._replace(network=crossed)).nodes
    assert (nodes["x1"].y < nodes["x2"].y) == (nodes["h2"].y < nodes["h1"].y)


def test_pictures_of_a_constant(tmp_path, draw_network):
    model = constant(make_hostile(draw_network))
    diagram.draw(tmp_path / "diagram.png", model)
    assert not responses.draw(tmp_path / "responses.png", model, np.zeros((3, 7)))
    assert not (tmp_path / "responses.png").exists()
