"""Formulas: SymPy and LaTeX read them, and they are as short as the error allows."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from export_cases import constant, make_frame, make_model, reference
from matplotlib.mathtext import MathTextParser
from network_cases import NUMPY_FNS

from swajax.data import columns
from swajax.data.problem import Problem
from swajax.export import formula, formula_text
from swajax.model.fitted import to_probabilities

sympy = pytest.importorskip("sympy")


LINE_END = " \\\\"


@pytest.fixture(scope="module")
def frame():
    return make_frame()


def _part(model, frame):
    """Rows whose targets are near what the model says."""
    out, noise = reference(model, frame), np.random.default_rng(2)
    scaling = model.scaling
    if scaling.classes:
        p = to_probabilities(out)
        codes = [noise.choice(len(row), p=row / row.sum()) for row in p]
        y = np.eye(len(scaling.classes))[codes][:, -out.shape[1] :]
    else:
        y = (out - scaling.target_offset) / scaling.target_scale
        y = y + 0.1 * noise.normal(size=y.shape)
    weight = np.ones(len(frame), np.float32)
    return Problem(model.encode(frame), y.astype(np.float32), weight)


def _cells(made, frame):
    """The symbols' values, from the frame as their descriptions say."""
    cells = {}
    for name, symbol in made.symbols.items():
        column = frame[symbol.column.name]
        if symbol.category is None:
            cells[name] = column.fillna(symbol.column.fill).to_numpy()
        else:
            cells[name] = (columns.to_text(column) == symbol.category).astype(float)
    return cells


def _evaluate(expression, cells):
    symbols = sorted(expression.free_symbols, key=str)
    fn = sympy.lambdify(symbols, expression, "numpy")
    return fn(*(cells[str(symbol)] for symbol in symbols))


@pytest.mark.parametrize(("depth", "num_classes"), [(1, 0), (2, 2), (3, 3)])
def test_exact_formulas_are_the_model(draw_network, frame, depth, num_classes):
    model = make_model(draw_network, depth=depth, num_classes=num_classes)
    made = formula.make_formula(model)
    outputs, cells = formula_text.to_sympy(made), _cells(made, frame)
    want = reference(model, frame)
    assert len(outputs) == want.shape[1]
    for column, expression in zip(want.T, outputs.values(), strict=True):
        got = _evaluate(expression, cells)
        atol = 1e-5 * model.scaling.target_scale
        np.testing.assert_allclose(got, column, rtol=0, atol=atol)


@pytest.mark.parametrize(("depth", "num_classes"), [(1, 0), (2, 2), (3, 3)])
def test_short_formulas_keep_the_error(draw_network, frame, depth, num_classes):
    model = make_model(draw_network, depth=depth, num_classes=num_classes)
    part, made = _part(model, frame), formula.make_formula(model)
    short = formula.shorten(model, made, part)
    assert abs(short.change) <= 0.01
    assert 1 <= short.digits.min() and short.digits.max() <= 6
    cells = _cells(made, frame)
    expressions = formula_text.to_sympy(short.formula).values()
    out = np.stack([_evaluate(e, cells) for e in expressions], axis=1)
    before, after = _loss(model, reference(model, frame), part), _loss(model, out, part)
    np.testing.assert_allclose(after / before - 1, short.change, atol=1e-4)


def _loss(model, out, part):
    """Root mean squared error, or log loss."""
    if not model.scaling.classes:
        truth = part.y * model.scaling.target_scale + model.scaling.target_offset
        return np.sqrt(np.mean(np.square(out - truth)))
    y = part.y if part.y.shape[1] > 1 else np.hstack([1 - part.y, part.y])
    return -np.log((to_probabilities(out) * y).sum(axis=1)).mean()


def test_no_more_digits_than_needed(draw_network, frame):
    model = constant(make_model(draw_network, depth=1))
    part, made = _part(model, frame), formula.make_formula(model)
    assert made.outputs[0].bias == -937.5  # 0.25 * 250 - 1000
    # The error is 25: 900 would make it 45, 940 makes it 25.1.
    short = formula.shorten(model, made, part)
    assert short.digits.tolist() == [2]
    assert short.formula.outputs[0].bias == -940
    assert formula.round_to(made, 1).formula.outputs[0].bias == -900


def test_an_error_of_zero_may_change_a_little(draw_network, frame):
    model = constant(make_model(draw_network, depth=1))
    part, made = _part(model, frame), formula.make_formula(model)
    bias = model.network.readout_bias  # what the model says is the truth
    part = part._replace(y=np.broadcast_to(bias, part.y.shape).astype(part.y.dtype))
    short = formula.shorten(model, made, part)
    assert abs(short.change) <= 0.01
    assert abs(short.formula.outputs[0].bias + 937.5) <= 0.01


def test_text_is_what_sympy_reads(draw_network, frame):
    model = make_model(draw_network, depth=3)
    made = formula.make_formula(model)
    text = formula_text.to_text(model, formula.round_to(made, 5))
    assert text.isascii()
    line = text.partition("SymPy:\n")[2].partition("\n")[0]
    name, _, right = line.partition(" = ")
    assert name == made.outputs[0].name
    symbols = {name: sympy.Symbol(name, real=True) for name in made.symbols}
    expression = sympy.sympify(right, locals=symbols)
    got = _evaluate(expression, _cells(made, frame))
    want = reference(model, frame)[:, 0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-3 * 250)
    assert "5 significant digits" in text


def test_steps_say_the_same(draw_network, frame):
    model = make_model(draw_network, depth=2, num_classes=3)
    made = formula.make_formula(model)
    text = formula_text.to_text(model, formula.round_to(made, 17))
    steps = re.sub(r"\n +", " ", text).split("\n\n")[1].splitlines()
    values = _cells(made, frame)
    values |= {"sigmoid": lambda u: 1 / (1 + np.exp(-u)), "tanh": np.tanh}
    values |= {"leaky_relu": lambda u: np.maximum(u, 0.1 * u), "exp": np.exp}
    values |= {name: NUMPY_FNS[name] for name in ("sin", "gelu")}
    for step in steps:
        if step.startswith("probability"):
            break
        name, _, right = step.partition(" = ")
        values[name] = eval(right, {"__builtins__": {}}, values)  # noqa: S307
    got = np.stack([values[output.name] for output in made.outputs], axis=1)
    np.testing.assert_allclose(got, reference(model, frame), rtol=0, atol=1e-5)


@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_latex_is_read(draw_network, num_classes):
    model = make_model(draw_network, depth=3, num_classes=num_classes)
    latex = formula_text.to_latex(formula.make_formula(model))
    assert latex.startswith("\\begin{align*}\n")
    assert latex.endswith("\n\\end{align*}\n")
    assert latex.count("align*") == 2
    parser = MathTextParser("path")
    for row in latex.splitlines()[1:-1]:
        parser.parse(f"${row.removesuffix(LINE_END).replace('&', '')}$")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no TeX")
@pytest.mark.parametrize("num_classes", [0, 3])
def test_latex_is_set_within_the_page(draw_network, tmp_path, num_classes):
    model = make_model(draw_network, depth=3, num_classes=num_classes)
    latex = formula_text.to_latex(formula.round_to(formula.make_formula(model), 5)[0])
    text = rf"\documentclass{{article}}\usepackage{{amsmath}}\begin{{document}}{latex}"
    (tmp_path / "net.tex").write_text(text + r"\end{document}", encoding="ascii")
    line = ["pdflatex", "-halt-on-error", "-no-shell-escape", "net.tex"]
    done = subprocess.run(
        line, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout, done.stdout


def test_latex_says_what_the_steps_say(draw_network):
    """2 - 3 tanh(1 + 0.5 x1 - 1e-9 x2) of 250 and -1000; x1 is half a cell less 1."""
    model = constant(make_model(draw_network, depth=1))
    network = model.network
    network.first[[0, 2], 1], network.bias[0, 1] = (0.5, -2.5e-8), 1.0
    network.readout[1], network.readout_bias[0] = -3.0, 2.0
    network.mask[0, 1] = 1.0
    network.activation[:, :] = np.eye(len(model.activations))[1]
    made = formula.round_to(formula.make_formula(model), 5).formula
    lines = formula_text.to_latex(made).splitlines()
    names = (r"\mathrm{error\_x}", r"\mathrm{Groe\_x\_s\_0\_end\_align}")
    assert lines[1].startswith(rf"h_{{1}} &= \tanh(0.5 + 0.25\,{names[0]}")
    assert rf"- 1.0 \cdot 10^{{-9}}\,{names[1]})" in " ".join(lines[1:3])
    assert lines[-2].endswith(r" &= -500.0 - 750.0\,h_{1}")


def test_steep_neurons_do_not_overflow(draw_network, frame):
    model = make_model(draw_network, depth=1)
    steep = model.network._replace(first=model.network.first * 1e4)
    model = model._replace(network=steep)
    made = formula.make_formula(model)
    (expression,) = formula_text.to_sympy(made).values()
    got = _evaluate(expression, _cells(made, frame))
    np.testing.assert_allclose(got, model.predict(frame), rtol=1e-3)


def test_linear_steps_that_one_other_reads_are_part_of_it(draw_network):
    """2 - 3 (1 + 0.5 x1) of 250 and -1000, x1 being half a cell less 1."""
    model = constant(make_model(draw_network, depth=1))
    network = model.network
    network.first[0, 1], network.bias[0, 1] = 0.5, 1.0
    network.readout[1], network.readout_bias[0] = -3.0, 2.0
    network.mask[0, 1] = 1.0
    network.activation[:, :] = np.eye(len(model.activations))[3]
    (step,) = formula.make_formula(model).steps
    assert step.terms == (("error_x", -187.5),)
    assert step.bias == -875.0
