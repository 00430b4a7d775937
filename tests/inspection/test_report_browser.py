"""The report in a real browser: Chromium, without a screen and without a network."""

import base64
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mnistseq_cli.formats.base import LoadedSample
from mnistseq_cli.inspection.figures import Survey
from mnistseq_cli.inspection.report import write_report
from mnistseq_cli.inspection.survey import survey
from tests.helpers.report_cases import (
    NASTY,
    make_dataset,
    read_all,
    survey_nasty,
    write_predictions,
)

pytest.importorskip("jinja2", reason="Jinja2 is not installed: reports need it")
pytest.importorskip("selenium", reason="Selenium is not installed: it drives the browser")

from selenium.webdriver import ActionChains, Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

pytestmark = pytest.mark.consumers

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
DESKTOP, PHONE = (1280, 900), (360, 740)
THEMES = ("light", "dark")


def find_program(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip(f"there is no {names[0]} on this machine")


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = find_program("chromium", "chromium-browser", "google-chrome")
    service = Service(find_program("chromedriver"), env=os.environ | {"SE_OFFLINE": "true"})
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=service)
    driver.set_script_timeout(120)  # axe takes long on a busy machine
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def found(glyph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return survey(make_dataset(tmp_path_factory.mktemp("data") / "numbers", glyph_folder))


@pytest.fixture(scope="module")
def report(found: Survey, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    reader = read_all(write_predictions(folder / "read.csv", found), found)
    write_report(folder / "report.html", found, reader)
    return folder / "report.html"


@pytest.fixture
def page(chrome: Chrome, report: Path) -> Chrome:
    """Open the report afresh, on a desktop, in the light theme."""
    open_page(chrome, report)
    return chrome


def open_page(chrome: Chrome, path: Path) -> None:
    look(chrome)
    for kind in ("browser", "performance"):
        read_log(chrome, kind)
    chrome.get(path.as_uri())


def look(
    chrome: Chrome, theme: str = "light", size: tuple[int, int] = DESKTOP, media: str = ""
) -> None:
    """Set what the page is looked at with."""
    width, height = size
    device = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def ask(chrome: Chrome, script: str, *values: Any) -> Any:
    return chrome.execute_script(f"return {script}", *values)


def read_log(chrome: Chrome, kind: str) -> list[dict[str, Any]]:
    """Give what was logged since the last time."""
    entries: list[dict[str, Any]] = chrome.execute("getLog", {"type": kind})["value"]
    return entries


def requests_of(chrome: Chrome) -> list[str]:
    log = read_log(chrome, "performance")
    events = [json.loads(entry["message"])["message"] for entry in log]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


def shown_cards(chrome: Chrome) -> list[int]:
    script = "[...document.querySelectorAll('#samples > li')].map(card => card.offsetHeight > 0)"
    return [number for number, is_shown in enumerate(ask(chrome, script)) if is_shown]


def choose(chrome: Chrome, name: str, value: str) -> None:
    Select(chrome.find_element(By.NAME, name)).select_by_value(value)


def are_boxes_shown(chrome: Chrome, number: int) -> bool:
    script = "getComputedStyle(document.querySelectorAll('#samples svg')[arguments[0]]).visibility"
    return bool(ask(chrome, script, number) == "visible")


def test_the_page_loads_from_disk_without_errors_or_requests(page: Chrome, report: Path) -> None:
    requests = requests_of(page)
    assert requests[0] == report.as_uri()
    assert all(url.startswith("data:") for url in requests[1:])
    assert read_log(page, "browser") == []
    assert page.title.startswith("numbers")
    script = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert ask(page, script)


def test_a_page_of_others_names_runs_nothing_of_theirs(chrome: Chrome, tmp_path: Path) -> None:
    found = survey_nasty(tmp_path / "<script>x()")
    write_report(tmp_path / "nasty.html", found)
    open_page(chrome, tmp_path / "nasty.html")
    assert read_log(chrome, "browser") == []
    assert [line for line in requests_of(chrome)[1:] if not line.startswith("data:")] == []
    texts = [one.text for one in chrome.find_elements(By.CSS_SELECTOR, "#samples .text")]
    assert texts == list(NASTY)
    for number, seen in enumerate(found.samples):
        choose(chrome, "split", seen.split)
        assert shown_cards(chrome) == [number]


WANTED: dict[str, Callable[[LoadedSample, str], bool]] = {
    "digit": lambda seen, value: value in seen.text,
    "length": lambda seen, value: len(seen.text) == int(value),
    "split": lambda seen, value: seen.split == value,
}
FILTERS = [
    {"split": "test"},
    {"digit": "0", "length": "6"},
    {"digit": "4", "length": "2", "split": "train"},
]


@pytest.mark.parametrize("asked", FILTERS, ids=str)
def test_filters_filter(asked: dict[str, str], page: Chrome, found: Survey) -> None:
    n_all = len(found.samples)
    for name, value in asked.items():
        choose(page, name, value)
    wanted = [
        number
        for number, seen in enumerate(found.samples)
        if all(WANTED[name](seen, value) for name, value in asked.items())
    ]
    assert 0 < len(wanted) < n_all
    assert shown_cards(page) == wanted
    count = page.find_element(By.TAG_NAME, "output")
    assert count.text == f"{len(wanted)} of {n_all} shown"
    page.find_element(By.CSS_SELECTOR, "#filters button").click()
    assert count.text == f"{n_all} of {n_all} shown"
    choose(page, "state", "right")  # of what was read
    assert set(shown_cards(page)) >= {number for number in range(n_all) if number % 5 == 0}
    choose(page, "state", "none")
    assert shown_cards(page) == [number for number in range(n_all) if number % 5 == 4]


def test_boxes_lie_where_the_ink_is(page: Chrome, found: Survey) -> None:
    script = """[...document.querySelectorAll('#samples .picture')].map(picture => {
        const {x, y, width} = picture.querySelector('img').getBoundingClientRect();
        return [...picture.querySelectorAll('rect')].map(rect => {
            const box = rect.getBoundingClientRect();
            return [box.x - x, box.y - y, box.width, box.height].map(px => px / width);
        });
    })"""
    for seen, shares in zip(found.samples, ask(page, script), strict=True):
        assert seen.boxes is not None
        places = [[share * seen.image.shape[1] for share in box] for box in shares]
        assert places == [pytest.approx(box, abs=0.05) for box in seen.boxes.tolist()]


def test_boxes_appear_by_mouse_and_keys(page: Chrome, found: Survey) -> None:
    picture = page.find_elements(By.CSS_SELECTOR, "#samples .picture")[3]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    for target, is_shown in ((picture, True), (page.find_element(By.TAG_NAME, "output"), False)):
        assert are_boxes_shown(page, 3) != is_shown
        ActionChains(page).move_to_element(target).perform()
        assert are_boxes_shown(page, 3) == is_shown
    page.find_element(By.CSS_SELECTOR, "#filters button").click()
    keys = ActionChains(page)
    keys.send_keys(Keys.TAB).perform()
    assert are_boxes_shown(page, 0)
    keys.send_keys(Keys.TAB).perform()
    assert [are_boxes_shown(page, number) for number in range(2)] == [False, True]
    keys.send_keys(Keys.ENTER, Keys.TAB).perform()  # they stay
    assert are_boxes_shown(page, 1)
    assert ask(page, "getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.find_element(By.CSS_SELECTOR, "#filters input").click()
    assert all(are_boxes_shown(page, number) for number in range(len(found.samples)))


@pytest.mark.parametrize("theme", THEMES)
def test_the_page_prints(theme: str, page: Chrome) -> None:
    look(page, theme, media="print")
    for selector in ("#filters", "nav", ".skip"):
        assert not page.find_element(By.CSS_SELECTOR, selector).is_displayed()
    assert page.find_element(By.CSS_SELECTOR, "#samples img").is_displayed()
    paper = ask(page, "getComputedStyle(document.documentElement).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF")
    assert 2 < len(re.findall(rb"/Type\s*/Page\b", pdf)) < 20


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_and_a_phone_needs_no_sideways_scrolling(
    theme: str, page: Chrome
) -> None:
    # axe-core lies in a package for another driver.
    if not (package := find_spec("axe_playwright_python")) or not package.origin:
        pytest.skip("axe-playwright-python is not installed: axe-core comes with it")
    page.execute_script(Path(package.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    axe = "axe.run(document, {resultTypes: ['violations']}).then(found => done(found.violations))"
    for size in (DESKTOP, PHONE):
        look(page, theme, size)
        violations = page.execute_async_script(f"const done = arguments[0]; {axe}")
        assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
    page.execute_script("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert ask(page, "document.documentElement.scrollWidth") == PHONE[0]
    script = """[...document.querySelectorAll('main *')]
        .filter(one => !one.closest('.scroll *, pre *, svg *, .picture *'))
        .filter(one => one.getBoundingClientRect().right > innerWidth + 0.5)
        .map(one => one.outerHTML.slice(0, 80))"""
    assert ask(page, script) == []
