"""A study that grows while it is looked at."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from tests.web.browser.hands import FRAME, open_study, wait_for_frame

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
PROMISED_S = 2.0
SLOW_MACHINE = 5


def test_a_new_image_is_counted_within_two_seconds_and_the_viewed_one_stays(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    """New ones join before and after the viewed one, at any moment between two looks."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    images = [make_instance(n, **uids) for n in range(10, 15)]
    keeper.keep(*images)
    open_study(page, images[0])
    viewed = images[2]
    wait_for_frame(page, viewed)
    waited, index = [], 3
    for count, place in enumerate((3, 30, 5, 31, 7), start=6):
        page.wait_for_timeout(137 * count % 1000)  # at any moment between two looks
        keeper.keep(make_instance(place, **uids))
        kept_at = time.monotonic()
        index += place < 10
        expect(page.locator("[data-field=text-slice]")).to_have_text(
            f"Image {index} of {count}", timeout=1000 * PROMISED_S * SLOW_MACHINE
        )
        waited.append(time.monotonic() - kept_at)
        assert page.get_attribute(FRAME, "data-frame") == f"{viewed.SOPInstanceUID}#1"
    print(f"counted after {median(waited):.2f} s, {max(waited):.2f} s at most")
    assert median(waited) <= PROMISED_S
    expect(page.locator("#strip")).to_contain_text("10 images")
