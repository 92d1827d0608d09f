"""Find one frame's bytes in a file without reading the others."""

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

from viewer.codestream import CODESTREAM_STARTS
from viewer.errors import UnreadableFile, UnsupportedPixels
from viewer.header import PixelElement

MAX_FRAGMENTS: Final = 2**18
"""Encapsulated pixel data of more fragments than this are refused."""

_ITEM: Final = b"\xfe\xff\x00\xe0"
_ITEM_HEAD_BYTES: Final = 8
_LONGEST_START: Final = max(len(start) for start in CODESTREAM_STARTS)

_LARGEST_OFFSET: Final = 2**62
ReadRange = Callable[[int, int], bytes]

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
    with open_ranges(source) as read:
        return read(offset, length)


@contextmanager
def open_ranges(source: Source) -> Iterator[ReadRange]:
    """Give a function that does what `read_range` does, by offset and length, of one opening."""
    with _opened(source) as read:
        yield partial(_whole, read)


@contextmanager
def _opened(source: Source) -> Iterator[ReadRange]:
    """Give a function that returns bytes by their place, fewer where the source ends.

    Files are read by `pread`, never mapped: a mapped file that is cut or on a failing disk ends
    the process, a read one ends the request.
    """
    if isinstance(source, bytes):
        yield lambda offset, length: source[offset : offset + length]
        return
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield lambda offset, length: os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        message = "The file could not be read from the store. Tell the IT team."
        raise UnreadableFile(message) from error


def _whole(read: ReadRange, offset: int, length: int) -> bytes:
    found = read(offset, length)
    while len(found) < length:  # the kernel gives at most 2 GiB at once
        more = read(offset + len(found), length - len(found))
        if not more:
            raise incomplete_pixels()
        found += more
    return found


def scan_fragments(source: Source, element: PixelElement) -> FragmentTable:
    """List the items of encapsulated pixel data by hopping over their values.

    Raises
    ------
    UnsupportedPixels
        When the items cannot be followed, or are more than `MAX_FRAGMENTS`.
    """
    with _opened(source) as read:
        table, first = _basic_offset_table(read, element)
        fragments, is_complete = _hop(read, first)
    return FragmentTable(table, fragments, is_complete)


def _basic_offset_table(read: ReadRange, element: PixelElement) -> tuple[tuple[int, ...], int]:
    """Return the offsets of the first item, and where the item after it begins."""
    length = _item_length(read, element.offset)
    end = element.offset + _ITEM_HEAD_BYTES + (length or 0)
    if length is None or not read(end - 1, 1):
        raise incomplete_pixels()
    table = _whole(read, element.offset + _ITEM_HEAD_BYTES, length)
    offsets = struct.unpack(f"<{length // 4}I", table[: length // 4 * 4])
    return offsets, end


def _hop(
    read: ReadRange, position: int, stop: int | None = None
) -> tuple[tuple[Fragment, ...], bool]:
    """List the items from one place up to another, or to the delimiter; tell if all are whole."""
    fragments: list[Fragment] = []
    while position != stop:
        head = read(position, _ITEM_HEAD_BYTES)
        if head[:4] != _ITEM or len(head) < _ITEM_HEAD_BYTES:
            # the sequence delimiter, or whatever else ends the items
            return tuple(fragments), stop is None and len(head) == _ITEM_HEAD_BYTES
        if len(fragments) >= MAX_FRAGMENTS:
            raise UnsupportedPixels("This object has more fragments than the viewer accepts.")
        fragment = Fragment(position + _ITEM_HEAD_BYTES, int.from_bytes(head[4:], "little"))
        position = fragment.offset + fragment.length
        if fragment.length and not read(position - 1, 1):
            return tuple(fragments), False
        fragments.append(fragment)
    return tuple(fragments), True


def _item_length(read: ReadRange, position: int) -> int | None:
    head = read(position, _ITEM_HEAD_BYTES)
    if len(head) < _ITEM_HEAD_BYTES or head[:4] != _ITEM:
        return None
    return int.from_bytes(head[4:], "little")


def frame_starts(
    source: Source,
    element: PixelElement,
    number_of_frames: int,
    extended_offsets: Sequence[int] = (),
) -> tuple[int, ...]:
    """Return where each frame begins, as an offset table says, without looking at the fragments.

    Parameters
    ----------
    source : Path or bytes
        Where the fragments lie.
    element : PixelElement
        Encapsulated pixel data.
    number_of_frames : int
        What the header says.
    extended_offsets : sequence of int
        Extended Offset Table (7FE0,0001), () when absent; comes before the basic one.

    Returns
    -------
    tuple of int
        Place of each frame's first item tag in the source; () when no table is plausible.

    Raises
    ------
    UnsupportedPixels
        When there is no first item.

    Notes
    -----
    PS3.5 A.4, PS3.3 C.7.6.3.1.8.
    """
    with _opened(source) as read:
        table, first = _basic_offset_table(read, element)
    for offsets in (extended_offsets, table):
        is_rising = all(here < there for here, there in pairwise(offsets))
        if len(offsets) == number_of_frames and offsets[0] == 0 and is_rising:
            return tuple(first + offset for offset in offsets)
    return ()


def fragments_at(source: Source, starts: Sequence[int], frame_index: int) -> tuple[Fragment, ...]:
    """Return the fragments of one frame, reading no other frame's items.

    Parameters
    ----------
    source : Path or bytes
        Where the fragments lie.
    starts : sequence of int
        From `frame_starts`.
    frame_index : int
        0-based.

    Returns
    -------
    tuple of Fragment
        () when the items found there contradict the table: only `scan_fragments` can tell then.
    """
    if frame_index >= len(starts) or starts[frame_index] >= _LARGEST_OFFSET:
        return ()
    is_last = frame_index + 1 == len(starts)
    stop = None if is_last else starts[frame_index + 1]
    with _opened(source) as read:
        fragments, is_whole = _hop(read, starts[frame_index], stop)
    return fragments if is_whole else ()


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
    with _opened(source) as read:
        starts = [
            n
            for n, fragment in enumerate(table.fragments)
            if read(fragment.offset, _LONGEST_START).startswith(CODESTREAM_STARTS)
        ]
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
    with _opened(source) as read:
        return b"".join(_whole(read, part.offset, part.length) for part in fragments)
