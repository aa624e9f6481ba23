"""The page of a run, as text and in a real browser."""

import html.parser

import chromium
import pytest
from report_cases import HOSTILE, make_run

from swajax.report import page

needs_browser = pytest.mark.skipif(
    chromium.EXECUTABLE is None, reason="there is no Chromium"
)
SHOWN = """[...document.querySelectorAll(".panel")]
    .filter(panel => panel.checkVisibility()).map(panel => panel.className)"""


class Elements(html.parser.HTMLParser):
    """Names of all elements, their attributes, and text outside of script and style."""

    def __init__(self, text):
        super().__init__()
        self.names, self.attributes = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.fixture(scope="module", params=[0, 2, 4])
def run(request, tmp_path_factory, draw_network):
    """Folder and models of a run with hostile names, for a number or classes."""
    folder = tmp_path_factory.mktemp("report") / "run's $(folder)"
    folder, members = make_run(folder, draw_network, num_classes=request.param)
    page.write(folder)
    return folder, members


@pytest.fixture(scope="module")
def browser():
    with chromium.launch() as tab:
        yield tab


@pytest.fixture
def opened(browser, run):
    folder, members = run
    browser.open(folder / "report.html")
    return browser, [member.num_weights for member in members]


def test_names_of_a_table_do_not_become_markup(run):
    folder, _ = run
    text = (folder / "report.html").read_text("utf-8")
    elements = Elements(text)
    assert elements.names.count("script") == elements.names.count("style") == 1
    assert not {"img", "b"} & set(elements.names)
    assert not {name for name in elements.attributes if name.startswith("on")}
    assert "&lt;img src=x" in text
    assert "\x00" not in text
    assert "\u202e" not in text


def test_all_sizes_are_there_with_their_code(run):
    folder, members = run
    text = (folder / "report.html").read_text("utf-8")
    for member in members:
        assert f'id="n{member.num_weights}"' in text
        assert f"network_{member.num_weights}_predict" in text
    assert text.count('class="diagram"') == len(members)


def test_the_same_run_gives_the_same_page(run):
    folder, _ = run
    before = (folder / "report.html").read_bytes()
    page.write(folder)
    assert (folder / "report.html").read_bytes() == before


@needs_browser
def test_nothing_fails_is_fetched_or_runs_by_itself(opened, run):
    tab, _ = opened
    assert tab.errors == []
    assert tab.requests == [(run[0] / "report.html").as_uri()]
    assert tab.evaluate("window.broken") is None
    assert tab.evaluate("document.scripts.length") == 1
    assert HOSTILE[0] in tab.evaluate("document.title")


@needs_browser
def test_choosing_a_size_changes_the_diagram(opened):
    tab, (small, large) = opened
    assert tab.evaluate(SHOWN) == [f"panel only n{large}"]
    for selector in (f"#n{small}", f".cover [for=n{large}]", f"tr:has(#n{small})"):
        tab.click(selector)
        chosen = small if str(small) in selector.split("n")[-1] else large
        assert tab.evaluate(SHOWN) == [f"panel only n{chosen}"]
        assert tab.evaluate("location.hash") == f"#n{chosen}"


@needs_browser
def test_the_keyboard_chooses_and_copies(opened):
    tab, (small, large) = opened
    tab.evaluate(f"document.getElementById('n{large}').focus()")
    tab.press("ArrowUp")
    assert tab.evaluate(SHOWN) == [f"panel only n{small}"]
    button = f"document.querySelector('.n{small} button')"
    assert tab.evaluate(f"{button}.checkVisibility() && {button}.tabIndex") == 0


@needs_browser
def test_without_javascript_a_size_can_be_chosen(browser, run):
    folder, members = run
    small = members[0].num_weights
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(folder / "report.html")
        browser.click(f".cover [for=n{small}]")
        assert browser.evaluate(SHOWN) == [f"panel only n{small}"]
        assert browser.evaluate("document.querySelector('.copy button').hidden")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@needs_browser
@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_screen(opened, width):
    tab, _ = opened
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    tab.call("Emulation.setDeviceMetricsOverride", **size)
    try:
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        tab.call("Emulation.clearDeviceMetricsOverride")


@needs_browser
def test_text_can_be_read_in_the_dark(opened):
    tab, _ = opened
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    tab.call("Emulation.setEmulatedMedia", features=dark)
    color = "getComputedStyle(document.body).{}.match(/\\d+/g).map(Number)"
    text, back = (
        tab.evaluate(color.format(name)) for name in ("color", "backgroundColor")
    )
    tab.call("Emulation.setEmulatedMedia", features=[])
    assert min(text[:3]) > 200
    assert max(back[:3]) < 50
