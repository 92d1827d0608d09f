"""What a browser has loaded stays usable when the node is gone: a real node, killed."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from sample_data.phantoms import write_sample
from sample_data.scanner import send_files

pytestmark = [pytest.mark.full_browser, pytest.mark.timeout(300)]

FRAME = "[data-field=frame]"
PICTURE = """canvas => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let hash = 0;
    for (let at = 0; at < data.length; at += 4) hash = (hash * 31 + data[at]) | 0;
    return hash;
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    opened.close()
    assert problems == []


def scroll_through(page: Page, images: int) -> None:
    """Look at every image until it is drawn with all its values."""
    page.keyboard.press("Home")
    for number in range(1, images + 1):
        expect(page.locator("[data-field=text-slice]")).to_have_text(f"Image {number} of {images}")
        page.wait_for_selector(f"{FRAME}[data-state=final]")
        page.keyboard.press("ArrowDown")


def test_a_loaded_series_scrolls_windows_and_measures_without_its_node(make_node, page, tmp_path):
    node = make_node()
    node.start("run")
    series = write_sample(tmp_path / "sample", uid_seed="survives", now=datetime.now(UTC))
    send_files(series["head_ct"], host="127.0.0.1", port=node.dicom_port)
    page.goto(f"http://127.0.0.1:{node.web_port}/")
    page.get_by_text("PHANTOM, Head").click(timeout=20_000)
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    images = len(series["head_ct"])
    scroll_through(page, images)

    node.kill("run")
    lost = page.locator("#link-lost")
    expect(lost).to_be_visible(timeout=20_000)
    expect(lost).to_contain_text(re.compile(r"lost at \d\d:\d\d"))

    # every image is still there
    scroll_through(page, images)

    # the window still follows the mouse, from the values that are here
    before = page.locator(FRAME).evaluate(PICTURE)
    words = page.inner_text("[data-field=text-window]")
    page.mouse.move(600, 400)
    page.mouse.down()
    page.mouse.move(700, 440, steps=6)
    page.mouse.up()
    assert page.inner_text("[data-field=text-window]") != words
    page.wait_for_function(
        f"before => ({PICTURE})(document.querySelector('{FRAME}')) !== before", arg=before
    )

    # and a length can be measured, with its unit
    page.click("button[data-value=length]")
    page.mouse.move(560, 400)
    page.mouse.down()
    page.mouse.move(720, 400, steps=6)
    page.mouse.up()
    expect(page.locator("[data-field=layer]")).to_contain_text(re.compile(r"\d mm"))
