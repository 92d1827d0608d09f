"""Each frame gets its own fragments, however the offset tables look."""

import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless

from viewer.decode import open_instance
from viewer.errors import UnreadableFile, UnsupportedPixels
from viewer.frames import (
    MAX_FRAGMENTS,
    Fragment,
    fragments_at,
    frame_starts,
    group_fragments,
    read_fragments,
    read_range,
    scan_fragments,
)
from viewer.header import PixelElement

JPEG = b"\xff\xd8\xff\xe0"
ELEMENT = PixelElement("PixelData", "OB", 0, None)
DELIMITER = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)


def item(value: bytes) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value


def pixel_data(*fragments: bytes, offsets: tuple[int, ...] = (), end: bytes = DELIMITER) -> bytes:
    table = struct.pack(f"<{len(offsets)}L", *offsets)
    return item(table) + b"".join(item(part) for part in fragments) + end


def frames(data: bytes, number: int, extended: tuple[int, ...] = ()) -> list[bytes]:
    table = scan_fragments(data, ELEMENT)
    groups = group_fragments(data, table, number, extended)
    return [read_fragments(data, group) for group in groups]


def test_one_frame_takes_all_fragments() -> None:
    assert frames(pixel_data(b"ab", b"cd", b"ef"), 1) == [b"abcdef"]


def test_as_many_fragments_as_frames_need_no_table() -> None:
    assert frames(pixel_data(b"ab", b"cd"), 2) == [b"ab", b"cd"]


def test_basic_offset_table_groups_fragments() -> None:
    data = pixel_data(b"ab", b"cd", b"efgh", offsets=(0, 20))
    assert frames(data, 2) == [b"abcd", b"efgh"]


def test_extended_offset_table_groups_fragments() -> None:
    assert frames(pixel_data(b"ab", b"cd", b"ef"), 2, extended=(0, 10)) == [b"ab", b"cdef"]


def test_without_a_table_codestream_starts_group_fragments() -> None:
    data = pixel_data(JPEG + b"12", b"3456", JPEG + b"78")
    assert frames(data, 2) == [JPEG + b"123456", JPEG + b"78"]


@pytest.mark.parametrize("offsets", [(0, 7), (4, 20), (20, 0), (0, 2**31)])
def test_a_table_that_points_nowhere_is_not_believed(offsets: tuple[int, int]) -> None:
    data = pixel_data(JPEG + b"12", b"3456", JPEG + b"78", offsets=offsets)
    assert frames(data, 2) == [JPEG + b"123456", JPEG + b"78"]


def test_frames_that_nothing_separates_are_refused() -> None:
    with pytest.raises(UnsupportedPixels, match="where each frame begins"):
        frames(pixel_data(b"ab", b"cd", b"ef"), 2)


def test_a_cut_file_gives_its_whole_frames_only() -> None:
    data = pixel_data(JPEG + b"12", JPEG + b"34", JPEG + b"56")
    assert frames(data[:-12], 3) == [JPEG + b"12", JPEG + b"34"]


def test_a_missing_delimiter_after_whole_fragments_is_forgiven() -> None:
    assert frames(pixel_data(b"ab", b"cd", end=b""), 2) == [b"ab", b"cd"]


def test_no_fragments_give_no_frames() -> None:
    assert frames(pixel_data(), 1) == []


def test_a_table_leads_to_a_frame_without_looking_at_the_others() -> None:
    data = pixel_data(b"ab", b"cd", b"efgh", offsets=(0, 20))
    broken = bytearray(data)
    first = len(item(struct.pack("<2L", 0, 20)))
    broken[first : first + 4] = b"\0\0\0\0"  # the first frame's item tag
    starts = frame_starts(bytes(broken), ELEMENT, 2)
    assert starts == (first, first + 20)
    assert fragments_at(bytes(broken), starts, 1) == (Fragment(first + 28, 4),)
    assert fragments_at(bytes(broken), starts, 0) == ()
    assert [len(fragments_at(data, starts, n)) for n in (0, 1, 2)] == [2, 1, 0]


@pytest.mark.parametrize("offsets", [(0, 20, 40), (4, 20), (20, 0), (0, 0), ()])
def test_an_implausible_table_leads_nowhere(offsets: tuple[int, ...]) -> None:
    assert frame_starts(pixel_data(b"ab", b"cd", offsets=offsets), ELEMENT, 2) == ()


@pytest.mark.parametrize("second", [7, 10**6, 2**64 - 1])
def test_a_table_that_contradicts_the_items_leads_nowhere(second: int) -> None:
    data = pixel_data(b"ab", b"cd")
    starts = frame_starts(data, ELEMENT, 2, (0, second))
    assert fragments_at(data, starts, 1) == ()
    assert fragments_at(data, starts, 0) == ()


def test_the_extended_table_comes_first() -> None:
    data = pixel_data(b"ab", b"cd", b"ef", offsets=(0, 20))
    assert frame_starts(data, ELEMENT, 2, (0, 10)) == (16, 26)


def test_a_cut_last_frame_is_left_to_the_scan() -> None:
    data = pixel_data(b"ab", b"cd", offsets=(0, 10))[:-9]
    starts = frame_starts(data, ELEMENT, 2)
    assert fragments_at(data, starts, 0) == (Fragment(24, 2),)
    assert fragments_at(data, starts, 1) == ()


@pytest.mark.parametrize("data", [b"", b"\0" * 40, item(b"")[:6]])
def test_values_without_items_are_incomplete(data: bytes) -> None:
    with pytest.raises(UnsupportedPixels, match="incomplete"):
        scan_fragments(data, ELEMENT)


def test_a_flood_of_empty_fragments_is_refused() -> None:
    with pytest.raises(UnsupportedPixels, match="fragments"):
        scan_fragments(item(b"") * (MAX_FRAGMENTS + 2), ELEMENT)


def test_reading_past_the_end_is_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"12345")
    assert read_range(path, 1, 4) == b"2345"
    with pytest.raises(UnsupportedPixels, match="incomplete"):
        read_range(path, 2, 4)
    assert read_fragments(path, [Fragment(0, 2), Fragment(3, 1)]) == b"124"


def test_a_file_that_went_away_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        read_range(tmp_path / "gone", 0, 1)
    with pytest.raises(UnreadableFile):
        scan_fragments(tmp_path / "gone", ELEMENT)


def test_frames_of_a_long_object_are_found_by_the_table_alone(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    pixels = np.zeros((2, 2), np.uint16)
    codestreams = [bytes(imagecodecs.jpegls_encode(pixels + n)) for n in range(3)]
    path = write(pixels, transfer_syntax_uid=JPEGLSLossless, frames=codestreams, NumberOfFrames=3)
    raw = path.read_bytes()
    places = [raw.index(item(part + b"\0" * (len(part) % 2))) for part in codestreams]
    # whoever scans from the first item on finds nothing there
    (tmp_path / "holed.dcm").write_bytes(raw[: places[0]] + bytes(8) + raw[places[0] + 8 :])
    instance = open_instance(tmp_path / "holed.dcm")
    assert instance.stored_frame(3).tolist() == [[2, 2], [2, 2]]
    assert instance.stored_frame(2).tolist() == [[1, 1], [1, 1]]
    with pytest.raises(UnsupportedPixels):
        instance.stored_frame(1)
