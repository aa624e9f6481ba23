"""Every format writes every activation: one network has a neuron of each."""

import shutil
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest
from export_cases import constant, make_frame, make_model, reference

from swajax.export import c99, c99_templates, numpy_source
from swajax.export.jax_function import read_cells, to_jax
from swajax.model.graph import make_graph
from swajax.types import ACTIVATIONS

MAIN = """
#include <stdio.h>
#include "net.h"

int main(void)
{
    float number[1];
    while (fread(number, sizeof number, 1, stdin) == 1) {
        const float y = net_predict(number);
        fwrite(&y, sizeof y, 1, stdout);
    }
    return 0;
}
"""


@pytest.fixture
def model(draw_network):
    """Five neurons that read one number, two that read these, all different."""
    model = constant(make_model(draw_network, depth=2))
    network, eye = model.network, np.eye(len(ACTIVATIONS))
    network.first[0] = [0.5, -1.0, 1.5, 0.7, 2.0]
    network.bias[0] = [0.1, 0.2, -0.3, 0.4, -0.5]
    network.hidden[0, :, :2] = np.linspace(-0.4, 0.5, 10).reshape(5, 2)
    network.readout[:2, 0] = [0.3, -0.6]
    network.mask[0], network.mask[1, :2] = 1.0, 1.0
    network.activation[0], network.activation[1, :2] = eye[:5], eye[5:]
    used = {neuron.activation for neuron in make_graph(model).neurons}
    assert used == set(ACTIVATIONS)
    return model


@pytest.fixture(scope="module")
def frame():
    return make_frame(100)


def check(out, model, frame):
    wanted = reference(model, frame)
    assert np.ptp(wanted) > 0.05 * model.scaling.target_scale
    tolerance = 1e-5 * model.scaling.target_scale
    np.testing.assert_allclose(np.reshape(out, (-1, 1)), wanted, rtol=0, atol=tolerance)


def test_tables_have_all_names():
    assert tuple(c99_templates.ACTIVATIONS) == ACTIVATIONS
    assert tuple(numpy_source.ACTIVATIONS) == ACTIVATIONS


def test_predictions(model, frame):
    check(model.predict(frame), model, frame)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_c(model, frame, tmp_path):
    (tmp_path / "net.h").write_text(c99.to_source(model, "net"), encoding="ascii")
    (tmp_path / "main.c").write_text(MAIN, encoding="ascii")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wdouble-promotion", "-O1"]
    files = [str(tmp_path / "main.c"), "-lm", "-o", str(tmp_path / "main")]
    command = ["gcc", *flags, *files]
    subprocess.run(command, check=True)
    cells = read_cells(model, frame)[0].astype(np.float32).tobytes()
    done = subprocess.run(
        [str(tmp_path / "main")], input=cells, capture_output=True, check=True
    )
    check(np.frombuffer(done.stdout, np.float32), model, frame)


def test_numpy(model, frame):
    names = {}
    exec(numpy_source.to_source(model), names)  # noqa: S102
    check(names["predict"](frame), model, frame)


def test_jax(model, frame):
    function = to_jax(model)
    numbers = jnp.asarray(read_cells(model, frame)[0])
    check(function.apply(function.params, numbers), model, frame)


def test_onnx(model, frame):
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("swajax.export.onnx")
    assert tuple(onnx.ACTIVATIONS) == ACTIVATIONS
    session = onnxruntime.InferenceSession(
        onnx.to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    cells = {"numbers": read_cells(model, frame)[0].astype(np.float32)}
    check(session.run(["prediction"], cells)[0], model, frame)


def test_formula(model, frame):
    sympy = pytest.importorskip("sympy")
    formula = pytest.importorskip("swajax.export.formula")
    text = pytest.importorskip("swajax.export.formula_text")
    assert tuple(text.ACTIVATIONS) == ACTIVATIONS
    made = formula.make_formula(model)
    ((name, symbol),) = made.symbols.items()
    cells = read_cells(model, frame)[0][:, 0]
    cells = np.where(np.isnan(cells), symbol.column.fill, cells)
    (expression,) = text.to_sympy(made).values()
    numbers = sympy.lambdify(sympy.Symbol(name, real=True), expression, "numpy")(cells)
    check(numbers, model, frame)
    latex = text.to_latex(made)
    assert r"\sin(" in latex and ")^2" in latex and r"\frac{u}{2}" in latex
