"""Headers are counted as pydicom would read them, and refused when they are too large."""

import io
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from viewer import header
from viewer.errors import UnreadableFile
from viewer.header import PIXEL_KEYWORDS, read_file_header
from viewer.header_entries import HeaderWalk

ENCODINGS = {"implicit": (True, True), "explicit": (False, True), "big endian": (False, False)}
SEQUENCES = (0x00081140, 0x00400275, 0x00400260, 0x00540016)
VALUES = st.one_of(
    st.tuples(
        st.sampled_from([0x00080060, 0x0008103E, 0x00104000, 0x00200010]), st.text("AZ\\ 09")
    ),
    st.tuples(st.sampled_from([0x00280010, 0x00280011]), st.integers(0, 0xFFFF)),
    st.tuples(st.sampled_from([0x00420011, 0x00291010]), st.binary(max_size=30)),
)
VRS = {0x00104000: "LT", 0x00280010: "US", 0x00280011: "US", 0x00420011: "OB", 0x00291010: "UN"}


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 4) -> Dataset:
    """Draw a data set with sequences in it, each of stated or of undefined length."""
    ds = Dataset()
    for tag, value in draw(st.lists(VALUES, max_size=5)):
        ds.add_new(tag, VRS.get(tag, "LO"), value)
    for tag in draw(st.lists(st.sampled_from(SEQUENCES), max_size=2)) if depth else ():
        items = draw(st.lists(data_sets(depth - 1), max_size=3))
        for item in items:
            item.is_undefined_length_sequence_item = draw(st.booleans())
        ds.add_new(tag, "SQ", Sequence(items))
        ds[tag].is_undefined_length = draw(st.booleans())
    return ds


def encode(ds: Dataset, encoding: str) -> bytes:
    is_implicit_vr, is_little_endian = ENCODINGS[encoding]
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = is_implicit_vr, is_little_endian
    write_dataset(stream, ds)
    return stream.getvalue()


def walk(encoded: bytes, encoding: str = "explicit") -> HeaderWalk:
    is_implicit_vr, is_little_endian = ENCODINGS[encoding]
    return HeaderWalk(
        io.BytesIO(encoded),
        is_implicit_vr=is_implicit_vr,
        is_little_endian=is_little_endian,
        stop_tags=PIXEL_KEYWORDS,
    )


def counted(encoded: bytes, encoding: str = "explicit") -> int:
    steps = walk(encoded, encoding)
    assert steps.stays_within(10**9, 10**9)
    return steps.entries


def counted_by_pydicom(encoded: bytes, encoding: str = "explicit") -> int:
    return entries_of(read_dataset(io.BytesIO(encoded), *ENCODINGS[encoding]))


def entries_of(ds: Dataset) -> int:
    inner = [item for element in ds if element.VR == "SQ" for item in element.value]
    return len(ds) + len(inner) + sum(map(entries_of, inner))


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(deadline=None, max_examples=20)
@given(ds=data_sets())
def test_a_walk_counts_what_pydicom_builds(encoding: str, ds: Dataset) -> None:
    encoded = encode(ds, encoding)
    assert counted(encoded, encoding) == entries_of(ds) == counted_by_pydicom(encoded, encoding)


@settings(deadline=None, max_examples=50)
@given(ds=data_sets(), place=st.floats(0, 1), junk=st.binary(min_size=1, max_size=9))
def test_a_walk_ends_whatever_the_bytes_say(ds: Dataset, place: float, junk: bytes) -> None:
    encoded = encode(ds, "explicit")
    at = int(place * len(encoded))
    for spoilt in (encoded[:at], encoded[:at] + junk + encoded[at + len(junk) :]):
        assert 0 <= counted(spoilt) <= len(spoilt) // 8 + 1


def element(tag: int, vr: bytes, value: bytes = b"", length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, size) + value


def bare(tag: int, value: bytes = b"", length: int | None = None) -> bytes:
    size = len(value) if length is None else length
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, size) + value


OPEN = 0xFFFFFFFF
SQ = 0x00400275
ITEM, ITEM_END, SEQUENCE_END = (bare(tag) for tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD))
LATER = element(0x00420011, b"OB", b"later!")
ODD = {
    "implicit VR within UN": element(SQ, b"UN", b"", OPEN)
    + bare(0xFFFEE000, bare(0x00080100, b"CODE"))
    + SEQUENCE_END,
    "a sequence named UN": element(SQ, b"UN", bare(0xFFFEE000, bare(0x00080100, b"CODE")) * 3),
    "an item that ends early": element(SQ, b"SQ", bare(0xFFFEE000, ITEM_END, 100) + ITEM * 3),
    "a sequence that ends early": element(SQ, b"SQ", ITEM + SEQUENCE_END + ITEM * 9),
    "an element longer than its sequence": element(
        SQ, b"SQ", bare(0xFFFEE000, element(0x00420011, b"OB", b"", 10**6), 12)
    ),
    "an item that is none": element(SQ, b"SQ", bare(0x00080000) + ITEM),
    "implicit VR in the middle": bare(0x00291010, b"abcdefgh"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_encodings_are_counted_as_they_are_read(name: str) -> None:
    encoded = element(0x00080001, b"UT", b"first!") + ODD[name] + LATER
    assert counted(encoded) == counted_by_pydicom(encoded)


@pytest.mark.parametrize(
    "value",
    [bare(0xFFFEE000, b"abcd") * 3 + SEQUENCE_END, b"x" * 200_001 + SEQUENCE_END],
    ids=["fragments", "no fragments"],
)
def test_what_follows_a_value_of_undefined_length_is_counted(value: bytes) -> None:
    encoded = element(0x00291010, b"OB", b"", OPEN) + value + LATER
    assert counted(encoded) == counted_by_pydicom(encoded) + value.count(b"abcd")


def test_a_count_ends_at_the_pixels_and_not_at_those_of_an_icon() -> None:
    pixels = element(0x7FE00010, b"OW", b"\1\2")
    assert counted(element(0x00880200, b"SQ", bare(0xFFFEE000, pixels)) + LATER) == 4
    assert counted(LATER + pixels + LATER) == 1


@pytest.mark.parametrize(
    "many",
    [
        element(0x00291010, b"OB") * 200_001,
        element(SQ, b"SQ", ITEM * 200_000),
        element(SQ, b"SQ", b"", OPEN) + ITEM * 200_000 + SEQUENCE_END,
        element(0x00291010, b"OB", b"", OPEN) + ITEM * 200_000 + SEQUENCE_END,
        (element(SQ, b"SQ", b"", OPEN) + bare(0xFFFEE000, b"", OPEN)) * 65,
    ],
    ids=["elements", "items", "open items", "fragments", "depth"],
)
def test_a_header_beyond_the_limits_is_refused_before_it_is_built(
    write: Callable[..., Path], many: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(np.zeros((2, 2), np.uint16))
    content = path.read_bytes()
    at = content.index(struct.pack("<HH", 0x7FE0, 0x0010))
    path.write_bytes(content[:at] + many + content[at:])
    monkeypatch.setattr(header, "_StopAtPixels", None)  # pydicom's reader would fail on it
    with pytest.raises(UnreadableFile, match="larger or deeper"):
        read_file_header(path)


def test_the_walk_costs_little_beside_the_reading(testdata: Callable[[str], Path]) -> None:
    path = testdata("CT_small.dcm")
    whole = fastest(lambda: read_file_header(path))
    encoded = path.read_bytes()[path.read_bytes().index(b"\x08\0\5\0CS") :]
    alone = fastest(lambda: counted(encoded))
    print(f"header of {counted(encoded)} entries: {whole * 1e6:.0f} us, walk {alone * 1e6:.0f} us")
    assert alone < whole / 2


def fastest(work: Callable[[], object]) -> float:
    def once() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return min(once() for _ in range(50))
