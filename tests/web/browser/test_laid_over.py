"""What came with an image: tables of the file, overlays, presentation states, in a browser."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage, generate_uid

from tests.web.browser import hands
from tests.web.browser.hands import FRAME, open_study

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
SIDE = 64


def levels(page: Page) -> Any:
    """Every grey level of the frame, one to one on the canvas."""
    return hands.levels(page)[..., 0]


def grey(stored: Any, center: float, width: float) -> Any:
    y = (stored.astype(float) - (center - 0.5)) * 255 / (width - 1) + 127.5
    return np.floor(np.clip(y, 0, 255) + 0.5).astype(int)


def open_one_to_one(page: Page, dataset: FileDataset) -> None:
    page.goto(f"/studies/{dataset.StudyInstanceUID}")
    page.wait_for_selector(f"{FRAME}[data-state=final]")
    page.click("text=1:1")


def test_overlays_lie_where_the_scanner_drew_them(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    drawn = np.zeros((SIDE, SIDE), bool)
    drawn[10:20, 30:50] = True
    dataset = make_instance(RescaleType="HU")
    for element, vr, value in (
        (0x10, "US", SIDE), (0x11, "US", SIDE), (0x40, "CS", "G"), (0x50, "SS", [1, 1]),
        (0x100, "US", 1), (0x102, "US", 0),
        (0x3000, "OW", np.packbits(drawn, bitorder="little").tobytes()),
    ):  # fmt: skip
        dataset.add_new((0x6000, element), vr, value)
    keeper.keep(dataset)
    open_one_to_one(page, dataset)
    plain = grey(dataset.pixel_array, 40, 400)
    expected = np.where(drawn, 255, plain)
    for _ in range(50):
        if (levels(page) == expected).all():
            break
        page.wait_for_timeout(50)
    np.testing.assert_array_equal(levels(page), expected)
    page.keyboard.press("#")
    np.testing.assert_array_equal(levels(page), plain)


def test_a_presentation_state_is_told_and_applied_when_chosen(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    image = make_instance(RescaleType="HU")
    state = make_instance(
        StudyInstanceUID=image.StudyInstanceUID, SeriesInstanceUID=generate_uid(), Modality="PR"
    )
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(state, keyword)
    state.SeriesNumber = 9
    state.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    state.file_meta.MediaStorageSOPClassUID = state.SOPClassUID
    line = item(
        GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=2,
        GraphicData=[8.0, 8.0, 40.0, 8.0], GraphicType="POLYLINE", GraphicFilled="N",
    )  # fmt: skip
    note = item(
        AnchorPointAnnotationUnits="PIXEL", AnchorPoint=[10.0, 30.0],
        AnchorPointVisibility="N", UnformattedTextValue="<b>Fracture</b>",
    )  # fmt: skip
    refers = item(ReferencedSOPInstanceUID=image.SOPInstanceUID)
    for keyword, value in {
        "ContentLabel": "BONE",
        "ReferencedSeriesSequence": [item(ReferencedImageSequence=[refers])],
        "SoftcopyVOILUTSequence": [item(WindowCenter=300, WindowWidth=900)],
        "PresentationLUTShape": "INVERSE",
        "ImageRotation": 90,
        "ImageHorizontalFlip": "Y",
        "GraphicLayerSequence": [item(GraphicLayer="L", GraphicLayerOrder=1)],
        "GraphicAnnotationSequence": [
            item(GraphicLayer="L", GraphicObjectSequence=[line], TextObjectSequence=[note])
        ],
    }.items():
        setattr(state, keyword, value)
    of_image = {"StudyInstanceUID": image.StudyInstanceUID}
    other = make_instance(2, **of_image, SeriesInstanceUID=image.SeriesInstanceUID)
    keeper.keep(image, other, state)
    page.route("**/presentation-states", lambda route: route.abort())
    open_one_to_one(page, image)
    page.keyboard.press("Home")
    told = page.locator("[data-field=text-presentation]")
    expect(told).to_contain_text("could not be read")
    page.unroute("**/presentation-states")
    expect(told).to_have_text("Presentation state not applied: BONE (Q)", timeout=10_000)
    plain = grey(image.pixel_array, 40, 400)
    np.testing.assert_array_equal(levels(page), plain)
    page.keyboard.press("q")
    expect(told).to_contain_text("Presentation state applied: BONE")
    turned = np.fliplr(np.rot90(255 - grey(image.pixel_array, 300, 900), -1))
    np.testing.assert_array_equal(levels(page), turned)
    expect(page.locator("polyline.graphic")).to_have_count(1)
    expect(page.locator("text.graphic-text")).to_have_text("<b>Fracture</b>")
    page.keyboard.press("End")
    page.wait_for_selector(f'{FRAME}[data-frame="{other.SOPInstanceUID}#1"][data-state=final]')
    expect(told).to_have_text("")
    np.testing.assert_array_equal(levels(page), grey(other.pixel_array, 40, 400))
    page.keyboard.press("Home")
    expect(told).to_contain_text("Presentation state applied: BONE")
    np.testing.assert_array_equal(levels(page), turned)
    page.keyboard.press("q")
    expect(told).to_contain_text("not applied")
    np.testing.assert_array_equal(levels(page), plain)
    expect(page.locator("polyline.graphic")).to_have_count(0)


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def test_a_table_of_the_file_gives_the_levels_of_the_node(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    """VOI LUT Sequence (C.11.2.1.1), a curve that no window makes: canvas and node are equal."""
    curve = [int(4095 * (n / 1999) ** 2) for n in range(2000)]
    table = Dataset()
    table.LUTDescriptor = [2000, -1000 & 0xFFFF, 12]
    table["LUTDescriptor"].VR = "SS"
    table.LUTDescriptor = [2000, -1000, 12]
    table.LUTExplanation = "Curved"
    table.LUTData = curve
    table["LUTData"].VR = "US"
    dataset = make_instance(RescaleType="HU", VOILUTSequence=[table])
    keeper.keep(dataset)
    open_study(page, dataset)
    expect(page.locator("[data-field=text-window]")).to_have_text("Curved")
    page.keyboard.press("Shift+Z")
    shown = levels(page)
    url = (
        f"/dicom-web/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}/rendered"
    )
    answer = page.request.get(url, headers={"Accept": "image/png"})
    assert answer.ok
    on_node = np.array(Image.open(io.BytesIO(answer.body())).convert("L"))
    np.testing.assert_array_equal(shown, on_node)
    at = np.clip(dataset.pixel_array.astype(int) + 1000, 0, 1999)
    by_hand = np.floor(np.array(curve)[at] * 255 / 4095 + 0.5)
    np.testing.assert_array_equal(on_node, by_hand)
    page.keyboard.press("n")
    np.testing.assert_array_equal(levels(page), 255 - on_node)
    page.keyboard.press("4")
    expect(page.locator("[data-field=text-window]")).to_contain_text("W 1800")
    page.select_option("#preset", label="Curved")
    page.keyboard.press("n")
    np.testing.assert_array_equal(levels(page), on_node)
