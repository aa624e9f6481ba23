"""Properties that only ONNX models have."""

import json

import numpy as np
import pytest
from export_cases import CLASSES, COLUMNS, HARD, TARGET, make_model, make_scaled
from export_runners import predict, run_onnx

pytest.importorskip("onnx")

from swajax.export import onnx


def _metadata(proto):
    return {prop.key: json.loads(prop.value) for prop in proto.metadata_props}


def test_metadata_name_columns_and_classes(models):
    names = _metadata(onnx.to_onnx(models["four classes"]))
    assert names.pop("accuracy").startswith("largest difference from predict ")
    assert names == {
        "target": TARGET,
        "classes": list(CLASSES),
        "numbers": [COLUMNS[0].name, COLUMNS[2].name],
        "categories": [COLUMNS[1].name, COLUMNS[3].name],
    }


@pytest.mark.parametrize("column", [0, 1])
def test_a_network_that_reads_one_kind_of_column(draw_network, frame, tmp_path, column):
    model = make_model(draw_network, depth=2)
    first = np.zeros_like(model.network.first)
    first[column] = 0.7
    model = model._replace(network=model.network._replace(first=first))
    proto = onnx.to_onnx(model)
    names = _metadata(proto)
    assert [len(names["numbers"]), len(names["categories"])] == [1 - column, column]
    out = run_onnx(proto.SerializeToString(), model, frame, tmp_path)
    np.testing.assert_allclose(out, predict(model, frame), rtol=0, atol=1e-5 * 250)


@pytest.mark.parametrize("case", HARD)
def test_float64_is_used_where_float32_loses_digits(case):
    (numbers,) = onnx.to_onnx(make_scaled(HARD[case])).graph.input
    is_double = numbers.type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    assert is_double == (case not in ("year", "small columns"))


def test_half_characters_are_refused(models):
    model = models["two classes"]
    scaling = model.scaling._replace(classes=("a", "\ud800"))
    with pytest.raises(ValueError, match=r"cannot represent .*: a lone surrogate"):
        onnx.to_onnx(model._replace(scaling=scaling))
