"""The page in a real browser: silent, alone, and it moves."""

import shutil
import time
from pathlib import Path

import pytest
from report_runs import every_panel, make_run, time_maps

from icectl.report.page import compare, write_report

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A headless Chromium with an empty profile."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    driver = shutil.which("chromedriver")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not driver or not program:
        pytest.skip("no browser here: the packages chromium and chromium-driver bring one")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=Service(driver))
    yield session
    session.quit()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("ws"), every_panel)
    write_report(run)
    return run


def press(browser, selector):
    """Click a control, clear of the bar at the top."""
    control = browser.find_element("css selector", selector)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", control)
    control.click()
    return control


def resize(browser, width, height, dark=False):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


@pytest.fixture
def page(browser, run):
    """The report, freshly opened on a desktop."""
    resize(browser, 1280, 900)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get((run / "report.html").as_uri())
    return browser


def shown(browser, panel=0):
    """Labels of the moments that are visible in a panel, and the source of its first picture."""
    return browser.execute_script(
        "const p=document.querySelectorAll('[data-slider]')[arguments[0]];"
        "const m=[...p.querySelectorAll('.moment:not([hidden])')];"
        "return m.map(e=>[e.dataset.label, e.querySelector('img').src])",
        panel,
    )


def test_it_is_silent_and_alone(page):
    import json

    assert page.get_log("browser") == []
    asked = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    outside = [url for url in urls if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert len([url for url in urls if url.startswith("file:")]) == 1


def test_the_slider_moves_the_maps_by_keyboard_and_by_buttons(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    (first,) = shown(page)
    slider = page.find_element(By.CSS_SELECTOR, "input[type=range]")
    slider.send_keys(Keys.ARROW_RIGHT)
    (second,) = shown(page)
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert page.find_element(By.TAG_NAME, "output").text == second[0]
    slider.send_keys(Keys.END)
    assert shown(page)[0][0].startswith("2014-10-01")
    press(page, "[data-next]")  # round the end to the first
    assert shown(page) == [first]
    press(page, "[data-back]")
    assert shown(page)[0][0].startswith("2014-10-01")


def test_it_plays_and_pauses(page):
    before = shown(page)
    play = press(page, "[data-play]")
    deadline = time.monotonic() + 10
    while shown(page) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert shown(page) != before
    play.click()
    assert play.get_attribute("aria-label") == "Play"


def test_values_under_the_pointer_are_the_rasters_own(page, run):
    import rasterio
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    truth = page.find_element(By.CSS_SELECTOR, ".moment:not([hidden]) .map")
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", truth)
    width, height = truth.size["width"], truth.size["height"]
    ActionChains(page).move_to_element_with_offset(truth, round(0.2 * width), round(0.1 * height)).perform()
    text = page.find_element(By.CSS_SELECTOR, "[data-hover] .readout").text
    values = {k: float(v.replace("−", "-")) for k, v in (part.split(": ") for part in text.split(" · ")[:3])}
    assert values["Difference"] == pytest.approx(values["Prediction"] - values["Truth"], abs=0.03)
    x, y = (float(part.split()[1]) for part in text.split(" · ")[3].split(", "))
    with rasterio.open(run / "predictions" / "parvati-1" / "truth.tif") as source:
        row, column = source.index(x, y)
        near = source.read(1)[row - 2 : row + 3, column - 2 : column + 3]
    assert near.min() - 0.02 <= values["Truth"] <= near.max() + 0.02
    assert len(page.find_elements(By.CSS_SELECTOR, ".cross")) == 3


def test_light_and_dark(page):
    from selenium.webdriver.common.by import By

    def paper():
        return page.execute_script("return getComputedStyle(document.body).backgroundColor")

    light = paper()
    page.find_element(By.ID, "theme").click()
    dark = paper()
    assert dark != light
    page.find_element(By.ID, "theme").click()
    assert paper() == light
    resize(page, 1280, 900, dark=True)
    assert paper() == light  # what was chosen stays
    page.refresh()
    assert paper() == dark  # and the system decides again


def test_it_can_be_read_on_a_phone(page):
    resize(page, 390, 844)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    maps = page.execute_script(
        "return [...document.querySelectorAll('.moment:not([hidden]) .map')].slice(0,3)"
        ".map(m=>m.getBoundingClientRect().width)"
    )
    assert min(maps) > 300
    small = page.execute_script(
        "return [...document.querySelectorAll('main p, main td, main th, main dd, main li, main button')]"
        ".filter(e=>e.offsetParent && e.innerText.trim()).map(e=>parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(small) >= 11
    buttons = page.execute_script(
        "return [...document.querySelectorAll('.controls button')]"
        ".map(b=>Math.min(b.offsetWidth, b.offsetHeight))"
    )
    assert min(buttons) >= 32
    theme = page.execute_script(
        "const b = document.querySelector('#theme').getBoundingClientRect(),"
        "l = document.querySelector('.links').getBoundingClientRect(); return [b.right, l.right - b.left]"
    )
    assert (theme[0] <= 390, theme[1] <= 0) == (True, True), theme  # beside the links, not behind them


def test_cards_of_a_desktop_stand_in_one_row_and_intervals_on_one_line(page):
    resize(page, 1400, 900)
    rows, lines = page.execute_script(
        "const c = document.querySelector('.cards'), one = c.querySelector('.card');"
        "document.querySelector('table').classList.add('many');"
        "while (c.children.length < 6) c.append(one.cloneNode(true));"
        "return [new Set([...c.children].map(e=>e.offsetTop)).size,"
        "Math.max(...[...document.querySelectorAll('table.many td small')].map(e=>e.offsetHeight/"
        "parseFloat(getComputedStyle(e).fontSize)))]"
    )
    assert rows == 1
    assert lines < 2


def test_three_figures_that_belong_together_print_beside_each_other(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        columns = page.execute_script(
            "const d = document.createElement('div'); d.className = 'pair trio'; document.body.append(d);"
            "return getComputedStyle(d).gridTemplateColumns.split(' ').length"
        )
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert columns == 3


def test_paper_lists_files_in_two_columns_and_facts_in_one_with_ticks_apart(page):
    """90 files took 1.5 pages; facts of half a page's width took one; five ticks ran into each other."""
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    resize_to = {"width": 720, "height": 960, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", resize_to)
    try:
        found = page.execute_script(
            "const d = document.createElement('div');"
            "const row = '<tr><td><a href=x>RGI2000-v7.0-G-99-00001/thickness.tif</a></td>"
            "<td>cloud-optimised GeoTIFF</td><td>31 kB</td></tr>';"
            "d.innerHTML = '<table class=files><thead></thead><tbody>' + row.repeat(90) + '</tbody></table>'"
            " + '<div class=pair><div class=panel><dl></dl></div><div class=panel><dl></dl></div></div>'"
            " + '<div class=\"pair trio\"><div class=legend><div>'"
            " + '<span>3,250</span>'.repeat(5) + '</div></div></div>';"
            "document.querySelector('main').append(d);"
            "const t = d.querySelector('table'), p = d.querySelector('.pair');"
            "const shown = [...d.querySelectorAll('.legend span')].filter(e => e.offsetWidth).length;"
            "const made = [[...t.rows].filter(r => r.getBoundingClientRect().left <"
            " t.getBoundingClientRect().left + 9).length,"
            "getComputedStyle(p).gridTemplateColumns.split(' ').length, shown];"
            "d.remove(); return made"
        )
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert found == [45, 1, 3], found


def test_paper_keeps_the_first_and_last_rows_of_a_table_together_and_its_note(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        breaks = page.execute_script(
            "const d = document.createElement('div');"
            "d.innerHTML = '<div class=panel><table><thead><tr></tr></thead><tbody>'"
            " + '<tr></tr>'.repeat(9) + '</tbody></table><p class=note></p></div>';"
            "document.querySelector('main').append(d);"
            "const s = [...d.querySelectorAll('tbody tr, .note')].map(e => getComputedStyle(e));"
            "const b = s.map(e => +(e.breakBefore == 'avoid') + 2 * (e.breakAfter == 'avoid'));"
            "d.remove(); return b"
        )
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert breaks == [2, 2, 2, 0, 0, 0, 1, 1, 1, 1]


def test_it_prints_without_half_empty_pages(page):
    """The browser's own PDF: pages as long as what is on them, nothing wider than the paper."""
    import base64
    import re

    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    resize_to = {"width": 720, "height": 960, "deviceScaleFactor": 1, "mobile": False}  # Letter less margins
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", resize_to)
    try:
        height, wide = page.execute_script(
            "const wide=[...document.querySelectorAll('table,.map,.samples,svg')].filter(e=>"
            "e.getBoundingClientRect().right>innerWidth+1).map(e=>e.className||e.tagName).concat("
            "[...document.querySelectorAll('.samples,.scroll')].filter(e=>getComputedStyle(e).overflowX=='auto')"
            ".map(e=>e.className));"
            "return [document.documentElement.scrollHeight, wide]"
        )
        label = page.execute_script(
            "return getComputedStyle(document.querySelector('[data-slider] .moment'),'::before').content"
        )
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert wide == []
    assert "one of" in label
    assert pages <= 1.35 * height / 960 + 1


def test_paper_shows_every_table_and_no_list_to_unfold(page):
    page.execute_script("document.querySelector('details.more').open = false")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        table, unfold, options = page.execute_script(
            "return ['.more table', '.more > summary', 'details.options']"
            ".map(s => document.querySelector(s).getBoundingClientRect().height)"
        )
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert (table > 50, unfold, options) == (True, 0, 0)


@pytest.mark.parametrize("pressed", [False, True])
def test_paper_is_light_and_keeps_the_colours_of_legends(page, pressed):
    """Browsers leave backgrounds out of print, and colour bars are some; a dark page's ink is pale."""
    page.execute_script(f"document.documentElement.dataset.theme = {'dark' if pressed else ''!r}")
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    colours = []
    try:
        for media in ("screen", "print"):
            page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [dark]})
            colours.append(
                page.execute_script(
                    "const s = getComputedStyle(document.querySelector('.legend i'));"
                    "return [getComputedStyle(document.body).color, s.printColorAdjust]"
                )
            )
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
        page.execute_script("delete document.documentElement.dataset.theme")
    assert colours == [["rgb(230, 237, 243)", "economy"], ["rgb(23, 33, 43)", "exact"]]


def test_the_picture_of_the_manual_is_photographed_by_a_script(run, tmp_path):
    """`make docs-figures`: the size that README shows, the page in light colours and not an empty one."""
    from importlib.util import module_from_spec, spec_from_file_location

    import cv2

    script = Path(__file__).parents[2] / "docs" / "images" / "report.py"
    spec = spec_from_file_location("report_picture", script)
    spec.loader.exec_module(drawing := module_from_spec(spec))
    if (program := drawing.browser()) is None:
        pytest.skip("no browser here: the package chromium brings one")
    drawing.photograph(run / "report.html", tmp_path / "report.png", program)
    picture = cv2.imread(str(tmp_path / "report.png"))
    kept = cv2.imread(str(script.with_suffix(".png")))
    assert picture.shape == kept.shape
    assert picture.std() > 20
    assert abs(picture[-5:, :20].mean() - 252) < 4  # the paper at the left edge


def test_every_control_can_be_reached_and_has_a_name(page):
    unnamed = page.execute_script(
        "return [...document.querySelectorAll('button, input, a, img, [role=img]')].filter(e=>"
        "!(e.getAttribute('aria-label') || e.innerText || e.closest('label') || e.hasAttribute('alt')))"
        ".map(e=>e.outerHTML.slice(0,80))"
    )
    assert unnamed == []
    reachable = page.execute_script(
        "return [...document.querySelectorAll('.controls button, .controls input')].every(e=>e.tabIndex>=0)"
    )
    assert reachable


def test_a_comparison_is_silent_too(browser, tmp_path):
    one = make_run(tmp_path, lambda run: [time_maps(run, 3)])
    two = make_run(tmp_path, lambda run: [time_maps(run, 3)], model="salstm", identity="ffeeddccbb")
    resize(browser, 1280, 900)
    browser.get_log("browser")
    browser.get(compare([one, two]).as_uri())
    assert browser.get_log("browser") == []
    assert shown(browser, 1)[0][0].startswith("2013-01-01")
