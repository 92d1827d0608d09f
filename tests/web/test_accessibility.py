"""Pages looked at by axe-core at several sizes, with their targets, text sizes and reflow."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from pydicom.dataset import FileDataset

from dicom_node.setting_tables import NodeSettings
from dicom_node.settings import Settings

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SMALL_TARGETS = """least => [...document.querySelectorAll(
    "button:not([hidden]), input:not([type=hidden]), select, a.button:not(.skip), nav a, a.brand")]
  .map(element => [element.outerHTML.slice(0, 80), element.getBoundingClientRect()])
  .filter(([, box]) => box.height > 0 && (box.height < least - 0.5 || box.width < least - 0.5))
  .map(([html]) => html)"""
SMALL_TEXT = """least => [...document.querySelectorAll("body *")]
  .filter(element => element.checkVisibility() && [...element.childNodes].some(
    node => node.nodeType === 3 && node.textContent.trim()))
  .filter(element => parseFloat(getComputedStyle(element).fontSize) < least)
  .map(element => element.outerHTML.slice(0, 80))"""
WALL = "/?wall=1&theatre=Theatre%203"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data = tmp_path_factory.mktemp("axe") / "data"
    data.mkdir()
    (data / "list.csv").write_text(
        "patient_id,time,theatre,procedure,side\nP-1,09:00,Theatre 3,Knee,left\n"
        "P-9,10:00,Theatre 3,Hip,right\n"
    )
    base = Settings(node=NodeSettings(data=data))
    return replace(base, web=replace(base.web, theatre_list=str(data / "list.csv")))


@pytest.fixture(scope="module")
def study(settings: Settings, make_keeper: Callable[..., Any], make_instance: Make) -> FileDataset:
    counted = {"ImagesInAcquisition": 9, "AcquisitionNumber": 1}
    first = make_instance(PatientID="P-1", Laterality="R", **counted)
    make_keeper(settings.node.data).keep(first, make_instance(PatientID="P-2"))
    return first


@pytest.fixture(scope="module")
def base_url(settings: Settings, study: FileDataset, launch_web: Callable[..., Any]) -> str:
    web = launch_web(settings.node.data, f"web.theatre_list={settings.web.theatre_list}")
    return f"http://127.0.0.1:{web.port}"


@pytest.fixture(scope="module")
def paths(study: FileDataset) -> dict[str, str]:
    plain = f"/studies/{study.StudyInstanceUID}/plain"
    image = f"{plain}?series={study.SeriesInstanceUID}"
    return {
        "board": "/",
        "plain": plain,
        "image": image,
        "sync": "/sync",
        "display": "/display",
        "error": "/studies/1.2.3",
        "viewer": f"/studies/{study.StudyInstanceUID}",
    }


@pytest.fixture
def open_page(browser: Browser, base_url: str) -> Iterator[Callable[..., Page]]:
    opened = []

    def at(width: int, height: int, *addresses: str) -> Page:
        # the page's own rule would keep axe out; the rule itself is tested elsewhere
        context = browser.new_context(
            viewport={"width": width, "height": height}, base_url=base_url, bypass_csp=True
        )
        opened.append(context)
        page = context.new_page()
        for address in addresses:
            page.goto(address)
        page.wait_for_load_state("networkidle")
        return page

    yield at
    for context in opened:
        context.close()


def violations(page: Page) -> list[str]:
    page.evaluate((Path(str(files("axe_playwright_python"))) / "axe.min.js").read_text("utf-8"))
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)["violations"]
    return [
        f"{one['impact']} {one['id']}: {node['html'][:120]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("size", [(1920, 1080), (390, 844)])
@pytest.mark.parametrize("name", ["board", "plain", "image", "sync", "display", "error", "viewer"])
def test_axe_finds_nothing_serious(open_page, paths, name: str, size: tuple[int, int]) -> None:
    assert violations(open_page(*size, paths[name])) == []


@pytest.mark.parametrize("name", ["board", "image"])
def test_axe_finds_nothing_serious_on_a_wall(open_page, paths, name: str) -> None:
    page = open_page(3840, 2160, WALL, *([paths[name]] if name != "board" else []))
    assert page.locator("html.wall").count() == 1
    assert violations(page) == []


@pytest.mark.parametrize("name", ["board", "plain", "image", "display"])
def test_targets_and_text_are_large_enough(open_page, paths, name: str) -> None:
    page = open_page(1024, 768, paths[name])
    assert page.evaluate(SMALL_TARGETS, 44) == []
    assert page.evaluate(SMALL_TEXT, 16) == []
    wall = open_page(1920, 1080, WALL, *([paths[name]] if name != "board" else []))
    assert wall.evaluate(SMALL_TARGETS, 60) == []
    assert wall.evaluate(SMALL_TEXT, 24) == []


@pytest.mark.parametrize("name", ["board", "plain", "image", "display", "error"])
def test_a_narrow_or_enlarged_page_flows_anew(open_page, paths, name: str) -> None:
    page = open_page(320, 640, paths[name])
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
