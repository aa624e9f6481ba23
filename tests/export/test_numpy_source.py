"""NumPy source: needs only NumPy and reads cells as in training."""

import ast
import csv
import io

import numpy as np
import pandas as pd
import pytest
from export_cases import COLUMNS, Scales, make_frame, make_model, make_scaled
from export_runners import load_module

from swajax.export import numpy_source


def _load(model, folder):
    return load_module(numpy_source.to_source(model).encode("ascii"), folder)


def test_mappings_and_arrays_of_columns(models, frame, tmp_path):
    model = models["number"]
    module = _load(model, tmp_path)
    want = module.predict(frame)
    names = [column.name for column in COLUMNS]
    assert list(module.COLUMNS) == names
    columns = {name: frame[name].tolist() for name in reversed(names[:-1])}
    np.testing.assert_array_equal(module.predict(columns), want)
    np.testing.assert_array_equal(module.predict(frame[names].to_numpy()), want)
    with pytest.raises(ValueError, match=r"\[N, 5\], got \(300, 4\)"):
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


def test_extreme_inputs_give_no_warnings(models, tmp_path):
    model = models["four classes"]
    frame = make_frame(2)
    frame[COLUMNS[0].name] = [1e30, -1e30]
    assert np.isfinite(_load(model, tmp_path).predict_proba(frame)).all()


TEXTS = {
    "numbers": ["1.5", " 2 ", "1e0", "+.5"],
    "gaps": ["", "NA", " n/a", "0.25"],
    "booleans": ["TRUE", "false", "True", " FALSE "],
    "booleans and gaps": ["true", "", "False", "null"],
    "booleans and numbers": ["true", "1.5", " FALSE", ""],
}
CELLS = {
    "missing values of pandas": [1.0, pd.NA, None, pd.NaT],
    "nullable integers": pd.array([1, pd.NA, 2, 3], dtype="Int64"),
    "nullable booleans": pd.array([True, pd.NA, False, True], dtype="boolean"),
    "mixed": [True, 2, "0.5", None],
}


@pytest.mark.parametrize("kind", [*TEXTS, *CELLS])
def test_cells_are_read_as_predict_reads_them(tmp_path, kind):
    model = make_scaled(Scales())
    cells = TEXTS.get(kind, CELLS.get(kind))
    frame = pd.DataFrame({"a": pd.Series(cells), "b": [0.0, 0.5, -0.5, 1.0]})
    got = _load(model, tmp_path).predict(frame)
    np.testing.assert_allclose(got, model.predict(frame), rtol=1e-12)


@pytest.mark.parametrize("kind", TEXTS)
def test_rows_of_text_are_read(tmp_path, kind):
    model = make_scaled(Scales())
    text = "a,b\n" + "".join(f"{cell},0.5\n" for cell in TEXTS[kind])
    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    got = _load(model, tmp_path).predict(csv.DictReader(io.StringIO(text)))
    np.testing.assert_allclose(got, model.predict(frame), rtol=1e-12)


@pytest.mark.parametrize("cell", ["1_000", "1,5", "red", "inf", "\uff11", "1 TRUE"])
def test_other_text_is_refused_as_predict_refuses_it(tmp_path, cell):
    model = make_scaled(Scales())
    frame = pd.DataFrame({"a": ["0.5", cell], "b": ["1", "1"]})
    for predict in (_load(model, tmp_path).predict, model.predict):
        with pytest.raises(ValueError, match="column 'a'"):
            predict(frame)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": 0.5, "b": [1.0]}, "'a' must hold one cell per row"),
        ({"a": [0.5], "b": "1"}, "'b' must hold one cell per row"),
        ({"a": [pd.Timestamp(0)], "b": [1.0]}, "'a': Timestamp.* is not a number"),
    ],
)
def test_other_tables_are_refused(tmp_path, table, message):
    with pytest.raises(ValueError, match=message):
        _load(make_scaled(Scales()), tmp_path).predict(table)


@pytest.mark.parametrize("num_terms", range(6))
@pytest.mark.parametrize("scale", [250.0, -123.45678901234567])
def test_long_sums_are_one_statement(draw_network, frame, tmp_path, num_terms, scale):
    """Lines may break anywhere, including after the last bracket."""
    model = make_model(draw_network, depth=1)
    model.network.readout[num_terms:] = 0.0
    scaling = model.scaling._replace(target_scale=scale)
    model = model._replace(scaling=scaling)
    got = _load(model, tmp_path).predict(frame[:20])
    np.testing.assert_allclose(got, model.predict(frame[:20]), atol=1e-3)


def test_only_numpy_is_imported_and_names_are_constants(models):
    source = numpy_source.to_source(models["four classes"])
    nodes = list(ast.walk(ast.parse(source)))
    imports = [n for n in nodes if isinstance(n, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == ["import numpy as np"]
    assert not any(isinstance(n, ast.Name) and "import" in n.id for n in nodes)
