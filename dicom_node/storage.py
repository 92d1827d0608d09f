"""The instance store: bytes as received, durable before anyone is told so.

An instance is written in `incoming/`, synced, linked under its final name, and the folders whose
entries changed are synced too. The name in `incoming/` stays until the index holds the instance:
at start-up it names every durable file that may not be indexed, without walking the store.
"""

import contextlib
import errno
import fcntl
import hashlib
import itertools
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

    def __init__(self, path: Path, head: bytes | memoryview) -> None:
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

    def check_room(self, promised_bytes: int = 0) -> None:
        """Raise StorageFull when the file system is within its reserve.

        Parameters
        ----------
        promised_bytes : int
            What is acknowledged and still needs a file.
        """
        try:
            free = os.statvfs(self.data)
        except OSError as exc:
            raise StorageFailed("the store cannot be read") from exc
        if free.f_bavail * free.f_frsize < self._reserve_bytes + promised_bytes:
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
        folder, name = _place_of(study_instance_uid, series_instance_uid, sop_instance_uid)
        self.check_room()
        self._check_folder(folder)
        with self._written(head, chunks) as incoming:
            digest = incoming.finish(sync=self._sync_writes)
            target, version = self._publish(incoming, self.data / folder, name)
            self._sync_folders(folder)
            is_new = incoming.is_published
            incoming.discard()
        pending = incoming.path.name if is_new else ""
        path = f"{folder}/{target.name}"
        return StoredInstance(path, version, digest, target.stat().st_size, is_new, pending)

    def place(
        self,
        head: bytes | memoryview,
        dataset: bytes | memoryview,
        *,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        anew: bool = False,
    ) -> StoredInstance:
        """Give an instance its file, which is durable only once it is settled.

        Parameters
        ----------
        head, dataset, study_instance_uid, series_instance_uid, sop_instance_uid
            As for `store`.
        anew : bool
            Write the file again even if it is there: after a crash nobody knows what of it
            reached the disk.

        Returns
        -------
        StoredInstance

        Raises
        ------
        StorageFull, StorageFailed
            It has no file; it may be tried again.
        """
        folder, name = _place_of(study_instance_uid, series_instance_uid, sop_instance_uid)
        with self._written(head, (dataset,)) as incoming:
            digest = incoming.finish(sync=False)
            known_digest = digest if anew else None
            target, version = self._publish(incoming, self.data / folder, name, known_digest)
            is_new = incoming.is_published
            with contextlib.suppress(FileNotFoundError):  # it replaced the file
                incoming.path.unlink()
        return StoredInstance(
            f"{folder}/{target.name}", version, digest, incoming.size_bytes, is_new
        )

    def settle(self, paths: Iterable[str]) -> None:
        """Make files durable that were placed, with the folders they are in.

        Parameters
        ----------
        paths : iterable of str
            Relative to the data folder.

        Raises
        ------
        StorageFull, StorageFailed
            Some may not be durable, and must be written again.
        """
        if not self._sync_writes:
            return
        folders = set()
        try:
            for path in paths:
                _sync_file(self.data / path)
                folders.add(os.path.dirname(path))
            for folder in folders:
                self._sync_folders(Path(folder))
        except OSError as exc:
            raise storage_error(exc) from exc

    def _check_folder(self, folder: Path) -> None:
        if str(folder) in self._failed_folders:
            # a second sync may succeed without having written what the first one lost
            raise StorageFailed("the disk failed here before, not saved")

    @contextlib.contextmanager
    def _written(
        self, head: bytes | memoryview, chunks: Iterable[bytes | memoryview]
    ) -> Iterator[Incoming]:
        """Write a file in `incoming/`; what fails later removes it."""
        incoming = None
        try:
            incoming = Incoming(self._incoming_path(), head)
            for chunk in chunks:
                incoming.write(chunk)
            yield incoming
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

    def _publish(
        self, incoming: Incoming, folder: Path, name: str, known_digest: str | None = None
    ) -> tuple[Path, int]:
        """Link the finished file under its name, or under the next version of it.

        With `known_digest` the file replaces the one that has its data set, or should have.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for version in itertools.count(1):
            target = folder / (f"{name}.dcm" if version == 1 else f"{name}~{version}.dcm")
            try:
                os.link(incoming.path, target)
            except FileExistsError:
                is_same = holds_same_data_set(target, incoming.path)
                if known_digest is not None and (is_same or _was_begun(target, known_digest)):
                    os.replace(incoming.path, target)
                elif not is_same:
                    continue
            else:
                incoming.is_published = True
            break
        return target, version

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


def _place_of(
    study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
) -> tuple[Path, str]:
    """Return the folder of an instance, relative to the data folder, and its name in it."""
    folder = (
        Path(INSTANCES)
        / check_uid(study_instance_uid, "Study Instance UID")
        / check_uid(series_instance_uid, "Series Instance UID")
    )
    return folder, check_uid(sop_instance_uid, "SOP Instance UID")


def _was_begun(path: Path, digest: str) -> bool:
    """Tell whether a file is what a power cut left of one with this digest."""
    if not path.stat().st_size:
        return True
    try:
        return read_file_head(path).digest == digest
    except BadDataset:
        return False


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


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


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
