"""Report pages as a browser shows them, wide and on a phone, light and dark."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from experiments.comparison_report import report_comparison
from experiments.run_report import run_report
from tests.reports.dense_run import write_dense_run
from tests.reports.records import FORTY_ONE, write_comparison, write_run

MOST = 3 * 1024 * 1024
PAGES = ("faces", "garments", "rooms", "comparison")
RUN = "results curves schedule weights gradients predictions examples cost configuration".split()

_LAYOUT = """
const seen = element => { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; };
return {
  width: document.scrollingElement.scrollWidth, room: window.innerWidth,
  sections: [...document.querySelectorAll('main > section')].map(e => [e.id, seen(e) && seen(e.children[1])]),
  links: [...document.querySelectorAll('nav a')].map(each => each.hash.slice(1)),
  drawings: [...document.querySelectorAll('svg, img')].filter(each => !each.closest('details')).map(seen),
  text: getComputedStyle(document.body).color, ground: getComputedStyle(document.body).backgroundColor,
  ink: [...document.querySelectorAll('svg text')].map(each => getComputedStyle(each).fill),
  faint: getComputedStyle(document.querySelector('figcaption')).color,
  link: getComputedStyle(document.querySelector('nav a')).color,
  results: [...document.querySelectorAll('#results tbody tr, #against-1 tbody tr')].map(
    row => row.children[2].getBoundingClientRect().right),
};
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with 41 tasks, one with two, one with dense tasks, and a comparison."""
    folder = tmp_path_factory.mktemp("pages")
    comparison = write_comparison(folder / "comparison")
    report_comparison([comparison])
    return {
        "faces": run_report(write_run(folder / "faces", FORTY_ONE, epochs=30, gradients=True, predictions=True)),
        "garments": run_report(write_run(folder / "garments", gradients=True, predictions=True)),
        "rooms": run_report(write_dense_run(folder / "rooms")),
        "comparison": comparison / "comparison.html",
    }


def opened(browser: webdriver.Chrome, page: Path, width: int, scheme: str) -> tuple[dict[str, Any], list[str]]:
    """Opens a page, and returns how it lies and the addresses that were asked for."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())
    layout = browser.execute_script(_LAYOUT)
    assert browser.get_log("browser") == []
    return layout, list(_requests(browser.get_log("performance")))


def _requests(log: list[dict[str, Any]]) -> Iterator[str]:
    for entry in log:
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_in_a_browser(
    browser: webdriver.Chrome, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    layout, requests = opened(browser, pages[name], width, scheme)
    assert layout["width"] <= layout["room"] == width
    assert {url for url in requests if not url.startswith("data:")} == {pages[name].as_uri()}
    found = [anchor for anchor, _ in layout["sections"]]
    assert found == RUN if name != "comparison" else len(found) >= 6
    assert all(seen for _, seen in layout["sections"])
    assert layout["links"] == [anchor for anchor, _ in layout["sections"]]
    assert layout["drawings"]
    assert all(layout["drawings"])
    assert (luminance(layout["text"]) > luminance(layout["ground"])) == (scheme == "dark")
    for part in ("text", "faint", "link"):
        assert contrast(layout[part], layout["ground"]) >= 4.5, part
    assert layout["text"] in layout["ink"]
    # The first two numbers of each result are in view, without scrolling.
    assert max(layout["results"]) <= width


def test_a_comparison_of_many_tasks_scrolls_in_its_tables_only(browser: webdriver.Chrome, tmp_path: Path) -> None:
    folder = write_comparison(tmp_path / "faces", FORTY_ONE, seeds=(0, 1))
    report_comparison([folder], quiet=True)
    opened(browser, folder / "comparison.html", 390, "light")
    open_all = "document.querySelectorAll('details').forEach(each => each.open = true);"
    layout = browser.execute_script(open_all + _LAYOUT)
    assert layout["width"] <= layout["room"] == 390
    wide = "return [...document.querySelectorAll('#methods .scroll')].map(e => [e.scrollWidth, e.clientWidth])"
    gains, metrics, *_ = browser.execute_script(wide)
    assert gains[0] == gains[1] <= 390
    assert metrics[0] > metrics[1] <= 390


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small(pages: dict[str, Path], name: str) -> None:
    assert pages[name].stat().st_size <= MOST


def luminance(colour: str) -> float:
    """The relative luminance of `rgb(...)`, as the accessibility guidelines (WCAG 2.2) define it."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21, as WCAG 2.2 defines it."""
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)
