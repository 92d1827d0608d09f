"""Fingers on a picture: they zoom, move and scroll it, and nothing else happens."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from pydicom.dataset import FileDataset

from tests.web.browser.hands import FRAME, Point, along, finger, fingers, on_screen, open_study
from tests.web.browser.ways import Hand, middle, two_taps

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]


def place(page: Page, x: float, y: float) -> Any:
    return np.array(on_screen(page, (x, y))[0])


def shown(page: Page) -> dict[str, str]:
    texts = {
        name: page.inner_text(f"[data-field={name}]") for name in ("text-window", "text-slice")
    }
    return texts | {"scale": str(page.evaluate("visualViewport.scale"))}


def test_what_is_between_two_fingers_stays_between_them(
    stack: list[FileDataset], touch: Page
) -> None:
    """They go apart and along, off the middle: both pixels stay under both fingers."""
    open_study(touch, stack[1])
    before = shown(touch)
    pixels: tuple[Point, Point] = ((20.0, 15.0), (40.0, 30.0))
    one, other = (tuple(place(touch, *pixel)) for pixel in pixels)
    way = np.array(other) - one
    ends = (tuple(one - 0.4 * way + (30, 12)), tuple(other + 0.4 * way + (30, 12)))
    fingers(touch, along(one, ends[0], 12), along(other, ends[1], 12))
    for pixel, end in zip(pixels, ends, strict=True):
        np.testing.assert_allclose(place(touch, *pixel), end, atol=3)
    assert shown(touch) == before, "no other image, no other window, and the page is not enlarged"
    fingers(touch, along(ends[0], one, 12), along(ends[1], other, 12))
    for pixel, end in zip(pixels, (one, other), strict=True):
        np.testing.assert_allclose(place(touch, *pixel), end, atol=3)


def test_one_finger_scrolls_and_never_windows(stack: list[FileDataset], touch: Page) -> None:
    open_study(touch, stack[1])
    window = shown(touch)["text-window"]
    x, y = middle(touch)
    finger(touch, *along((x, y), (x + 60, y + 40)))
    expect(touch.locator("[data-field=text-slice]")).to_have_text("Image 3 of 3")
    finger(touch, *along((x, y), (x - 60, y - 90)))
    expect(touch.locator("[data-field=text-slice]")).to_have_text("Image 1 of 3")
    finger(touch, *along((x, y), (x + 6, y + 5)))
    expect(touch.locator("[data-field=text-slice]")).to_have_text("Image 1 of 3")
    assert shown(touch)["text-window"] == window


def test_on_a_page_for_a_mouse_a_finger_windows_only_when_a_finger_asked_for_it(
    stack: list[FileDataset], page: Page
) -> None:
    """A mouse and a touch screen on one machine: the mouse's tool is not that of the finger."""
    open_study(page, stack[1])
    page.click(".toolbar [data-value=window]")
    words = page.inner_text("[data-field=text-window]")
    x, y = middle(page)
    finger(page, *along((x, y), (x + 80, y - 60)))
    assert page.inner_text("[data-field=text-window]") == words
    expect(page.locator("[data-field=text-slice]")).to_have_text("Image 1 of 3")
    box = page.locator(".toolbar [data-value=window]").bounding_box()
    assert box
    finger(page, (box["x"] + 20, box["y"] + 20), rest_ms=0)
    finger(page, *along((x, y), (x + 80, y - 60)))
    expect(page.locator("[data-field=text-window]")).not_to_have_text(words)


def test_two_taps_show_a_place_one_to_one_and_two_more_fit(
    stack: list[FileDataset], touch: Page
) -> None:
    open_study(touch, stack[1])
    pixel = (20.0, 15.0)
    there = place(touch, *pixel)
    fit = touch.get_attribute(FRAME, "data-zoom")
    two_taps(touch, tuple(there))
    expect(touch.locator(FRAME)).to_have_attribute("data-zoom", "1")
    np.testing.assert_allclose(place(touch, *pixel), there, atol=1.5)
    two_taps(touch, tuple(there))
    expect(touch.locator(FRAME)).to_have_attribute("data-zoom", str(fit))
    assert touch.locator(".tile[data-maximised=true]").count() == 0


def test_a_finger_that_rests_opens_all_tools_and_aiming_does_not(
    stack: list[FileDataset], touch: Page
) -> None:
    open_study(touch, stack[1])
    hand = Hand(touch)
    hand.do("hold")
    menu = touch.locator("#tool-menu")
    for button in menu.locator("button").all():
        box = button.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 44
        assert button.get_attribute("aria-label") or button.inner_text()
    hand.do("tap **Length**")
    expect(menu).to_be_hidden()
    a, b = on_screen(touch, (10.0, 20.0), (50.0, 44.0))
    finger(touch, a, rest_ms=800)
    expect(menu).to_be_hidden()
    finger(touch, b, rest_ms=800)
    expect(touch.locator(".mark[data-kind=length] .label")).to_contain_text("mm")


def test_in_a_theatre_buttons_are_larger_and_the_mouse_scrolls(
    stack: list[FileDataset], page: Page
) -> None:
    page.goto("/?wall=1&theatre=Theatre%203")
    open_study(page, stack[1])
    pressed = page.locator(".toolbar [data-action=tool][aria-pressed=true]")
    expect(pressed).to_have_attribute("data-value", "scroll")
    page.keyboard.press("Shift+T")
    for button in page.locator("#tool-menu button").all():
        box = button.bounding_box()
        assert box
        assert min(box["width"], box["height"]) >= 60
