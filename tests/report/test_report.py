"""Diagrams, predictions, responses and surfaces of a network."""

import matplotlib.image
import numpy as np
import pytest
from export_cases import constant, make_model
from report_cases import HOSTILE, make_hostile, make_part, make_run

from swajax.data.encoding import Column, TableEncoder
from swajax.data.problem import Problem
from swajax.data.splits import Scaling
from swajax.model.fitted import Model
from swajax.report import charts, diagram, pictures, predictions, responses, surface
from swajax.report.markup import Markup, show, tag
from swajax.types import DEFAULT_ACTIVATIONS, Network


@pytest.fixture
def line():
    """y = 10 + 5 * tanh(2 a - b + 0.5) with a third column that is not read."""
    names = ("a", "b", "unread")
    columns = tuple(Column(n, "numeric", 3.0, 0.5, -1.0) for n in names)
    network = Network(
        first=np.array([[2.0], [-1.0], [0.0]]),
        hidden=np.zeros((0, 1, 1)),
        readout=np.ones((1, 1)),
        bias=np.array([[0.5]]),
        readout_bias=np.zeros(1),
        mask=np.ones((1, 1)),
        activation=np.array([[[0.0, 1.0, 0.0, 0.0]]]),
        depth=np.int32(1),
    )
    scaling = Scaling(TableEncoder(columns), 5.0, 10.0, ())
    return Model(network, DEFAULT_ACTIVATIONS, scaling, "y")


def test_a_diagram_holds_what_exists_and_no_more(line):
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


def test_nodes_are_put_where_their_edges_do_not_cross(line):
    """Two inputs, each read by one of two neurons, the other way round."""
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
    """The rows that stand for a category, encoded by the model itself."""
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


@pytest.mark.parametrize("num_classes", [0, 4])
def test_pictures_of_hostile_names_are_written(tmp_path, draw_network, num_classes):
    run, _ = make_run(tmp_path / "run", draw_network, num_classes=num_classes)
    pictures.write(run)
    for name in ("diagram", "predictions", "responses"):
        image = matplotlib.image.imread(run / f"{name}.png")
        assert image.std() > 0.02
    assert not (run / "surface.png").exists()


def test_pictures_of_a_constant(tmp_path, draw_network):
    model = constant(make_hostile(draw_network))
    diagram.draw(tmp_path / "diagram.png", model)
    assert not responses.draw(tmp_path / "responses.png", model, np.zeros((3, 7)))
    assert not (tmp_path / "responses.png").exists()


def test_a_surface_needs_two_numbers(tmp_path, line, draw_network):
    path = tmp_path / "surface.png"
    assert not surface.draw(path, make_model(draw_network, depth=2))
    assert not path.exists()
    assert surface.draw(path, line._replace(target=HOSTILE[3]))
    assert matplotlib.image.imread(path).std() > 0.02


def test_text_in_a_tag_is_escaped_and_markup_is_not():
    inside = tag("b", "<", class_="a")
    assert inside == '<b class="a">&lt;</b>'
    assert isinstance(inside, Markup)
    out = tag("p", inside, '"&', title="\"'<>", hidden=True, x=1.25, y=2.0, no=None)
    assert out == (
        '<p title="&quot;&#x27;&lt;&gt;" hidden x="1.2" y="2">'
        '<b class="a">&lt;</b>&quot;&amp;</p>'
    )


def test_names_are_shown_short_and_visible():
    assert show("a" * 28) == "a" * 28
    assert show("a" * 29) == "a" * 27 + "…"
    assert show("a\n\u202eb\ud800") == "a��b�"
    assert show("") == "(no name)"


@pytest.mark.parametrize(
    ("values", "is_log"),
    [
        ([0.0, 0.0], False),
        ([5.0, 5.0], False),
        ([-1e9, 1e-9], False),
        ([1.0, 40.0], True),
        ([1e-7, 3e-2, 10.0], True),
    ],
)
def test_an_axis_holds_all_values(values, is_log):
    axis = charts.make_axis(np.array(values), is_log=is_log)
    share = axis.share(np.array(values))
    assert (share > 0).all()
    assert (share < 1).all()
    assert len(axis.ticks) >= 2
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
