"""Marks in a real browser: none is lost or overwritten, or shown as more than it is."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from pydicom.dataset import FileDataset

from dicom_node.settings import Settings
from tests.web.browser.hands import (
    ENDS,
    FRAME,
    assert_length,
    click,
    drag,
    kept,
    labels,
    millimetres,
    open_study,
    use,
    wait_for_kept,
)

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
Point = tuple[float, float]


def test_what_was_done_can_be_undone_and_done_again(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    drag(page, (5.0, 5.0), (25.0, 5.0))
    wait_for_kept(page, stack[1], 2)
    page.keyboard.press("Delete")
    wait_for_kept(page, stack[1], 1)
    page.keyboard.press("Control+z")
    wait_for_kept(page, stack[1], 2)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    wait_for_kept(page, stack[1], 0)
    expect(page.locator(".mark")).to_have_count(0)
    page.keyboard.press("Control+Shift+Z")
    page.keyboard.press("Control+Shift+Z")
    wait_for_kept(page, stack[1], 2)
    use(page, "window")
    page.keyboard.press("Escape")
    expect(page.locator(".mark")).to_have_count(0)
    wait_for_kept(page, stack[1], 0)
    expect(page.locator("#marks-notice")).to_contain_text("2 measurements taken off this image")
    page.click("#marks-notice [data-action=undo-mark]")
    expect(page.locator(".mark")).to_have_count(2)
    wait_for_kept(page, stack[1], 2)


def test_escape_gives_up_what_is_being_set_and_nothing_else(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    wait_for_kept(page, stack[1], 1)
    click(page, (40.0, 5.0))
    expect(page.locator(".mark[data-state=draft]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".mark[data-state=draft]")).to_have_count(0)
    expect(page.locator(".mark")).to_have_count(1)
    click(page, (40.0, 5.0))
    page.mouse.wheel(0, 120)
    expect(page.locator(f'{FRAME}[data-frame="{stack[2].SOPInstanceUID}#1"]')).to_be_visible()
    expect(page.locator(".mark")).to_have_count(0)


def test_delete_takes_no_mark_that_is_not_seen(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    wait_for_kept(page, stack[1], 1)
    page.keyboard.press("End")
    expect(page.locator(f'{FRAME}[data-frame="{stack[2].SOPInstanceUID}#1"]')).to_be_visible()
    expect(page.locator(".toolbar [data-action=delete-mark]")).to_be_disabled()
    page.keyboard.press("Delete")
    expect(page.locator("#marks-notice")).not_to_contain_text("deleted")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".mark")).to_have_count(1)
    page.keyboard.press("Delete")
    wait_for_kept(page, stack[1], 0)


@pytest.mark.full_browser
def test_escape_leaves_the_measurements_of_others(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    wait_for_kept(page, stack[1], 1)
    page.reload()
    expect(page.locator(".mark")).to_have_count(1)
    use(page, "length")
    drag(page, (5.0, 5.0), (25.0, 5.0))
    wait_for_kept(page, stack[1], 2)
    use(page, "window")
    page.keyboard.press("Escape")
    expect(page.locator("#marks-notice")).to_contain_text("1 measurement taken off this image")
    expect(page.locator(".mark")).to_have_count(1)
    wait_for_kept(page, stack[1], 1)


def refuse_reading(route: Route) -> None:
    if route.request.method == "GET":
        route.abort()
    else:
        route.fallback()


@pytest.mark.full_browser
def test_two_windows_show_the_same_marks_and_never_overwrite(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    wait_for_kept(page, stack[1], 1)
    other = page.context.new_page()
    open_study(other, stack[1])
    expect(other.locator(".mark")).to_have_count(1)
    # the other window does not learn that the mark is gone, and moves it
    other.route("**/marks", refuse_reading)
    page.keyboard.press("Delete")
    wait_for_kept(page, stack[1], 0)
    click(other, (30.0, 32.0))
    drag(other, ENDS[1], (20.0, 60.0))
    other.unroute("**/marks", refuse_reading)
    expect(other.locator("#marks-notice")).to_contain_text("in another window")
    expect(other.locator(".mark")).to_have_count(0)
    assert kept(page, stack[1]) == []
    page.keyboard.press("Control+z")
    expect(other.locator(".mark")).to_have_count(1, timeout=8000)
    other.close()


def test_a_mark_of_another_version_is_not_shown_as_valid(
    stack: list[FileDataset], page: Page
) -> None:
    ds = stack[1]
    mark = {
        "mark_id": "0" * 32,
        "revision": 0,
        "series_instance_uid": ds.SeriesInstanceUID,
        "sop_instance_uid": ds.SOPInstanceUID,
        "frame_number": 1,
        "digest": "f" * 64,
        "kind": "length",
        "points": ENDS,
        "text": "",
    }
    url = f"/api/v1/studies/{ds.StudyInstanceUID}/marks"
    assert page.request.post(url, data=mark).ok
    open_study(page, ds)
    expect(labels(page, "length")).to_have_text("Made on another version of this image")
    expect(page.locator(".mark")).to_have_attribute("data-state", "other-version")


@pytest.mark.full_browser
def test_what_is_measured_while_the_node_is_away_is_kept_when_it_is_back(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    page.context.set_offline(True)
    expect(page.locator("#link-lost")).to_be_visible(timeout=15_000)  # it moves the picture
    use(page, "length")
    drag(page, *ENDS)
    expect(labels(page, "length")).to_have_text(f"{millimetres(ENDS):.1f} mm")
    expect(page.locator("#marks-notice")).to_contain_text("Not saved yet")
    page.context.set_offline(False)
    assert_length(page, stack[1], ENDS)
    expect(page.locator("#marks-notice")).to_be_hidden()


@pytest.mark.full_browser
def test_an_answer_that_was_lost_is_no_conflict(stack: list[FileDataset], page: Page) -> None:
    lost: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST" or lost:
            return route.fallback()
        lost.append(route.request.url)
        page.request.post(route.request.url, data=json.loads(str(route.request.post_data)))
        return route.abort()

    open_study(page, stack[1])
    page.route("**/marks", lose)
    use(page, "length")
    drag(page, *ENDS)
    expect(page.locator("#marks-notice")).to_contain_text("Not saved yet")
    expect(page.locator("#marks-notice")).to_be_hidden(timeout=8000)
    assert lost
    assert_length(page, stack[1], ENDS)


def test_a_note_points_and_says_as_text(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "arrow")
    drag(page, *ENDS)
    words = "<b>Old fracture?</b>"
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    expect(labels(page, "arrow")).to_have_text(words)
    page.reload()
    expect(labels(page, "arrow")).to_have_text(words)
    assert wait_for_kept(page, stack[1], 1)[0]["text"] == words


@pytest.mark.full_browser
def test_where_measuring_is_off_there_is_no_tool_for_it(
    settings: Settings, stack: list[FileDataset], launch_web: Callable[..., Any], browser: Browser
) -> None:
    port = launch_web(settings.node.data, "web.measurements=false").port
    page = browser.new_page(base_url=f"http://127.0.0.1:{port}")
    open_study(page, stack[1])
    expect(page.locator("[data-group=measure] button")).to_have_count(0)
    page.keyboard.press("d")
    expect(page.locator(".key-cross")).to_have_count(0)
    page.keyboard.press("k")
    expect(page.locator(".tile[data-key=marked]")).to_have_count(1)
    page.keyboard.press("?")
    expect(page.locator("#keys")).not_to_contain_text("Measure")
    page.close()
