"""Networks from ONNX files, compared with the reference evaluator."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from swajax.network import from_onnx  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(9, 3)).astype(np.float32)


def draw(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def write(path, nodes, constants, *, inputs=("x",), outputs=("y",), width=3):
    """Write a model of nodes (operator, inputs, output, attributes)."""
    shape = ["N", width]
    proto = helper.make_model(
        helper.make_graph(
            [
                helper.make_node(kind, names, [out], **options)
                for kind, names, out, options in nodes
            ],
            "net",
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, shape)
                for n in inputs
            ],
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, None)
                for n in outputs
            ],
            [numpy_helper.from_array(array, n) for n, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=8,
    )
    onnx.save(proto, path)
    return proto


CONSTANTS = {
    "w": draw(3, 4),
    "b": draw(4),
    "v": draw(2, 4),
    "c": draw(2),
    "u": draw(2, 2),
    "one": draw(1),
}
FORMS = {
    "matmul": [
        ("MatMul", ["x", "w"], "p", {}),
        ("Add", ["b", "p"], "q", {}),
        ("Relu", ["q"], "r", {}),
        ("Gemm", ["r", "v", "c"], "y", {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    ],
    "scaled input, two products": [
        ("Add", ["x", "one"], "o", {}),
        ("MatMul", ["o", "w"], "p", {}),
        ("Sin", ["p"], "r", {}),
        ("Gemm", ["r", "v"], "s", {"transB": 1}),
        ("MatMul", ["s", "u"], "y", {}),
    ],
    "deep": [
        ("Gemm", ["x", "w", "b"], "p", {}),
        ("LeakyRelu", ["p"], "q", {"alpha": 0.02}),
        ("Gemm", ["q", "v", "c"], "r", {"transB": 1}),
        ("Gelu", ["r"], "s", {"approximate": "tanh"}),
        ("Gemm", ["s", "u"], "t", {}),
        ("Tanh", ["t"], "y", {}),
    ],
    "linear": [("Gemm", ["x", "w", "b"], "y", {})],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [3, "I"])
def test_a_file_computes_what_its_graph_does(tmp_path, form, width):
    path = tmp_path / "model.onnx"
    proto = write(path, FORMS[form], CONSTANTS, width=width)
    if form.startswith("scaled") and width == "I":
        with pytest.raises(ValueError, match=r"model.onnx: the input x must have"):
            from_onnx(path)
        return
    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": X})
    network = from_onnx(path)
    np.testing.assert_allclose(network.apply(X), wanted, rtol=1e-4, atol=1e-5)
    assert network.link == "linear"


@pytest.mark.parametrize("kind", ["Sigmoid", "Softmax"])
def test_the_last_sigmoid_or_softmax_is_a_link(tmp_path, kind):
    nodes = [*FORMS["matmul"][:3], ("Gemm", ["r", "v"], "s", {"transB": 1})]
    write(tmp_path / "a", nodes, CONSTANTS, outputs=("s",))
    write(tmp_path / "b", [*nodes, (kind, ["s"], "y", {})], CONSTANTS)
    network = from_onnx(tmp_path / "b")
    assert network.link == kind.lower()
    wanted = from_onnx(tmp_path / "a").apply(X)
    np.testing.assert_allclose(network.apply(X), wanted)


FAULTS = {
    "operator Conv is not supported": [("Conv", ["x", "w"], "y", {})],
    "operator my.Gemm is not supported": [("Gemm", ["x", "w"], "y", {"domain": "my"})],
    "operator Softmax is not supported": [
        ("Softmax", ["x"], "p", {}),
        ("Relu", ["p"], "y", {}),
    ],
    "operator Gelu is not supported": [("Gelu", ["x"], "y", {})],
    "operator Add reads more than one": [("Add", ["x", "x"], "y", {})],
    "operator MatMul reads more than one": [("MatMul", ["w", "x"], "y", {})],
    "operator Gemm reads 4 of 3": [("Gemm", ["x", "v"], "y", {"transB": 0})],
    "operator Relu is not part of one chain": [
        ("Gemm", ["x", "w"], "p", {}),
        ("Relu", ["x"], "y", {}),
    ],
    "end of a chain": [("Relu", ["x"], "z", {})],
    "NaN": [("Gemm", ["x", "nan"], "y", {})],
}


@pytest.mark.parametrize("message", FAULTS)
def test_other_graphs_are_refused_by_name(tmp_path, message):
    constants = CONSTANTS | {"nan": np.full((3, 1), np.nan, np.float32)}
    constants["v"] = draw(4, 2)
    write(tmp_path / "model.onnx", FAULTS[message], constants)
    with pytest.raises(ValueError, match=message) as error:
        from_onnx(tmp_path / "model.onnx")
    assert "model.onnx: " in str(error.value)


def test_other_files_are_refused(tmp_path):
    nodes = FORMS["linear"]
    write(tmp_path / "two", nodes, CONSTANTS, inputs=("x", "z"))
    with pytest.raises(ValueError, match="one input and one output, got 2 and 1"):
        from_onnx(tmp_path / "two")
    (tmp_path / "text").write_text("not a model")
    with pytest.raises(ValueError, match="text: not an ONNX model"):
        from_onnx(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "missing")
    proto = write(tmp_path / "huge", nodes, CONSTANTS)
    proto.graph.initializer[0].dims[:] = [10**7, 10**7]
    onnx.save(proto, tmp_path / "huge")
    with pytest.raises(ValueError, match="GB of memory"):
        from_onnx(tmp_path / "huge")
