"""A long study in a page: what is kept of it stays within a budget."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from tests.web.browser.hands import FRAME

pytestmark = [pytest.mark.browser, pytest.mark.full_browser]

Make = Callable[..., FileDataset]
SLICES, SIDE = 2000, 256
BUDGET_MB = 300


def memory_mb(browser: Browser, kind: str) -> float:
    """Return what processes of a kind hold, each shared page counted by its share."""
    session = browser.new_browser_cdp_session()
    total_kb = 0
    for process in session.send("SystemInfo.getProcessInfo")["processInfo"]:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process['id']}/smaps_rollup").read_text()
            if process["type"] == kind:
                total_kb += int(text.split("\nPss:")[1].split()[0])
    session.detach()
    return total_kb / 1024


@pytest.mark.timeout(1800)
def test_two_thousand_slices_scrolled_through_stay_within_the_budget(
    keeper: Any,
    make_instance: Make,
    browser: Browser,
    page: Page,
) -> None:
    """262 MB of values pass through the page; at no stop does it hold more than its budget."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    random = np.random.default_rng(8)
    pixels = random.integers(-1000, 1000, (SIDE, SIDE), np.int16)
    for start in range(1, SLICES + 1, 100):
        keeper.keep(
            *(
                make_instance(
                    n, **uids, Rows=SIDE, Columns=SIDE, PixelData=np.roll(pixels, n).tobytes()
                )
                for n in range(start, start + 100)
            )
        )
    base = memory_mb(browser, "renderer")
    page.goto(f"/studies/{uids['StudyInstanceUID']}")
    page.wait_for_selector(f"{FRAME}[data-state=final]", timeout=60_000)
    print(f"the page with its first images: {memory_mb(browser, 'renderer') - base:.0f} MB")
    page.keyboard.press("Home")
    most = 0.0
    for stop in range(0, SLICES, 20):
        for _ in range(19):
            page.keyboard.press("ArrowDown")
        # each stop is settled: its values are loaded, and those around it
        page.wait_for_selector(f"{FRAME}[data-state=final]", timeout=60_000)
        page.keyboard.press("ArrowDown")
        if stop % 200 == 0:
            most = max(most, memory_mb(browser, "renderer") - base)
    page.keyboard.press("End")
    expect(page.locator("[data-field=text-slice]")).to_have_text(f"Image {SLICES} of {SLICES}")
    page.wait_for_selector(f"{FRAME}[data-state=final]", timeout=60_000)
    most = max(most, memory_mb(browser, "renderer") - base)
    session = page.context.new_cdp_session(page)
    kept, deadline = most, time.monotonic() + 60
    while kept > BUDGET_MB and time.monotonic() < deadline:
        session.send("HeapProfiler.collectGarbage")
        page.wait_for_timeout(3000)  # the browser gives back what is free by and by
        kept = memory_mb(browser, "renderer") - base
    print(
        f"memory of the page: {kept:.0f} MB kept, {most:.0f} MB at most with what is not yet tidied"
    )
    assert kept <= BUDGET_MB
