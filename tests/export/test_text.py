"""Identifiers, literals and wrapped lines of generated code."""

import keyword
import re

import numpy as np
import pytest
from export_cases import CATEGORIES, CLASSES, HOSTILE

from swajax.export.text import (
    WIDTH,
    to_c_literal,
    to_c_string,
    to_identifiers,
    to_note,
    wrap_sum,
)

TEXTS = (*HOSTILE, *CLASSES, *CATEGORIES, "", "1st", "_private", "x" * 500, "ß", "名前")


def test_identifiers_are_ascii_and_all_different():
    names = to_identifiers([*TEXTS, *TEXTS], taken={"first"})
    assert len(set(names)) == 2 * len(TEXTS)
    assert "first" not in names
    for name in names:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,45}", name)
        assert not keyword.iskeyword(name)


def test_plain_names_stay():
    names = ("petal_length", "Größe (cm)", "petal length", "lambda", "2nd")
    wanted = ("petal_length", "Groe_cm", "petal_length_2", "lambda_2", "x2nd")
    assert to_identifiers(names) == wanted


@pytest.mark.parametrize("text", TEXTS)
def test_c_strings_hold_the_text_and_no_mark(text):
    literal = to_c_string(text)
    assert re.fullmatch(r'"(?:[ !#-\[\]-~]|\\[0-7]{3}|\\["\\?])*"', literal)
    assert not re.search(r"\*/|/\*|\?\?", literal)
    raw = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), literal[1:-1])
    raw = re.sub(r'\\(["\\?])', r"\1", raw)
    if "\\" not in text:  # otherwise the text could look like an octal escape
        assert raw.encode("latin-1").decode() == text


@pytest.mark.parametrize("text", TEXTS)
def test_notes_are_one_short_line_of_ascii(text):
    note = to_note(text)
    assert note.isascii() and note.isprintable() and len(note) <= 60


@pytest.mark.parametrize("num_terms", [1, 3, 4, 9, 40])
def test_lines_are_broken_before_signs_only(num_terms):
    terms = (f"{'-+'[i % 2]} {i}.123456 * value_{i}" for i in range(num_terms))
    text = f"y = tanh(-0.5 {' '.join(terms)})"
    lines = wrap_sum(text, indent="  ", more="      ")
    assert " ".join(line.strip() for line in lines) == text
    assert max(map(len, lines)) <= WIDTH
    assert lines[0].startswith("  y = tanh(-0.5 - 0.123456 * value_0")
    assert all(line.startswith(("      - ", "      + ")) for line in lines[1:])
    assert (len(lines) > 1) == (len(text) + 2 > WIDTH)


def test_a_long_name_is_not_broken():
    assert wrap_sum(f"x * {'a' * 100}", more="  ") == [f"x * {'a' * 100}"]


@pytest.mark.parametrize("number", [0.1, 1 / 3, 1e-30, -123456.789, 16777216.0, 5e-324])
def test_constants_read_back_as_the_same_float32(number):
    text = to_c_literal(number)
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d+)?f", text)
    assert re.search(r"[.e]", text)
    assert np.float32(text[:-1]) == np.float32(number)
