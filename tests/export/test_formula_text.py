"""Formulas as text that SymPy and LaTeX can read."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from export_cases import constant, make_model
from matplotlib.mathtext import MathTextParser
from network_cases import NUMPY_FNS

pytest.importorskip("sympy")

from export_runners import evaluate, read_symbols

from swajax.export import formula, formula_text
from swajax.export.formula_rounding import round_to

LINE_END = " \\\\"


def test_steps_say_the_same(models, frame):
    model = models["four classes"]
    made = formula.make_formula(model)
    text = formula_text.to_text(model, round_to(made, 17))
    steps = re.sub(r"\n +", " ", text).split("\n\n")[1].splitlines()
    values = read_symbols(made, frame)
    values |= {"sigmoid": lambda u: 1 / (1 + np.exp(-u)), "tanh": np.tanh}
    values |= {"leaky_relu": lambda u: np.maximum(u, 0.1 * u), "exp": np.exp}
    values |= {name: NUMPY_FNS[name] for name in ("sin", "gelu")}
    for step in steps:
        if step.startswith("probability"):
            break
        name, _, right = step.partition(" = ")
        values[name] = eval(right, {"__builtins__": {}}, values)  # noqa: S307
    got = np.stack([values[output.name] for output in made.outputs], axis=1)
    np.testing.assert_allclose(
        got, model.outputs(model.encode(frame)), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    "kind", ["every activation", "number", "two classes", "four classes"]
)
def test_latex_is_read(models, kind):
    model = models[kind]
    latex = formula_text.to_latex(formula.make_formula(model))
    assert latex.startswith("\\begin{align*}\n")
    assert latex.endswith("\n\\end{align*}\n")
    assert latex.count("align*") == 2
    parser = MathTextParser("path")
    for row in latex.splitlines()[1:-1]:
        parser.parse(f"${row.removesuffix(LINE_END).replace('&', '')}$")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no TeX")
@pytest.mark.parametrize("kind", ["number", "four classes"])
def test_latex_is_set_within_the_page(models, tmp_path, kind):
    model = models[kind]
    latex = formula_text.to_latex(round_to(formula.make_formula(model), 5)[0])
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
    made = round_to(formula.make_formula(model), 5).formula
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
    got = evaluate(expression, read_symbols(made, frame), len(frame))
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
