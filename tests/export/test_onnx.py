"""ONNX models: what onnxruntime makes of them is what JAX gives."""

import json

import numpy as np
import pytest
from export_cases import (
    CLASSES,
    COLUMNS,
    TARGET,
    constant,
    make_frame,
    make_model,
    reference,
)

from swajax.export import onnx
from swajax.model.fitted import to_probabilities

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def frame():
    return make_frame()


def _run(model, frame):
    proto = onnx.to_onnx(model)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    props = {prop.key: json.loads(prop.value) for prop in proto.metadata_props}
    feed = {
        "numbers": frame[props["numbers"]].to_numpy(np.float32),
        "categories": frame[props["categories"]].fillna("").to_numpy(),
    }
    wanted = {value.name for value in session.get_inputs()}
    feed = {name: cells for name, cells in feed.items() if name in wanted}
    outputs = [value.name for value in session.get_outputs()]
    return dict(zip(outputs, session.run(None, feed), strict=True)), props


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_numbers_are_those_of_jax(draw_network, frame, depth):
    model = make_model(draw_network, depth=depth)
    out, props = _run(model, frame)
    want = reference(model, frame)[:, 0]
    assert out["prediction"].shape == want.shape
    np.testing.assert_allclose(out["prediction"], want, rtol=0, atol=1e-5 * 250)
    assert props == {
        "target": TARGET,
        "classes": [],
        "numbers": [COLUMNS[0].name, COLUMNS[2].name],
        "categories": [COLUMNS[1].name, COLUMNS[3].name],
    }


@pytest.mark.parametrize(("num_classes", "depth"), [(2, 1), (3, 2), (4, 3)])
def test_classes_are_those_of_jax(draw_network, frame, num_classes, depth):
    model = make_model(draw_network, depth=depth, num_classes=num_classes)
    out, props = _run(model, frame)
    want = to_probabilities(reference(model, frame))
    np.testing.assert_allclose(out["probabilities"], want, atol=1e-5)
    best = out["probabilities"].argmax(axis=1)
    assert out["label"].tolist() == [CLASSES[i] for i in best]
    assert props["classes"] == list(CLASSES[:num_classes])


@pytest.mark.parametrize("column", [0, 1])
def test_a_network_that_reads_one_kind_of_column(draw_network, frame, column):
    model = make_model(draw_network, depth=2)
    first = np.zeros_like(model.network.first)
    first[column] = 0.7
    model = model._replace(network=model.network._replace(first=first))
    out, props = _run(model, frame)
    assert [len(props["numbers"]), len(props["categories"])] == [1 - column, column]
    want = reference(model, frame)[:, 0]
    np.testing.assert_allclose(out["prediction"], want, rtol=0, atol=1e-5 * 250)


@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_a_network_that_reads_nothing(draw_network, frame, num_classes):
    model = constant(make_model(draw_network, depth=2, num_classes=num_classes))
    out, _ = _run(model, frame)
    name = "label" if num_classes else "prediction"
    assert out[name].tolist() == model.predict(frame).tolist()


def test_numbers_beyond_float32_are_refused(draw_network):
    model = make_model(draw_network, depth=1)
    model.network.readout_bias[0] = 1e39
    with pytest.raises(ValueError, match="1e\\+39 is beyond float32"):
        onnx.to_onnx(model)
