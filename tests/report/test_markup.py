"""HTML and SVG as text."""

from swajax.report.markup import Markup, show, tag


def test_text_in_a_tag_is_escaped_and_markup_is_not():
    inside = tag("b", "<", class_="a")
    assert inside == '<b class="a">&lt;</b>'
    assert isinstance(inside, Markup)
    out = tag("p", inside, '"&', title="\"'<>", hidden=True, x=1.25, y=2.0, no=None)
    assert out == (
        '<p title="&quot;&#x27;&lt;&gt;" hidden x="1.2" y="2">'
        '<b class="a">&lt;</b>&quot;&amp;</p>'
    )


def test_names_are_shown_short_and_visible():
    assert show("a" * 28) == "a" * 28
    assert show("a" * 29) == "a" * 27 + "…"
    assert show("a\n\u202eb\ud800") == "a��b�"
    assert show("") == "(no name)"
