"""Measuring in a real browser: where marks are set, and that what they say is true."""

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, Route, expect
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from tests.web.browser.hands import (
    COLUMN_MM,
    ENDS,
    FRAME,
    NEXT_DRAWING,
    ROW_MM,
    assert_length,
    click,
    drag,
    finger,
    kept,
    labels,
    millimetres,
    on_screen,
    open_study,
    use,
    wait_for_kept,
)

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
Point = tuple[float, float]


def test_a_length_drawn_with_the_mouse_is_true_and_stays(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    page.keyboard.press("d")
    drag(page, *ENDS)
    assert_length(page, stack[1], ENDS)
    page.reload()
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    assert_length(page, stack[1], ENDS)
    page.keyboard.press("Home")
    expect(page.locator(".mark")).to_have_count(0)
    page.keyboard.press("y")
    page.click("#marks-list [data-action=go-to-mark]")
    expect(page.locator(f'{FRAME}[data-frame="{stack[1].SOPInstanceUID}#1"]')).to_be_visible()
    expect(labels(page, "length")).to_have_count(1)


@pytest.mark.full_browser
def test_two_clicks_measure_as_a_drag_does(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    click(page, *ENDS)
    assert_length(page, stack[1], ENDS)


def test_keys_alone_measure_by_whole_pixels(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    page.keyboard.press("d")
    expect(page.locator(".key-cross")).to_have_count(1)
    for key in ("Shift+ArrowLeft", "ArrowUp", "ArrowUp", "Enter"):
        page.keyboard.press(key)
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert_length(page, stack[1], ((22, 30), (43, 31)))
    expect(page.locator(".key-cross")).to_have_count(0)
    for key in ("w", "Enter", "ArrowDown", "ArrowDown", "ArrowDown", "Enter", "Enter"):
        page.keyboard.press(key)
    expect(labels(page, "length")).to_have_text(f"{millimetres(((22, 33), (43, 31))):.1f} mm")
    page.keyboard.press("ArrowDown")
    expect(page.locator(f'{FRAME}[data-frame="{stack[2].SOPInstanceUID}#1"]')).to_be_visible()


def test_a_finger_measures_and_moves_ends(stack: list[FileDataset], touch: Page) -> None:
    open_study(touch, stack[1])
    touch.tap(".toolbar [data-action=tool][data-value=length]")
    a, b = on_screen(touch, *ENDS)
    finger(touch, a, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), b)
    assert_length(touch, stack[1], ENDS)
    # a finger hits within 22 px of an end
    (x, y), there = b, on_screen(touch, (30.0, 10.0))[0]
    finger(touch, (x + 14, y + 14), (x - 30, y - 30), there)
    expect(labels(touch, "length")).to_have_text(f"{millimetres((ENDS[0], (30, 10))):.1f} mm")
    touch.tap("[data-action=delete-mark]")
    wait_for_kept(touch, stack[1], 0)
    touch.tap(".toolbar [data-action=tool][data-value=length]")
    for x, y in on_screen(touch, *ENDS):
        touch.touchscreen.tap(x, y)
    assert_length(touch, stack[1], ENDS)


def test_every_button_of_marks_is_large_enough_for_a_finger(
    stack: list[FileDataset], touch: Page
) -> None:
    open_study(touch, stack[1])
    touch.tap(".toolbar [data-action=key-image]")
    touch.tap(".toolbar [data-action=marks]")
    expect(touch.locator("#marks-list li")).to_have_count(1)
    buttons = "[data-group=measure] button, [data-group=marks] button, #marks-panel button"
    for button in touch.locator(buttons).all():
        if box := button.bounding_box():
            assert min(box["width"], box["height"]) >= 44, button.get_attribute("aria-label")
        assert button.get_attribute("aria-label") or button.inner_text()


@pytest.mark.full_browser
def test_an_end_that_was_clicked_goes_where_the_next_click_is(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    use(page, "window")
    click(page, (30.0, 32.0))  # on the line: choose it
    expect(page.locator(".mark[data-state=selected]")).to_have_count(1)
    click(page, ENDS[1], (20.0, 60.0))
    expect(labels(page, "length")).to_have_text(f"{millimetres((ENDS[0], (20, 60))):.1f} mm")
    drag(page, (15.0, 40.0), (25.0, 35.0))  # the line itself: the whole mark
    [mark] = wait_for_kept(page, stack[1], 1)
    expect(labels(page, "length")).to_have_text(f"{millimetres((ENDS[0], (20, 60))):.1f} mm")
    deadline = time.monotonic() + 5
    while mark["points"][0][0] < 19 and time.monotonic() < deadline:
        [mark] = kept(page, stack[1])
    np.testing.assert_allclose(mark["points"], ((20, 15), (30, 55)), atol=0.2)


def test_angles_follow_the_shape_of_pixels(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "angle")
    click(page, (40.0, 10.0), (10.0, 10.0), (40.0, 40.0))
    expected = np.degrees(np.arctan2(30 * ROW_MM, 30 * COLUMN_MM))
    expect(labels(page, "angle")).to_have_text(re.compile(r"\d+\.\d°"))
    assert float(str(labels(page, "angle").text_content())[:-1]) == pytest.approx(expected, abs=0.3)
    use(page, "cobb")
    drag(page, (10.0, 50.0), (40.0, 50.0))
    drag(page, (10.0, 60.0), (40.0, 30.0))
    first, second = map(float, re.findall(r"[\d.]+", str(labels(page, "cobb").text_content())))
    assert first == pytest.approx(expected, abs=0.3)
    assert first + second == pytest.approx(180, abs=0.11)


def counted(
    dataset: FileDataset, kind: str, points: NDArray[np.float64]
) -> tuple[NDArray[Any], int]:
    """Return the values in an area by numpy, and how many of its pixels are padding."""
    y, x = np.mgrid[:64, :64] + 0.5
    low, high = points.min(0), points.max(0)
    middle, half = (low + high) / 2, (high - low) / 2
    u, v = (x - middle[0]) / half[0], (y - middle[1]) / half[1]
    mask = (u * u + v * v <= 1) if kind == "ellipse" else (abs(u) <= 1) & (abs(v) <= 1)
    values = dataset.pixel_array[mask]
    return values[values != dataset.PixelPaddingValue], int((values == -1000).sum())


@pytest.mark.parametrize("kind", ["ellipse", "rectangle"])
def test_values_of_an_area_are_those_of_the_stored_file(
    keeper: Any, make_instance: Make, page: Page, kind: str
) -> None:
    ds = make_instance(RescaleType="HU", PixelSpacing=[ROW_MM, COLUMN_MM], PixelPaddingValue=-1000)
    ds["PixelPaddingValue"].VR = "SS"
    values = ds.pixel_array.copy()
    values[20:24, 20:24] = -1000
    ds.PixelData = values.tobytes()
    keeper.keep(ds)
    open_study(page, ds)
    use(page, kind)
    drag(page, (12.3, 15.7), (48.2, 50.9))
    [mark] = wait_for_kept(page, ds, 1)
    inside, padding = counted(ds, kind, np.array(mark["points"]))
    lines = labels(page, kind).locator("tspan").all_text_contents()
    assert lines[0] == f"Mean {fixed(inside.mean())} HU · SD {fixed(inside.std())}"
    assert lines[1] == f"Min {inside.min()} · Max {inside.max()}"
    wide, high = np.ptp(mark["points"], axis=0) * (COLUMN_MM, ROW_MM)
    area = wide * high * (np.pi / 4 if kind == "ellipse" else 1)
    assert lines[2] == f"Area {fixed(area)} mm²"
    assert lines[3] == f"{inside.size} px"
    assert padding == 16
    assert lines[4] == "16 px of padding not counted"
    use(page, "probe")
    click(page, (30.5, 41.5))
    expect(labels(page, "probe")).to_have_text(f"{ds.pixel_array[41, 30]} HU")


def fixed(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def test_values_wait_for_the_full_image(stack: list[FileDataset], page: Page) -> None:
    held: list[Route] = []
    page.route("**/pixels*", lambda route: held.append(route))
    page.goto(f"/studies/{stack[1].StudyInstanceUID}")
    page.wait_for_selector(f"{FRAME}[data-state=preview]")
    use(page, "rectangle")
    drag(page, (10.0, 10.0), (30.0, 30.0))
    expect(labels(page, "rectangle")).to_have_text("Waiting for the full image")
    use(page, "length")
    drag(page, *ENDS)
    expect(labels(page, "length")).to_have_text(re.compile("mm"))
    for route in held:
        route.continue_()
    expect(labels(page, "rectangle")).to_contain_text("Mean")


def test_lengths_say_where_their_scale_comes_from(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    plain = {"Modality": "DX", "ImageOrientationPatient": None, "PixelSpacing": None}
    detector, none = (
        make_instance(1, **uids, **plain, ImagerPixelSpacing=[0.4, 0.7]),
        make_instance(2, **uids, **plain),
    )
    keeper.keep(detector, none)
    open_study(page, detector)
    use(page, "length")
    drag(page, *ENDS)
    truth = f"{millimetres(ENDS):.1f} mm · at detector"
    expect(labels(page, "length")).to_have_text(truth)
    page.keyboard.press("End")
    page.wait_for_selector(f'{FRAME}[data-frame="{none.SOPInstanceUID}#1"][data-state=final]')
    box = page.locator(FRAME).bounding_box()
    assert box
    page.mouse.click(box["x"] + 400, box["y"] + 300)
    page.mouse.click(box["x"] + 500, box["y"] + 300)
    expect(labels(page, "length")).to_have_text(re.compile(r"^[\d.]+ px · uncalibrated$"))


@pytest.mark.full_browser
def test_marks_stay_on_what_they_mark(stack: list[FileDataset], page: Page) -> None:
    open_study(page, stack[1])
    use(page, "length")
    drag(page, *ENDS)
    text = labels(page, "length").text_content()
    line = page.locator(".mark polyline.over")
    for _ in range(2):
        page.click("[aria-label=Larger]")
        page.evaluate(NEXT_DRAWING)
        drawn = np.array(
            [pair.split(",") for pair in str(line.get_attribute("points")).split()], float
        )
        box = page.locator(FRAME).bounding_box()
        assert box
        there = np.array(on_screen(page, *ENDS)) - (box["x"], box["y"])
        np.testing.assert_allclose(drawn, there, atol=1.5)
        assert labels(page, "length").text_content() == text
