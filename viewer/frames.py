"""Find one frame's bytes in a file without reading the others."""

import io
import struct
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from viewer.codestream import CODESTREAM_STARTS
from viewer.errors import UnreadableFile, UnsupportedPixels
from viewer.header import PixelElement

MAX_FRAGMENTS: Final = 2**18
"""Encapsulated pixel data of more fragments than this are refused."""

_ITEM: Final = b"\xfe\xff\x00\xe0"
_ITEM_HEAD_BYTES: Final = 8
_LONGEST_START: Final = max(len(start) for start in CODESTREAM_STARTS)

Source = Path | bytes
"""A file, or the inflated data set of a deflated one."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """One item of encapsulated pixel data.

    Parameters
    ----------
    offset : int
        Place of the item's first value byte in the source.
    length : int
        Bytes of the value.
    """

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class FragmentTable:
    """All items of encapsulated pixel data (PS3.5 A.4).

    Parameters
    ----------
    frame_offsets : tuple of int
        Basic Offset Table, bytes from the first fragment's item tag; () when empty.
    fragments : tuple of Fragment
        Those that are whole.
    is_complete : bool
        False when the file ends inside a fragment or without sequence delimiter.
    """

    frame_offsets: tuple[int, ...]
    fragments: tuple[Fragment, ...]
    is_complete: bool


def incomplete_pixels() -> UnsupportedPixels:
    """Return the error that says pixel data are cut off."""
    return UnsupportedPixels(
        "The pixel data of this object are incomplete, so this frame is not shown."
        " Send it again from the source."
    )


def read_range(source: Source, offset: int, length: int) -> bytes:
    """Read exactly `length` bytes.

    Raises
    ------
    UnsupportedPixels
        When the source ends before.
    UnreadableFile
        When the file cannot be read.
    """
    if source_bytes(source) < offset + length:
        raise incomplete_pixels()
    with _opened(source) as stream:
        stream.seek(offset)
        return stream.read(length)


def source_bytes(source: Source) -> int:
    """Return the size of the source in bytes."""
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except OSError as error:
        raise _unreadable() from error


def _opened(source: Source) -> AbstractContextManager[BinaryIO]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return source.open("rb")
    except OSError as error:
        raise _unreadable() from error


def _unreadable() -> UnreadableFile:
    return UnreadableFile("The file could not be read from the store. Tell the IT team.")


def scan_fragments(source: Source, element: PixelElement) -> FragmentTable:
    """List the items of encapsulated pixel data by hopping over their values.

    Raises
    ------
    UnsupportedPixels
        When the items cannot be followed, or are more than `MAX_FRAGMENTS`.
    """
    end = source_bytes(source)
    with _opened(source) as stream:
        length = _item_length(stream, element.offset)
        first = element.offset + _ITEM_HEAD_BYTES
        if length is None or first + length > end:
            raise incomplete_pixels()
        table = stream.read(length)
        fragments, is_complete = _hop(stream, first + length, end)
    whole = len(table) // 4 * 4
    return FragmentTable(struct.unpack(f"<{whole // 4}I", table[:whole]), fragments, is_complete)


def _hop(stream: BinaryIO, position: int, end: int) -> tuple[tuple[Fragment, ...], bool]:
    fragments: list[Fragment] = []
    while position + _ITEM_HEAD_BYTES <= end:
        length = _item_length(stream, position)
        if length is None:  # the sequence delimiter, or whatever else ends the items
            return tuple(fragments), True
        if len(fragments) >= MAX_FRAGMENTS:
            raise UnsupportedPixels("This object has more fragments than the viewer accepts.")
        fragment = Fragment(position + _ITEM_HEAD_BYTES, length)
        position = fragment.offset + length
        if position > end:
            break
        fragments.append(fragment)
    return tuple(fragments), False


def _item_length(stream: BinaryIO, position: int) -> int | None:
    stream.seek(position)
    head = stream.read(_ITEM_HEAD_BYTES)
    if len(head) < _ITEM_HEAD_BYTES or head[:4] != _ITEM:
        return None
    return int.from_bytes(head[4:], "little")


def group_fragments(
    source: Source,
    table: FragmentTable,
    number_of_frames: int,
    extended_offsets: Sequence[int] = (),
) -> tuple[tuple[Fragment, ...], ...]:
    """Give each frame its fragments.

    Parameters
    ----------
    source : Path or bytes
        Where the fragments lie.
    table : FragmentTable
        From `scan_fragments`.
    number_of_frames : int
        What the header says.
    extended_offsets : sequence of int
        Extended Offset Table (7FE0,0001), () when absent.

    Returns
    -------
    tuple of tuple of Fragment
        By frame index; shorter than `number_of_frames` when the file is cut off.

    Raises
    ------
    UnsupportedPixels
        When nothing tells where a frame begins.
    """
    if number_of_frames == 1:
        return (table.fragments,) if table.fragments else ()
    if len(table.fragments) == number_of_frames:
        return tuple((fragment,) for fragment in table.fragments)
    for offsets in (extended_offsets, table.frame_offsets):
        if len(offsets) == number_of_frames:
            groups = _group_by_offsets(table, offsets)
            if groups:
                return groups
    return _group_by_starts(source, table, number_of_frames)


def _group_by_offsets(
    table: FragmentTable, offsets: Sequence[int]
) -> tuple[tuple[Fragment, ...], ...]:
    if not table.fragments:
        return ()
    first = table.fragments[0].offset
    places = {fragment.offset - first: n for n, fragment in enumerate(table.fragments)}
    starts = [places[offset] for offset in offsets if offset in places]
    is_plausible = starts == sorted(set(starts)) and starts[:1] == [0]
    if not is_plausible or (table.is_complete and len(starts) != len(offsets)):
        return ()
    return _slices(table.fragments, starts)


def _group_by_starts(
    source: Source, table: FragmentTable, number_of_frames: int
) -> tuple[tuple[Fragment, ...], ...]:
    starts = []
    with _opened(source) as stream:
        for n, fragment in enumerate(table.fragments):
            stream.seek(fragment.offset)
            if stream.read(_LONGEST_START).startswith(CODESTREAM_STARTS):
                starts.append(n)
    groups = _slices(table.fragments, starts)
    if len(groups) == number_of_frames or (groups and not table.is_complete):
        return groups
    if not table.is_complete:
        raise incomplete_pixels()
    raise UnsupportedPixels(
        "The compressed pixel data of this object do not say where each frame begins."
        " Open it on the PACS."
    )


def _slices(
    fragments: Sequence[Fragment], starts: Sequence[int]
) -> tuple[tuple[Fragment, ...], ...]:
    ends = [*starts[1:], len(fragments)]
    return tuple(
        tuple(fragments[begin:end]) for begin, end in zip(starts, ends, strict=bool(starts))
    )


def read_fragments(source: Source, fragments: Sequence[Fragment]) -> bytes:
    """Join the fragments of one frame."""
    return b"".join(read_range(source, part.offset, part.length) for part in fragments)
