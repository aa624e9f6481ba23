"""Configurations through JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from swajax.io import configs
from swajax.types import NetworkSpec


@dataclasses.dataclass(frozen=True)
class Config:
    lr: float
    out: Path | None = None
    loss: Literal["min", "mean"] = "min"
    weights: tuple[float, ...] = (1.0, 0.5)
    pair: tuple[int, str] = (1, "a")
    budget: int | float | None = None
    spec: NetworkSpec = NetworkSpec()


@dataclasses.dataclass(frozen=True)
class Converted:
    number: int = 1
    share: float | None = None
    names: tuple[str, ...] | None = ()
    text: str = ""
    sizes: tuple[tuple[int, ...], ...] = ()
    loss: Literal["min", "mean"] | None = None
    spec: NetworkSpec | None = None

    def __post_init__(self):
        configs.convert_fields(self)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"number": 8.0, "share": 1}, (8, 1, (), "")),
        ({"number": np.int64(3), "share": np.float32(0.5)}, (3, 0.5, (), "")),
        ({"names": "tanh", "text": "tanh"}, (1, None, ("tanh",), "tanh")),
        ({"names": ["a", "b"]}, (1, None, ("a", "b"), "")),
        ({"names": None}, (1, None, None, "")),
    ],
)
def test_values_of_other_types_are_converted(values, wanted):
    config = Converted(**values)
    assert dataclasses.astuple(config)[:4] == wanted and hash(config) is not None
    assert type(config.number) is int


@pytest.mark.parametrize(
    "values",
    [
        {"number": 8.5},
        {"number": float("nan")},
        {"number": "8"},
        {"number": None},
        {"number": True},
        {"share": "0.1"},
        {"names": 3},
        {"names": [["a"]]},
        {"names": [3]},
        {"text": 3},
        {"sizes": 2.5},
        {"sizes": ((1, "2"),)},
        {"spec": {"max_width": 3}},
    ],
)
def test_values_that_cannot_be_converted_are_named(values):
    with pytest.raises(ValueError, match=f"^{next(iter(values))} must be a"):
        Converted(**values)


def test_items_of_lists_are_converted():
    config = Converted(sizes=[(1, 2.0), 3.0], spec=NetworkSpec())
    assert config.sizes == ((1, 2), (3,)) and type(config.sizes[0][1]) is int
    with pytest.raises(ValueError, match=r"loss must be one of .*'mean'.*, got 'max'"):
        Converted(loss="max")


@pytest.mark.parametrize(
    "config",
    [
        Config(lr=0.1),
        Config(lr=1e-300, out=Path("a/b"), loss="mean", weights=(), budget=0.5),
        Config(lr=1.0, spec=NetworkSpec(activations=("tanh", "linear")), budget=2),
    ],
)
def test_round_trip(config):
    values = json.loads(json.dumps(configs.to_dict(config)))
    assert configs.from_dict(Config, values) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "missing 1 required .* 'lr'"),
        ({"lr": 1, "rl": 1}, "Config.rl is unknown, there are only lr, out"),
        ({"lr": "1"}, "Config.lr must be float, got '1'"),
        ({"lr": True}, "Config.lr must be float, got True"),
        ({"lr": 1, "loss": "max"}, "Config.loss must be one of .*'min'.* got 'max'"),
        ({"lr": 1, "weights": ["a"]}, "Config.weights must be float, got 'a'"),
        ({"lr": 1, "pair": [1]}, "Config.pair must have 2 items"),
        ({"lr": 1, "budget": True}, "Config.budget must be int, got True"),
        ({"lr": 1, "spec": {"max_width": 0}}, "max_width must be >= 1, got 0"),
        ({"lr": 1, "spec": 3}, "Config.spec must be NetworkSpec, got 3"),
    ],
)
def test_bad_values_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        configs.from_dict(Config, values)


@pytest.mark.parametrize(
    ("value", "bounds", "allowed"),
    [
        (0, {"minimum": 1}, ">= 1"),
        (0.0, {"above": 0}, "> 0"),
        (18, {"minimum": 1, "maximum": 17}, "in 1..17"),
        (1.0, {"above": 0, "below": 1}, r"in \(0, 1\)"),
        (1.5, {"above": 0, "maximum": 1}, r"in \(0, 1\]"),
        (-1, {"minimum": 0, "below": 5}, r"in \[0, 5\)"),
        (2, {"maximum": 1}, "<= 1"),
        (2, {"below": 2}, "< 2"),
        (float("nan"), {"above": 0, "unit": "s"}, "> 0 s"),
        (float("inf"), {"minimum": 0, "below": float("inf")}, r"in \[0, inf\)"),
    ],
)
def test_ranges(value, bounds, allowed):
    with pytest.raises(ValueError, match=f"x must be {allowed}, got {value}"):
        configs.check_range("x", value, **bounds)


def test_numbers_in_their_ranges_and_absent_ones_pass():
    for value in (None, 1, 1.5, 2):
        configs.check_range("x", value, minimum=1, maximum=2)
        configs.check_range("x", value, above=0.99, below=2.01)
    spec = NetworkSpec()
    configs.check_fields(spec, "max_width", "max_depth", minimum=1)
    with pytest.raises(ValueError, match="max_depth must be >= 5, got 4"):
        configs.check_fields(spec, "max_width", "max_depth", minimum=5)


def test_unknown_choices_are_named():
    configs.check_choices(Config(lr=1.0, loss="mean"))
    with pytest.raises(ValueError, match=r"loss must be one of .*'min'.* got 'max'"):
        configs.check_choices(Config(lr=1.0, loss="max"))
