"""Key images in a real browser: marked, listed, found."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import KeyObjectSelectionDocumentStorage, generate_uid

from tests.web.browser.hands import (
    ENDS,
    FRAME,
    drag,
    open_study,
    use,
    wait_for_kept,
)

pytestmark = pytest.mark.browser

Make = Callable[..., FileDataset]
Point = tuple[float, float]


def key_objects(image: FileDataset, make_instance: Make) -> FileDataset:
    """Return a key object note on one image, in the study of it."""
    ds = make_instance(StudyInstanceUID=image.StudyInstanceUID, Modality="KO", SeriesNumber=9)
    del ds.PixelData, ds.Rows, ds.Columns
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = KeyObjectSelectionDocumentStorage
    reference, content, title = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    content.ValueType, content.RelationshipType = "IMAGE", "CONTAINS"
    content.ReferencedSOPSequence = [reference]
    title.CodeValue, title.CodeMeaning = "113000", "Of Interest"
    ds.ConceptNameCodeSequence, ds.ContentSequence = [title], [content]
    return ds


def test_key_images_are_marked_listed_and_found(
    keeper: Any, make_instance: Make, stack: list[FileDataset], page: Page
) -> None:
    keeper.keep(key_objects(stack[0], make_instance))
    open_study(page, stack[1])
    page.keyboard.press("k")
    expect(page.locator(".tile[data-key=marked]")).to_have_count(1)
    [mark] = wait_for_kept(page, stack[1], 1)
    assert (mark["kind"], mark["sop_instance_uid"]) == ("key", stack[1].SOPInstanceUID)
    use(page, "length")
    drag(page, *ENDS)
    page.keyboard.press("y")
    expect(page.locator("#marks-list li")).to_have_count(2)
    page.click("#marks-panel [data-action=only-keys]")
    expect(page.locator("#marks-list li")).to_have_count(1)
    expect(page.locator("#marks-panel")).to_contain_text("1 key object note")
    expect(page.locator("#key-objects")).to_contain_text("Of Interest")
    page.click("#key-objects button")
    expect(page.locator(".tile[data-key=named]")).to_have_count(1)
    page.click("#marks-list [data-action=go-to-mark]")
    expect(page.locator(".tile[data-key=marked]")).to_have_count(1)
    page.keyboard.press("k")
    expect(page.locator(".tile[data-key=marked]")).to_have_count(0)
    wait_for_kept(page, stack[1], 1)


def test_only_key_images_are_scrolled_and_the_page_says_how_many_others_there_are(
    keeper: Any, make_instance: Make, page: Page
) -> None:
    """Nine images, two of them marked and one named by a note: keys, wheel, slider and cine."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    nine = [make_instance(n, **uids, RescaleType="HU") for n in range(1, 10)]
    other = make_instance(1, StudyInstanceUID=uids["StudyInstanceUID"], SeriesNumber=2)
    keeper.keep(*nine, other, key_objects(nine[7], make_instance))
    open_study(page, nine[0])
    where = page.locator("[data-field=text-slice]")
    for spoken in ("1/2", "1/5"):
        page.fill("#jump input", spoken)
        page.press("#jump input", "Enter")
        expect(where).to_have_text(f"Image {spoken[2]} of 9")
        page.keyboard.press("k")
        expect(page.locator(".tile[data-key=marked]")).to_have_count(1)
    page.keyboard.press("End")
    expect(where).to_have_text("Image 9 of 9")
    page.keyboard.press("y")
    expect(page.locator("#key-objects")).to_contain_text("Of Interest")
    page.keyboard.press("Shift+K")
    expect(where).to_have_text("Image 8 of 9")
    ribbon = page.locator("#only-keys")
    expect(ribbon).to_contain_text("Key images only: 3 of the 10 images of this study. 7 hidden.")
    told = page.locator("[data-field=text-filter]")
    expect(told).to_have_text("Key images only · 6 of 9 hidden")
    for key, image in (
        ("ArrowUp", 5), ("ArrowUp", 2), ("ArrowUp", 2), ("End", 8), ("Home", 2),
        ("Shift+PageDown", 8), ("PageDown", 8), ("ArrowLeft", 5),
    ):  # fmt: skip
        page.keyboard.press(key)
        expect(where).to_have_text(f"Image {image} of 9")
    page.hover(FRAME)
    page.mouse.wheel(0, 120)
    expect(where).to_have_text("Image 8 of 9")
    page.locator("[data-field=slider]").fill("3")
    expect(where).to_have_text("Image 2 of 9")
    assert page.locator("[data-field=slider]").input_value() == "1"
    page.evaluate(LISTEN)
    page.keyboard.press("c")
    page.wait_for_function("() => window.seen.length > 6")
    page.keyboard.press("c")
    seen = page.evaluate("window.seen")
    assert {text for text in seen if text} == {f"Image {n} of 9" for n in (2, 5, 8)}
    page.fill("#jump input", "1/4")
    page.press("#jump input", "Enter")
    expect(told).to_have_text("Key images only · 6 of 9 hidden · this is none")
    page.click("#only-keys button")
    expect(ribbon).to_be_hidden()
    expect(told).to_have_text("")
    page.keyboard.press("ArrowDown")
    expect(where).to_have_text("Image 5 of 9")


LISTEN = """() => {
    window.seen = [];
    const text = document.querySelector("[data-field=text-slice]");
    new MutationObserver(() => window.seen.push(text.textContent))
        .observe(text, { childList: true, characterData: true, subtree: true });
}"""


def test_when_the_last_key_image_is_no_longer_one_all_images_are_back(
    stack: list[FileDataset], page: Page
) -> None:
    open_study(page, stack[1])
    page.keyboard.press("k")
    page.keyboard.press("Shift+K")
    expect(page.locator("#only-keys")).to_contain_text("1 of the 3 images")
    page.keyboard.press("k")
    expect(page.locator("#only-keys")).to_be_hidden()
    expect(page.locator("#note")).to_contain_text("all images are shown")


def test_what_is_not_read_yet_is_not_said_to_be_nothing(
    stack: list[FileDataset], page: Page
) -> None:
    held_back: list[Route] = []
    is_held = [True]

    def answer(route: Route) -> None:
        held_back.append(route) if is_held[0] else route.continue_()

    page.route("**/presentation-states", answer)
    open_study(page, stack[1])
    page.keyboard.press("Shift+K")
    expect(page.locator("#note")).to_contain_text("still being read")
    is_held[0] = False
    for route in held_back:
        route.continue_()
    note = page.locator("#note")
    for _ in range(100):  # until the page has read what came
        page.keyboard.press("Shift+K")
        if "still being read" not in (note.text_content() or ""):
            break
        page.wait_for_timeout(100)
    expect(note).to_have_text(re.compile("There are no key images in this study"))
