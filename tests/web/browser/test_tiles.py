"""Several tiles in a real browser: what joins them, what never may, what a preview is called."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from tests.web.browser.hands import FRAME, NEXT_DRAWING, on_screen, open_study, use, wait_for_kept

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
CENTRE = """canvas => [...canvas.getContext("2d")
    .getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data].slice(0, 3)"""


def stack(make: Make, study: str, number: int, sagittal: bool = False, **who: Any) -> list[Any]:
    """Eight slices through a cube of 64 mm, axial or sagittal, in one frame of reference."""
    series = generate_uid()
    slices = []
    for n in range(8):
        mm = n * 8 - 28
        place = [mm, -31.5, 31.5] if sagittal else [-31.5, -31.5, mm]
        cosines = [0, 1, 0, 0, 0, -1] if sagittal else [1, 0, 0, 0, 1, 0]
        slices.append(
            make(
                n + 1,
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                SeriesNumber=number,
                **({"FrameOfReferenceUID": f"{study}.9"} | who),
                ImagePositionPatient=place,
                ImageOrientationPatient=cosines,
                SliceThickness=8,
            )
        )
    return slices


def tile(page: Page, number: int) -> Any:
    return page.locator(".tile").nth(number)


def expect_image(page: Page, number: int, image: int) -> None:
    expect(tile(page, number).locator("[data-field=text-slice]")).to_have_text(
        f"Image {image} of 8"
    )


def open_tiles(page: Page, study: str, layout: str = "1x2") -> None:
    page.goto(f"/studies/{study}")
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.click(f"[data-action=layout][data-value='{layout}']")


def test_linked_tiles_scroll_by_position_and_show_where_they_cut(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    study = generate_uid()
    axial, more = stack(make_instance, study, 1), stack(make_instance, study, 2)
    sagittal = stack(make_instance, study, 3, sagittal=True)
    keeper.keep(*axial, *reversed(more), *sagittal)
    open_tiles(page, study, "2x2")
    for number in range(3):
        expect_image(page, number, 5)
    tile(page, 0).locator(FRAME).focus()
    page.keyboard.press("Home")
    expect_image(page, 0, 1)
    expect_image(page, 1, 5)
    page.keyboard.press("l")
    expect_image(page, 1, 1)
    page.keyboard.press("ArrowDown")
    expect_image(page, 0, 2)
    expect_image(page, 1, 2)
    expect_image(page, 2, 5)
    assert page.locator("line.localizer").count() == 0, "off by default"
    page.keyboard.press("o")
    expect(tile(page, 2).locator("line.localizer")).to_have_count(2)
    expect(tile(page, 0).locator("line.localizer")).to_have_count(1)
    # a point at x -20 mm; the sagittal slices run towards the right side of the patient
    page.keyboard.press("j")
    box = tile(page, 0).locator(FRAME).bounding_box()
    zoom = float(tile(page, 0).locator(FRAME).get_attribute("data-zoom") or 1)
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2 - 20 * zoom, box["y"] + box["height"] / 2)
    expect_image(page, 2, 7)
    expect(tile(page, 2).locator("line.cross-hair")).to_have_count(4)
    page.keyboard.press("u")
    page.keyboard.press("End")
    expect_image(page, 0, 8)
    expect_image(page, 1, 2)


def test_two_patients_are_marked_and_never_linked(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    studies = [generate_uid(), generate_uid()]
    # one frame of reference for both: that the patients differ must be enough
    space = {"FrameOfReferenceUID": generate_uid()}
    ours = stack(make_instance, studies[0], 1, PatientName="OURS^A", PatientID="1-a", **space)
    theirs = stack(make_instance, studies[1], 1, PatientName="THEIRS^B", PatientID="2-b", **space)
    keeper.keep(*ours, *theirs)
    page.goto(f"/studies/{studies[0]}?with={studies[1]}")
    expect(page.locator("#two-patients")).to_contain_text("TWO PATIENTS · OURS, A · THEIRS, B")
    page.keyboard.press("l")
    page.keyboard.press("Home")
    expect_image(page, 0, 1)
    expect_image(page, 1, 5)
    assert tile(page, 0).locator("[data-field=corner-name]").inner_text() == "OURS, A"
    assert tile(page, 1).locator("[data-field=corner-name]").inner_text() == "THEIRS, B"
    assert page.inner_text("#patient-name") == "OURS, A"
    tile(page, 1).locator(FRAME).focus()
    expect(page.locator("#patient-name")).to_have_text("THEIRS, B")
    page.click("[data-action=layout][data-value='1x1']")
    expect(page.locator("#two-patients")).to_be_hidden()


def test_a_prior_of_the_patient_is_found_and_put_beside(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    studies = [generate_uid() for _ in range(3)]
    for study, who in zip(studies, ("77*", "77*", "77x"), strict=True):
        keeper.keep(*stack(make_instance, study, 1, PatientID=who, StudyDescription=f"S{who}"))
    page.goto(f"/studies/{studies[0]}")
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.keyboard.press("b")
    expect(page.locator("#compare [data-studies] button")).to_have_count(1)
    page.click("#compare [data-studies] button")
    expect_image(page, 1, 5)
    page.wait_for_function("() => document.querySelectorAll('[data-state=final]').length >= 2")
    shown = tile(page, 1).locator(FRAME).get_attribute("data-frame") or ""
    assert shown.split("#")[0] in {
        one["00080018"]["Value"][0]
        for one in page.request.get(f"/dicom-web/studies/{studies[1]}/instances").json()
    }
    expect(page.locator("#two-patients")).to_be_hidden()


def test_a_switch_of_patients_never_shows_the_one_before(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    """Every answer of the first patient is held until the second one's are there."""
    studies = [generate_uid(), generate_uid()]
    for study, name, level in zip(studies, ("DARK^D", "LIGHT^L"), (-160, 240), strict=True):
        flat = np.full((64, 64), level, np.int16).tobytes()
        who = {"PatientName": name, "PatientID": name, "PixelData": flat}
        keeper.keep(*stack(make_instance, study, 1, **who))
    page.goto(f"/studies/{studies[0]}?with={studies[1]}")
    page.wait_for_function("() => document.querySelectorAll('[data-state=final]').length === 2")
    held: list[Route] = []
    page.route(re.compile(r"/frames/1/(preview|pixels|info)"), lambda route: held.append(route))
    for number, key in ((0, "Home"), (1, "End"), (0, "End"), (1, "Home")):
        tile(page, number).locator(FRAME).focus()
        page.keyboard.press(key)
    for _ in range(50):
        page.wait_for_timeout(20)
        if held:
            held.pop(len(held) // 2).continue_()
    for number, name, level in ((0, "DARK, D", 0), (1, "LIGHT, L", 255)):
        page.evaluate(NEXT_DRAWING)
        canvas = tile(page, number).locator(FRAME)
        assert tile(page, number).locator("[data-field=corner-name]").inner_text() == name
        assert canvas.evaluate(CENTRE) == [level] * 3


def test_a_preview_is_called_one_and_the_node_windows_it_while_values_are_away(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    study = generate_uid()
    smooth = np.tile(np.linspace(-1000, 1000, 64).astype(np.int16), (64, 1))
    keeper.keep(make_instance(StudyInstanceUID=study, RescaleType="HU", PixelData=smooth.tobytes()))
    held: list[Route] = []
    page.route("**/frames/1/pixels*", lambda route: held.append(route))
    page.goto(f"/studies/{study}")
    page.wait_for_selector(f"{FRAME}[data-state=preview]")
    badge = page.locator("[data-field=badge]")
    expect(badge).to_have_text("Preview, compressed")
    page.click("text=1:1")
    words = page.locator("[data-field=text-window]")
    before = words.text_content()
    asked: list[Route] = []
    page.route("**/rendered?*window=400,1800*", lambda route: asked.append(route))
    with page.expect_request("**/rendered?*window=400,1800*"):
        page.keyboard.press("4")
    assert words.text_content() == before, "what is drawn keeps its words until the answer"
    with page.expect_response("**/rendered?*window=400,1800*"):
        asked[0].continue_()
    expect(words).to_have_text("W 1800  L 400")
    page.wait_for_function("() => !document.querySelector('#preset').disabled")
    page.evaluate(NEXT_DRAWING)
    expected = np.clip((smooth[0] - 399.5) * 255 / 1799 + 127.5, 0, 255)
    deadline = 50
    while deadline and abs(row_of_levels(page) - expected).max() > 12:
        page.wait_for_timeout(20)
        deadline -= 1
    assert abs(row_of_levels(page) - expected).max() <= 12, "within what JPEG loses"
    assert page.get_attribute(FRAME, "data-state") == "preview"
    for route in held:
        route.continue_()
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.evaluate(NEXT_DRAWING)
    assert abs(row_of_levels(page) - np.floor(expected + 0.5)).max() == 0
    expect(badge).to_have_text("Values as received")


def row_of_levels(page: Page) -> Any:
    """The middle row of a frame of 64 columns, one to one on the canvas."""
    levels = page.eval_on_selector(
        FRAME,
        """canvas => [...canvas.getContext("2d").getImageData(
            Number(canvas.dataset.left), Number(canvas.dataset.top) + 32, 64, 1).data]""",
    )
    return np.array(levels).reshape(-1, 4)[:, 0].astype(float)


def test_cine_jump_box_turning_and_texts(keeper: Any, make_instance: Make, page: Page) -> None:
    study = generate_uid()
    keeper.keep(*stack(make_instance, study, 3), *stack(make_instance, study, 4, Modality="CR"))
    page.goto(f"/studies/{study}")
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.keyboard.press("g")
    page.keyboard.type("3/2")
    page.keyboard.press("Enter")
    expect_image(page, 0, 2)
    page.keyboard.press(".")
    expect(page.locator("#note")).to_contain_text("Only CR and DX")
    page.keyboard.press("c")
    text = tile(page, 0).locator("[data-field=text-slice]")
    expect(text).not_to_have_text("Image 2 of 8")
    page.keyboard.press("c")
    expect(page.locator("[data-action=cine]")).to_have_attribute("aria-pressed", "false")
    page.fill("#jump input", "4/1")
    page.press("#jump input", "Enter")
    expect(page.locator("[data-field=corner-series]")).to_contain_text("CR")
    expect(page.locator("[data-field=edge-top]")).to_have_text("A")
    page.keyboard.press(".")
    expect(page.locator("[data-field=edge-top]")).to_have_text("R")
    expect(page.locator("[data-field=text-turned]")).to_have_text("Turned 90°")
    page.keyboard.press("m")
    expect(page.locator("[data-field=text-turned]")).to_have_text("Turned 270°, mirrored")
    page.keyboard.press("Escape")
    expect(page.locator("[data-field=edge-top]")).to_have_text("A")
    for seen, name in ((True, True), (False, True), (False, True)):
        assert page.locator("[data-field=text-window]").is_visible() == seen
        assert page.locator("[data-field=corner-name]").is_visible() == name
        assert page.locator("[data-field=badge]").is_visible()
        page.keyboard.press("i")


def test_marks_and_values_of_four_tiles_are_each_of_their_own_tile(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    """Four series of flat images, each of another value; the rectangle lies in the third."""
    study, images = generate_uid(), []
    for number, level in enumerate((11, 222, 333, 444), start=1):
        flat = np.full((64, 64), level, np.int16)
        flat[0, 0] = -level
        images.append(
            make_instance(
                StudyInstanceUID=study, SeriesNumber=number, RescaleType="HU",
                PixelData=flat.tobytes(),
            )
        )  # fmt: skip
    keeper.keep(*images)
    open_study(page, images[0])
    page.click("[data-action=layout][data-value='2x2']")
    page.wait_for_function(
        "() => document.querySelectorAll('canvas[data-state=final]').length === 4"
    )
    third = page.locator(".tile").nth(2)
    use(page, "rectangle")
    canvas = third.locator(FRAME)
    a, b = on_screen(page, (8.0, 8.0), (40.0, 30.0), canvas=canvas, shape=(1.0, 1.0))
    page.mouse.move(*a)
    page.mouse.down()
    page.mouse.move(*b, steps=3)
    page.mouse.up()
    [mark] = wait_for_kept(page, images[0], 1)
    assert mark["sop_instance_uid"] == images[2].SOPInstanceUID
    expect(page.locator(".mark")).to_have_count(1)
    expect(third.locator(".mark")).to_have_count(1)
    label = third.locator(".mark .label")
    expect(label).to_contain_text("Mean 333 HU · SD 0")
    expect(label).to_contain_text("Min 333 · Max 333")
    # the same series in another tile shows the same mark there too, and nowhere else
    first = page.locator(".tile").nth(0)
    first.locator(FRAME).focus()
    page.locator("#strip button").nth(2).click()
    expect(first.locator(".mark .label")).to_contain_text("Mean 333 HU")
    expect(page.locator(".mark")).to_have_count(2)
