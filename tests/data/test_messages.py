"""One-line messages with arbitrary names."""

from swajax.data.messages import did_you_mean, listed, shown


def test_names_are_short_and_printable():
    assert shown("a\n\x1b") == r"'a\n\x1b'"
    long = shown("n" * 999)
    assert len(long) == 60 and long.endswith("...'")


def test_lists_are_cut_and_counted():
    assert listed([]) == "" and listed(["a"]) == "'a'"
    assert listed([str(i) for i in range(5)], 2) == "'0', '1' and 3 more"


def test_similar_names_are_proposed():
    known = ("Diabetes", "iris")
    assert did_you_mean("diabetis", known) == " (did you mean 'Diabetes'?)"
    assert did_you_mean("zzz", known) == ""
