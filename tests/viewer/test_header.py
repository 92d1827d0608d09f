"""Single values are read from any header without surprises."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from viewer.header import (
    functional_group,
    integer,
    items,
    number,
    numbers,
    read_file_header,
    text,
    texts,
)


def raw(keyword: str, vr: str, value: bytes) -> Dataset:
    """A data set with one element as a file would hold it, not yet converted."""
    tag = Tag(keyword)
    return Dataset({tag: RawDataElement(tag, vr, len(value), value, 0, False, True)})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"40", (40.0,)),
        (b"40\\80 ", (40.0, 80.0)),
        (b"", ()),
        (b"nan", ()),
        (b"1e9999", ()),
        (b"wide", ()),
        (b"40\\x", ()),
    ],
)
def test_decimal_strings_become_finite_numbers_or_nothing(
    value: bytes, expected: tuple[float, ...]
) -> None:
    found = numbers(raw("WindowCenter", "DS", value), "WindowCenter")
    assert found == expected
    assert all(math.isfinite(part) for part in found)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(b"7", 7), (b"100000000000000000000", 10**20), (b"x", None), (b"", None)],
)
def test_integer_strings_become_integers_or_nothing(value: bytes, expected: int | None) -> None:
    assert integer(raw("InstanceNumber", "IS", value), "InstanceNumber") == expected


@pytest.mark.parametrize(
    ("vr", "value"), [("ZZ", b"1234"), ("US", b"1"), ("FD", b"123"), ("SQ", b"junk!")]
)
def test_values_that_cannot_be_converted_read_as_absent(vr: str, value: bytes) -> None:
    ds = raw("Rows", vr, value)
    assert integer(ds, "Rows") is None
    assert items(ds, "Rows") == []


def test_text_carries_no_control_characters() -> None:
    ds = raw("StudyDescription", "LO", b"a\x1b[2Jb\r\nc\\d")
    assert text(ds, "StudyDescription") == "a[2Jbc\\d"
    assert text(ds, "PatientName") == ""


def test_direction_overrides_are_removed_from_text() -> None:
    ds = Dataset()
    ds.PatientName = "A\u202eB^C"
    assert text(ds, "PatientName") == "AB^C"


def test_values_keep_their_order() -> None:
    ds = Dataset()
    ds.PatientOrientation = ["L", "F"]
    assert texts(ds, "PatientOrientation") == ("L", "F")
    assert number(ds, "PatientOrientation") is None


def test_a_frames_own_group_comes_before_the_shared_one() -> None:
    def group(thickness: float) -> Dataset:
        measures = Dataset()
        measures.SliceThickness = thickness
        outer = Dataset()
        outer.PixelMeasuresSequence = Sequence([measures])
        return outer

    ds = Dataset()
    ds.SharedFunctionalGroupsSequence = Sequence([group(1)])
    ds.PerFrameFunctionalGroupsSequence = Sequence([Dataset(), group(2)])
    found = [functional_group(ds, n, "PixelMeasuresSequence") for n in range(3)]
    assert [part.SliceThickness for part in found if part is not None] == [1, 2, 1]
    assert functional_group(ds, 0, "FrameVOILUTSequence") is None


def test_a_header_ends_before_the_pixels(write: Callable[..., Path]) -> None:
    path = write(np.zeros((9, 9), np.uint16))
    header = read_file_header(path)
    assert "PixelData" not in header.dataset
    assert header.pixel_element is not None
    assert header.pixel_element.offset + 9 * 9 * 2 == header.source_bytes == path.stat().st_size


def test_pixel_data_of_an_icon_is_not_taken_for_the_picture(write: Callable[..., Path]) -> None:
    icon: Any = Dataset()
    icon.PixelData = b"\7" * 4
    icon["PixelData"].VR = "OB"
    path = write(np.zeros((2, 2), np.uint16), IconImageSequence=Sequence([icon]))
    header = read_file_header(path)
    assert header.pixel_element is not None
    assert header.pixel_element.length == 8


def test_a_missing_transfer_syntax_is_seen_from_the_bytes(write: Callable[..., Path]) -> None:
    path = write(np.zeros((2, 2), np.uint16))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\2\0\x10\0UI", b"\2\0\x12\0UI"))
    assert read_file_header(path).transfer_syntax_uid == "1.2.840.10008.1.2.1"


def test_numbers_without_end_count_as_absent() -> None:
    """An Implicit VR element may be far longer than any window; to read it would take long."""
    for values, expected in ((100, 100), (40_000, 0)):
        raw = "\\".join(["40"] * values).encode()
        ds = Dataset()
        ds[0x00281050] = RawDataElement(Tag(0x00281050), None, len(raw), raw, 0, True, True)
        assert len(numbers(ds, "WindowCenter")) == expected
