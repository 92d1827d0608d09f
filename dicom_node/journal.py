"""The journal: what has arrived is made durable here first, in one write and one sync.

A new file costs its file system several commits before it survives a power cut; overwriting blocks
that were written before costs one flush. So instances are first written into a ring of blocks that
are filled once, when the ring is made, and used again and again. Behind the acknowledgement the
instances are placed in the store; a record is released when its file, its name and its index row
are durable themselves. What is not released is placed anew at the next start.

The ring begins with two copies of a small label, written in turn, which name the last released
record. Records begin at whole blocks, so that they are found again behind one that was torn.
"""

import contextlib
import logging
import os
import secrets
import struct
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from isal.isal_zlib import crc32

from dicom_node.durable_file import sync_folder

FILE: Final = "journal"
BLOCK_BYTES: Final = 4096

_log = logging.getLogger(__name__)
_LABEL_MAGIC: Final = b"LBLABEL1"
_RECORD_MAGIC: Final = b"LBRECRD1"
_LABELS: Final = 2
_START: Final = _LABELS * BLOCK_BYTES
_LABEL: Final = struct.Struct("<8s16sQ")
_RECORD: Final = struct.Struct("<8s16sQQL")
_CRC: Final = struct.Struct("<L")
_HEADER_BYTES: Final = _RECORD.size + _CRC.size
_FILL_BYTES: Final = 1 << 20
_ZEROS: Final = bytes(BLOCK_BYTES)


class JournalDamaged(OSError):
    """What was read is not what was written."""


class JournalUnavailable(Exception):
    """The journal takes nothing now: it is full, being made, too small, or its disk failed."""


@dataclass(slots=True)
class Record:
    """One instance in the journal.

    `size_bytes` is the length of its content: the head and the data set of a DICOM file.
    """

    sequence: int
    offset: int
    size_bytes: int
    crc: int
    is_released: bool = field(default=False, compare=False)

    @property
    def end(self) -> int:
        """Where the next record may begin, bytes."""
        return self.offset + _padded(_HEADER_BYTES + self.size_bytes)


class Journal:
    """A ring of records in one file of fixed size; written by one process.

    Parameters
    ----------
    path : Path
        Made when missing.
    size_bytes : int
        Its size, 0 = no journal; another size makes a new one once the old is empty.
    sync_writes : bool
        Wait for the disk. False is for measuring only.
    """

    def __init__(self, path: Path, size_bytes: int, *, sync_writes: bool = True) -> None:
        self._path = path
        self._size = size_bytes // BLOCK_BYTES * BLOCK_BYTES
        self._sync_writes = sync_writes
        self._lock = threading.Lock()
        self._commit = _GroupCommit()
        self._records: deque[Record] = deque()
        self._fd = -1
        self._label = _Label(b"", 0, 0)
        self._sequence = self._released = 0
        self._used = 0
        self._has_failed = False

    @property
    def size_bytes(self) -> int:
        """The size of its file."""
        return self._size

    @property
    def largest_record_bytes(self) -> int:
        """The largest content worth a place here; larger ones have a file of their own at once."""
        return self._size // 8

    @property
    def used_bytes(self) -> int:
        """What is not released yet."""
        return self._used

    @property
    def used_records(self) -> int:
        """How many records are not released yet."""
        return len(self._records)

    @property
    def is_half_full(self) -> bool:
        """Whether releasing should not wait for a quiet moment."""
        return self.used_bytes > self._size // 2

    def open(self) -> list[Record]:
        """Open the file if there is one, and find what was not released.

        Returns
        -------
        list of Record
            In the order they were written. Release each.

        Raises
        ------
        OSError
            It cannot be read; it takes nothing then, and keeps what it holds.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        try:
            label = _newest_label(fd)
            found = self._scan(fd, label) if label is not None else []
        except OSError:
            os.close(fd)
            raise
        if label is None:
            os.close(fd)
            _log.warning("journal_set_aside")
            os.replace(self._path, self._path.with_name(f"{self._path.name}.damaged"))
            return []
        self._fd, self._label = fd, label
        self._sequence = self._released = label.released
        for record in found:
            self._hold(record)
            self._sequence = record.sequence
        return found

    @property
    def is_to_be_made(self) -> bool:
        """Whether there is no file of the wanted size yet, and nothing in the old one."""
        if not self._size or self._records:
            return False
        return self._fd < 0 or os.fstat(self._fd).st_size != self._size

    def prepare(self) -> None:
        """Make the file if it is to be made; takes seconds, may run in a thread.

        Raises
        ------
        OSError
            The disk refused.
        """
        if not self.is_to_be_made:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        label = _Label(secrets.token_bytes(16), self._sequence, 0)
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _fill(fd, self._size)
            for slot in range(_LABELS):
                os.pwrite(fd, label.encoded(), slot * BLOCK_BYTES)
            os.fsync(fd)
        except OSError:
            os.close(fd)
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        self._replace(fd, fresh, label)

    def _replace(self, fd: int, fresh: Path, label: "_Label") -> None:
        """Put a new file in place of the old one; nothing is taken until its name is durable."""
        with self._lock:
            old, self._fd = self._fd, -1
        if old >= 0:
            os.close(old)
        try:
            os.replace(fresh, self._path)
            sync_folder(self._path.parent)
        except OSError:
            os.close(fd)
            raise
        with self._lock:
            self._fd, self._label, self._released = fd, label, label.released

    def append(self, parts: Sequence[bytes | memoryview]) -> Record:
        """Write one record; it survives a power cut when this returns.

        Raises
        ------
        JournalUnavailable
            Nothing was written; write the instance elsewhere.
        OSError
            The disk refused; the journal takes nothing any more.
        """
        size = sum(len(part) for part in parts)
        crc = 0
        for part in parts:
            crc = crc32(part, crc)
        record = self._allocate(size, crc)
        header = _record_header(self._label.secret, record)
        padding = _ZEROS[: -(_HEADER_BYTES + size) % BLOCK_BYTES]
        try:
            _write_all(self._fd, [header, *parts, padding], record.offset)
            if self._sync_writes:
                self._commit.sync(self._fd)
        except OSError:
            # a second sync may succeed without having written what the first one lost
            self._has_failed = True
            self.release([record])
            raise
        return record

    def read(self, record: Record, buffer: bytearray) -> memoryview:
        """Return the content of a record.

        Parameters
        ----------
        record : Record
        buffer : bytearray
            Holds the content until the next call, if it is large enough.

        Raises
        ------
        OSError
            It cannot be read, or is not what was written.
        """
        return _content(self._fd, record, buffer)

    def release(self, records: Sequence[Record]) -> None:
        """Give the places of records free, in memory."""
        with self._lock:
            for record in records:
                record.is_released = True
            while self._records and self._records[0].is_released:
                first = self._records.popleft()
                self._released = first.sequence
                self._used -= first.end - first.offset

    def remember_released(self) -> None:
        """Write down what is released, so that it is not placed again.

        Raises
        ------
        OSError
            The disk refused; at worst what is released is compared once more.
        """
        if self._fd < 0:
            return
        with self._lock:
            released = self._released
        # in turn: a torn label leaves the one before it
        self._label = _Label(self._label.secret, released, (self._label.slot + 1) % _LABELS)
        os.pwrite(self._fd, self._label.encoded(), self._label.slot * BLOCK_BYTES)
        if self._sync_writes:
            # together with the records: an error of the disk is told only once for each file
            self._commit.sync(self._fd)

    def close(self) -> None:
        """Let go of the file."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _allocate(self, size: int, crc: int) -> Record:
        needed = _padded(_HEADER_BYTES + size)
        with self._lock:
            if self._fd < 0 or self._has_failed or size > self.largest_record_bytes:
                raise JournalUnavailable
            offset = self._free_offset(needed)
            self._sequence += 1
            record = Record(self._sequence, offset, size, crc)
            self._hold(record)
        return record

    def _hold(self, record: Record) -> None:
        self._records.append(record)
        self._used += record.end - record.offset

    def _free_offset(self, needed: int) -> int:
        if not self._records:
            return _START
        tail, head = self._records[0].offset, self._records[-1].end
        if head > tail:
            if head + needed <= self._size:
                return head
            head = _START
        if head + needed < tail:
            return head
        raise JournalUnavailable

    def _scan(self, fd: int, label: "_Label") -> list[Record]:
        """Find whole records that are not released, wherever they begin.

        A torn record tells no length that could be trusted, so every block is looked at.
        """
        found: list[Record] = []
        buffer = bytearray(_FILL_BYTES)
        known_until, end = _START, os.fstat(fd).st_size
        for offset, header in _headers(fd, end):
            if offset < known_until:
                continue
            record = _record_at(fd, offset, header, end, label, buffer)
            if record is not None:
                found.append(record)
                known_until = record.end
        return sorted(found, key=lambda record: record.sequence)


class _GroupCommit:
    """One sync for everyone whose write is complete when it begins."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._written = self._synced = 0
        self._is_syncing = False
        self._error: OSError | None = None

    def sync(self, fd: int) -> None:
        """Wait until what the caller wrote is durable.

        Raises
        ------
        OSError
            It may not be; nothing will be any more.
        """
        with self._condition:
            self._written += 1
            mine = self._written
            while self._synced < mine:
                if self._error is not None:
                    raise self._error
                if self._is_syncing:
                    self._condition.wait()
                else:
                    self._sync_for_all(fd)

    def _sync_for_all(self, fd: int) -> None:
        self._is_syncing, upto = True, self._written
        self._condition.release()
        error = None
        try:
            os.fdatasync(fd)
        except OSError as exc:
            error = exc
        finally:
            self._condition.acquire()
        self._is_syncing = False
        if error is not None:
            self._error = error
        else:
            self._synced = upto
        self._condition.notify_all()


@dataclass(frozen=True, slots=True)
class _Label:
    """Names the last released record; `slot` is where it stands."""

    secret: bytes
    released: int
    slot: int

    def encoded(self) -> bytes:
        data = _LABEL.pack(_LABEL_MAGIC, self.secret, self.released)
        return (data + _CRC.pack(crc32(data))).ljust(BLOCK_BYTES, b"\0")


def _newest_label(fd: int) -> _Label | None:
    """Return the label written last, None when there is none."""
    found = []
    for slot in range(_LABELS):
        data = os.pread(fd, _LABEL.size + _CRC.size, slot * BLOCK_BYTES)
        if data.startswith(_LABEL_MAGIC) and _has_crc(data):
            _, secret, released = _LABEL.unpack_from(data)
            found.append(_Label(secret, released, slot))
    return max(found, key=lambda label: label.released, default=None)


def _headers(fd: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield the beginnings of blocks that look like those of a record."""
    for offset in range(_START, end, _FILL_BYTES):
        data = os.pread(fd, _FILL_BYTES, offset)
        for start in range(0, len(data), BLOCK_BYTES):
            if data.startswith(_RECORD_MAGIC, start):
                yield offset + start, data[start : start + _HEADER_BYTES]


def _record_at(
    fd: int, offset: int, header: bytes, end: int, label: _Label, buffer: bytearray
) -> Record | None:
    _, secret, sequence, size, crc = _RECORD.unpack_from(header)
    is_ours = secret == label.secret and _has_crc(header)
    record = Record(sequence, offset, size, crc)
    if not is_ours or record.end > end or sequence <= label.released:
        return None
    try:
        _content(fd, record, buffer).release()
    except JournalDamaged:
        return None  # torn: nobody was told that it is safe
    except OSError:
        _log.exception("journal_record_unreadable")  # it may be readable later: it keeps its place
    return record


def _content(fd: int, record: Record, buffer: bytearray) -> memoryview:
    if len(buffer) < record.size_bytes:
        buffer = bytearray(record.size_bytes)
    content = memoryview(buffer)[: record.size_bytes]
    done = 0
    while done < record.size_bytes:
        size = os.preadv(fd, [content[done:]], record.offset + _HEADER_BYTES + done)
        if not size:
            raise JournalDamaged("the journal is cut off")
        done += size
    if crc32(content) != record.crc:
        raise JournalDamaged("the journal is damaged")
    return content


def _record_header(secret: bytes, record: Record) -> bytes:
    data = _RECORD.pack(_RECORD_MAGIC, secret, record.sequence, record.size_bytes, record.crc)
    return data + _CRC.pack(crc32(data))


def _has_crc(data: bytes) -> bool:
    return bool(_CRC.unpack(data[-_CRC.size :])[0] == crc32(data[: -_CRC.size]))


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _fill(fd: int, size: int) -> None:
    # zeros that are really written: blocks only reserved cost a commit at their first use
    zeros = bytes(_FILL_BYTES)
    for offset in range(0, size, _FILL_BYTES):
        _write_all(fd, [zeros[: size - offset]], offset)


def _write_all(fd: int, parts: Sequence[bytes | memoryview], offset: int) -> None:
    left = [memoryview(part) for part in parts if len(part)]
    while left:
        size = os.pwritev(fd, left, offset)
        offset += size
        while left and size >= len(left[0]):
            size -= len(left.pop(0))
        if left:
            left[0] = left[0][size:]
