"""The page in a browser: opened as a file, in a headless Chromium, with nothing else to ask."""

import csv
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from documents import matrix
from tests.support.page_subjects import ROOT, judged, texts

PAGE = ROOT / "docs/index.html"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
TEXT = 4.5
"""WCAG 2.2, 1.4.3: the least contrast of text."""

pytestmark = pytest.mark.xdist_group("page")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail("there is no Chromium on this machine: run tests/servers/install, or install one by hand")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("Playwright is missing: make test installs requirements/page.lock")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found)
        yield running
        running.close()


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """What the page asked for, and what it complained about."""
    return []


@pytest.fixture(scope="module")
def opened(browser: Any, asked: list[str]) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: asked.append(message.text))
    page.on("pageerror", lambda error: asked.append(str(error)))
    page.goto(PAGE.as_uri())
    yield page
    page.close()


@pytest.fixture
def page(opened: Any) -> Any:
    """The page as it is after it was opened."""
    opened.evaluate("document.getElementById('panel').close(); document.getElementById('filter').reset();")
    opened.evaluate(
        "document.getElementById('filter').dispatchEvent(new Event('input')); document.activeElement.blur(); scrollTo(0, 0)"
    )
    return opened


def test_it_asks_for_nothing_but_itself(page: Any, asked: list[str]) -> None:
    page.locator("a.l:visible").first.click()
    assert [one for one in asked if not one.startswith("data:")] == [PAGE.as_uri()]


def test_every_link_leads_somewhere(page: Any) -> None:
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    links = set(page.evaluate("[...document.querySelectorAll('a')].map(one => one.getAttribute('href'))"))
    assert len(links) > 1000
    known, lost = set(ids), []
    for link in sorted(links):
        file, _, place = link.partition("#")
        if link.startswith("https://"):
            continue
        path = (PAGE.parent / file).resolve() if file else None
        if path is None:
            found = place in known
        elif place:
            found = path.is_file() and place in _anchors(path.read_text())
        else:
            found = path.exists()
        lost += [] if found else [link]
    assert lost == []


def _anchors(text: str) -> set[str]:
    """The anchors of a Markdown file's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_a_link_to_a_line_opens_the_template_there(page: Any) -> None:
    link = page.locator("#ledger-architecture ~ div a[href^='#ledger/database:']").first
    number = int(link.get_attribute("href").partition(":")[2])
    link.click()
    line = (ROOT / "templates/ledger/database.yaml").read_text().splitlines()[number - 1]
    here = page.locator("#panel li.here")
    assert here.text_content() == line
    assert page.locator("#panel h2").text_content() == f"templates/ledger/database.yaml, line {number}"
    box, panel = here.bounding_box(), page.locator("#panel .body").bounding_box()
    assert panel["y"] <= box["y"] <= panel["y"] + panel["height"]


def test_a_zone_opens_the_values_that_name_it(page: Any) -> None:
    page.locator("#ledger-architecture ~ div svg a[href='#parameters/ledger/default']").first.click()
    assert page.locator("#panel h2").text_content() == "parameters/ledger/default.yaml"
    assert page.locator("#panel li").count() > 5


def test_what_a_rule_found_leads_on_to_the_line_and_back(page: Any) -> None:
    page.locator("#controls a.e").first.click()
    rule = page.locator("#panel h2").text_content()
    page.locator("#panel a.l").first.click()
    assert page.locator("#panel li.here").count() == 1
    page.get_by_role("button", name="Back").click()
    assert page.locator("#panel h2").text_content() == rule


def test_without_scripts_a_link_leads_to_the_line_all_the_same(browser: Any) -> None:
    page = browser.new_page(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page.goto(PAGE.as_uri())
    link = page.locator("#ledger-architecture ~ div a[href^='#ledger/database:']").first
    target = link.get_attribute("href")[1:]
    link.click()
    line = page.locator(f"b[id='{target}']")
    assert line.is_visible()
    assert 0 <= line.bounding_box()["y"] <= 900
    assert not page.locator("#filter").is_visible()
    page.close()


def _rows() -> list[dict[str, str]]:
    return list(csv.DictReader(matrix.table(judged(), texts()).splitlines()))


@pytest.mark.parametrize(
    ("field", "value", "column", "said"),
    [
        ("system", "ledger", "system", "ledger"),
        ("catalogue", "FedRAMP High", "catalogue", "FedRAMP High"),
        ("status", "open", "status", "open"),
        ("status", "inherited from AWS", "status", "inherited from AWS"),
    ],
)
def test_filters_show_what_the_table_of_findings_has(page: Any, field: str, value: str, column: str, said: str) -> None:
    expected = {(row["catalogue"], row["control"], row["system"]) for row in _rows() if row[column] == said}
    options = {one.text_content(): one.get_attribute("value") for one in page.locator(f"select[name={field}] option").all()}
    page.select_option(f"select[name={field}]", options.get(value, value))
    assert page.locator("#controls tbody tr:visible").count() == len(expected)
    assert page.locator("#filter output").text_content().startswith(f"{len(expected)} of ")


def test_filters_work_together_and_find_text(page: Any) -> None:
    page.select_option("select[name=system]", "citizen-registry")
    page.fill("input[name=text]", "CP-9")
    shown = page.locator("#controls tbody tr:visible")
    assert shown.count() > 1
    assert all("CP-9" in one and "Citizen registry" in one for one in shown.all_text_contents())
    page.fill("input[name=text]", "no such control")
    assert shown.count() == 0
    assert page.locator("#filter output").text_content().startswith("0 of ")


def test_it_prints(page: Any) -> None:
    page.select_option("select[name=status]", "deviation")
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert 20 < len(re.findall(rb"/Type\s*/Page\b", printed)) < 200


def test_on_paper_there_are_no_controls_and_what_was_folded_is_there(page: Any) -> None:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not any(page.locator(name).first.is_visible() for name in ("header", "#filter", "#templates", ".skip"))
    terms = page.locator("#ledger details.also table").first
    assert terms.is_visible()
    cut = "[...document.querySelectorAll('.wide')].some(one => getComputedStyle(one).overflowX !== 'visible')"
    assert not page.evaluate(cut)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert not terms.is_visible()


def _focused(page: Any, said: str) -> Any:
    return page.evaluate(f"(() => {{ const one = document.activeElement; return {said}; }})()")


def test_the_first_key_offers_to_skip_to_the_content(browser: Any) -> None:
    page = browser.new_page()
    page.goto(PAGE.as_uri())
    page.keyboard.press("Tab")
    assert _focused(page, "one.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert _focused(page, "one.id") == "main"
    page.close()


def test_a_line_is_opened_and_left_by_keyboard_only(page: Any) -> None:
    link = page.locator("#ledger-architecture ~ div svg a").first
    link.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    address = _focused(page, "one.getAttribute('href')")
    page.keyboard.press("Enter")
    assert page.locator("#panel li.here").is_visible()
    assert _focused(page, "one.textContent") == "Close"
    for _ in range(4):  # the focus stays within
        page.keyboard.press("Tab")
        assert _focused(page, "one === document.body || one.closest('#panel') !== null")
    page.keyboard.press("Escape")
    assert not page.locator("#panel").is_visible()
    assert _focused(page, "one.getAttribute('href')") == address


def test_filter_and_folds_obey_the_keyboard(page: Any) -> None:
    page.locator("select[name=status]").focus()
    page.keyboard.type("open")
    assert page.locator("#controls tbody tr:visible").count() < 200
    fold = page.locator("#ledger details.also > summary").first
    fold.focus()
    page.keyboard.press("Enter")
    assert fold.evaluate("one => one.parentElement.open")
    page.keyboard.press("Enter")
    assert not fold.evaluate("one => one.parentElement.open")


def test_whatever_has_the_focus_shows_it(page: Any) -> None:
    seen = set()
    for start in (
        "header nav a",
        "#overview a",
        "#ledger-architecture ~ div svg a",
        "#ledger details.also > summary",
        "#filter select",
    ):
        page.locator(start).first.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        shown = _focused(
            page,
            "[one.nodeName, getComputedStyle(one).outlineStyle, one.querySelector('rect') && "
            "getComputedStyle(one.querySelector('rect')).strokeWidth]",
        )
        name, outline, stroke = shown
        seen.add(name)
        assert outline == "solid" or stroke == "2.5px", shown
    assert {"A", "a", "SUMMARY", "SELECT"} <= seen


def test_everything_has_a_name_and_its_place(page: Any) -> None:
    assert page.evaluate("['header', 'nav', 'main', 'footer', 'h1'].every(name => document.querySelector(name))")
    nameless = page.evaluate(
        "[...document.querySelectorAll('a, button, select, input, [role=img], [role=region], [role=group], nav')].filter(one =>"
        " !(one.getAttribute('aria-label') || one.textContent.trim() || one.closest('label'))).length"
    )
    assert nameless == 0
    assert page.evaluate("[...document.querySelectorAll('th')].filter(one => !one.scope).length") == 0
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map(one => +one.nodeName[1])")
    assert all(after - before <= 1 for before, after in pairwise(levels))


CONTRAST = """selector => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const one = document.querySelector(selector), svg = one instanceof SVGElement;
  let behind = one;
  while (behind && (rgb(getComputedStyle(behind).backgroundColor)[3] === 0)) behind = behind.parentElement;
  const paper = light(rgb(getComputedStyle(behind || document.body).backgroundColor));
  const ink = light(rgb(getComputedStyle(one)[svg ? "fill" : "color"]));
  return (Math.max(ink, paper) + .05) / (Math.min(ink, paper) + .05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    chosen = ["main p", ".lead", ".quiet", "main a", "small", "caption", ".chip.v-met", ".chip.v-watched", ".chip.v-explained"]
    chosen += [".chip.v-published", ".chip.s-evidenced", ".chip.s-organisational", ".chip.s-open", ".t-objective", "svg .address"]
    ratios = {name: page.evaluate(CONTRAST, name) for name in chosen}
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="light")
    assert {name: ratio for name, ratio in ratios.items() if ratio < TEXT} == {}
    assert (dark == "rgb(20, 23, 27)") == (scheme == "dark")


def test_a_telephone_shows_it_without_scrolling_sideways(browser: Any) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(PAGE.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()
