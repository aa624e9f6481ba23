"""Columns as inputs of a network: scaling, filling, categories, files."""

import json

import numpy as np
import pandas as pd
import pytest

from swajax.data import encoding

FRAME = pd.DataFrame(
    {
        "age": [10.0, 20.0, np.nan, 60.0],
        "flag": np.array(["no", "yes", None, "yes"], dtype=object),
        "color": np.array(["red", "blue", "green", None], dtype=object),
        "mark": np.array(["x", None, None, "x"], dtype=object),
        "same": [5.0, 5.0, np.nan, 5.0],
    }
)
INPUTS = [
    [-1.0, -1.0, 0, 0, 1, 1],
    [-0.6, 1.0, 1, 0, 0, 0],
    [-0.6, 0.0, 0, 1, 0, 0],  # the median 20 for the age
    [1.0, 1.0, 0, 0, 0, 1],
]
NAMES = ("age", "flag=yes", "color=blue", "color=green", "color=red", "mark=x")


@pytest.fixture
def encoder():
    return encoding.fit_encoder(FRAME)[0]


def test_hand_computed_inputs(encoder):
    x = encoding.encode(encoder, FRAME)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, INPUTS, atol=1e-7)
    assert encoding.input_names(encoder) == NAMES


def test_notes_tell_fills_and_constants():
    _, notes = encoding.fit_encoder(FRAME)
    assert notes == (
        "features left out, constant in training: 'same'",
        "missing cells replaced in 4 training rows: 'age' 1 by 20, 'flag' 1 by no "
        "category, 'color' 1 by no category, 'mark' 2 by no category",
    )
    whole = FRAME.iloc[:2][["age", "color"]]
    assert encoding.fit_encoder(whole)[1] == ()


def test_new_rows_of_other_types_and_order(encoder):
    rows = pd.DataFrame(
        {
            "more": ["?", "?", "?"],
            "mark": ["x", "z", ""],
            "color": ["purple", " red ", "NA"],
            "flag": pd.Categorical(["yes", "no", None]),
            "age": ["60", "", "110"],
        }
    )
    expected = [[1, 1, 0, 0, 0, 1], [-0.6, -1, 0, 0, 1, 0], [3, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(encoding.encode(encoder, rows), expected, atol=1e-6)


def test_numbers_as_categories_are_found_again():
    frame = pd.DataFrame({"n": np.array(["1", "2", "3+"], dtype=object)})
    fitted, _ = encoding.fit_encoder(frame)
    x = encoding.encode(fitted, pd.DataFrame({"n": [2.0, 1.0, np.nan]}))
    np.testing.assert_array_equal(x, [[0, 1, 0], [1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("unit", [1e-90, 1e-19, 1.0, 1e90])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_training_rows_fill_the_range_in_any_unit(unit, shift):
    values = (shift + np.linspace(-1.0, 3.0, 9)) * unit
    fitted, _ = encoding.fit_encoder(pd.DataFrame({"a": values}))
    x = encoding.encode(fitted, pd.DataFrame({"a": values}))
    np.testing.assert_allclose(x[:, 0], np.linspace(-1, 1, 9), atol=1e-6)


def test_nothing_varies():
    with pytest.raises(ValueError, match="no feature varies"):
        encoding.fit_encoder(FRAME[["same"]])


BAD_ROWS = {
    "missing": (FRAME.drop(columns=["age", "mark"]), "missing columns 'age', 'mark'; "),
    "twice": (pd.concat([FRAME, FRAME["age"]], axis=1), "more than once"),
    "text": (FRAME.assign(age=["1", "2", "old", ""]), "row 2, column 'age': 'old' is"),
    "infinite": (FRAME.assign(age=[1, np.inf, 2, 3]), "row 1, column 'age': inf"),
    "huge": (FRAME.assign(age=[1, 2, 3, -1e99]), "row 3, column 'age': -1e"),
    "dates": (FRAME.assign(age=pd.Timestamp(0)), "column 'age' holds dates"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(encoder, case):
    rows, cause = BAD_ROWS[case]
    with pytest.raises(ValueError, match=cause):
        encoding.encode(encoder, rows)


def test_round_trip_through_json(encoder):
    text = json.dumps(encoding.encoder_to_dict(encoder), allow_nan=False)
    read = encoding.encoder_from_dict(json.loads(text))
    assert read == encoder
    np.testing.assert_array_equal(
        encoding.encode(read, FRAME), encoding.encode(encoder, FRAME)
    )


NUMERIC = {"name": "a", "kind": "numeric", "fill": 0.0, "scale": 1.0, "offset": 0.0}
CATEGORY = {"name": "a", "kind": "category", "categories": ["u", "v"]}
BAD_DICTS = {
    "no dict": ([], "the encoder must have the fields columns"),
    "more fields": ({"columns": [NUMERIC], "x": 1}, "must have the fields columns"),
    "no list": ({"columns": {"a": NUMERIC}}, "must be a non-empty list"),
    "no columns": ({"columns": []}, "a non-empty list"),
    "text": ({"columns": ["a"]}, "column 1 .* kind must be numeric"),
    "kind": ({"columns": [NUMERIC, CATEGORY | {"kind": []}]}, "column 2 .* kind"),
    "field": ({"columns": [NUMERIC | {"more": 1}]}, "must have the fields name, kind"),
    "name": ({"columns": [NUMERIC | {"name": 1}]}, "name must be text"),
    "NaN": ({"columns": [NUMERIC | {"fill": float("nan")}]}, "'nan' is not a finite"),
    "words": ({"columns": [NUMERIC | {"offset": "1"}]}, "'1' is not a finite number"),
    "flag": ({"columns": [NUMERIC | {"fill": True}]}, "not a finite number"),
    "huge": ({"columns": [NUMERIC | {"fill": 10**400}]}, "not a finite number"),
    "scale": ({"columns": [NUMERIC | {"scale": 0}]}, "scale must be > 0"),
    "empty": ({"columns": [CATEGORY | {"categories": []}]}, "a non-empty list"),
    "letters": ({"columns": [CATEGORY | {"categories": "uv"}]}, "a non-empty list"),
    "numbers": ({"columns": [CATEGORY | {"categories": [1, 2]}]}, "must be text"),
    "twice": ({"columns": [CATEGORY | {"categories": ["u", "u"]}]}, "appears twice"),
    "names": ({"columns": [NUMERIC, CATEGORY]}, "two columns .* 'a'"),
}


@pytest.mark.parametrize("case", BAD_DICTS)
def test_bad_dicts(case):
    values, cause = BAD_DICTS[case]
    with pytest.raises(ValueError, match=cause) as caught:
        encoding.encoder_from_dict(values)
    assert "\n" not in str(caught.value)
