"""Starts from files, in the units of a table."""

import numpy as np
import pandas as pd
import pytest

from swajax.data.loading import load_parts
from swajax.data.splits import Scaling
from swajax.model import fitted
from swajax.model.fitted import Model
from swajax.network import from_layers
from swajax.search import __main__ as command
from swajax.search.start_files import load_starts
from swajax.types import Network

RNG = np.random.default_rng(0)
LAYERS = [[[1.0], [-2.0]], [[3.0]]], [[0.3], [0.5]], ["tanh"]


@pytest.fixture
def table(tmp_path):
    """A table whose target is what the network of `LAYERS` says in raw units."""
    frame = pd.DataFrame({"a": RNG.uniform(0, 3, 80), "b": RNG.uniform(-1, 1, 80)})
    frame["y"] = 3 * np.tanh(frame.a - 2 * frame.b + 0.3) + 0.5
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def write_onnx(path):
    onnx = pytest.importorskip("onnx")
    values = dict(zip(("w", "v", "b", "c"), (*LAYERS[0], *LAYERS[1]), strict=True))
    nodes = [("Gemm", "xwb", "p"), ("Tanh", "p", "q"), ("Gemm", "qvc", "y")]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, [*read], [out]) for kind, read, out in nodes],
        "net",
        [onnx.helper.make_tensor_value_info("x", 1, ["N", 2])],
        [onnx.helper.make_tensor_value_info("y", 1, ["N", 1])],
        [onnx.numpy_helper.from_array(np.float32(v), n) for n, v in values.items()],
    )
    onnx.save(onnx.helper.make_model(graph), path)


def check_fit(networks, loaded):
    (network,) = networks
    rows = loaded.dataset.train
    out = network.apply(np.float32(rows.x))
    np.testing.assert_allclose(out, rows.y, atol=1e-4)


def test_an_onnx_file_reads_the_units_of_the_table(table, tmp_path):
    write_onnx(tmp_path / "model.onnx")
    loaded = load_parts(str(table), seed=0, target="y")
    networks, note = load_starts(tmp_path / "model.onnx", loaded)
    check_fit(networks, loaded)
    assert "the units of the table" in note
    few = load_parts(str(table), seed=0, target="y", features=["a"])
    with pytest.raises(ValueError, match=r"model.onnx: .* 2 inputs, the table has 1"):
        load_starts(tmp_path / "model.onnx", few)


def test_networks_of_another_split_are_rescaled(table, tmp_path):
    """The file holds a network for the scaling of other rows, columns turned."""
    loaded = load_parts(str(table), seed=0, target="y")
    other = load_parts(str(table), seed=1, target="y", features=["b", "a"]).scaling
    b, a = other.encoder.columns
    first = np.array([[-2.0 / b.scale], [1.0 / a.scale]])
    bias = 0.3 + 2 * b.offset / b.scale - a.offset / a.scale
    scale, offset = other.target_scale, other.target_offset
    network, spec = from_layers(
        [first, [[3.0 / scale]]], [[bias], [(0.5 - offset) / scale]], ["tanh"]
    )
    model = Model(Network(*map(np.asarray, network)), spec.activations, other, "y")
    fitted.save(tmp_path / "one.safetensors", model)
    check_fit(load_starts(tmp_path / "one.safetensors", loaded)[0], loaded)
    few = load_parts(str(table), seed=0, target="y", features=["a"])
    with pytest.raises(ValueError, match="only one of them has 'b'"):
        load_starts(tmp_path / "one.safetensors", few)
    turned = load_parts(str(table), seed=0, target="a", features=["b", "y"])
    with pytest.raises(ValueError, match="different inputs"):
        load_starts(tmp_path / "one.safetensors", turned)
    fitted.save(tmp_path / "one.safetensors", model._replace(target="z"))
    with pytest.raises(ValueError, match="predict 'z', not 'y'"):
        load_starts(tmp_path / "one.safetensors", loaded)
    assert isinstance(loaded.scaling, Scaling)


def test_the_command_refuses_a_start_before_any_work(table, tmp_path, capsys):
    write_onnx(tmp_path / "model.onnx")
    base = ["--data", str(table), "--target", "y", "--features", "a"]
    out = ["--out", str(tmp_path / "run"), "--start", str(tmp_path / "model.onnx")]
    run = command.commands.run_command
    arguments = [*base, *out]
    code = run(
        command.main, command.SearchCommand, name=command.NAME, arguments=arguments
    )
    assert code == 2 and "2 inputs" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
