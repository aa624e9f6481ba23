"""Run folders: the requested network, the rows, and one-line errors."""

import numpy as np
import pytest
from export_cases import make_model, write_run

import swajax
from swajax.data.problem import Problem
from swajax.data.splits import Dataset
from swajax.io import checkpoints
from swajax.model import fitted, results


@pytest.fixture(scope="module")
def members(draw_network):
    """Models of increasing size, as found by a search."""
    found = [
        make_model(draw_network, depth=depth, num_classes=3) for depth in (1, 2, 3)
    ]
    sizes = [model.num_weights for model in found]
    assert sizes == sorted(set(sizes))
    return found


@pytest.fixture
def run(tmp_path, members):
    """A run folder of `python -m swajax.search` with the files that are read."""
    return write_run(tmp_path / "run", members)


def _assert_same(model, other):
    assert model._replace(network=None) == other._replace(network=None)
    for leaf, same in zip(model.network, other.network, strict=True):
        assert leaf.dtype == same.dtype
        np.testing.assert_array_equal(leaf, same)


def test_a_run_gives_the_network_of_each_size(run, members):
    _assert_same(swajax.load(run), members[1])
    for member in members:
        _assert_same(swajax.load(run, member.num_weights), member)
        _assert_same(swajax.load(str(run), size=member.num_weights + 1), member)


def test_sizes_that_are_not_there_are_told(run, members, tmp_path):
    sizes = [model.num_weights for model in members]
    message = f"at most 3 weights; the front has networks of {sizes[0]}, {sizes[1]}"
    with pytest.raises(ValueError, match=message):
        swajax.load(run, 3)
    fitted.save(tmp_path / "net.safetensors", members[0])
    with pytest.raises(ValueError, match=f"networks of {sizes[0]}$"):
        swajax.load(tmp_path / "net.safetensors", 3)


def test_folders_without_a_finished_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        swajax.load(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="no run of a search"):
        swajax.load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    message = r"unfinished run of a search, networks\.safetensors is missing"
    with pytest.raises(FileNotFoundError, match=message):
        swajax.load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"pick": 3},
        {"pick": None},
        {"target": 7},
        {"classes": ["a"]},
        {"classes": None},
        {"encoder": {"columns": []}},
        {"target_scale": "one"},
        {"target_offset": float("nan")},
        {"activations": ["sigmoid"]},
        {"activations": ["sigmoid", "tanh", "leaky_relu", "os.system"]},
    ],
    ids=str,
)
def test_headers_of_other_versions_are_refused(tmp_path, members, changes):
    folder = write_run(tmp_path / "run", members, **changes)
    with pytest.raises(ValueError, match=r"networks\.safetensors: (no|not a) "):
        swajax.load(folder, None if "pick" in changes else 1000)


def test_a_damaged_file_is_refused(run):
    path = run / "networks.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="damaged"):
        swajax.load(run)
    path.write_bytes(raw[:100])
    with pytest.raises(ValueError, match="damaged or no safetensors file"):
        swajax.load(run)


@pytest.mark.parametrize("has_test", [True, False])
def test_rows_are_kept(tmp_path, has_test, monkeypatch):
    monkeypatch.setattr(results, "MAX_ROWS", 5)
    part = Problem(*(np.arange(8, dtype=np.float32) for _ in range(3)))
    part = part._replace(x=part.x[:, None], y=part.y[:, None])
    results.write_rows(tmp_path, Dataset(part, part, part if has_test else None))
    rows = results.read_rows(tmp_path)
    assert list(rows) == ["valid", "test"][: 1 + has_test]
    for kept in rows.values():
        for leaf, whole in zip(kept, part, strict=True):
            np.testing.assert_array_equal(leaf, whole[:5])


def test_rows_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"rows\.safetensors"):
        results.read_rows(tmp_path)
    checkpoints.save(tmp_path / "rows.safetensors", {}, header={"parts": ["valid"]})
    with pytest.raises(ValueError, match="this version"):
        results.read_rows(tmp_path)


def test_the_package_offers_load_and_nothing_unknown():
    assert swajax.load is results.load
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = swajax.lod
