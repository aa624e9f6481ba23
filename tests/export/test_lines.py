"""Long sums in lines: nothing is lost, and each line begins with a sign."""

import pytest

from swajax.export.text import WIDTH, wrap_sum


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
