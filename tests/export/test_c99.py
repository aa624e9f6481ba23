"""C headers: they compile without a warning and compute what JAX does."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from export_cases import (
    CLASSES,
    COLUMNS,
    constant,
    make_frame,
    make_model,
    reference,
)

from swajax.export import c99
from swajax.export.jax_function import read_cells
from swajax.model.fitted import to_probabilities
from swajax.model.graph import make_graph

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
FLAGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wdouble-promotion"]
MAIN = """
#include <stdio.h>
#include "net.h"

int main(void)
{
    float number[40];
    int category[40];
    while (fread(number, sizeof number, 1, stdin) == 1 &&
           fread(category, sizeof category, 1, stdin) == 1) {
        const float *n = number; const int *c = category;
        (void)n; (void)c;
        CODE
    }
    return 0;
}
"""
REGRESSION = "float y = net_predict(ARGS); fwrite(&y, sizeof y, 1, stdout);"
CLASSIFICATION = """
        float p[4];
        int k = net_predict(ARGS);
        net_probabilities(ARGS, p);
        fwrite(p, sizeof p[0], NUM, stdout);
        printf("%s", net_label(k));
        putchar(0);
"""


@pytest.fixture(scope="module")
def frame():
    return make_frame()


def _run(model, frame, folder):
    """What the compiled header gives for all rows."""
    graph, num = make_graph(model), len(model.scaling.classes)
    args = (
        ", ".join(["n"] * bool(graph.numbers) + ["c"] * bool(graph.categories)) or "n"
    )
    code = (CLASSIFICATION if num else REGRESSION).replace("ARGS", args)
    (folder / "net.h").write_text(c99.to_source(model, "net"), encoding="ascii")
    main = MAIN.replace("CODE", code.replace("NUM", str(num)))
    (folder / "main.c").write_text(main, encoding="ascii")
    command = ["gcc", *FLAGS, "-O1", str(folder / "main.c"), "-lm"]
    subprocess.run([*command, "-o", str(folder / "main")], check=True)
    numbers, codes = read_cells(model, frame)
    rows = np.zeros(len(frame), [("number", "f4", 40), ("category", "i4", 40)])
    rows["number"][:, : numbers.shape[1]] = numbers
    rows["category"][:, : codes.shape[1]] = codes
    return subprocess.run(
        [str(folder / "main")], input=rows.tobytes(), capture_output=True, check=True
    ).stdout


@needs_gcc
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_numbers_are_those_of_jax(draw_network, frame, tmp_path, depth):
    model = make_model(draw_network, depth=depth)
    got = np.frombuffer(_run(model, frame, tmp_path), np.float32)
    want = reference(model, frame)[:, 0]
    assert np.ptp(want) > 0.1 * model.scaling.target_scale
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * 250)


@needs_gcc
@pytest.mark.parametrize(("num_classes", "depth"), [(2, 1), (2, 3), (3, 2), (4, 3)])
def test_classes_are_those_of_jax(draw_network, frame, tmp_path, num_classes, depth):
    model = make_model(draw_network, depth=depth, num_classes=num_classes)
    out = _run(model, frame, tmp_path)
    want = to_probabilities(reference(model, frame))
    for row in want:
        size = 4 * num_classes
        np.testing.assert_allclose(np.frombuffer(out[:size], "f4"), row, atol=1e-5)
        label, _, out = out[size:].partition(b"\0")
        close = np.flatnonzero(row > row.max() - 1e-5)
        assert label.decode() in [CLASSES[i] for i in close]
    assert not out


@needs_gcc
@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_a_network_that_reads_nothing(draw_network, frame, tmp_path, num_classes):
    model = constant(make_model(draw_network, depth=2, num_classes=num_classes))
    out = _run(model, frame[:2], tmp_path)
    if not num_classes:
        assert np.frombuffer(out, "f4").tolist() == [0.25 * 250 - 1000] * 2
    else:
        want = to_probabilities(reference(model, frame[:1]))[0]
        np.testing.assert_allclose(np.frombuffer(out[: 4 * num_classes], "f4"), want)


@needs_gcc
@pytest.mark.parametrize("num_classes", [2, 3])
def test_sure_classes_have_probabilities(draw_network, frame, tmp_path, num_classes):
    model = make_model(draw_network, depth=1, num_classes=num_classes)
    sure = model.network._replace(readout_bias=model.network.readout_bias + 1e4)
    sure.readout_bias[0] -= 2e4
    out = _run(model._replace(network=sure), frame[:1], tmp_path)
    probabilities = np.frombuffer(out[: 4 * num_classes], "f4")
    assert probabilities[0] in (0, 1) and probabilities.sum() == 1


@needs_gcc
@pytest.mark.parametrize("is_constant", [False, True])
@pytest.mark.parametrize("num_classes", [0, 2, 4])
def test_the_example_in_the_header_runs(
    draw_network, tmp_path, num_classes, is_constant
):
    model = make_model(draw_network, depth=2, num_classes=num_classes)
    model = constant(model) if is_constant else model
    source = c99.to_source(model, "net*/")
    (tmp_path / "net*").mkdir()
    (tmp_path / "net*" / ".h").write_text(source, encoding="ascii")
    example = source.partition("For example:")[2].partition("Link with")[0]
    show = "puts(label);" if num_classes else 'printf("%.9g\\n", (double)prediction);'
    include, _, code = example.partition('.h"')
    assert include.strip() == '#include "net\\052/'
    main = f'#include <stdio.h>\n#include "net*/.h"\nint main(void) {{{code}{show}'
    (tmp_path / "main.c").write_text(main + "return 0; }", encoding="ascii")
    line = ["gcc", *FLAGS, str(tmp_path / "main.c"), "-o", str(tmp_path / "main")]
    subprocess.run([*line, "-lm"], check=True)
    out = subprocess.run([str(tmp_path / "main")], capture_output=True, check=True)
    row = {
        c.name: [c.fill if c.kind == "numeric" else c.categories[0]] for c in COLUMNS
    }
    (want,) = model.predict(pd.DataFrame(row))
    if num_classes:
        assert out.stdout.decode() == f"{want}\n"
    else:
        np.testing.assert_allclose(float(out.stdout), want, atol=1e-5 * 250)


def test_names_stay_apart_in_files_with_long_names(draw_network):
    source = c99.to_source(make_model(draw_network, depth=2), "n" * 60)
    assert f"{'N' * 40}_NUMBER_ERROR_X" in source
    assert f"{'N' * 40}_CATEGORY_LAMBDA" in source


def test_only_terms_that_are_there_are_written(draw_network):
    model = make_model(draw_network, depth=3)
    source = c99.to_source(model, "net")
    body = source[source.index("net_predict") :]
    lines = " ".join(body.split()).split(";")
    sums = [line for line in lines if re.search(r"const float h|return", line)]
    weights = sum(len(re.findall(r"\* [xh]\d", line)) for line in sums)
    graph = make_graph(model)
    neurons = (*graph.neurons, *graph.outputs)
    assert weights == sum(len(neuron.terms) for neuron in neurons)
    assert weights + sum(neuron.bias != 0 for neuron in neurons) == model.num_weights
    assert "malloc" not in source and "double" not in source


@pytest.mark.parametrize("number", [0.1, 1 / 3, 1e-30, -123456.789, 16777216.0, 5e-324])
def test_constants_read_back_as_the_same_float32(number):
    text = c99.to_literal(number)
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?f", text)
    assert re.search(r"[.e]", text)
    assert np.float32(text[:-1]) == np.float32(number)


def test_numbers_beyond_float32_are_refused(draw_network):
    model = make_model(draw_network, depth=1)
    model.network.readout_bias[0] = 1e39
    with pytest.raises(ValueError, match="1e\\+39 is beyond float32"):
        c99.to_source(model, "net")


@needs_gcc
def test_a_source_that_does_not_compile_has_no_size():
    assert c99.measure_size("int main(void) { return }") is None


@needs_gcc
def test_a_category_cannot_be_the_include_guard(draw_network):
    model = make_model(draw_network, depth=1)
    first, second, *others = model.scaling.encoder.columns
    second = second._replace(name="h", categories=("included", second.categories[1]))
    encoder = model.scaling.encoder._replace(columns=(first, second, *others))
    scaling = model.scaling._replace(encoder=encoder)
    source = c99.to_source(model._replace(scaling=scaling), "net")
    assert "NET_H_INCLUDED_2" in source
    assert c99.measure_size(source) is not None


@needs_gcc
def test_the_size_is_that_of_the_code(draw_network):
    small = c99.to_source(constant(make_model(draw_network, depth=1)), "net")
    large = c99.to_source(make_model(draw_network, depth=3), "net")
    assert 0 < c99.measure_size(small) < c99.measure_size(large) < 10_000
