"""Count the elements and items of an encoded header, without building any of them."""

import io
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum, auto
from struct import Struct
from typing import BinaryIO, Final

from pydicom.datadict import dictionary_VR
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32

_UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_HEAD_BYTES: Final = 8
_CHUNK_BYTES: Final = 65536
_LONG_VRS: Final = frozenset(vr.encode() for vr in EXPLICIT_VR_LENGTH_32)


class _Kind(Enum):
    DATA_SET = auto()
    SEQUENCE = auto()
    FRAGMENTS = auto()


@dataclass(slots=True)
class _Level:
    """What is being walked, and where it ends.

    `end` is None where only a delimiter ends it. Nothing is read past `limit`: the end of the
    closest sequence of stated length, or of the file.
    """

    kind: _Kind
    is_explicit: bool
    end: int | None
    limit: int


class HeaderWalk:
    """Walks over a data set as pydicom would read it, odd encodings included.

    Parameters
    ----------
    stream : binary file
        At the first element of the data set.
    is_implicit_vr, is_little_endian : bool
        As the transfer syntax says.
    stop_tags : container of int
        On the first level, the walk ends in front of these.

    Attributes
    ----------
    entries : int
        Elements, items and fragments found so far, on all levels.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        is_implicit_vr: bool,
        is_little_endian: bool,
        stop_tags: Container[int],
    ) -> None:
        order = "<" if is_little_endian else ">"
        self._tag_and_length = Struct(f"{order}HHL")
        self._short_length = Struct(f"{order}H")
        self._long_length = Struct(f"{order}L")
        self._item = Struct(f"{order}HH").pack(0xFFFE, 0xE000)
        self._sequence_end = Struct(f"{order}HH").pack(0xFFFE, 0xE0DD)
        self._stream = stream
        self._stop_tags = stop_tags
        self.entries = 0
        start = stream.tell()
        limit = stream.seek(0, io.SEEK_END)
        stream.seek(start)
        is_explicit = self._looks_explicit(not is_implicit_vr)
        self._levels = [_Level(_Kind.DATA_SET, is_explicit, None, limit)]

    def stays_within(self, entries: int, depth: int) -> bool:
        """Walk until the end, or until there is too much.

        Parameters
        ----------
        entries : int
            So many elements, items and fragments may be there.
        depth : int
            So many sequences may be within one another.

        Returns
        -------
        bool
        """
        while self._levels and self.entries <= entries and len(self._levels) <= 2 * depth + 1:
            self._step()
        return not self._levels

    def _step(self) -> None:
        level = self._levels[-1]
        position = self._stream.tell()
        if position + _HEAD_BYTES > level.limit or (level.end and position >= level.end):
            self._leave(level)
            return
        head = self._stream.read(_HEAD_BYTES)
        group, number, length = self._tag_and_length.unpack(head)
        tag = group << 16 | number
        if tag == (_ITEM_END if level.kind is _Kind.DATA_SET else _SEQUENCE_END):
            self._leave(level)
        elif level.kind is _Kind.DATA_SET:
            self._pass_element(level, tag, head, length)
        elif level.kind is _Kind.SEQUENCE:
            self._enter_item(level, length)
        else:
            self._pass_fragment(tag, length)

    def _leave(self, level: _Level) -> None:
        self._levels.pop()
        # an item may be longer or shorter inside than it says; a sequence is as long as it says
        if level.end and level.kind is not _Kind.DATA_SET:
            self._stream.seek(level.end)

    def _enter_item(self, level: _Level, length: int) -> None:
        self.entries += 1
        if length == 0:
            return
        end = None if length == _UNDEFINED_LENGTH else self._stream.tell() + length
        is_explicit = level.is_explicit and self._looks_explicit(level.is_explicit)
        self._levels.append(_Level(_Kind.DATA_SET, is_explicit, end, level.limit))

    def _looks_explicit(self, otherwise: bool) -> bool:
        """Tell from the first element whether a data set names its VRs (some mix both)."""
        vr = self._peek(6)[4:]
        return vr.isalpha() and vr.isupper() if len(vr) == 2 else otherwise

    def _peek(self, size: int) -> bytes:
        found = self._stream.read(size)
        self._stream.seek(-len(found), io.SEEK_CUR)
        return found

    def _pass_element(self, level: _Level, tag: int, head: bytes, length: int) -> None:
        if tag in self._stop_tags and len(self._levels) == 1:
            self._levels.clear()
            return
        self.entries += 1
        vr = head[4:6] if level.is_explicit and b"AA" <= head[4:6] <= b"ZZ" else None
        if vr in _LONG_VRS:
            (length,) = self._long_length.unpack(self._stream.read(4).ljust(4, b"\0"))
        elif vr is not None:
            (length,) = self._short_length.unpack(head[6:])
        if self._is_sequence(tag, vr, length):
            self._enter_sequence(level, length)
        elif length == _UNDEFINED_LENGTH:
            self._levels.append(_Level(_Kind.FRAGMENTS, level.is_explicit, None, level.limit))
        else:
            self._stream.seek(length, io.SEEK_CUR)

    def _is_sequence(self, tag: int, vr: bytes | None, length: int) -> bool:
        if vr is not None and vr != b"UN":
            return vr == b"SQ"
        if vr and length == _UNDEFINED_LENGTH:
            return True
        try:
            return dictionary_VR(tag) == "SQ"
        except KeyError:
            return self._peek(len(self._item)) == self._item

    def _enter_sequence(self, level: _Level, length: int) -> None:
        is_open = length == _UNDEFINED_LENGTH
        end = None if is_open else min(self._stream.tell() + length, level.limit)
        limit = level.limit if end is None else end
        self._levels.append(_Level(_Kind.SEQUENCE, level.is_explicit, end, limit))

    def _pass_fragment(self, tag: int, length: int) -> None:
        if tag == _ITEM:
            self.entries += 1
            self._stream.seek(length, io.SEEK_CUR)
        else:
            self._find_delimiter()
            self._levels.pop()

    def _find_delimiter(self) -> None:
        """Go past the next bytes that look like the end of a sequence, or to the end."""
        begin = self._stream.seek(-_HEAD_BYTES, io.SEEK_CUR)
        while len(chunk := self._stream.read(_CHUNK_BYTES)) >= _HEAD_BYTES:
            at = chunk.find(self._sequence_end)
            if at >= 0:
                self._stream.seek(begin + at + _HEAD_BYTES)
                return
            begin = self._stream.seek(1 - len(self._sequence_end), io.SEEK_CUR)
