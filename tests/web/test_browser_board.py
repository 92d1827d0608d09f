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
    expect(page.locator(".study")).to_have_count(1, timeout=5000)
    expect(page.locator("#nothing-held")).to_be_hidden()
    keeper.keep(make_instance(PatientName="SECOND^B", StudyDate="20260202"))
    expect(page.locator(".study .name")).to_have_text(["SECOND, B", "FIRST, A"], timeout=5000)
    keeper.keep(make_instance(2, StudyInstanceUID=first.StudyInstanceUID, PatientName="FIRST^A"))
    expect(page.locator(".study:nth-child(2) .count")).to_have_text("2", timeout=5000)
    page.select_option("select[name=modality]", "MR")
    expect(page.locator("#nothing-found")).to_be_visible()
    page.click("#clear")
    expect(page.locator(".study")).to_have_count(2)
