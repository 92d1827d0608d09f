"""Key images in a real browser: marked, listed, found."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from tests.web.browser.hands import (
    ENDS,
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
    ds = make_instance(StudyInstanceUID=image.StudyInstanceUID, Modality="KO")
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
