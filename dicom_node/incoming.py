"""One instance while it is being written to its file."""

import contextlib
import errno
import hashlib
import mmap
import os
from collections.abc import Iterator
from typing import Final

from isal import isal_zlib

from dicom_node.errors import NodeError, StorageFailed, StorageFull
from dicom_node.part10 import seal

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM))


class Incoming:
    """One instance while it is being written.

    Parameters
    ----------
    path : str
        A new file in `incoming/`.
    head : bytes
        From `build_head` with place holders for its seal.
    """

    def __init__(self, path: str, head: bytes | memoryview) -> None:
        self.path = path
        self._hash = hashlib.sha256()
        self._checksum = 0
        self._head = bytes(head)
        self.size_bytes = 0
        self.is_published = False
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            self._write_all(head)
        except OSError:
            self.discard()
            raise

    def write(self, data: bytes | memoryview) -> None:
        """Append data set bytes."""
        self._hash.update(data)
        self._checksum = isal_zlib.crc32(data, self._checksum)
        self._write_all(data)

    def content(self) -> memoryview:
        """Return what was written so far, head and data set, without reading it."""
        # not closed by hand: an error keeps views of it alive, the last one frees it
        return memoryview(mmap.mmap(self._fd, self.size_bytes, access=mmap.ACCESS_READ))

    def sync(self, *, sync: bool) -> None:
        """Make what was written so far durable."""
        if sync:
            os.fdatasync(self._fd)

    def finish(self, *, sync: bool) -> str:
        """Seal the head with checksum and digest, sync, close, and return the digest in hex."""
        digest = self._hash.hexdigest()
        offset, end = seal(self._head, self._checksum, digest)
        os.pwrite(self._fd, end, offset)
        self.sync(sync=sync)
        self._close()
        return digest

    def discard(self) -> None:
        """Remove what was written, unless it is in the store: then its name must stay."""
        with contextlib.suppress(OSError):
            self._close()
        if not self.is_published:
            with contextlib.suppress(OSError):
                os.unlink(self.path)

    def _write_all(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        self.size_bytes += len(view)
        while view:
            view = view[os.write(self._fd, view) :]

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


@contextlib.contextmanager
def cleaning_up(incoming: Incoming) -> Iterator[None]:
    """Remove a file from `incoming/` when what is done with it fails."""
    try:
        yield
    except BaseException as exc:
        incoming.discard()
        if isinstance(exc, OSError):
            raise storage_error(exc) from exc
        raise


def storage_error(error: OSError) -> NodeError:
    """Return our kind of error for what the file system said."""
    if error.errno in _FULL:
        return StorageFull("no disk space, not saved")
    return StorageFailed("the disk refused the write, not saved")
