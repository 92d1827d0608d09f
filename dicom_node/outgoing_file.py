"""A stored file read once, block by block, to be sent and checked at the same time."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Final, Self

from isal import isal_zlib

from dicom_node.corrected_copy import CopyOrder, corrected_copy
from dicom_node.errors import BadDataset
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, read_head
from dicom_node.shipment import Shipment

BLOCK_BYTES: Final = 1 << 19
"""How much of a data set is in memory at a time, at most."""


class Damaged(Exception):
    """Our file cannot be read, or is not what was stored."""


@contextmanager
def corrected(
    item: Shipment, order: CopyOrder, on_progress: Callable[[], None] = lambda: None
) -> Iterator[Shipment]:
    """Have a corrected copy of the stored file, for as long as needed, in its place.

    `on_progress` is called while it is made: a huge one takes minutes on a slow disk.

    Raises
    ------
    Damaged
        The stored file is not what was stored, or the disk has no room for a copy.
    dicom_node.corrected_copy.NotCovered
        The correction does not fit this instance.
    """
    with ExitStack() as kept:
        try:
            path, digest = kept.enter_context(
                corrected_copy(item.path, item.digest, order, on_progress)
            )
        except (OSError, BadDataset) as exc:
            raise Damaged("no corrected copy can be made") from exc
        yield item._replace(file=str(path), digest=digest)


class OutgoingFile:
    """The data set of one stored file.

    It is read into a buffer, not mapped: a disk that fails then is an error for this one instance,
    not the end of the process, and the bytes that are checked are the bytes that leave.

    Parameters
    ----------
    item : Shipment
    buffer : bytearray
        Of `MAXIMUM_HEAD_BYTES` and some more; used again for the next file.

    Raises
    ------
    Damaged
        It cannot be opened, or is another instance than `item` says.
    """

    def __init__(self, item: Shipment, buffer: bytearray) -> None:
        self._item = item
        self._view = memoryview(buffer)
        self._checksum = 0
        try:
            self._descriptor = os.open(item.file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as exc:
            raise Damaged("the file cannot be opened") from exc
        try:
            self._read_start()
        except (OSError, BadDataset) as exc:
            self.close()
            raise Damaged("the file cannot be read") from exc
        except Damaged:
            self.close()
            raise

    def _read_start(self) -> None:
        self._file_bytes = os.fstat(self._descriptor).st_size
        self._read_bytes = os.preadv(self._descriptor, [self._view], 0)
        head = read_head(self._view[: min(self._read_bytes, MAXIMUM_HEAD_BYTES)])
        item = self._item
        found = (head.sop_instance_uid, head.transfer_syntax_uid)
        if found != (item.sop_instance_uid, item.transfer_syntax_uid):
            raise Damaged("the file holds another instance")
        # a checksum costs a fiftieth of a digest; this one was taken with the digest that is owed
        self._expected = head.checksum if head.digest == item.digest else ""
        self._hash = None if self._expected or not item.digest else hashlib.sha256()
        self._offset = head.dataset_offset
        self.size_bytes = self._file_bytes - self._offset
        if self.size_bytes <= 0:
            raise Damaged("the file holds no data set")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def blocks(self, unit_bytes: int) -> Iterator[tuple[memoryview, bool]]:
        """Read the data set from beginning to end.

        Parameters
        ----------
        unit_bytes : int
            Every block but the last is a multiple of this.

        Yields
        ------
        (memoryview, bool)
            A block, valid until the next is asked for, and whether it is the last.

        Raises
        ------
        Damaged
            The disk fails, or the file is shorter than it was.
        """
        block = self._view[self._offset : self._read_bytes]
        done = 0
        while done + len(block) < self.size_bytes:
            whole = block[: len(block) // unit_bytes * unit_bytes]
            if whole:
                yield whole, False
            done += len(whole)
            block = self._read(self._offset + done)
        yield block, True

    def _read(self, position: int) -> memoryview:
        wanted = min(len(self._view), self._file_bytes - position)
        try:
            size = os.preadv(self._descriptor, [self._view[:wanted]], position)
        except OSError as exc:
            raise Damaged("the disk failed") from exc
        if size != wanted:
            raise Damaged("the file is shorter than it was")
        return self._view[:size]

    def count(self, block: memoryview) -> None:
        """Take a block into what will be compared, where there is something to compare with."""
        if self._expected:
            self._checksum = isal_zlib.crc32(block, self._checksum)
        elif self._hash is not None:
            self._hash.update(block)

    def check(self) -> None:
        """Compare what was counted with what the instance was stored with.

        By the checksum (CRC-32) in the file's head, where it stands beside the digest that
        `Shipment` names; by that digest (SHA-256) else.

        Raises
        ------
        Damaged
        """
        if self._expected:
            is_whole = f"{self._checksum:08x}" == self._expected or self._is_whole_by_digest()
        else:
            is_whole = self._hash is None or self._hash.hexdigest() == self._item.digest
        if not is_whole:
            raise Damaged("the data set is not what was stored")

    def _is_whole_by_digest(self) -> bool:
        """Read the file once more, whose checksum may be what rotted; compare what left with it."""
        found, checksum = hashlib.sha256(), 0
        for position in range(self._offset, self._file_bytes, BLOCK_BYTES):
            try:
                block = os.pread(self._descriptor, BLOCK_BYTES, position)
            except OSError as exc:
                raise Damaged("the disk failed") from exc
            found.update(block)
            checksum = isal_zlib.crc32(block, checksum)
        return (checksum, found.hexdigest()) == (self._checksum, self._item.digest)
