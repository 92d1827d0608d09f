"""What is no grey picture, and what leaves the viewer, in a real browser."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import dcmread

from tests.web.test_documents import PDF, SCRIPTS, content, ecg, report, video
from tests.web.tiny_video import mp4

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
FRAME_PIXEL = """async ([video, seconds]) => {
    video.muted = true;
    video.currentTime = seconds;
    await new Promise(done => video.addEventListener("seeked", done, { once: true }));
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 64;
    canvas.getContext("2d").drawImage(video, 0, 0);
    return canvas.getContext("2d").getImageData(32, 32, 1, 1).data[0];
}"""
MARK = """layer => layer.insertAdjacentHTML("beforeend",
    '<rect x="100" y="100" width="60" height="40" fill="rgb(255,0,255)"/>')"""


@pytest.fixture
def without_pixels(make_instance: Make) -> Make:
    def make(sop_class_uid: str, modality: str = "SR", **elements: Any) -> FileDataset:
        ds = make_instance(SOPClassUID=sop_class_uid, Modality=modality, **elements)
        for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
            del ds[keyword]
        return ds

    return make


@pytest.fixture
def opened(page: Page, keeper: Any) -> Callable[..., Page]:
    """Keep an object and open its study in the viewer."""

    def open_it(dataset: Dataset) -> Page:
        keeper.keep(dataset)
        page.goto(f"/studies/{dataset.StudyInstanceUID}")
        return page

    return open_it


@pytest.fixture
def picture(opened: Callable[..., Page], make_instance: Make) -> tuple[Page, FileDataset]:
    """A CT slice that is drawn."""
    dataset = make_instance(PatientName="MEREDITH^Owen")
    page = opened(dataset)
    page.wait_for_selector("canvas[data-state=final]")
    return page, dataset


def test_a_report_is_read_in_the_tile(opened: Callable[..., Page], without_pixels: Make) -> None:
    text = content("TEXT", "Impression", TextValue="No fracture is seen.")
    page = opened(report(without_pixels, text))
    tile = page.locator(".document-tile")
    expect(tile.locator("#document")).to_contain_text("No fracture is seen.")
    expect(tile).to_contain_text("PHANTOM, Test")
    expect(page.locator("#patient-name")).to_have_text("PHANTOM, Test")


@pytest.mark.parametrize("text", SCRIPTS[:3])
def test_text_of_a_report_never_runs_in_the_tile(
    opened: Callable[..., Page], without_pixels: Make, text: str
) -> None:
    """The page fixture fails on any dialogue and on anything the security policy blocks."""
    page = opened(report(without_pixels, content("TEXT", text, TextValue=text), PatientName=text))
    expect(page.locator(".document-tile .value").first).to_have_text(text)
    page.keyboard.press("x")
    expect(page.locator("dialog .element-rows")).to_contain_text(text)


def test_an_ecg_is_drawn_in_the_tile_and_leafed_through(
    opened: Callable[..., Page], without_pixels: Make
) -> None:
    page = opened(ecg(without_pixels))
    tile = page.locator(".document-tile")
    expect(tile.locator("svg.ecg path.wave")).to_have_count(1)
    tile.get_by_text("Later").click()
    expect(tile).to_contain_text("seconds 10 to 20 of 25")
    assert "/studies/" in page.url
    assert "document" not in page.url


def test_a_pdf_is_shown_in_a_frame_that_cannot_run(
    opened: Callable[..., Page], without_pixels: Make
) -> None:
    page = opened(
        without_pixels(
            uid.EncapsulatedPDFStorage,
            "DOC",
            DocumentTitle="Consent form",
            EncapsulatedDocument=PDF + b"\0" * (len(PDF) % 2),
        )
    )
    tile = page.locator(".document-tile")
    expect(tile).to_contain_text("Consent form")
    source = tile.locator("iframe.pdf").get_attribute("src")
    answer = page.request.get(str(source))
    assert answer.headers["content-security-policy"].startswith("sandbox;")


def test_a_video_plays_and_can_be_wound(opened: Callable[..., Page], make_instance: Make) -> None:
    page = opened(video(make_instance, mp4([40, 120, 220, 90])))
    found = page.wait_for_selector(".document-tile video")
    assert found is not None
    page.wait_for_function("video => video.readyState >= 2", arg=found)
    greys = [page.evaluate(FRAME_PIXEL, [found, seconds]) for seconds in (1.1, 0.1)]
    np.testing.assert_allclose(greys, [237, 28], atol=4)


def test_moving_on_takes_the_document_away(
    page: Page, keeper: Any, make_instance: Make, without_pixels: Make
) -> None:
    image = make_instance()
    study = {"StudyInstanceUID": image.StudyInstanceUID}
    keeper.keep(image, report(without_pixels, content("TEXT", "T", TextValue="T"), **study))
    page.goto(f"/studies/{image.StudyInstanceUID}")
    page.wait_for_selector("#strip button >> nth=1")
    for button in (0, 1, 0, 1):
        page.locator("#strip button").nth(button).click()
        is_report = "SR" in page.locator("#strip button").nth(button).inner_text()
        if is_report:
            expect(page.locator(".document-tile #document")).to_be_visible()
        else:
            page.wait_for_selector("canvas[data-state=final]")
            expect(page.locator("[data-field=document]")).to_be_hidden()


def test_elements_are_filtered_while_typing(picture: tuple[Page, FileDataset]) -> None:
    page, _ = picture
    page.keyboard.press("X")
    rows = page.locator("dialog .element:visible")
    expect(rows.first).to_be_visible()
    page.keyboard.type("patient name")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("MEREDITH^Owen")
    expect(page.locator('dialog [data-field="found"]')).to_have_text("1 found")
    page.get_by_role("button", name="Close").click()
    expect(page.locator("dialog.elements-dialog")).to_have_count(0)


def saved_view(page: Page, *, anonymise: bool = False) -> Image.Image:
    page.click('button[data-action="save"]')
    if anonymise:
        page.check('dialog [name="anonymise"]')
    with page.expect_download() as download:
        page.click("dialog >> text=Save the view")
    assert re.fullmatch(r"view\.(png|jpg)", download.value.suggested_filename)
    return Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).convert("RGB")


LISTEN = """() => {
    window.written = [];
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        window.written.push(text);
        return write.call(this, text, ...rest);
    };
}"""


def test_a_saved_view_holds_picture_marks_and_a_margin_with_identity(
    picture: tuple[Page, FileDataset],
) -> None:
    page, _ = picture
    page.eval_on_selector("[data-field=layer]", MARK)
    size = page.eval_on_selector("canvas[data-field=frame]", "one => [one.width, one.height]")
    shown = np.array(saved_view(page))
    height, width = shown.shape[:2]
    side = (width - size[0]) // 2
    top = next(y for y in range(100) if shown[y, side + 110 : side + 150].any() or y == 26)
    is_mark = (shown == (255, 0, 255)).all(axis=2)
    assert is_mark.sum() == pytest.approx(60 * 40, abs=200)
    below = shown[top + size[1] + 30 :]
    assert (below > 200).any()  # the identity is written there
    assert height > size[1] + 80
    rows, columns = np.nonzero(is_mark)
    assert columns.min() == pytest.approx(side + 100, abs=1)
    assert rows.min() == pytest.approx(26 + 100, abs=1)


def test_the_identity_of_a_saved_view_is_that_of_its_frame(
    picture: tuple[Page, FileDataset],
) -> None:
    """What is written on the canvas is listened to: text on a picture cannot be read back."""
    page, _ = picture
    page.evaluate(LISTEN)
    page.evaluate(
        '() => { document.getElementById("patient-name").textContent = "SOMEBODY ELSE"; }'
    )
    saved_view(page)
    written = " ".join(page.evaluate("written.splice(0)"))
    assert "MEREDITH, Owen · Born 01-Jan-1970" in written
    assert "PH-TEST" in written
    assert "Review only" in written
    assert "SOMEBODY" not in written
    saved_view(page, anonymise=True)
    written = " ".join(page.evaluate("written.splice(0)"))
    assert "Identity left out" in written
    for secret in ("MEREDITH", "PH-TEST", "1970", "ACC1"):
        assert secret not in written


@pytest.mark.parametrize("anonymise", [False, True])
def test_a_saved_view_says_what_is_doubtful_and_how_it_was_turned(
    opened: Callable[..., Page], keeper: Any, make_instance: Make, anonymise: bool
) -> None:
    shared = {
        "StudyInstanceUID": uid.generate_uid(),
        "SeriesInstanceUID": uid.generate_uid(),
        "Modality": "DX",
        "Laterality": "R",
        "SeriesDescription": "Hand left",
    }
    keeper.keep(make_instance(1, **shared))
    page = opened(make_instance(3, **shared))
    page.wait_for_selector("canvas[data-state=final]")
    page.evaluate(LISTEN)
    page.keyboard.press("m")
    expect(page.locator("[data-field=text-turned]")).to_have_text("Mirrored")
    expect(page.locator("[data-field=text-warning]")).to_contain_text("Numbers not here: 2")
    doubts = page.locator("[data-field=text-side], [data-field=text-warning]").all_inner_texts()
    assert len(doubts) == 2
    assert all(doubts)
    saved_view(page, anonymise=anonymise)
    written = " ".join(page.evaluate("written.splice(0)"))
    for words in ("Mirrored", *doubts):
        assert words in written


def test_a_study_is_saved_as_a_zip_by_the_browser(picture: tuple[Page, FileDataset]) -> None:
    page, dataset = picture
    page.keyboard.press("e")
    with page.expect_download() as download:
        page.click("dialog >> text=Study as ZIP")
    assert download.value.suggested_filename == "lifeboat-study.zip"
    found = zipfile.ZipFile(download.value.path())
    [name] = [name for name in found.namelist() if name.startswith("DICOM/")]
    assert dcmread(io.BytesIO(found.read(name))).SOPInstanceUID == dataset.SOPInstanceUID


def test_the_page_to_print_shows_the_window_that_was_chosen(
    picture: tuple[Page, FileDataset],
) -> None:
    page, _ = picture
    page.keyboard.press("5")  # lung
    expect(page.locator('[data-field="text-window"]')).to_contain_text("W 1500")
    with page.context.expect_page() as opened:
        page.keyboard.press("p")
    sheet = opened.value
    expect(sheet.locator(".print-picture")).to_contain_text("W 1500 L -600")
    expect(sheet.locator(".print-picture")).to_contain_text("MEREDITH, Owen")
    assert len(sheet.pdf()) > 1000


@pytest.mark.parametrize(("rows", "row_spacing"), [(64, 1), (16, 1), (128, 3)])
@pytest.mark.parametrize("columns", [1, 4])
def test_a_printed_scale_is_as_long_as_its_share_of_the_picture(
    page: Page, keeper: Any, make_instance: Make, rows: int, row_spacing: int, columns: int
) -> None:
    """64 columns of 1 mm: 20 mm are 0.3125 of the picture's width, however large it is drawn."""
    pixels = np.zeros((rows, 64), np.int16).tobytes()
    dataset = make_instance(Rows=rows, PixelSpacing=[row_spacing, 1], PixelData=pixels)
    keeper.keep(dataset)
    page.goto(f"/studies/{dataset.StudyInstanceUID}/print?columns={columns}")
    page.emulate_media(media="print")
    picture = page.locator("svg image").bounding_box()
    bar = page.locator(".scale-bar").bounding_box()
    assert picture is not None
    assert bar is not None
    assert bar["width"] / picture["width"] == pytest.approx(20 / 64, rel=0.01)
    assert bar["x"] == pytest.approx(picture["x"], abs=1)
    assert picture["height"] / picture["width"] == pytest.approx(rows * row_spacing / 64, rel=0.01)


def test_a_real_ecg_is_shown_without_scripts(browser: Any, served: int, keeper: Any) -> None:
    path = Path(str(get_testdata_file("waveform_ecg.dcm", download=False)))
    keeper.keep_file(path)
    ds = dcmread(path)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{served}/studies/{ds.StudyInstanceUID}")
    page.click('a[href$="/plain"]')
    page.click('a[href$="/document"]')
    expect(page.locator("svg.ecg path.wave")).to_have_count(12)
    context.close()


def test_a_document_of_another_instance_is_never_shown(
    page: Page, keeper: Any, without_pixels: Make
) -> None:
    """An answer that names another object is refused, whatever the address was."""
    wanted = report(without_pixels, content("TEXT", "T", TextValue="right words"))
    other = report(without_pixels, content("TEXT", "T", TextValue="wrong words"))
    keeper.keep(wanted, other)
    wrong = (
        f"/studies/{other.StudyInstanceUID}/series/{other.SeriesInstanceUID}"
        f"/instances/{other.SOPInstanceUID}/document"
    )
    body = page.request.get(wrong).text()
    page.route(f"**/{wanted.SOPInstanceUID}/document", lambda route: route.fulfill(body=body))
    page.goto(f"/studies/{wanted.StudyInstanceUID}")
    expect(page.locator(".document-tile [role=alert]")).to_be_visible()
    assert "wrong words" not in page.inner_text("body")
