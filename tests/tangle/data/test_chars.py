"""The data set of characters."""

import hashlib

import numpy as np
import pytest

from swajax.tangle.data import chars


def test_a_text_of_another_hash_is_refused():
    text = chars.read_text()
    assert len(text) > 400_000
    chars.load_chars(sha256=hashlib.sha256(text.encode()).hexdigest())
    with pytest.raises(ValueError, match=r"SHA-256 must be 00, got [0-9a-f]{64}"):
        chars.load_chars(sha256="00")


def test_characters_become_places_in_the_alphabet():
    ids = chars.to_ids("a b\tc\u00e9\n~")
    assert "".join(chars.ALPHABET[i] for i in ids) == "a bc\n~"
    assert len(chars.ALPHABET) == len(set(chars.ALPHABET)) == 96


def test_windows_run_through_the_text_and_targets_are_one_ahead():
    ids, split = chars.to_ids(chars.read_text()), chars.load_chars(context=50)
    ends = np.cumsum([0, *(part.x.size for part in split)])
    assert len(ids) - 3 * 51 <= ends[-1] <= len(ids)
    np.testing.assert_allclose(np.diff(ends) / ends[-1], chars.SHARES, atol=0.005)
    np.testing.assert_array_equal(split.weights.x.ravel(), ids[: ends[1]])
    for part in split:
        np.testing.assert_array_equal(part.x.ravel()[1:], part.y.ravel()[:-1])
    first = round(0.8 * len(ids))
    np.testing.assert_array_equal(split.architecture.x[0], ids[first : first + 50])


@pytest.mark.parametrize("context", [0, 10**6])
def test_windows_that_do_not_fit_are_refused(context):
    with pytest.raises(ValueError, match=rf"context must be 1\.\..*got {context}"):
        chars.load_chars(context=context)
