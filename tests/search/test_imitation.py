"""Tiny networks imitate functions of arrays and of data frames."""

import numpy as np
import pandas as pd
import pytest

import swajax
from swajax.data.problem import Problem
from swajax.export.formats import export
from swajax.search.config import SearchConfig
from swajax.search.imitation import MADE_WEIGHT, NEAR_LOSS, add_made_rows

CONFIG = SearchConfig(
    max_weights=10,
    num_starts=24,
    num_rounds=0,
    num_kept=4,
    max_width=3,
    max_depth=2,
    activations=("tanh",),
    sources=("random",),
)
X = np.random.default_rng(0).uniform(-4, 4, (40, 3))


def numbers(x):
    """A function of two of three columns."""
    return 7 + 3 * np.tanh(x[:, 0] - 2 * x[:, 2])


def probabilities(frame):
    """Two classes by a number and a category."""
    assert isinstance(frame, pd.DataFrame)
    p = 1 / (1 + np.exp(-2 * frame["u"] - 3 * (frame["kind"] == "b")))
    return np.stack([1 - p, p], axis=1)


@pytest.fixture(scope="module")
def front():
    """The imitation of `numbers`, with noisy labels."""
    labels = numbers(X) + np.random.default_rng(1).normal(size=len(X))
    return swajax.compress(numbers, X, labels, num_made=80, config=CONFIG)


def r2(truth, found):
    return 1 - np.mean(np.square(found - truth)) / np.var(truth)


def test_a_function_is_imitated(front):
    assert front.fidelity[-1] > 0.999
    assert (np.diff(front.num_weights) > 0).all()
    assert (front.accuracy[1:] < front.fidelity[1:]).all()


def test_the_pick_is_small_and_near_the_best(front):
    limit = front.valid_loss.min() + NEAR_LOSS
    assert front.pick == np.argmax(front.valid_loss <= limit)
    assert front.num_weights[front.pick] < front.num_weights[-1]


def test_models_predict_in_the_units_of_the_function(front):
    frame = pd.DataFrame(X, columns=["x1", "x2", "x3"])
    assert [one.num_weights for one in front.models] == front.num_weights.tolist()
    for model, fidelity in zip(front.models, front.fidelity, strict=True):
        own = r2(numbers(X), model.predict(frame))
        np.testing.assert_allclose(own, fidelity, atol=1e-4)


def test_models_are_exported(front):
    exported = export(front.models[front.pick], "numpy")
    assert b"def predict" in exported.data


def test_classes_of_a_data_frame_with_text():
    rng = np.random.default_rng(0)
    kinds = rng.choice(["a", "b"], 40)
    frame = pd.DataFrame({"u": rng.normal(size=40), "kind": kinds, "one": 1.0})
    labels = np.where(probabilities(frame)[:, 1] > 0.5, "yes", "no")
    front = swajax.compress(probabilities, frame, labels, num_made=80, config=CONFIG)
    assert front.fidelity[-1] > 0.9
    np.testing.assert_allclose(front.accuracy, front.fidelity)
    model = front.models[-1]
    assert model.scaling.classes == ("no", "yes")
    assert np.mean(model.predict(frame) == labels) == pytest.approx(front.accuracy[-1])


def test_made_up_rows_weigh_as_much_as_the_rows():
    def rows(num):
        return Problem(np.ones((num, 2)), np.ones((num, 1)), np.ones(num))

    train, valid = add_made_rows((rows(8), rows(2)), rows(100))
    assert [len(train.x), len(valid.x)] == [88, 22]
    assert train.weight[8:].sum() == pytest.approx(8 * MADE_WEIGHT)
    assert valid.weight[2:].sum() == pytest.approx(2 * MADE_WEIGHT)
    plain, _ = add_made_rows((rows(8), rows(2)), rows(0))
    assert len(plain.x) == 8


@pytest.mark.parametrize(
    ("predict_fn", "x", "y", "message"),
    [
        (numbers, X[0], None, r"x must be \[N, I\]"),
        (numbers, X[:5], None, "5 rows, at least 10"),
        (numbers, pd.DataFrame(X, columns=["a", "a", "b"]), None, "more than once"),
        (lambda x: x[:3, 0], X, None, r"N = 40 rows, got the shape \(3,\)"),
        (lambda x: x[:, 0] / 0, X, None, "row 1 is not finite"),
        (lambda x: x, X, None, "no probabilities"),
        (lambda x: np.zeros(len(x)), X, None, "predicts 0 for all rows"),
        (numbers, X, X[:9, 0], "y must have 40 labels"),
        (numbers, X, np.full(40, np.nan), "no label in row 1"),
        (numbers, X, np.full(40, "a"), "y must be numbers"),
        (
            lambda x: x[:, 0] > 0,
            X,
            np.where(X[:, 0] > 0, "a", "b"),
            "is no class: 'a', 'b'",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_does_not_fit_is_refused(predict_fn, x, y, message):
    with pytest.raises(ValueError, match=message) as error:
        swajax.compress(predict_fn, x, y, num_made=0)
    assert "\n" not in str(error.value)
