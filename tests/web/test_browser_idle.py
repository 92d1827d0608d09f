"""A screen nobody touches: it warns, goes back to the board, and keeps images when it cannot."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pydicom.dataset import FileDataset

pytestmark = pytest.mark.browser


@pytest.fixture
def served(start_web: Callable[..., Any], request: pytest.FixtureRequest) -> int:
    return int(start_web(f"web.idle_s={getattr(request, 'param', 4)}").port)


# time enough to draw an image on a busy machine
unhurried = pytest.mark.parametrize("served", [16], indirect=True)


def test_an_idle_screen_goes_back_to_the_board_unless_somebody_stays(
    held: FileDataset, page: Page
) -> None:
    page.goto(f"/studies/{held.StudyInstanceUID}")
    cover = page.locator("#idle")
    expect(cover).to_be_visible(timeout=15_000)
    expect(cover).to_contain_text("goes back to the board")
    page.click("#stay")
    expect(cover).to_be_hidden()
    assert "/studies/" in page.url
    page.wait_for_url("**/", timeout=20_000)
    expect(page.locator("#search")).to_be_visible()
    page.go_back()
    assert "/studies/" not in page.url, "the images are not one step back"


@pytest.mark.full_browser
@unhurried
def test_without_the_node_the_screen_is_covered_and_keeps_what_is_loaded(
    held: FileDataset, page: Page
) -> None:
    page.goto(f"/studies/{held.StudyInstanceUID}")
    page.wait_for_selector("[data-field=frame][data-state=final]")
    page.context.set_offline(True)
    cover = page.locator("#idle")
    expect(cover).to_have_attribute("data-state", "closed", timeout=40_000)
    expect(cover).to_contain_text("what is loaded is kept")
    page.click("#stay")
    expect(cover).to_be_hidden()
    assert page.locator("[data-field=frame]").get_attribute("data-state") == "final"


def test_a_board_nobody_asked_anything_stays_and_a_search_is_cleared(
    held: FileDataset, page: Page
) -> None:
    page.goto("/")
    page.fill("input[name=text]", "phantom")
    expect(page.locator("#idle")).to_be_visible(timeout=15_000)
    expect(page.locator("input[name=text]")).to_have_value("", timeout=15_000)
    expect(page.locator(".study")).to_have_count(1)
    expect(page.locator("#idle")).to_be_hidden()


@pytest.mark.full_browser
@unhurried
def test_a_key_on_a_covered_screen_only_uncovers_it(held: FileDataset, page: Page) -> None:
    page.goto(f"/studies/{held.StudyInstanceUID}")
    page.wait_for_selector("[data-field=frame][data-state=final]")
    page.context.set_offline(True)
    page.keyboard.press("n")
    words = page.locator("[data-field=text-window]")
    expect(words).to_contain_text("inverted")
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_have_count(1)
    cover = page.locator("#idle")
    expect(cover).to_be_visible(timeout=30_000)
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.keyboard.down("Escape")
    page.keyboard.down("Escape")  # it is held down
    expect(cover).to_be_hidden()
    expect(words).to_contain_text("inverted")
    page.keyboard.up("Escape")
    page.keyboard.press("Escape")
    expect(words).not_to_contain_text("inverted")
