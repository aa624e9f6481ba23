"""Pictures show names in any script, or list characters without a font."""

import pytest
from matplotlib import font_manager
from matplotlib.figure import Figure

from swajax.report import fonts

LATIN = font_manager.findfont(font_manager.FontProperties())


@pytest.fixture(autouse=True)
def fresh_cache():
    fonts.find_families.cache_clear()
    yield
    fonts.find_families.cache_clear()


def _installed(monkeypatch, entries):
    listed = [font_manager.FontEntry(fname=f, name=n) for n, f in entries]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", listed)
    characters = {"latin.ttf": "abc", "cjk.ttf": "數量", "more.ttf": "量אב"}
    monkeypatch.setattr(
        fonts,
        "_read_characters",
        lambda path: frozenset(map(ord, characters.get(path, "abc"))),
    )


def test_the_default_font_is_enough_for_its_characters():
    assert fonts.find_families(frozenset("größe цена")) == ([], [])


def test_fonts_are_added_until_all_characters_are_there(monkeypatch):
    _installed(monkeypatch, [("CJK", "cjk.ttf"), ("More", "more.ttf")])
    assert fonts.find_families(frozenset("a數量אב")) == (["More", "CJK"], [])


def test_characters_that_no_font_has_are_returned(monkeypatch):
    _installed(monkeypatch, [("CJK", "cjk.ttf")])
    assert fonts.find_families(frozenset("a數א")) == (["CJK"], ["א"])


def test_a_picture_notes_characters_without_a_font(monkeypatch, tmp_path):
    monkeypatch.setattr(fonts, "find_families", lambda _: ([], ["數"]))
    made = []

    def make_figure():
        made.append(Figure())
        return made[0]

    fonts.save(tmp_path / "figure.png", ("a", "數"), make_figure)
    (note,) = made[0].texts
    assert note.get_text() == "boxes: no installed font has U+6578"
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_pictures_use_the_added_fonts(monkeypatch, tmp_path):
    monkeypatch.setattr(fonts, "find_families", lambda _: (["Some CJK"], []))
    used = []

    def make_figure():
        figure = Figure()
        used.extend(figure.text(0, 0, "a").get_fontfamily())
        figure.texts[0].remove()
        return figure

    fonts.save(tmp_path / "figure.png", ("數",), make_figure)
    assert used == ["sans-serif", "Some CJK"]


def test_files_that_are_no_fonts_have_no_characters(tmp_path):
    path = tmp_path / "broken.ttf"
    path.write_bytes(b"no font")
    assert fonts._read_characters(str(path)) == frozenset()
    assert ord("a") in fonts._read_characters(LATIN)
