"""NumPy source: needs nothing else, reads tables as training did."""

import ast
import importlib.util

import numpy as np
import pytest
from export_cases import COLUMNS, constant, make_frame, make_model, reference

from swajax.export import numpy_source
from swajax.model.fitted import to_probabilities


@pytest.fixture(scope="module")
def frame():
    return make_frame()


def _load(model, folder):
    """The module that is exported, imported from a file."""
    path = folder / "net.py"
    path.write_text(numpy_source.to_source(model), encoding="ascii")
    spec = importlib.util.spec_from_file_location("net", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_numbers(draw_network, frame, tmp_path, depth):
    model = make_model(draw_network, depth=depth)
    module = _load(model, tmp_path)
    got = module.predict(frame)
    want = reference(model, frame)[:, 0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * 250)
    np.testing.assert_allclose(got, model.predict(frame), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("num_classes", [2, 3, 4])
def test_classes(draw_network, frame, tmp_path, num_classes):
    model = make_model(draw_network, depth=2, num_classes=num_classes)
    module = _load(model, tmp_path)
    want = to_probabilities(reference(model, frame))
    np.testing.assert_allclose(module.predict_proba(frame), want, atol=1e-5)
    assert (module.predict(frame) == model.predict(frame)).mean() > 0.99
    assert set(module.predict(frame)) <= set(model.scaling.classes)


def test_mappings_and_arrays_of_columns(draw_network, frame, tmp_path):
    model = make_model(draw_network, depth=2)
    module = _load(model, tmp_path)
    want = module.predict(frame)
    names = [column.name for column in COLUMNS]
    assert list(module.COLUMNS) == names
    columns = {name: frame[name].tolist() for name in reversed(names[:-1])}
    np.testing.assert_array_equal(module.predict(columns), want)
    np.testing.assert_array_equal(module.predict(frame[names].to_numpy()), want)
    with pytest.raises(ValueError, match=r"\[N, 5\], got \(1000, 4\)"):
        module.predict(frame[names[:-1]].to_numpy())


def test_categories_are_compared_as_in_training(draw_network, frame, tmp_path):
    model = make_model(draw_network, depth=1)
    cells = {"1": [1, 1.0, "1", " 1 "], "1.5": [1.5, "1.5", " 1.5", np.float64(1.5)]}
    columns = model.scaling.encoder.columns
    column = columns[1]._replace(categories=tuple(cells))
    encoder = model.scaling.encoder._replace(columns=(columns[0], column, *columns[2:]))
    model = model._replace(scaling=model.scaling._replace(encoder=encoder))
    module = _load(model, tmp_path)
    table = {name: [frame[name][0]] * 4 for name in frame}
    first, second = (
        module.predict(table | {column.name: same}) for same in cells.values()
    )
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


def test_extreme_inputs_give_no_warnings(draw_network, tmp_path):
    model = make_model(draw_network, depth=3, num_classes=3)
    frame = make_frame(2)
    frame[COLUMNS[0].name] = [1e30, -1e30]
    assert np.isfinite(_load(model, tmp_path).predict_proba(frame)).all()


@pytest.mark.parametrize("num_classes", [0, 2, 3])
def test_a_network_that_reads_nothing(draw_network, frame, tmp_path, num_classes):
    model = constant(make_model(draw_network, depth=1, num_classes=num_classes))
    got = _load(model, tmp_path).predict(frame)
    assert got.tolist() == model.predict(frame).tolist()


@pytest.mark.parametrize("num_terms", range(6))
@pytest.mark.parametrize("scale", [250.0, -123.45678901234567])
def test_long_sums_are_one_statement(draw_network, frame, tmp_path, num_terms, scale):
    """Wherever the line is broken, also behind the last bracket."""
    model = make_model(draw_network, depth=1)
    model.network.readout[num_terms:] = 0.0
    scaling = model.scaling._replace(target_scale=scale)
    model = model._replace(scaling=scaling)
    got = _load(model, tmp_path).predict(frame[:20])
    np.testing.assert_allclose(got, model.predict(frame[:20]), atol=1e-3)


def test_only_numpy_is_imported_and_names_are_constants(draw_network):
    source = numpy_source.to_source(make_model(draw_network, depth=2, num_classes=3))
    nodes = list(ast.walk(ast.parse(source)))
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]
    assert not any(isinstance(n, ast.Name) and "import" in n.id for n in nodes)
