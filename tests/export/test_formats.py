"""Properties of every export format."""

import re

import numpy as np
import pytest
from export_cases import HARD, Scales, make_scaled, make_scaled_frame
from export_runners import RUNNERS, predict, run, skip_without_package

from swajax.export.agreement import TOLERANCE, Options, from_frame
from swajax.export.formats import FORMATS, describe_formats, export
from swajax.model.graph import make_graph
from swajax.types import ACTIVATIONS

KINDS = (
    "every activation",
    "number",
    "two classes",
    "three classes",
    "four classes",
    "constant number",
    "constant two classes",
    "constant three classes",
)
# Largest difference from predict, in standard deviations or as a probability.
ACCURACY = {"numpy": 1e-9, "safetensors": 0.0}
OPTIONS = Options("net", digits=17)

every_format = pytest.mark.parametrize("format", FORMATS)


def test_every_format_is_run_and_described():
    assert set(RUNNERS) == set(FORMATS)
    assert len({record.ending for record in FORMATS.values()}) == len(FORMATS)
    for name, record in FORMATS.items():
        assert f"{name}: {record.summary}" in describe_formats()


def test_one_model_has_every_activation(models):
    neurons = make_graph(models["every activation"]).neurons
    assert {neuron.activation for neuron in neurons} == set(ACTIVATIONS)


@every_format
@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_predict(models, frame, tmp_path, kind, format):
    """Compare on hostile names, categories, missing cells and unknown categories."""
    skip_without_package(format)
    model = models[kind]
    exported = export(model, format, options=OPTIONS)
    answers = run(format, exported.data, model, frame, tmp_path)
    want = predict(model, frame)
    assert answers.shape == want.shape
    if not kind.startswith("constant"):
        assert np.ptp(want[:, 0]) > 0.05 * model.scaling.target_scale
    atol = ACCURACY.get(format, 1e-5) * model.scaling.target_scale
    np.testing.assert_allclose(answers, want, rtol=0, atol=atol)


@every_format
@pytest.mark.parametrize("case", HARD)
def test_scales_beyond_float32_lose_nothing(tmp_path, case, format):
    skip_without_package(format)
    scales = HARD[case]
    model, frame = make_scaled(scales), make_scaled_frame(scales)
    exported = export(model, format, options=OPTIONS)
    answers = run(format, exported.data, model, frame, tmp_path)
    want, atol = predict(model, frame), TOLERANCE * scales.deviation
    np.testing.assert_allclose(answers, want, rtol=0, atol=atol)
    assert np.ptp(answers) > scales.deviation


@every_format
def test_differences_of_large_weights_lose_nothing(tmp_path, format):
    skip_without_package(format)
    model, frame = make_scaled(Scales(), gain=1e4), make_scaled_frame(Scales())
    data = export(model, format, options=OPTIONS).data
    answers = run(format, data, model, frame, tmp_path)
    np.testing.assert_allclose(answers, predict(model, frame), rtol=0, atol=TOLERANCE)


@every_format
def test_the_stated_difference_is_the_true_one(models, frame, tmp_path, format):
    skip_without_package(format)
    options = Options("net", digits=5)
    model = models["number"]
    rows = from_frame(model, frame)
    exported = export(model, format, rows=rows, options=options)
    stated = exported.agreement
    answers = run(format, exported.data, model, rows.frame, tmp_path)
    true = np.abs(answers - predict(model, rows.frame)).max()
    # An emulation may differ from another math library in the last bit.
    assert true <= 2 * stated.largest + 1e-12 * abs(model.scaling.target_offset)
    assert stated.describe().endswith(
        "on 300 given rows" + ", emulated in NumPy" * (format in ("c", "numpy"))
    )
    if format != "safetensors":
        text = re.sub(rb"\s+(\* +)?", b" ", exported.data)
        assert stated.describe().encode() in text


@every_format
def test_predictions_beyond_float64_are_refused(models, format):
    skip_without_package(format)
    model = models["constant number"]
    network = model.network._replace(readout_bias=np.array([1e308]))
    with pytest.raises(ValueError, match=r"cannot represent this network: .*not fin"):
        export(model._replace(network=network), format, options=OPTIONS)


def test_given_rows_may_have_gaps(models, frame):
    rows = from_frame(models["number"], frame)
    assert frame.isna().any(axis=None)
    assert rows.frame.select_dtypes(float).notna().all(axis=None)


def test_unknown_formats_are_refused(models):
    with pytest.raises(ValueError, match=r"format must be one of c, .* got 'java'"):
        export(models["number"], "java")
