"""What hands do on a page: a mouse, and fingers as Chromium gets them from a screen."""

import base64
import time
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect
from pydicom.dataset import FileDataset

Point = tuple[float, float]
ROW_MM, COLUMN_MM = 0.4, 0.7
FRAME = "[data-field=frame]"
NEXT_DRAWING = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ENDS: Final = ((10.0, 20.0), (50.0, 44.0))
"""Of the line most tests draw, columns and rows."""
PIXELS = """(canvas, [width, height]) => {
    const { left, top } = canvas.dataset;
    const { data } = canvas.getContext("2d").getImageData(Number(left), Number(top), width, height);
    return [btoa(String.fromCharCode(...data)), { ...canvas.dataset }];
}"""


def open_study(page: Page, dataset: FileDataset) -> None:
    page.goto(f"/studies/{dataset.StudyInstanceUID}")
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.wait_for_selector("#strip button")  # nothing moves any more
    page.wait_for_selector("body[data-tools=all]")


def wait_for_frame(page: Page, dataset: FileDataset, number: int = 1) -> None:
    key = f"{dataset.SOPInstanceUID}#{number}"
    page.wait_for_selector(f'{FRAME}[data-frame="{key}"][data-state=final]')


def levels(page: Page, rows: int = 64, columns: int = 64) -> NDArray[np.uint8]:
    """Return the frame as it lies one to one on the canvas, red, green and blue."""
    page.evaluate(NEXT_DRAWING)
    text, facts = page.eval_on_selector(FRAME, PIXELS, [columns, rows])
    assert facts["zoom"] == "1"
    rgba = np.frombuffer(base64.b64decode(text), np.uint8).reshape(rows, columns, 4)
    return rgba[..., :3]


def on_screen(
    page: Page, *points: Point, canvas: Locator | None = None, shape: Point | None = None
) -> list[Point]:
    """Return where points of the image lie on the page; pixels are as wide as their spacing."""
    page.evaluate(NEXT_DRAWING)
    canvas = canvas or page.locator(FRAME)
    facts = {name: float(canvas.get_attribute(f"data-{name}")) for name in ("left", "top", "zoom")}
    box = canvas.bounding_box()
    assert box
    wide, high = shape or (COLUMN_MM / ROW_MM, 1.0)
    return [
        (
            box["x"] + facts["left"] + x * wide * facts["zoom"],
            box["y"] + facts["top"] + y * high * facts["zoom"],
        )
        for x, y in points
    ]


def drag(page: Page, start: Point, end: Point) -> None:
    draw(page, *on_screen(page, start, end))


def draw(page: Page, start: Point, end: Point, button: Any = "left") -> None:
    """Drag between two points of the page."""
    page.mouse.move(*start)
    page.mouse.down(button=button)
    page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    page.mouse.move(*end)
    page.mouse.up(button=button)


def click(page: Page, *points: Point) -> None:
    for x, y in on_screen(page, *points):
        page.mouse.click(x, y)


def use(page: Page, tool: str) -> None:
    page.click(f".toolbar [data-action=tool][data-value={tool}]")


def fingers(page: Page, *paths: list[Point], rest_ms: int = 150) -> None:
    """Put fingers down one after the other, move all along their paths, and lift them.

    They rest before they are lifted: after a fling Chromium takes the next tap as its end.
    """
    session = page.context.new_cdp_session(page)

    def touch(name: str, at: list[Point]) -> None:
        found = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(at)]
        session.send("Input.dispatchTouchEvent", {"type": name, "touchPoints": found})

    starts = [path[0] for path in paths]
    for count in range(1, len(starts) + 1):
        touch("touchStart", starts[:count])
    for step in zip(*(path[1:] for path in paths), strict=True):
        touch("touchMove", list(step))
    if rest_ms:
        page.wait_for_timeout(rest_ms)
    if len(paths[0]) > 1:
        touch("touchMove", [path[-1] for path in paths])
    for left in range(len(paths) - 1, -1, -1):
        touch("touchEnd", [path[-1] for path in paths][:left])
    session.detach()


def finger(page: Page, *points: Point, rest_ms: int = 150) -> None:
    """Put a finger down, draw it over the page, and lift it."""
    fingers(page, list(points), rest_ms=rest_ms)


def along(start: Point, end: Point, steps: int = 6) -> list[Point]:
    """Return points from one to another, evenly."""
    return [
        (
            start[0] + (end[0] - start[0]) * step / steps,
            start[1] + (end[1] - start[1]) * step / steps,
        )
        for step in range(steps + 1)
    ]


def labels(page: Page, kind: str) -> Locator:
    return page.locator(f".mark[data-kind={kind}] .label")


def kept(page: Page, dataset: FileDataset) -> list[dict[str, Any]]:
    """Return the marks the node keeps, once the page has told it all."""
    url = f"/api/v1/studies/{dataset.StudyInstanceUID}/marks"
    return list(page.request.get(url).json()["marks"])


def wait_for_kept(page: Page, dataset: FileDataset, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 10
    while len(found := kept(page, dataset)) != count:
        assert time.monotonic() < deadline, found
        page.wait_for_timeout(50)
    return found


def millimetres(points: Any) -> float:
    a, b = np.array(points)
    return float(np.linalg.norm((b - a) * (COLUMN_MM, ROW_MM)))


def assert_length(page: Page, dataset: FileDataset, wanted: tuple[Point, Point]) -> None:
    """One length lies where it was set, to the nearest pixel of the screen, and says the truth."""
    [mark] = wait_for_kept(page, dataset, 1)
    assert mark["kind"] == "length"
    np.testing.assert_allclose(mark["points"], wanted, atol=0.15)
    expect(labels(page, "length")).to_have_text(f"{millimetres(mark['points']):.1f} mm")
    assert millimetres(mark["points"]) == pytest.approx(millimetres(wanted), abs=0.1)
