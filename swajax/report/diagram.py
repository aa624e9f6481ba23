"""Diagram of a network: layout, SVG and PNG."""

import unicodedata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from swajax.io import png
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Input, Neuron, make_graph
from swajax.report import fonts
from swajax.report.markup import Markup, show, tag

# Lengths in px of the page; pictures have 96 px per inch.
ROW, COLUMN_GAP, MARGIN = 36.0, 110.0, 14.0
LETTER, BOX_WIDTH, BOX_HEIGHT = 7.2, 78.0, 24.0
THINNEST, THICKEST = 0.8, 5.0
NUM_SWEEPS = 4  # number of sweeps over the columns that reduce crossing edges
LEGEND = (
    "Solid lines: positive weights; dashed lines: negative weights; width: absolute "
    "value. + or - in a box: sign of the bias. Inputs are scaled to [-1, 1] over their "
    "training range."
)


class Node(NamedTuple):
    """Box with text, centred at x and y."""

    text: str
    x: float
    y: float
    width: float
    bias: float  # 0 for an input
    is_input: bool


class Edge(NamedTuple):
    """Line from the right side of one node to the left side of another."""

    source: str
    target: str
    weight: float


class Diagram(NamedTuple):
    """Nodes, by their names in `swajax.model.graph`, and edges."""

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]
    width: float
    height: float

    @property
    def largest(self) -> float:
        """Largest absolute weight."""
        return max((abs(edge.weight) for edge in self.edges), default=1.0)


def lay_out(model: Model) -> Diagram:
    """Place inputs on the left, then the hidden layers, outputs on the right."""
    graph = make_graph(model)
    columns = [list(graph.inputs), *map(list, graph.layers), list(graph.outputs)]
    columns = [column for column in _uncross(columns) if column]
    texts = _name_nodes(model, graph)
    num_rows = max(map(len, columns))
    nodes, x = {}, MARGIN
    for column in columns:
        width = max(_measure(texts[item.name], item) for item in column)
        for index, item in enumerate(column):
            y = MARGIN + ROW * ((index + 0.5) * num_rows / len(column))
            bias = getattr(item, "bias", 0.0)
            is_input = isinstance(item, Input)
            nodes[item.name] = Node(
                texts[item.name], x + width / 2, y, width, bias, is_input
            )
        x += width + COLUMN_GAP
    edges = tuple(
        Edge(source, neuron.name, weight)
        for neuron in (*graph.neurons, *graph.outputs)
        for source, weight in neuron.terms
    )
    return Diagram(nodes, edges, x - COLUMN_GAP + MARGIN, num_rows * ROW + 2 * MARGIN)


def draw(path: Path, model: Model) -> None:
    """Write the diagram as PNG."""
    fonts.save(path, fonts.find_names(model), lambda: _make_figure(model))


def _make_figure(model: Model) -> Figure:
    diagram = lay_out(model)
    width, height = max(diagram.width, 900.0), diagram.height + 30
    figure = Figure(figsize=(width / 96, height / 96))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for edge in diagram.edges:
        color, style = _look(edge)
        points = 72 / 96 * _thickness(diagram, edge)
        axes.plot(*_ends(diagram, edge), style, color=color, lw=points)
    for node in diagram.nodes.values():
        _draw_node(axes, node)
    axes.text(MARGIN, height - 12, LEGEND, fontsize=7, color="#555", va="center")
    return figure


def to_svg(model: Model) -> Markup:
    """Return the diagram as SVG; titles state the weights and biases."""
    diagram = lay_out(model)
    return tag(
        "svg",
        *(_edge_to_svg(diagram, edge) for edge in diagram.edges),
        *map(_node_to_svg, diagram.nodes.values()),
        class_="diagram",
        viewBox=f"0 0 {diagram.width:.0f} {diagram.height:.0f}",
        width=diagram.width,
        role="img",
        aria_label=_describe(model, diagram),
    )


def _uncross(columns: list[list[Input | Neuron]]) -> list[list[Input | Neuron]]:
    """Sort each column so that connected nodes are close; outputs keep their order."""
    weights = {
        (source, neuron.name): abs(weight)
        for column in columns[1:]
        for neuron in column
        for source, weight in neuron.terms
    }

    def sort(column: list, beside: list) -> list:
        height = {n.name: (i + 0.5) / len(beside) for i, n in enumerate(beside)}

        def wanted(item: Input | Neuron) -> float:
            pairs = [
                (
                    height[name],
                    weights.get((item.name, name), 0.0)
                    + weights.get((name, item.name), 0.0),
                )
                for name in height
            ]
            total = sum(weight for _, weight in pairs)
            return sum(y * w for y, w in pairs) / total if total else 0.5

        return sorted(column, key=wanted)

    for _ in range(NUM_SWEEPS):
        for k in reversed(range(len(columns) - 1)):
            columns[k] = sort(columns[k], columns[k + 1])
        for k in range(1, len(columns) - 1):
            columns[k] = sort(columns[k], columns[k - 1])
    return columns


def _name_nodes(model: Model, graph: Graph) -> dict[str, str]:
    classes = model.scaling.classes
    outputs = classes if len(classes) > 2 else (classes or (model.target,))[-1:]
    return (
        {item.name: _name_input(item) for item in graph.inputs}
        | {n.name: n.activation.replace("_", " ") for n in graph.neurons}
        | {n.name: show(t) for n, t in zip(graph.outputs, outputs, strict=True)}
    )


def _name_input(item: Input) -> str:
    """Return the column, with the category of a one-hot input."""
    column = item.column
    if column.kind == "numeric":
        return show(column.name)
    category = column.categories[int(np.argmax(item.values))]
    return f"{show(column.name, 18)} = {show(category, 12)}"


def _measure(text: str, item: Input | Neuron) -> float:
    """Return the width of a box, with space for the sign of a neuron's bias."""
    space = 20 if isinstance(item, Input) else 44
    return max(BOX_WIDTH, sum(map(_letter_width, text)) + space)


def _letter_width(letter: str) -> float:
    is_wide = unicodedata.east_asian_width(letter) in "WF"
    return 1.7 * LETTER if is_wide else LETTER


def _ends(diagram: Diagram, edge: Edge) -> tuple[tuple[float, float], ...]:
    """Return both x and both y."""
    source, target = diagram.nodes[edge.source], diagram.nodes[edge.target]
    left, right = source.x + source.width / 2, target.x - target.width / 2
    return (left, right), (source.y, target.y)


def _thickness(diagram: Diagram, edge: Edge) -> float:
    """Return the width of a line in px."""
    share = np.sqrt(abs(edge.weight) / diagram.largest)
    return float(THINNEST + (THICKEST - THINNEST) * share)


def _look(edge: Edge) -> tuple[str, str]:
    return (png.POSITIVE, "-") if edge.weight > 0 else (png.NEGATIVE, "--")


def _mark(node: Node) -> str:
    return {1: "+", -1: "\N{MINUS SIGN}", 0: ""}[int(np.sign(node.bias))]


def _draw_node(axes: Axes, node: Node) -> None:
    corner = (node.x - node.width / 2, node.y - BOX_HEIGHT / 2)
    axes.add_patch(
        FancyBboxPatch(
            corner,
            node.width,
            BOX_HEIGHT,
            boxstyle=f"round,pad=0,rounding_size={4 if node.is_input else 12}",
            facecolor="#f1f3f6" if node.is_input else "white",
            edgecolor="#555",
            zorder=3,
        )
    )
    style = {"va": "center", "zorder": 4, "parse_math": False}
    axes.text(node.x, node.y, node.text, ha="center", fontsize=9, **style)
    left = node.x - node.width / 2 + 9
    axes.text(left, node.y, _mark(node), ha="center", fontsize=9, **style)


def _edge_to_svg(diagram: Diagram, edge: Edge) -> Markup:
    (x1, x2), (y1, y2) = _ends(diagram, edge)
    source, target = diagram.nodes[edge.source], diagram.nodes[edge.target]
    title = f"{source.text} to {target.text}: {edge.weight:.4g}"
    return tag(
        "line",
        tag("title", title),
        class_="positive" if edge.weight > 0 else "negative",
        stroke_width=_thickness(diagram, edge),
        **{"x1": x1, "x2": x2, "y1": y1, "y2": y2},
    )


def _node_to_svg(node: Node) -> Markup:
    left, top = node.x - node.width / 2, node.y - BOX_HEIGHT / 2
    title = f"{node.text}, bias {node.bias:.4g}" if node.bias else node.text
    box = tag(
        "rect",
        x=left,
        y=top,
        width=node.width,
        height=BOX_HEIGHT,
        rx=4 if node.is_input else 12,
    )
    text = tag("text", node.text, x=node.x, y=node.y + 4, text_anchor="middle")
    mark = tag("text", _mark(node), x=left + 6, y=node.y + 4) if node.bias else ""
    kind = "input" if node.is_input else "neuron"
    return tag("g", tag("title", title), box, text, mark, class_=kind)


def _describe(model: Model, diagram: Diagram) -> str:
    num_inputs = sum(node.is_input for node in diagram.nodes.values())
    return (
        f"Graph of the network: {num_inputs} inputs, "
        f"{len(make_graph(model).neurons)} neurons, {len(diagram.edges)} connections"
    )
