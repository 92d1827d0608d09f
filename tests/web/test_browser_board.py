"""The studies board in a real browser, from an empty node on."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pydicom.dataset import FileDataset

pytestmark = pytest.mark.browser


def test_the_board_updates_by_itself(
    keeper: Any, make_instance: Callable[..., FileDataset], page: Page
) -> None:
    page.goto("/")
    expect(page.locator("#nothing-held")).to_be_visible()
    expect(page.locator("#nothing-held")).to_contain_text("LIFEBOAT")
    first = make_instance(PatientName="FIRST^A", StudyDate="20260101")
    keeper.keep(first)
    expect(page.locator(".study")).to_have_count(1)
    expect(page.locator("#nothing-held")).to_be_hidden()
    keeper.keep(make_instance(PatientName="SECOND^B", StudyDate="20260202"))
    expect(page.locator(".study .name")).to_have_text(["SECOND, B", "FIRST, A"])
    keeper.keep(make_instance(2, StudyInstanceUID=first.StudyInstanceUID, PatientName="FIRST^A"))
    expect(page.locator(".study:nth-child(2) .count")).to_have_text("2")
    page.select_option("select[name=modality]", "MR")
    expect(page.locator("#nothing-found")).to_be_visible()
    page.click("#clear")
    expect(page.locator(".study")).to_have_count(2)


def test_a_patient_is_found_and_opened_without_a_mouse(
    keeper: Any, make_instance: Callable[..., FileDataset], page: Page
) -> None:
    wanted = make_instance(PatientName="OTTER^Ann", StudyDate="20260101")
    keeper.keep(wanted, *(make_instance(PatientName=f"HERON^{n}") for n in "ABC"))
    page.goto("/")
    expect(page.locator(".study")).to_have_count(4)
    page.keyboard.type("ot")
    page.keyboard.press("Enter")
    expect(page.locator("#nothing-found")).to_be_visible()
    page.keyboard.press("Control+A")
    page.keyboard.type("heron")
    expect(page.locator(".study")).to_have_count(3)
    page.keyboard.press("Enter")
    assert page.url.endswith("/"), "of several, a person chooses"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    expect(page.locator(".study:nth-child(3) .name")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("ArrowUp")
    expect(page.locator("input[name=text]")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("otter")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{wanted.StudyInstanceUID}")


def test_enter_while_the_node_was_away_opens_nothing_later(
    keeper: Any, make_instance: Callable[..., FileDataset], page: Page
) -> None:
    wanted = make_instance(PatientName="OTTER^Ann")
    keeper.keep(wanted, make_instance(PatientName="HERON^A"))
    page.goto("/")
    expect(page.locator(".study")).to_have_count(2)
    page.context.set_offline(True)
    page.keyboard.type("otter")
    page.keyboard.press("Enter")
    expect(page.locator("#link-lost")).to_be_visible()
    page.context.set_offline(False)
    keeper.keep(make_instance(2, StudyInstanceUID=wanted.StudyInstanceUID, PatientName="OTTER^Ann"))
    expect(page.locator(".study .count")).to_have_text(["2"], timeout=10_000)
    page.evaluate("() => new Promise(done => setTimeout(done, 0))")
    assert page.url.endswith("/")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{wanted.StudyInstanceUID}")


def test_a_radiographer_confirms_and_a_later_image_withdraws_it(
    keeper: Any, make_instance: Callable[..., FileDataset], page: Page, clock: Any
) -> None:
    first = make_instance(PatientName="OTTER^Ann")
    keeper.keep(first)
    page.goto("/")
    expect(page.locator('[data-field="completeness"]')).to_contain_text("unknown")
    page.click("[data-confirm]")
    expect(page.locator("#confirmation")).to_contain_text("OTTER, Ann")
    expect(page.locator("[data-yes]")).to_have_text("The one image is all")
    page.click("[data-yes]")
    expect(page.locator("#confirmation")).to_be_visible()  # not without a name
    page.fill("#confirmed-by", "J. Smith")
    page.keyboard.press("Enter")
    expect(page.locator('[data-field="completeness"]')).to_contain_text("Complete 1/1")
    expect(page.locator('[data-field="basis"]')).to_have_text("confirmed by J. Smith")
    clock.pass_seconds(5)
    keeper.keep(make_instance(2, StudyInstanceUID=first.StudyInstanceUID, PatientName="OTTER^Ann"))
    expect(page.locator('[data-field="completeness"]')).to_contain_text("Changed since confirmed")


def test_what_arrived_since_it_was_opened_here_is_marked_new(
    make_keeper: Any, settings: Any, make_instance: Callable[..., FileDataset], page: Page
) -> None:
    keeper = make_keeper(settings.node.data)
    page.goto("/")
    expect(page.locator("#nothing-held")).to_be_visible()
    study = make_instance(PatientName="OTTER^Ann")
    keeper.keep(study)
    expect(page.locator('[data-mark="new"]').first).to_be_visible(timeout=5000)
    page.click(".study .name")
    page.wait_for_url("**/studies/*")
    page.goto("/")
    expect(page.locator(".study")).to_have_count(1)
    expect(page.locator('.study [data-mark="new"]')).to_be_hidden()
    kept = page.evaluate("JSON.stringify({...localStorage})")
    assert str(study.StudyInstanceUID) in kept
    assert "OTTER" not in kept
