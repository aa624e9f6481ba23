"""Long sums in lines, each of which begins with a sign."""

import textwrap

WIDTH = 88  # characters


def wrap_sum(text: str, *, indent: str = "", more: str) -> list[str]:
    """Lines of at most 88 characters where that is possible.

    Numbers stay with what they are multiplied by. The first line begins with `indent`,
    the others with `more`.
    """
    # textwrap does not break at the space that is hard.
    hard = text.replace(" * ", "\xa0*\xa0")
    for sign in "+-":
        hard = hard.replace(f" {sign} ", f" {sign}\xa0")
    lines = textwrap.wrap(
        hard,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=more,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\xa0", " ") for line in lines]
