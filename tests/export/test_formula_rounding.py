"""Formulas as short as the validation error allows."""

import numpy as np
import pytest

pytest.importorskip("sympy")

from swajax.data.problem import Problem
from swajax.export.formula import decode_cells, evaluate, make_formula
from swajax.export.formula_rounding import round_to, shorten
from swajax.model.fitted import to_probabilities


def make_part(model, frame):
    """Return rows whose targets are near the predictions."""
    out, noise = model.outputs(model.encode(frame)), np.random.default_rng(2)
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


@pytest.mark.parametrize("kind", ["number", "two classes", "three classes"])
def test_short_formulas_keep_the_error(models, frame, kind):
    model = models[kind]
    part, made = make_part(model, frame), make_formula(model)
    short = shorten(model, made, part)
    assert abs(short.change) <= 0.01
    assert 1 <= short.digits.min() and short.digits.max() <= 6
    cells = decode_cells(made, part.x)
    out = evaluate(short.formula, cells, len(frame))
    before, after = (_loss(model, o, part) for o in (model.outputs(part.x), out))
    np.testing.assert_allclose(after / before - 1, short.change, atol=1e-4)


def _loss(model, out, part):
    """Root mean squared error, or log loss."""
    if not model.scaling.classes:
        truth = part.y * model.scaling.target_scale + model.scaling.target_offset
        return np.sqrt(np.mean(np.square(out - truth)))
    y = part.y if part.y.shape[1] > 1 else np.hstack([1 - part.y, part.y])
    return -np.log((to_probabilities(out) * y).sum(axis=1)).mean()


def test_no_more_digits_than_needed(models, frame):
    model = models["constant number"]
    part, made = make_part(model, frame), make_formula(model)
    assert made.outputs[0].bias == -937.5  # 0.25 * 250 - 1000
    # The error is 25: 900 would make it 45, 940 makes it 25.1.
    short = shorten(model, made, part)
    assert short.digits.tolist() == [2]
    assert short.formula.outputs[0].bias == -940
    assert round_to(made, 1).formula.outputs[0].bias == -900


def test_an_error_of_zero_may_change_a_little(models, frame):
    model = models["constant number"]
    part, made = make_part(model, frame), make_formula(model)
    bias = model.network.readout_bias  # the predictions of the model are the targets
    part = part._replace(y=np.broadcast_to(bias, part.y.shape).astype(part.y.dtype))
    short = shorten(model, made, part)
    assert abs(short.change) <= 0.01
    assert abs(short.formula.outputs[0].bias + 937.5) <= 0.01
