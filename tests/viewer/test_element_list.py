"""All elements of an object are listed as text, within bounds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from viewer.decode import open_instance
from viewer.element_list import LONGEST_VALUE, MAX_LISTED, ElementList, ListedElement, element_list

Save = Callable[[Dataset], ElementList]


@pytest.fixture
def listed(grey_dataset: Callable[..., Dataset], tmp_path: Path) -> Callable[..., ElementList]:
    """Change a data set, write it, and list its elements."""

    def make(change: Callable[[Dataset], object]) -> ElementList:
        ds = grey_dataset(np.zeros((2, 2), np.uint16))
        change(ds)
        path = tmp_path / "instance.dcm"
        ds.save_as(path, enforce_file_format=True)
        return element_list(open_instance(path))

    return make


def named(found: ElementList, tag: str) -> ListedElement:
    return next(one for one in found.elements if one.tag == tag)


def test_values_stand_as_text_with_name_and_vr(listed: Callable[..., ElementList]) -> None:
    found = listed(lambda ds: setattr(ds, "ImageType", ["DERIVED", "SECONDARY"]))
    assert named(found, "(0010,0010)") == ListedElement(
        "(0010,0010)", "Patient's Name", "PN", "PHANTOM^TEST"
    )
    assert named(found, "(0008,0008)").value == "DERIVED\\SECONDARY"
    assert named(found, "(0008,0016)").value.endswith("= Secondary Capture Image Storage")
    assert found.elements[0].name == "Transfer Syntax UID"
    assert found.elements[-1].value == "8 bytes"


def test_private_elements_name_their_creator(listed: Callable[..., ElementList]) -> None:
    def change(ds: Dataset) -> None:
        ds.private_block(0x0029, "ACME 1.0", create=True).add_new(0x10, "LO", "secret setting")

    found = named(listed(change), "(0029,1010)")
    assert (found.name, found.value) == ("Private · ACME 1.0", "secret setting")


def test_sequences_hold_their_items(listed: Callable[..., ElementList]) -> None:
    def change(ds: Dataset) -> None:
        inner = Dataset()
        inner.CodeMeaning = "Left"
        ds.AnatomicRegionSequence = [inner, Dataset()]

    [first, second] = named(listed(change), "(0008,2218)").items
    assert [one.value for one in first] == ["Left"]
    assert second == ()


def test_long_and_binary_values_are_only_measured(listed: Callable[..., ElementList]) -> None:
    def change(ds: Dataset) -> None:
        ds.ImageComments = "x" * 10_000
        ds.PatientComments = "y" * 100_000
        ds.ICCProfile = bytes(5000)
        ds.SelectorOBValue = b"\x01\xff"

    found = listed(change)
    assert len(named(found, "(0020,4000)").value) < LONGEST_VALUE + 20
    assert named(found, "(0010,4000)").value == "100000 bytes"
    assert named(found, "(0028,2000)").value == "5000 bytes"
    assert named(found, "(0072,0065)").value == "01 FF"


def test_marks_that_turn_the_direction_of_text_are_left_out(
    listed: Callable[..., ElementList],
) -> None:
    def change(ds: Dataset) -> None:
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.ImageComments = "a\u202eb\x07c"

    assert named(listed(change), "(0020,4000)").value == "abc"


def test_an_object_of_too_many_elements_is_cut_and_says_so(
    listed: Callable[..., ElementList],
) -> None:
    def change(ds: Dataset) -> None:
        item = Dataset()
        item.CodeMeaning = "x"
        ds.AnatomicRegionSequence = [item] * MAX_LISTED

    found = listed(change)
    assert found.is_cut
    assert len(named(found, "(0008,2218)").items) <= MAX_LISTED


def test_sequences_nested_deep_are_cut_and_say_so(listed: Callable[..., ElementList]) -> None:
    def change(ds: Dataset) -> None:
        for _ in range(40):
            outer = Dataset()
            outer.AnatomicRegionSequence = [*ds.get("AnatomicRegionSequence", [])]
            ds.AnatomicRegionSequence = [outer]

    assert listed(change).is_cut


def test_every_real_object_is_listed_without_failing(corpus: Path) -> None:
    folders = ("objects", "charset", "header")
    from viewer.errors import ViewerError

    count = 0
    for path in sorted(path for folder in folders for path in (corpus / folder).iterdir()):
        try:
            instance = open_instance(path)
        except ViewerError:
            continue
        assert "cannot be read" not in [one.value for one in element_list(instance).elements]
        count += 1
    assert count > 50
