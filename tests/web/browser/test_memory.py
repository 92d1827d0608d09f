"""A long study in a page: what is kept of it stays within a budget."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from tests.conftest import CHROMIUM_FLAGS, require_program, wait_until
from tests.web.browser.hands import FRAME

pytestmark = [pytest.mark.browser, pytest.mark.full_browser]

Make = Callable[..., FileDataset]
SLICES, SIDE = 2000, 256
BUDGET_MB = 200


@pytest.fixture
def lone_chromium(tmp_path: Path) -> Iterator[str]:
    """Return the address of a Chromium that goes on when nobody drives it any more."""
    profile = tmp_path / "profile"
    command = [require_program("chromium"), "--headless", *CHROMIUM_FLAGS, "about:blank"]
    own = ["--remote-debugging-port=0", f"--user-data-dir={profile}"]
    process = subprocess.Popen([*command, *own], stderr=subprocess.DEVNULL)
    try:
        told = profile / "DevToolsActivePort"
        wait_until(lambda: told.exists() and "\n" in told.read_text(), what="Chromium")
        yield f"http://127.0.0.1:{told.read_text().splitlines()[0]}"
    finally:
        process.terminate()
        process.wait()


def pages_of(browser: Browser) -> list[int]:
    """Return the processes that hold pages."""
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return [process["id"] for process in found if process["type"] == "renderer"]


def memory_mb(processes: Sequence[int]) -> float:
    """Return what processes hold, each shared page counted by its share."""
    texts = [Path(f"/proc/{process}/smaps_rollup").read_text() for process in processes]
    return sum(int(text.split("\nPss:")[1].split()[0]) for text in texts) / 1024


def scroll_through(page: Page) -> None:
    """Look at every slice until its values are there."""
    page.keyboard.press("Home")
    for slice_number in range(1, SLICES + 1):
        page.wait_for_selector(f"{FRAME}[data-state=final]", timeout=60_000)
        if slice_number < SLICES:
            page.keyboard.press("ArrowDown")
    expect(page.locator("[data-field=text-slice]")).to_have_text(f"Image {SLICES} of {SLICES}")


@pytest.mark.timeout(1800)
def test_two_thousand_slices_scrolled_through_stay_within_the_budget(
    keeper: Any, make_instance: Make, served: int, browser: Browser, lone_chromium: str
) -> None:
    """262 MB of values and 120 MB of previews pass through the page.

    Whoever drives a page makes its process keep answers, to tell what was in them: 210 to 265 MB
    here. So the memory is looked at when nobody does any more.
    """
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
    driver = browser.browser_type.connect_over_cdp(lone_chromium)
    page = driver.contexts[0].pages[0]
    base = memory_mb(pages_of(driver))
    page.goto(f"http://127.0.0.1:{served}/studies/{uids['StudyInstanceUID']}")
    page.wait_for_selector(f"{FRAME}[data-state=final]", timeout=60_000)
    scroll_through(page)
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    processes = pages_of(driver)
    print(f"memory of the page: {memory_mb(processes) - base:.0f} MB with what its driver keeps")
    driver.close()
    wait_until(lambda: memory_mb(processes) - base <= BUDGET_MB, 60, "memory within the budget")
    print(f"memory of the page: {memory_mb(processes) - base:.0f} MB")
