"""The package reproduces the numbers recorded by `golden/record.py`."""

import pytest
from golden import record

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def recorded():
    stored = record.load()
    if stored["environment"] != record.find_environment():
        pytest.skip(f"recorded in another environment: {stored['environment']}")
    return stored["cases"]


def test_every_case_is_recorded():
    assert list(record.load()["cases"]) == list(record.CASES)


@pytest.mark.study  # compiles all parts of the package
@pytest.mark.parametrize("name", record.CASES)
def test_numbers_are_as_recorded(name, recorded):
    gaps = record.differences(record.compute(name), recorded[name])
    assert not {key: gap for key, gap in gaps.items() if not gap <= TOLERANCE}


def test_differences_by_hand():
    recorded = {"a": [4.0, 0.0], "b": [1, 2], "c": 1.0}
    same = {"a": [4.0, 4e-8], "b": [1, 2], "c": 1.0}
    other = {"a": [4.0], "b": [1, 3], "d": 1.0}
    gaps = record.differences(same, recorded)
    assert gaps == pytest.approx({"a": 1e-5, "b": 0.0, "c": 0.0})
    assert set(record.differences(other, recorded).values()) == {float("inf")}
