"""Formulas as text: steps, SymPy and LaTeX, with definitions of the names."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import sympy

from swajax.export.agreement import (
    Agreement,
    Exported,
    Options,
    Rows,
    check,
    compare,
    to_answers,
)
from swajax.export.formula import (
    Formula,
    Symbol,
    evaluate,
    make_formula,
    read_cells,
)
from swajax.export.formula_rounding import (
    MAX_CHANGE,
    MAX_DIGITS,
    Rounded,
    round_to,
    shorten,
)
from swajax.export.text import to_note, wrap, wrap_sum
from swajax.model.fitted import Model
from swajax.model.graph import Neuron, format_sum
from swajax.network.activations import GELU_CUBIC, GELU_SCALE, LEAKY_SLOPE

LATEX_WIDTH = 64  # characters per line of a page


class Notation(NamedTuple):
    """An activation in the notations of the text."""

    sympy_fn: Callable[[sympy.Expr], sympy.Expr]
    text: str
    latex: str
    definition: str = ""
    """definition of a function without a common name"""
    latex_definition: str = ""


ACTIVATIONS = {
    "sigmoid": Notation(
        # Equals 1 / (1 + exp(-u)), which SymPy rewrites as products that overflow.
        lambda u: (1 + sympy.tanh(u / 2)) / 2,
        "sigmoid({})",
        r"\sigma({})",
        "sigmoid(u) = 1/(1 + exp(-u))",
        r"\sigma(u) &= \frac{1}{1 + e^{-u}}",
    ),
    "tanh": Notation(sympy.tanh, "tanh({})", r"\tanh({})"),
    "leaky_relu": Notation(
        lambda u: sympy.Max(u, sympy.Float(LEAKY_SLOPE) * u),
        "leaky_relu({})",
        r"\ell({})",
        f"leaky_relu(u) = Max(u, {LEAKY_SLOPE}*u)",
        rf"\ell(u) &= \max(u, {LEAKY_SLOPE}\,u)",
    ),
    "linear": Notation(lambda u: u, "{}", "{}"),
    "sin": Notation(sympy.sin, "sin({})", r"\sin({})"),
    "square": Notation(lambda u: u**2, "({})**2", "({})^2"),
    "gelu": Notation(
        lambda u: u * (1 + sympy.tanh(GELU_SCALE * (u + GELU_CUBIC * u**3))) / 2,
        "gelu({})",
        r"\mathrm{{gelu}}({})",
        f"gelu(u) = u/2*(1 + tanh(sqrt(2/pi)*(u + {GELU_CUBIC}*u**3)))",
        r"\mathrm{gelu}(u) &= \frac{u}{2}\,(1 + \tanh(\sqrt{2/\pi}\,"
        rf"(u + {GELU_CUBIC}\,u^3)))",
    ),
    "relu": Notation(lambda u: sympy.Max(u, 0), "Max({}, 0)", r"\max({}, 0)"),
}


def to_sympy(formula: Formula) -> dict[str, sympy.Expr]:
    """Return one expression in real symbols per output."""
    values = {name: sympy.Symbol(name, real=True) for name in formula.symbols}
    for step in formula.steps:
        sympy_fn = ACTIVATIONS[step.activation].sympy_fn
        values[step.name] = sympy_fn(_to_sum(step, values))
    return {step.name: values[step.name] for step in formula.outputs}


def to_latex(formula: Formula) -> str:
    """Return the steps as lines of an `align*` environment (amsmath).

    Long sums take several lines, because TeX does not break equations.
    """
    # The longest left side of an equation narrows all lines.
    width = max(24, LATEX_WIDTH - max(len(step.name) for step in formula.steps))
    rows = [
        f"{_latex_name(step.name)} &= "
        + ACTIVATIONS[step.activation].latex.format(_to_latex_sum(step, width))
        for step in formula.steps
    ]
    rows += [entry.latex_definition for entry in _defined(formula)]
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}\n"


def export(model: Model, rows: Rows, options: Options) -> Exported:
    """Export a formula as text, with its constants rounded.

    Raises:
      ValueError: the formula does not agree with `Model.predict` before rounding.
    """
    exact = make_formula(model)
    check(compare_formula(model, exact, rows), "A formula in float64")
    rounded = _round(model, exact, rows, options.digits)
    agreement = compare_formula(model, rounded.formula, rows)
    text = to_text(model, rounded, agreement)
    return Exported(text.encode("ascii"), agreement)


def _round(model: Model, exact: Formula, rows: Rows, digits: int | None) -> Rounded:
    """Round to some digits; by default the fewest that the validation error allows.

    Without validation rows, the fewest that change no answer by more than `MAX_CHANGE`
    standard deviations, or in probability.
    """
    if digits is not None:
        return round_to(exact, digits)
    if rows.valid is not None:
        return shorten(model, exact, rows.valid)
    for number in range(1, MAX_DIGITS):
        rounded = round_to(exact, number)
        agreement = compare_formula(model, rounded.formula, rows)
        if agreement.largest <= MAX_CHANGE * agreement.spread:
            return rounded
    return round_to(exact, MAX_DIGITS)


def to_text(model: Model, rounded: Rounded, agreement: Agreement | None = None) -> str:
    """Return steps, definitions of names, SymPy expressions and LaTeX, in ASCII."""
    formula = rounded.formula
    parts = [
        to_steps(model, rounded, agreement),
        f"SymPy:\n{to_expressions(formula)}",
        f"LaTeX:\n{to_latex(formula)}",
    ]
    return "\n\n".join(parts)


def to_expressions(formula: Formula) -> str:
    """Return one SymPy expression per output, one per line."""
    return "\n".join(
        f"{name} = {sympy.sstr(expression, full_prec=False)}"
        for name, expression in to_sympy(formula).items()
    )


def to_steps(model: Model, rounded: Rounded, agreement: Agreement | None = None) -> str:
    """Return the steps of the computation and definitions of the names, in ASCII."""
    formula = rounded.formula
    steps = [line for step in formula.steps for line in _format_step(step)]
    meanings = [_describe(name, symbol) for name, symbol in formula.symbols.items()]
    meanings += [entry.definition for entry in _defined(formula)]
    parts = [
        _title(model, rounded, agreement),
        "\n".join([*steps, *_describe_classes(model, formula)]),
        "\n".join(["where", *(f"  {text}" for text in meanings)]) if meanings else "",
    ]
    return "\n\n".join(filter(None, parts))


def compare_formula(model: Model, formula: Formula, rows: Rows) -> Agreement:
    """Compare a formula, evaluated in float64, with `Model.predict`."""
    with np.errstate(all="ignore"):
        cells = read_cells(formula, rows.frame)
        outputs = evaluate(formula, cells, len(rows.frame))
    return compare(model, rows, to_answers(model, outputs))


def _defined(formula: Formula) -> list[Notation]:
    """Return the activations of a formula that need a definition."""
    kinds = {step.activation for step in formula.steps}
    entries = [entry for name, entry in ACTIVATIONS.items() if name in kinds]
    return [entry for entry in entries if entry.definition]


def _to_sum(step: Neuron, values: Mapping[str, sympy.Expr]) -> sympy.Expr:
    # From text, SymPy keeps all digits that are written, and at least 15.
    terms = [sympy.Float(repr(weight)) * values[name] for name, weight in step.terms]
    return sympy.Add(*([sympy.Float(repr(step.bias))] if step.bias else []), *terms)


def _to_latex_sum(step: Neuron, width: int) -> str:
    """Return the sum, with line breaks of `align*` after `width` characters."""
    text, left = "", width
    for name, number in [("", step.bias), *step.terms]:
        if number or not step.terms:
            size = sympy.latex(sympy.Float(repr(abs(number))))
            term = f"{size}\\,{_latex_name(name)}" if name else size
            length = len(f"{abs(number)!r}{name}") + 3
            if text and length > left:
                text, left = f"{text} \\\\\n&\\quad", width
            sign = "-" if number < 0 else "+"
            first = term if number >= 0 else f"-{term}"
            text = f"{text} {sign} {term}" if text else first
            left -= length
    return text


def _format_step(step: Neuron) -> list[str]:
    text = ACTIVATIONS[step.activation].text.format(format_sum(step, repr))
    return wrap_sum(f"{step.name} = {text}", more="    ")


def _latex_name(name: str) -> str:
    """Return a name in LaTeX; identifiers hold only letters, digits and _."""
    if re.fullmatch(r"h\d+", name):
        return f"h_{{{name[1:]}}}"
    return f"\\mathrm{{{name}}}".replace("_", r"\_")


def _describe(name: str, symbol: Symbol) -> str:
    column = to_note(symbol.column.name)
    if symbol.category is None:
        return f"{name} = column {column}, {symbol.column.fill:.9g} where missing"
    return f"{name} = 1 where column {column} is {to_note(symbol.category)}, else 0"


def _describe_classes(model: Model, formula: Formula) -> list[str]:
    classes = [to_note(name) for name in model.scaling.classes]
    if not classes:
        return []
    if len(classes) == 2:
        (name,) = (step.name for step in formula.outputs)
        return [
            f"probability of {classes[1]} = 1/(1 + exp(-{name})), else {classes[0]}"
        ]
    pairs = zip(formula.outputs, classes, strict=True)
    lines = [f"probability of {text} = exp({s.name})/total" for s, text in pairs]
    return [*lines, f"total = {' + '.join(f'exp({s.name})' for s in formula.outputs)}"]


def _title(model: Model, rounded: Rounded, agreement: Agreement | None) -> str:
    low, high = rounded.digits.min(), rounded.digits.max()
    digits = f"{high}" if low == high else f"{low} to {high}"
    noun = "digit" if high == 1 else "digits"
    text = f"Constants have {digits} significant {noun}"
    if rounded.change is not None:
        text += f"; rounding changes the validation error by {rounded.change:+.1%}"
    lines = [
        f"{to_note(model.target)} with {model.num_weights} weights, found by swajax.",
        f"{text}.",
    ]
    if agreement is not None:
        lines += wrap(f"Accuracy: {agreement.describe()}.")
    return "\n".join(lines)
