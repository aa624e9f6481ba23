"""Properties that only C headers have."""

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from export_cases import (
    COLUMNS,
    HARD,
    Scales,
    make_model,
    make_scaled,
)
from export_runners import FLAGS, run_c

from swajax.export import c99
from swajax.export.c99_size import measure_size
from swajax.model.graph import make_graph

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@needs_gcc
@pytest.mark.parametrize("kind", ["two classes", "three classes"])
def test_sure_classes_have_probabilities(models, frame, tmp_path, kind):
    network = models[kind].network
    sure = network._replace(readout_bias=network.readout_bias + 1e4)
    sure.readout_bias[0] -= 2e4
    model = models[kind]._replace(network=sure)
    source = c99.to_source(model, "net").encode()
    (probabilities,) = run_c(source, model, frame[:1], tmp_path)
    assert probabilities[0] in (0, 1)
    np.testing.assert_allclose(probabilities.sum(), 1)


@pytest.mark.parametrize("case", HARD)
def test_double_is_used_where_float_loses_digits(case):
    source = c99.to_source(make_scaled(HARD[case]), "net")
    is_double = "const double number[]" in source
    assert is_double == (case not in ("year", "small columns"))
    assert ("Float is not enough" in source) == is_double
    assert "tanhf(" in source  # the network is still float


def test_the_network_is_double_where_its_weights_cancel():
    source = c99.to_source(make_scaled(Scales(), gain=1e4), "net")
    assert "tanh(" in source and "tanhf(" not in source


@needs_gcc
@pytest.mark.parametrize("is_constant", [False, True])
@pytest.mark.parametrize("kind", ["number", "two classes", "four classes"])
def test_the_example_in_the_header_runs(models, tmp_path, kind, is_constant):
    model = models[f"constant {kind}" if is_constant else kind]
    num_classes = len(model.scaling.classes)
    source = c99.to_source(model, "net*/")
    (tmp_path / "net*").mkdir()
    (tmp_path / "net*" / ".h").write_text(source, encoding="ascii")
    example = source.partition("Example:")[2].partition("Link with")[0]
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


def test_names_stay_apart_in_files_with_long_names(models):
    source = c99.to_source(models["number"], "n" * 60)
    assert f"{'N' * 40}_NUMBER_ERROR_X" in source
    assert f"{'N' * 40}_CATEGORY_LAMBDA" in source


def test_only_terms_of_the_network_are_written(models):
    model = models["number"]
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


def test_weights_beyond_float32_make_the_network_double(draw_network):
    model = make_model(draw_network, depth=1)
    model.network.readout_bias[0] = 1e39
    source = c99.to_source(model, "net")
    assert "1e+39 is beyond float32" in " ".join(source.split())
    assert "const double h1" in source


@needs_gcc
def test_a_source_that_does_not_compile_has_no_size():
    assert measure_size("int main(void) { return }") is None


@needs_gcc
def test_a_category_cannot_be_the_include_guard(draw_network):
    model = make_model(draw_network, depth=1)
    first, second, *others = model.scaling.encoder.columns
    second = second._replace(name="h", categories=("included", second.categories[1]))
    encoder = model.scaling.encoder._replace(columns=(first, second, *others))
    scaling = model.scaling._replace(encoder=encoder)
    source = c99.to_source(model._replace(scaling=scaling), "net")
    assert "NET_H_INCLUDED_2" in source
    assert measure_size(source) is not None


@needs_gcc
def test_the_size_is_that_of_the_code(models):
    small = c99.to_source(models["constant number"], "net")
    large = c99.to_source(models["number"], "net")
    assert 0 < measure_size(small) < measure_size(large) < 10_000
