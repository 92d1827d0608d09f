"""ZIP files written while they are sent: stored, not compressed, of a length known beforehand.

The layout is that of PKWARE's APPNOTE 6.3.9, with ZIP64 where sizes, places or counts ask for it.
Sizes and checksums stand in front of each file, so that every program can unpack the stream.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_END_64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64: Final = struct.Struct("<4sIQI")
_MAX_32: Final = 0xFFFFFFFF
_MAX_16: Final = 0xFFFF
_VERSION: Final = 20
_VERSION_64: Final = 45
_ZIP64_FIELD: Final = 0x0001


@dataclass(frozen=True, slots=True)
class _Written:
    name: bytes
    size_bytes: int
    crc32: int
    offset: int


@dataclass(slots=True)
class ZipWriter:
    """Writes the parts of one ZIP file, one after the other.

    Parameters
    ----------
    modified : datetime
        The time all entries carry.
    """

    modified: datetime
    _entries: list[_Written] = field(default_factory=list)
    _offset: int = 0

    def entry(
        self, name: str, size_bytes: int, crc32: int, chunks: Iterable[bytes]
    ) -> Iterator[bytes]:
        """Write one file.

        Parameters
        ----------
        name : str
            Its path, of ASCII letters, digits, `.` and `/`.
        size_bytes, crc32 : int
            Of all chunks.
        chunks : iterable of bytes
            Its content.

        Yields
        ------
        bytes

        Raises
        ------
        OSError
            The content is shorter or longer than was said.
        """
        head = self._local(name.encode("ascii"), size_bytes, crc32)
        yield head
        left = size_bytes
        for chunk in chunks:
            left -= len(chunk)
            yield chunk
        if left:
            raise OSError("A file changed while it was sent.")
        self._entries.append(_Written(name.encode("ascii"), size_bytes, crc32, self._offset))
        self._offset += len(head) + size_bytes

    def _local(self, name: bytes, size_bytes: int, crc32: int) -> bytes:
        is_large = size_bytes >= _MAX_32
        extra = _zip64(size_bytes, size_bytes) if is_large else b""
        shown = _MAX_32 if is_large else size_bytes
        head = _LOCAL.pack(
            b"PK\x03\x04", _version(extra), 0, 0, *self._when(), crc32, shown, shown, len(name),
            len(extra),
        )  # fmt: skip
        return head + name + extra

    def _when(self) -> tuple[int, int]:
        """Return time and date as DOS wrote them."""
        at = self.modified
        years = min(max(at.year - 1980, 0), 127)
        return at.hour << 11 | at.minute << 5 | at.second // 2, years << 9 | at.month << 5 | at.day

    def end(self) -> Iterator[bytes]:
        """Write the list of all files, which ends a ZIP file.

        Yields
        ------
        bytes
        """
        start = self._offset
        for entry in self._entries:
            record = self._central(entry)
            self._offset += len(record)
            yield record
        yield _end(len(self._entries), self._offset - start, start)

    def _central(self, entry: _Written) -> bytes:
        large = [entry.size_bytes] * 2 if entry.size_bytes >= _MAX_32 else []
        large += [entry.offset] if entry.offset >= _MAX_32 else []
        extra = _zip64(*large) if large else b""
        shown = min(entry.size_bytes, _MAX_32)
        version = _version(extra)
        head = _CENTRAL.pack(
            b"PK\x01\x02", version, version, 0, 0, *self._when(), entry.crc32, shown, shown,
            len(entry.name), len(extra), 0, 0, 0, 0, min(entry.offset, _MAX_32),
        )  # fmt: skip
        return head + entry.name + extra


def zip_length(sizes: Iterable[tuple[str, int]]) -> int:
    """Return how many bytes a ZIP file takes.

    Parameters
    ----------
    sizes : iterable of tuple
        Name and size in bytes of each file, in order.

    Returns
    -------
    int
    """
    offset = directory = count = 0
    for name, size_bytes in sizes:
        is_large = size_bytes >= _MAX_32
        is_far = offset >= _MAX_32
        numbers = 2 * is_large + is_far
        directory += _CENTRAL.size + len(name) + (4 + 8 * numbers if numbers else 0)
        offset += _LOCAL.size + len(name) + 20 * is_large + size_bytes
        count += 1
    return offset + directory + len(_end(count, directory, offset))


def _version(extra: bytes) -> int:
    return _VERSION_64 if extra else _VERSION


def _zip64(*numbers: int) -> bytes:
    return struct.pack(f"<2H{len(numbers)}Q", _ZIP64_FIELD, 8 * len(numbers), *numbers)


def _end(count: int, directory_bytes: int, directory_offset: int) -> bytes:
    plain = _END.pack(
        b"PK\x05\x06", 0, 0, min(count, _MAX_16), min(count, _MAX_16),
        min(directory_bytes, _MAX_32), min(directory_offset, _MAX_32), 0,
    )  # fmt: skip
    if count < _MAX_16 and directory_bytes < _MAX_32 and directory_offset < _MAX_32:
        return plain
    large = _END_64.pack(
        b"PK\x06\x06", _END_64.size - 12, _VERSION_64, _VERSION_64, 0, 0, count, count,
        directory_bytes, directory_offset,
    )  # fmt: skip
    locator = _LOCATOR_64.pack(b"PK\x06\x07", 0, directory_offset + directory_bytes, 1)
    return large + locator + plain
