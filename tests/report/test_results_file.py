"""Errors about damaged files of a run name the file, in one line."""

import json
import shutil

import numpy as np
import pytest
from report_cases import make_run

from swajax.report import page
from swajax.report.results_file import FIELDS, ROW_FIELDS, read_results


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_network):
    folder, _ = make_run(tmp_path_factory.mktemp("results") / "run", draw_network)
    return folder


@pytest.fixture
def damage(run, tmp_path):
    """Write results.json into a copy of the run and expect an error that names it."""
    folder = shutil.copytree(run, tmp_path / "run")

    def check(text, message=None):
        path = folder / "results.json"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ValueError, match=message) as error:
            page.write(folder)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
        assert not (folder / "report.html").exists()

    return check


def _read(run):
    return json.loads((run / "results.json").read_text())


@pytest.mark.parametrize("name", FIELDS)
def test_missing_and_wrong_fields(run, damage, name):
    results = _read(run)
    damage(json.dumps(results | {name: None}), f"{name} of the file has the wrong type")
    del results[name]
    damage(json.dumps(results), f"the file has no {name}")


@pytest.mark.parametrize("name", [*ROW_FIELDS, "rmse_valid", "r2_test"])
def test_missing_and_wrong_fields_of_the_front(run, damage, name):
    results = _read(run)
    results["front"][0][name] = "x"
    damage(json.dumps(results))
    del results["front"][0][name]
    damage(json.dumps(results))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"front": []}, "front is empty"),
        ({"measures": ["rmse"]}, "measures are unknown"),
        ({"measures": [["rmse"], "r2"]}, "measures are unknown"),
        ({"num_rows": {"other": 3}}, "unknown parts"),
        ({"num_rows": {"train": "3"}}, "a count is not an integer"),
        ({"notes": [3]}, "a name is not text"),
        ({"target": "other"}, "does not fit the networks"),
    ],
)
def test_wrong_values(run, damage, change, message):
    damage(json.dumps(_read(run) | change), message)


@pytest.mark.parametrize("value", ["x", float("nan")])
def test_a_fidelity_is_a_number_in_all_rows(run, damage, value):
    results = _read(run)
    results["front"][0] |= {"fidelity_valid": 0.5, "fidelity_test": value}
    damage(json.dumps(results), "an error of front is not a number")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_files(run, damage, share):
    text = (run / "results.json").read_bytes()
    damage(text[: int(share * len(text))], "damaged or of another version")


def test_any_changed_byte_is_read_or_named(run, tmp_path):
    text, rng = (run / "results.json").read_bytes(), np.random.default_rng(0)
    path = tmp_path / "results.json"
    for _ in range(300):
        changed = bytearray(text)
        changed[rng.integers(len(text))] = rng.integers(256)
        path.write_bytes(changed)
        try:
            read_results(tmp_path)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ")


def test_a_damaged_log_is_named(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "metrics.jsonl").write_text('{"seconds": 1.0}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl: a line has no stage"):
        page.write(folder)
