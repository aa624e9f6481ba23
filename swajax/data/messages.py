"""Formatting of names and cells of a user's table for one-line messages."""

import difflib
from collections.abc import Sequence


def shown(name: str) -> str:
    r"""Quote a name, escape unprintable characters and shorten it to 60 characters.

    >>> print(shown("two\nlines"))
    'two\nlines'
    """
    quoted = repr(name)
    return quoted if len(quoted) <= 60 else f"{quoted[:56]}...{quoted[-1]}"


def listed(names: Sequence[str], most: int = 20) -> str:
    """Quote and join at most `most` names, and count the others.

    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    text = ", ".join(map(shown, names[:most]))
    return text + (f" and {len(names) - most} more" if len(names) > most else "")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return the most similar known name as ` (did you mean ...?)`, or ``."""
    by_fold = {item.casefold(): item for item in known}
    close = difflib.get_close_matches(name.casefold()[:100], list(by_fold), n=1)
    return f" (did you mean {shown(by_fold[close[0]])}?)" if close else ""
