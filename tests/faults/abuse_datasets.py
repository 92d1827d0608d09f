"""Data sets built element by element, so that any of them can be built wrong (PS3.5)."""

import itertools
import os
import struct
import zlib
from collections.abc import Sequence

MARK = "QZMARKER"
"""Stands in the texts of every data set here: nothing but the store and the pages may write it."""

UNDEFINED = 0xFFFFFFFF
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
_LONG_VRS = ("OB", "OD", "OF", "OL", "OW", "SQ", "UC", "UN", "UR", "UT")
_PADDING = {"UI": b"\0", "OB": b"\0", "UN": b"\0"}
_numbers = itertools.count(1)

Elements = dict[int, bytes]

SOP_CLASS_UID, SOP_INSTANCE_UID = 0x00080016, 0x00080018
STUDY_INSTANCE_UID, SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
CHARACTER_SET, PATIENT_NAME, PATIENT_ID = 0x00080005, 0x00100010, 0x00100020
SAMPLES_PER_PIXEL, PHOTOMETRIC, FRAMES = 0x00280002, 0x00280004, 0x00280008
ROWS, COLUMNS, BITS_ALLOCATED, BITS_STORED, HIGH_BIT = (
    0x00280010,
    0x00280011,
    0x00280100,
    0x00280101,
    0x00280102,
)
PIXEL_DATA = 0x7FE00010


def new_uid() -> str:
    """Return a UID that nothing else of this run has."""
    return f"1.2.826.0.1.3680043.8.498.{os.getpid()}.{next(_numbers)}"


def element(tag: int, vr: str, value: bytes | str | int = b"", length: int | None = None) -> bytes:
    """Encode one element, Explicit VR Little Endian; `length` may lie."""
    if isinstance(value, int):
        value = struct.pack("<H", value)
    elif isinstance(value, str):
        value = value.encode()
    value += _PADDING.get(vr, b" ") * (len(value) % 2)
    size = len(value) if length is None else length
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in _LONG_VRS:
        return head + struct.pack("<HL", 0, size) + value
    return head + struct.pack("<H", size & 0xFFFF) + value


def item(value: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value) if length is None else length) + value


def elements_of(uid: str, rows: int = 8, columns: int = 8) -> Elements:
    """Return the elements of a small CT instance by tag."""
    facts: list[tuple[int, str, str | int | bytes]] = [
        (CHARACTER_SET, "CS", "ISO_IR 192"),
        (SOP_CLASS_UID, "UI", "1.2.840.10008.5.1.4.1.1.2"),
        (SOP_INSTANCE_UID, "UI", uid),
        (0x00080020, "DA", "20260102"),
        (0x00080030, "TM", "030405"),
        (0x00080050, "SH", MARK),
        (0x00080060, "CS", "CT"),
        (0x00080090, "PN", f"{MARK}^DOCTOR"),
        (0x00081030, "LO", f"{MARK} STUDY"),
        (0x0008103E, "LO", f"{MARK} SERIES"),
        (PATIENT_NAME, "PN", f"{MARK}^GIVEN"),
        (PATIENT_ID, "LO", f"ID-{MARK}"),
        (STUDY_INSTANCE_UID, "UI", f"{uid}.1"),
        (SERIES_INSTANCE_UID, "UI", f"{uid}.2"),
        (0x00200011, "IS", "1"),
        (0x00200013, "IS", "1"),
        (SAMPLES_PER_PIXEL, "US", 1),
        (PHOTOMETRIC, "CS", "MONOCHROME2"),
        (ROWS, "US", rows),
        (COLUMNS, "US", columns),
        (BITS_ALLOCATED, "US", 16),
        (BITS_STORED, "US", 16),
        (HIGH_BIT, "US", 15),
        (0x00280103, "US", 0),
        (0x00281050, "DS", "40"),
        (0x00281051, "DS", "400"),
        (PIXEL_DATA, "OW", bytes(index % 256 for index in range(rows * columns * 2))),
    ]
    return {tag: element(tag, vr, value) for tag, vr, value in facts}


def encode(elements: Elements) -> bytes:
    return b"".join(elements[tag] for tag in sorted(elements))


def ct(uid: str, *changed: bytes, without: Sequence[int] = ()) -> bytes:
    """Encode a CT instance with some elements replaced or added, and some left out."""
    elements = elements_of(uid)
    for encoded in changed:
        group, number = struct.unpack_from("<HH", encoded)
        elements[group << 16 | number] = encoded
    for tag in without:
        elements.pop(tag)
    return encode(elements)


def encapsulated(*fragments: bytes, offsets: bytes = b"") -> bytes:
    """Encode pixel data in fragments, as compressed transfer syntaxes have them."""
    even = [fragment + b"\0" * (len(fragment) % 2) for fragment in fragments]
    body = item(offsets) + b"".join(map(item, even)) + SEQUENCE_END
    return element(PIXEL_DATA, "OB", b"", UNDEFINED) + body


def nested(depth: int, *, is_closed: bool = True) -> bytes:
    """Encode sequences of undefined length within one another."""
    opening = element(0x00400275, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)
    return opening * depth + (ITEM_END + SEQUENCE_END) * (depth if is_closed else 0)


def nested_by_length(depth: int) -> bytes:
    """Encode sequences of stated length within one another."""
    value = b""
    for _ in range(depth):
        value = element(0x00400275, "SQ", item(value))
    return value


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def deflate_bomb(data: bytes, size: int) -> bytes:
    """Deflate a data set that begins well and ends in zeros without end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [packer.compress(data)]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def part10(
    data_set: bytes,
    uid: str,
    syntax: str = "1.2.840.10008.1.2.1",
    *,
    preamble: bytes = b"",
    group_length: int | None = None,
) -> bytes:
    """Put a file head before a data set (PS3.10 section 7.1); its group length may lie."""
    meta = (
        element(0x00020001, "OB", b"\0\1")
        + element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.2")
        + element(0x00020003, "UI", uid)
        + element(0x00020010, "UI", syntax)
        + element(0x00020012, "UI", "1.2.3.4")
    )
    stated = len(meta) if group_length is None else group_length
    length = element(0x00020000, "UL", struct.pack("<L", stated))
    return preamble.ljust(128, b"\0") + b"DICM" + length + meta + data_set
