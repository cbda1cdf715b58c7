"""The report in a real browser without a network: Debian's Chromium, driven by Playwright."""

import shutil
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium")
SERIOUS = {"serious", "critical"}
WIDTHS = [(1400, 900), (800, 900), (390, 844)]
MOST_SCREENS = 12
SPILLS = """() => [...document.querySelectorAll("main *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .filter((one) => !one.closest(".scroll, .live, nav, svg, .hidden"))
    .map((one) => one.outerHTML.slice(0, 80))"""
IN_PRINT = SPILLS.replace('".scroll, .live, nav, svg, .hidden"', '".live, nav, svg, .hidden"')


@pytest.fixture(scope="module")
def browser():
    """A browser; where there is none the tests are skipped."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def address(text: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report as a file."""
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def opened(browser, address: str, size=WIDTHS[0], scheme: str = "light", scripts: bool = True):
    """Open the report; return the page, and what it says on the console."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        offline=True,
        color_scheme=scheme,
        java_script_enabled=scripts,
    )
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.goto(address)
    if scripts:
        page.wait_for_function("document.documentElement.dataset.charts == 'live'")
    return page, said


@pytest.fixture(scope="module")
def page(browser, address):
    """The report on a wide screen, with what it said."""
    return opened(browser, address)


@pytest.mark.slow
def test_browser_says_nothing_and_asks_for_nothing(page, address):
    assert page[1] == [address]


@pytest.mark.slow
@pytest.mark.parametrize("size", WIDTHS)
def test_nothing_spills_over_the_edge(page, size):
    page[0].set_viewport_size({"width": size[0], "height": size[1]})
    assert page[0].evaluate(SPILLS) == []
    height = page[0].evaluate("document.documentElement.scrollHeight")
    assert height <= MOST_SCREENS * size[1]
    page[0].set_viewport_size({"width": WIDTHS[0][0], "height": WIDTHS[0][1]})


@pytest.mark.slow
def test_nothing_is_cut_in_print(browser, address):
    """A4 landscape less its margins, everything unfolded."""
    page, _ = opened(browser, address, (1047, 720))
    page.click("#unfold")
    page.check("#all")
    page.emulate_media(media="print")
    assert page.evaluate(IN_PRINT) == []
    assert page.locator(".drawn.wide >> visible=true").count() == 2
    assert page.locator(".live >> visible=true").count() == 0
    page.context.close()


@pytest.mark.slow
def test_no_serious_obstacle_for_anybody(browser, address):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page, _ = opened(browser, address)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found = axe.Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in SERIOUS] == []
    page.context.close()


@pytest.mark.slow
def test_texts_can_be_read_in_the_dark(browser, address):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page, _ = opened(browser, address, scheme="dark")
    found = axe.Axe().run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
    assert found == []
    page.context.close()


@pytest.mark.slow
def test_without_scripts_the_drawings_stand(browser, address):
    page, said = opened(browser, address, scripts=False)
    assert said == [address]
    assert page.locator(".drawn.wide svg >> visible=true").count() == 2
    assert page.locator(".scripted >> visible=true").count() == 0
    page.context.close()


@pytest.mark.slow
def test_switch_shows_the_other_policies(browser, address):
    page, _ = opened(browser, address)
    row = page.locator("#policies > .scroll tbody tr").last
    row.evaluate("(one) => { one.className = 'more'; }")  # as from the ninth policy on
    assert not row.is_visible()
    page.check("#all")
    assert row.is_visible()
    page.context.close()


@pytest.mark.slow
def test_keyboard_sorts_a_table(browser, address):
    page, _ = opened(browser, address)
    heads = page.locator("#table thead th")
    heads.nth(2).locator("button").press("Enter")
    costs = page.locator("#table tbody td:nth-child(3)").all_inner_texts()
    numbers = [float(one.replace(",", "")) for one in costs]
    assert numbers == sorted(numbers)
    assert heads.nth(2).get_attribute("aria-sort") == "ascending"
    page.context.close()


@pytest.mark.slow
def test_link_unfolds_its_scenario(browser, address, compared):
    page, _ = opened(browser, address)
    name = compared.summary.contested[0].short_name
    page.click(f'#table a[href="#{name}"]')
    assert page.locator(f"details#{name}").get_attribute("open") is not None
    page.context.close()


@pytest.mark.slow
def test_filter_leaves_the_rows_that_match(browser, address, compared):
    page, _ = opened(browser, address)
    name = compared.summary.contested[0].short_name
    page.fill("#filter", name)
    shown = page.locator("#table tbody tr >> visible=true")
    assert [row.locator("th").inner_text() for row in shown.all()] == [name]
    page.context.close()
