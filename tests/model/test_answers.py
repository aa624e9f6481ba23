"""What a teacher may predict, and what is refused."""

import numpy as np
import pytest

from swajax.data.encoding import TableEncoder
from swajax.data.splits import Scaling
from swajax.model.answers import encode_labels, read_answers

LOGITS = np.log([[0.2, 0.8], [0.5, 0.5]]) + 3
CASES = {
    "numbers": ([1.0, 2.0], {}, [[1.0], [2.0]], ()),
    "a column": ([[1.0], [2.0]], {}, [[1.0], [2.0]], ()),
    "whole numbers": ([1, 2], {"task": "regression"}, [[1.0], [2.0]], ()),
    "labels": (["b", "a"], {}, [[0, 1], [1, 0]], ("a", "b")),
    "codes": ([2, 10], {}, [[1, 0], [0, 1]], ("2", "10")),
    "codes as floats": (
        [2.0, 1.0],
        {"task": "classification"},
        [[0, 1], [1, 0]],
        ("1", "2"),
    ),
    "known classes": (
        ["b", "b"],
        {"classes": ("a", "b", "c")},
        [[0, 1, 0], [0, 1, 0]],
        ("a", "b", "c"),
    ),
    "probabilities": (
        [[0.2, 0.8], [1.0, 0.0]],
        {"classes": ("no", "yes")},
        [[0.2, 0.8], [1.0, 0.0]],
        ("no", "yes"),
    ),
    "one probability": (
        [0.8, 0.5],
        {"task": "classification"},
        [[0.2, 0.8], [0.5, 0.5]],
        ("0", "1"),
    ),
    "log-odds": (
        np.log([4.0, 1.0]),
        {"task": "classification"},
        [[0.2, 0.8], [0.5, 0.5]],
        ("0", "1"),
    ),
    "logits": (
        LOGITS,
        {"task": "classification"},
        [[0.2, 0.8], [0.5, 0.5]],
        ("0", "1"),
    ),
}
FAULTS = {
    "too few": ([1.0], {}, r"N = 2 rows, got the shape \(1,\)"),
    "three axes": (np.zeros((2, 1, 1)), {}, "got the shape"),
    "no column": (np.zeros((2, 0)), {}, "got the shape"),
    "nan": ([1.0, np.nan], {}, "row 2 is not finite: nan"),
    "infinite": ([[0.5, np.inf], [0.5, 0.5]], {}, "row 1 is not finite"),
    "no label": (["a", None], {}, "row 2 is missing"),
    "one class": (["a", "a"], {}, "only one class, 'a'"),
    "text as number": (["a", "b"], {"task": "regression"}, "one number per row"),
    "two numbers": (np.ones((2, 2)), {"task": "regression"}, "one number per row"),
    "no probabilities": (np.ones((2, 2)), {}, "are no probabilities"),
    "unknown label": (["a", "z"], {"classes": ("a", "b")}, "'z' is no class: 'a', 'b'"),
    "other number": (
        [[0.5, 0.5], [0.5, 0.5]],
        {"classes": ("a", "b", "c")},
        "predicts 2 classes, not 3",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_predictions_are_read(name):
    raw, options, want, classes = CASES[name]
    answers = read_answers(raw, 2, **options)
    assert answers.classes == classes
    np.testing.assert_allclose(answers.values, want, atol=1e-12)


@pytest.mark.parametrize("name", FAULTS)
def test_other_predictions_are_refused(name):
    raw, options, message = FAULTS[name]
    with pytest.raises(ValueError, match=message):
        read_answers(raw, 2, **options)


def test_targets_are_those_of_networks():
    scaling = Scaling(TableEncoder(()), 2.0, 1.0, ())
    numbers = read_answers([3.0, 5.0], 2).to_targets(scaling)
    np.testing.assert_allclose(numbers, [[1.0], [2.0]])
    scaling = Scaling(TableEncoder(()), 1.0, 0.0, ("a", "b"))
    both = read_answers([[0.2, 0.8], [1.0, 0.0]], 2).to_targets(scaling)
    np.testing.assert_allclose(both, [[0.8], [0.0]])
    three = read_answers(["a", "c", "b"], 3).to_targets(scaling)
    np.testing.assert_allclose(three, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])


def test_labels_have_the_codes_of_their_classes():
    assert encode_labels(np.array([1.0, 3.0]), ("1", "2", "3")).tolist() == [0, 2]
