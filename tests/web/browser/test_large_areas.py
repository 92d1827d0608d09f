"""Values of an area of a whole radiograph: the hand is never held up, and the values are exact."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from pydicom.dataset import FileDataset

from tests.web.browser.hands import FRAME, labels, on_screen, use, wait_for_kept

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
ROWS, COLUMNS = 3000, 2500
LONGEST = """() => {
    window.longest = 0;
    new PerformanceObserver(list => list.getEntries().forEach(
        one => (window.longest = Math.max(window.longest, one.duration)))).observe({ type: "longtask" });
}"""  # noqa: E501


def fixed(value: float) -> str:
    if float(value).is_integer():
        return str(int(value))
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


@pytest.mark.full_browser
@pytest.mark.parametrize("kind", ["ellipse", "rectangle"])
def test_an_area_of_a_whole_radiograph_follows_the_hand_and_tells_exact_values(
    keeper: Any,
    make_instance: Make,
    page: Page,
    kind: str,
) -> None:
    """While it moves it says that values follow; no other values are ever shown."""
    stored = np.random.default_rng(3).integers(0, 4096, (ROWS, COLUMNS), np.uint16)
    known = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "WindowCenter": 2000}
    dataset = make_instance(
        Modality="DX", Rows=ROWS, Columns=COLUMNS, PixelData=stored.tobytes(), **known
    )
    keeper.keep(dataset)
    page.goto(f"/studies/{dataset.StudyInstanceUID}")
    page.wait_for_selector(f"{FRAME}[data-state=preview], {FRAME}[data-state=final]")
    page.wait_for_selector("#strip button")
    use(page, kind)
    start, end = on_screen(page, (20.0, 20.0), (2480.0, 2980.0), shape=(1.0, 1.0))
    page.mouse.click(*start)  # values are asked for now
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.evaluate(LONGEST)
    for share in np.linspace(0.3, 1, 40):
        x, y = (start[at] + share * (end[at] - start[at]) for at in (0, 1))
        page.mouse.move(x, y)
        first = labels(page, kind).locator("tspan").first.text_content()
        assert first == "Values follow when it rests"
    longest = page.evaluate("window.longest")
    print(f"longest piece of work while it moved: {longest:.0f} ms")
    page.mouse.click(*end)
    [mark] = wait_for_kept(page, dataset, 1)
    lines = labels(page, kind).locator("tspan")
    expect(lines.first).to_contain_text("Mean", timeout=20_000)
    points = np.array(mark["points"])
    values = stored[inside(kind, points)].astype(np.float64)
    told = lines.all_text_contents()
    assert told[0] == f"Mean {fixed(values.mean())} · SD {fixed(values.std())}"
    assert told[1] == f"Min {int(values.min())} · Max {int(values.max())}"
    assert told[3] == f"{values.size} px"
    assert longest < 400, "ten times what a piece takes: machines differ"


def inside(kind: str, points: Any) -> Any:
    y, x = np.mgrid[:ROWS, :COLUMNS] + 0.5
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, (high - low) / 2
    u, v = (x - middle[0]) / half[0], (y - middle[1]) / half[1]
    return (u * u + v * v <= 1) if kind == "ellipse" else (abs(u) <= 1) & (abs(v) <= 1)
