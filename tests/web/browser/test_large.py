"""A radiograph of seven million pixels in a browser: previewed first, exact when at rest."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from pydicom.dataset import FileDataset

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
FRAME = "[data-field=frame]"
ROWS, COLUMNS = 3000, 2500


def middle_row(page: Page) -> Any:
    """The row of the canvas at its middle, and where the frame's box begins."""
    found = page.eval_on_selector(
        FRAME,
        """canvas => ({ left: Number(canvas.dataset.left), top: Number(canvas.dataset.top),
            row: canvas.height >> 1, data: [...canvas.getContext("2d")
                .getImageData(0, canvas.height >> 1, canvas.width, 1).data] })""",
    )
    return np.array(found["data"]).reshape(-1, 4)[:, 0], found


def test_a_large_frame_is_quick_while_it_moves_and_exact_when_it_rests(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    x = np.arange(COLUMNS)
    stored = ((np.sin(x / 90) + 1) * 2000)[None, :] + np.arange(ROWS)[:, None] % 7
    stored = stored.astype(np.uint16)
    dataset = make_instance(
        Modality="DX", Rows=ROWS, Columns=COLUMNS, PixelRepresentation=0,
        PixelData=stored.tobytes(), WindowCenter=2000, WindowWidth=4000,
    )  # fmt: skip
    keeper.keep(dataset)
    held: list[Route] = []
    page.route("**/frames/1/pixels*", lambda route: held.append(route))
    page.goto(f"/studies/{dataset.StudyInstanceUID}")
    page.wait_for_selector(f"{FRAME}[data-state=preview]")
    page.click("text=1:1")
    for _ in range(100):
        if held:
            break
        page.wait_for_timeout(50)
    assert held, "what is looked at closely is loaded, however large it is"
    for route in held:
        route.continue_()
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    box = page.locator(FRAME).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 400, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 280, steps=6)
    page.wait_for_timeout(100)
    moving, _ = middle_row(page)
    page.mouse.up()
    page.wait_for_timeout(300)
    resting, where = middle_row(page)
    words = page.inner_text("[data-field=text-window]").replace("W", "").split("L")
    width, center = float(words[0]), float(words[1])
    row = stored[where["row"] - int(where["top"])].astype(float)
    first = -int(where["left"])
    seen = row[first : first + len(resting)]
    expected = np.floor(np.clip((seen - (center - 0.5)) * 255 / (width - 1) + 127.5, 0, 255) + 0.5)
    np.testing.assert_array_equal(resting, expected)
    np.testing.assert_array_equal(moving, expected, "at one to one nothing is averaged")


@pytest.mark.full_browser
def test_over_a_slow_line_a_large_frame_is_windowed_from_fewer_values_and_never_measured(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    stored = np.random.default_rng(3).integers(0, 4000, (ROWS, COLUMNS), np.uint16)
    dataset = make_instance(
        Modality="DX", Rows=ROWS, Columns=COLUMNS, PixelRepresentation=0,
        PixelData=stored.tobytes(), WindowCenter=2000, WindowWidth=4000,
    )  # fmt: skip
    keeper.keep(dataset)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    line = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 5, "downloadThroughput": 1e6, "uploadThroughput": 1e6}
    line.send("Network.enable")
    line.send("Network.emulateNetworkConditions", slow)
    page.goto(f"/studies/{dataset.StudyInstanceUID}")
    badge = page.locator("[data-field=badge]").first
    expect(badge).to_contain_text("pixels as one", timeout=30_000)
    before, _ = middle_row(page)
    box = page.locator(FRAME).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 400, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 600, box["y"] + 300, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert not np.array_equal(middle_row(page)[0], before)
    expect(badge).to_have_attribute("data-state", "preview")
    values = [url for url in asked if "/pixels?" in url or "/rendered" in url]
    assert len(values) == 1, "a drag asks for nothing"
    assert "reduce=" in values[0]
    fast = {"downloadThroughput": -1, "uploadThroughput": -1}
    line.send("Network.emulateNetworkConditions", slow | fast)
    page.click("[data-action=tool][data-value=ellipse]")
    page.mouse.move(box["x"] + 600, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(box["x"] + 700, box["y"] + 400, steps=3)
    page.mouse.up()
    page.wait_for_selector(f"{FRAME}[data-state=final]", timeout=30_000)
