"""The instance store: bytes as received, durable before anyone is told so.

An instance is written in `incoming/`, synced, linked under its final name, and the folders whose
entries changed are synced too. The name in `incoming/` stays until the index holds the instance:
at start-up it names every durable file that may not be indexed, without walking the store.
"""

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_node.errors import BadDataset, NodeError, StorageFailed, StorageFull, StoreInUse
from dicom_node.header import check_uid
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, FileHead, digest_offset, read_head

INCOMING: Final = "incoming"
INSTANCES: Final = "instances"
LOCK: Final = "receive.lock"

_log = logging.getLogger(__name__)
_COMPARE_BYTES: Final = 1 << 20

_FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM))
_REMEMBERED_FOLDERS: Final = 10_000


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance that is safe on disk.

    `path` is relative to the data folder. `version` is 1, or 2 and more where other bytes came
    under the same UIDs. `is_new` is False for bytes the store already held. `pending` is the name
    in `incoming/` to forget once the instance is indexed, '' when there is none.
    """

    path: str
    version: int
    digest: str
    size_bytes: int
    is_new: bool
    pending: str = ""


class Incoming:
    """One instance while it is being written.

    Parameters
    ----------
    path : Path
        A new file in `incoming/`.
    head : bytes
        From `build_head` with a place holder for the digest.
    """

    def __init__(self, path: Path, head: bytes) -> None:
        self.path = path
        self._hash = hashlib.sha256()
        self._digest_offset = digest_offset(head)
        self.size_bytes = 0
        self.is_published = False
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        self._write_all(head)

    def write(self, data: bytes | memoryview) -> None:
        """Append data set bytes."""
        self._hash.update(data)
        self._write_all(data)

    def finish(self, *, sync: bool) -> str:
        """Write the digest into the head, sync, close, and return the digest in hex."""
        digest = self._hash.hexdigest()
        os.pwrite(self._fd, digest.encode("ascii"), self._digest_offset)
        if sync:
            os.fdatasync(self._fd)
        self._close()
        return digest

    def discard(self) -> None:
        """Remove what was written, unless it is in the store: then its name must stay."""
        with contextlib.suppress(OSError):
            self._close()
        if not self.is_published:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _write_all(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        self.size_bytes += len(view)
        while view:
            view = view[os.write(self._fd, view) :]

    def _close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class InstanceStore:
    """The store below one data folder; the only writer of it.

    Parameters
    ----------
    data : Path
        The data folder, made when missing.
    sync_writes : bool
        Wait for the disk. False is for measuring only.
    reserve_bytes, reserve_inodes : int
        What must stay free on the file system.

    Raises
    ------
    StoreInUse
        Another process holds the folder.
    StorageFailed
        The folder cannot be made or written.
    """

    def __init__(
        self,
        data: Path,
        *,
        sync_writes: bool = True,
        reserve_bytes: int = 0,
        reserve_inodes: int = 0,
    ) -> None:
        self.data = data
        self._sync_writes = sync_writes
        self._reserve_bytes = reserve_bytes
        self._reserve_inodes = reserve_inodes
        self._durable_folders: set[str] = set()
        self._failed_folders: set[str] = set()
        for folder in (data, data / INCOMING, data / INSTANCES):
            make_data_folder(folder)
        self._owner = _lock_folder(data)
        if sync_writes:
            _sync_folder(data)
            with contextlib.suppress(PermissionError):  # whoever made the folder there synced it
                _sync_folder(data.resolve().parent)

    def close(self) -> None:
        """Let go of the data folder."""
        os.close(self._owner)

    def check_room(self) -> None:
        """Raise StorageFull when the file system is within its reserve."""
        try:
            free = os.statvfs(self.data)
        except OSError as exc:
            raise StorageFailed("the store cannot be read") from exc
        if free.f_bavail * free.f_frsize < self._reserve_bytes:
            raise StorageFull("no disk space, not saved")
        if free.f_files and free.f_favail < self._reserve_inodes:
            raise StorageFull("no free inodes, not saved")

    def store(
        self,
        head: bytes,
        chunks: Iterable[bytes | memoryview],
        *,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
    ) -> StoredInstance:
        """Make one instance durable.

        Parameters
        ----------
        head : bytes
            From `build_head`.
        chunks : iterable of bytes-like
            The data set, exactly as received.
        study_instance_uid, series_instance_uid, sop_instance_uid : str
            (0020,000D), (0020,000E), (0008,0018); checked before they touch a path.

        Returns
        -------
        StoredInstance
            Everything it names survives a power cut.

        Raises
        ------
        UnsafeUid
            A UID is not one.
        StorageFull, StorageFailed
            Nothing was kept.
        """
        folder = (
            Path(INSTANCES)
            / check_uid(study_instance_uid, "Study Instance UID")
            / check_uid(series_instance_uid, "Series Instance UID")
        )
        name = check_uid(sop_instance_uid, "SOP Instance UID")
        self.check_room()
        if str(folder) in self._failed_folders:
            # a second sync may succeed without having written what the first one lost
            raise StorageFailed("the disk failed here before, not saved")
        incoming = None
        try:
            incoming = Incoming(self._incoming_path(), head)
            for chunk in chunks:
                incoming.write(chunk)
            digest = incoming.finish(sync=self._sync_writes)
            return self._publish(incoming, digest, folder, name)
        except BaseException as exc:
            if incoming is not None:
                incoming.discard()
            if isinstance(exc, OSError):
                raise storage_error(exc) from exc
            raise

    def forget(self, pending: Iterable[str]) -> None:
        """Drop the names in `incoming/` of instances that the index now holds."""
        for name in pending:
            with contextlib.suppress(FileNotFoundError):
                (self.data / INCOMING / name).unlink()

    def sweep(self) -> list[str]:
        """Remove what was never acknowledged from `incoming/`; return the names that were.

        Only for start-up, before anything is received.
        """
        pending = []
        for entry in sorted(os.scandir(self.data / INCOMING), key=lambda entry: entry.name):
            if entry.stat(follow_symlinks=False).st_nlink > 1:
                pending.append(entry.name)
            else:
                os.unlink(entry.path)
        return pending

    def walk(self) -> Iterator[str]:
        """Yield the path of every stored instance, relative to the data folder."""
        for folder, folders, files in os.walk(self.data / INSTANCES):
            folders.sort()
            for name in sorted(files):
                yield str(Path(folder, name).relative_to(self.data))

    def _incoming_path(self) -> Path:
        return self.data / INCOMING / secrets.token_hex(12)

    def _publish(self, incoming: Incoming, digest: str, folder: Path, name: str) -> StoredInstance:
        """Link the finished file under its name, or under the next version of it."""
        absolute = self.data / folder
        absolute.mkdir(parents=True, exist_ok=True)
        version = 1
        while True:
            target = absolute / (f"{name}.dcm" if version == 1 else f"{name}~{version}.dcm")
            try:
                os.link(incoming.path, target)
            except FileExistsError:
                if not holds_same_data_set(target, incoming.path):
                    version += 1
                    continue
            else:
                incoming.is_published = True
            break
        self._sync_folders(folder)
        is_new = incoming.is_published
        incoming.discard()
        path = str(folder / target.name)
        pending = incoming.path.name if is_new else ""
        return StoredInstance(path, version, digest, target.stat().st_size, is_new, pending)

    def _sync_folders(self, folder: Path) -> None:
        """Sync the series folder, and once each parent whose entry for it may be new."""
        if not self._sync_writes:
            return
        try:
            _sync_folder(self.data / folder)
            for child in (folder, folder.parent):
                if str(child) not in self._durable_folders:
                    _sync_folder(self.data / child.parent)
                    if len(self._durable_folders) >= _REMEMBERED_FOLDERS:
                        self._durable_folders.clear()
                    self._durable_folders.add(str(child))
        except OSError as exc:
            if exc.errno == errno.EIO:
                self._failed_folders.add(str(folder))
            raise


def make_data_folder(folder: Path) -> Path:
    """Make a folder where it is missing, and return it.

    Raises
    ------
    StorageFailed
        It cannot be made, or this user may not write there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StorageFailed(f"the data folder {folder} cannot be made: {exc.strerror}") from exc
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageFailed(f"the data folder {folder} cannot be written by this user")
    return folder


def read_file_head(path: Path) -> FileHead:
    """Read the head of one stored file.

    Raises
    ------
    BadDataset
        It is not a DICOM file.
    OSError
        It cannot be read.
    """
    with path.open("rb") as file:
        return read_head(file.read(MAXIMUM_HEAD_BYTES))


def is_intact(path: Path, digest: str) -> bool:
    """Tell whether a stored file still has the data set it was stored with.

    Parameters
    ----------
    path : Path
    digest : str
        SHA-256 of the data set in hex; '' only checks that the file has a readable head.

    Returns
    -------
    bool
    """
    try:
        with path.open("rb") as file:
            file.seek(read_head(file.read(MAXIMUM_HEAD_BYTES)).dataset_offset)
            return not digest or hashlib.file_digest(file, "sha256").hexdigest() == digest
    except (OSError, BadDataset):
        _log.exception("stored_file_unreadable")
        return False


def holds_same_data_set(first: Path, second: Path) -> bool:
    """Compare the data sets of two files byte by byte; an unreadable one is never the same."""
    try:
        with first.open("rb") as a, second.open("rb") as b:
            for file in (a, b):
                file.seek(read_head(file.read(MAXIMUM_HEAD_BYTES)).dataset_offset)
            while True:
                left, right = a.read(_COMPARE_BYTES), b.read(_COMPARE_BYTES)
                if left != right:
                    return False
                if not left:
                    return True
    except (OSError, BadDataset):
        _log.exception("stored_file_unreadable")
        return False


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lock_folder(data: Path) -> int:
    fd = os.open(data / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(fd)
        raise StoreInUse(f"another Lifeboat already receives into {data}; stop it first") from exc
    return fd


def storage_error(error: OSError) -> NodeError:
    """Return our kind of error for what the file system said."""
    if error.errno in _FULL:
        return StorageFull("no disk space, not saved")
    return StorageFailed("the disk refused the write, not saved")
