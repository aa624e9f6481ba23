"""Names of a table in code: identifiers and C literals."""

import keyword
import re

import pytest
from export_cases import CATEGORIES, CLASSES, HOSTILE

from swajax.export.text import to_c_string, to_identifiers, to_note

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
    if "\\" not in text:  # else an octal escape could be meant by the text
        assert raw.encode("latin-1").decode() == text


@pytest.mark.parametrize("text", TEXTS)
def test_notes_are_one_short_line_of_ascii(text):
    note = to_note(text)
    assert note.isascii() and note.isprintable() and len(note) <= 60
