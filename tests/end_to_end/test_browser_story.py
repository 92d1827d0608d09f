"""A surgeon's way through an outage, in a real browser against a whole node with phantom patients.

With LIFEBOAT_SCREENSHOTS=FOLDER the pictures of every page are written there (`make screenshots`).
"""

import base64
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, Page, expect

from sample_data.pacs import PracticePacs
from sample_data.phantoms import write_sample
from sample_data.scanner import send_files

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.timeout(300)]

READ_PIXELS = """(canvas, [width, height]) => {
    const { left, top } = canvas.dataset;
    const { data } = canvas.getContext("2d").getImageData(Number(left), Number(top), width, height);
    let text = "";
    for (let at = 0; at < data.length; at += 4) text += String.fromCharCode(data[at]);
    return btoa(text);
}"""


NEXT_DRAWING = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1600, "height": 1000})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    opened.close()
    assert problems == []


def picture(page: Page, name: str) -> None:
    folder = os.environ.get("LIFEBOAT_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(2000)  # for the eye only: rows and thumbnails have come to rest
        page.screenshot(path=Path(folder) / f"{name}.png")


def shown_grey_levels(page: Page, ds: pydicom.Dataset) -> np.ndarray[Any, Any]:
    text = page.locator("[data-field=frame]").evaluate(READ_PIXELS, [ds.Columns, ds.Rows])
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(ds.Rows, ds.Columns)


def expected_grey_levels(ds: pydicom.Dataset, center: float, width: float) -> Any:
    """Apply PS3.3 C.11.2.1.2.1 in plain float64."""
    x = ds.pixel_array.astype(np.float64) * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
    y = (x - (center - 0.5)) * 255 / (width - 1) + 127.5
    return np.floor(np.clip(y, 0, 255) + 0.5).astype(np.uint8)


def window_on_screen(page: Page) -> tuple[float, float]:
    """Return center and width as they are shown."""
    match = re.search(r"W ([\d.]+)\s+L (-?[\d.]+)", page.inner_text("[data-field=text-window]"))
    assert match
    return float(match[2]), float(match[1])


def frame_on_screen(page: Page, by_uid: dict[str, pydicom.Dataset]) -> pydicom.Dataset:
    page.wait_for_selector("[data-field=frame][data-state=final]")
    return by_uid[page.locator("[data-field=frame]").get_attribute("data-frame").partition("#")[0]]


def test_the_story_as_people_see_it(make_node, free_ports, page, tmp_path, wait):
    (pacs_port,) = free_ports(1)
    node = make_node("pacs.host=127.0.0.1", f"pacs.port={pacs_port}", "pacs.ae_title=PRACTICE-PACS")
    node.start("run")
    board = f"http://127.0.0.1:{node.web_port}/"
    page.goto(board)
    expect(page.get_by_text("LIFEBOAT").first).to_be_visible()  # how to connect a scanner
    picture(page, "empty")

    # the PACS is down; a scanner sends; the board fills without being asked
    series = write_sample(tmp_path / "sample", uid_seed="story", now=datetime.now(UTC))
    paths = [path for files in series.values() for path in files]
    outcomes = send_files(paths, host="127.0.0.1", port=node.dicom_port)
    assert {item.status for item in outcomes} == {0}
    expect(page.get_by_text("PHANTOM, Head")).to_be_visible(timeout=15_000)
    expect(page.get_by_text("PHANTOM, Brain")).to_be_visible(timeout=15_000)
    picture(page, "board")

    # find the patient, open the CT
    page.get_by_role("searchbox").fill("phantom head")
    expect(page.get_by_text("PHANTOM, Brain")).not_to_be_visible()
    page.get_by_text("PHANTOM, Head").click()
    by_uid = {str(ds.SOPInstanceUID): ds for ds in map(pydicom.dcmread, series["head_ct"])}
    first = frame_on_screen(page, by_uid)
    expect(page.get_by_text(str(first.PatientID)).first).to_be_visible()
    picture(page, "viewer")

    # at 1:1 the canvas holds the grey levels of the formula, before and after scrolling
    page.click("text=1:1")
    for _ in range(3):
        ds = frame_on_screen(page, by_uid)
        center, width = window_on_screen(page)
        difference = np.abs(
            shown_grey_levels(page, ds).astype(int) - expected_grey_levels(ds, center, width)
        )
        assert difference.max() <= 1
        before = page.locator("[data-field=frame]").get_attribute("data-frame")
        page.mouse.move(800, 500)
        page.mouse.wheel(0, 100)
        page.wait_for_function(
            "before => document.querySelector('[data-field=frame]').dataset.frame !== before",
            arg=before,
        )

    # drag the window: wider to the right, and the picture follows the numbers on screen
    ds = frame_on_screen(page, by_uid)
    center, width = window_on_screen(page)
    page.mouse.move(700, 500)
    page.mouse.down()
    page.mouse.move(820, 540, steps=8)
    page.mouse.up()
    page.evaluate(NEXT_DRAWING)
    dragged = window_on_screen(page)
    assert dragged[1] > width
    assert dragged[0] != center
    difference = np.abs(
        shown_grey_levels(page, ds).astype(int) - expected_grey_levels(ds, *dragged)
    )
    assert difference.max() <= 1

    # the PACS is back: everything returns, and the page says so by itself
    page.goto(f"{board}sync")
    pacs = PracticePacs(
        tmp_path / "pacs",
        port=pacs_port,
        return_addresses={"LIFEBOAT": ("127.0.0.1", node.dicom_port)},
    )
    with pacs:
        expect(page.get_by_text("returned and proven").first).to_be_visible(timeout=90_000)
        wait(lambda: sum(pacs.received.values()) == len(paths))
        picture(page, "sync")
    assert set(pacs.received.values()) == {1}
