"""Models: predictions, exact files, and one-line errors."""

import numpy as np
import pytest
from export_cases import make_frame, make_header, make_model, reference

import swajax
from swajax.io import checkpoints
from swajax.model import fitted
from swajax.model.fitted import to_probabilities


@pytest.fixture(scope="module")
def frame():
    return make_frame(50)


@pytest.fixture(scope="module")
def members(draw_network):
    """Models of increasing size, as found by a search."""
    found = [
        make_model(draw_network, depth=depth, num_classes=3) for depth in (1, 2, 3)
    ]
    sizes = [model.num_weights for model in found]
    assert sizes == sorted(set(sizes))
    return found


def _assert_same(model, other):
    assert model._replace(network=None) == other._replace(network=None)
    for leaf, same in zip(model.network, other.network, strict=True):
        assert leaf.dtype == same.dtype
        np.testing.assert_array_equal(leaf, same)


@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_predictions_are_those_of_jax(draw_network, frame, num_classes):
    model = make_model(draw_network, depth=2, num_classes=num_classes)
    out = reference(model, frame)
    if not num_classes:
        np.testing.assert_allclose(model.predict(frame), out[:, 0], rtol=1e-5)
        with pytest.raises(ValueError, match="is a number"):
            model.predict_proba(frame)
        return
    want = to_probabilities(out)
    np.testing.assert_allclose(model.predict_proba(frame), want, atol=1e-6)
    best = [model.scaling.classes[i] for i in want.argmax(axis=1)]
    assert model.predict(frame).tolist() == best


def test_columns_are_found_by_name(draw_network, frame):
    model = make_model(draw_network, depth=2)
    assert set(model.feature_names) == set(frame)
    others = frame[list(model.feature_names)].assign(more=1.0)
    np.testing.assert_array_equal(model.predict(others), model.predict(frame))
    with pytest.raises(ValueError, match="missing columns 'lambda'; the table has"):
        model.predict(frame.drop(columns="lambda"))


@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_file_gives_the_same_bits(draw_network, tmp_path, num_classes):
    model = make_model(draw_network, depth=3, num_classes=num_classes)
    fitted.save(tmp_path / "net.safetensors", model)
    loaded = swajax.load(tmp_path / "net.safetensors")
    _assert_same(model, loaded)
    fitted.save(tmp_path / "again.safetensors", loaded)
    first, second = (tmp_path / f"{name}.safetensors" for name in ("net", "again"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("field", ["target", "classes", "encoder", "activations"])
def test_missing_fields_are_named(tmp_path, members, field):
    model = members[0]
    header = make_header(model)
    del header[field]
    path = tmp_path / "net.safetensors"
    checkpoints.save(path, model.network, header=header)
    with pytest.raises(ValueError, match=f"'{field}' is missing"):
        swajax.load(path)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("first", lambda a: a[1:]),
        ("readout", lambda a: a[:, :1]),
        ("bias", lambda a: np.full_like(a, np.nan)),
        ("mask", lambda a: a / 2),
        ("activation", lambda a: a * 0.5),
        ("depth", lambda a: a + 5),
        ("depth", np.float32),
    ],
)
def test_networks_that_do_not_fit_are_refused(tmp_path, members, field, change):
    model, path = members[0], tmp_path / "net.safetensors"
    network = model.network._replace(**{field: change(getattr(model.network, field))})
    checkpoints.save(path, network, header=make_header(model))
    with pytest.raises(
        ValueError, match=r"net\.safetensors: not a network of this version"
    ):
        swajax.load(path)
