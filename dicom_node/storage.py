"""The instance store: bytes as received.

An instance is written in `incoming/`, synced, linked under its final name, and the folders whose
entries changed are synced too. The name in `incoming/` stays until the index holds the instance:
at start-up it names every durable file that may not be indexed, without walking the store. What
the journal already holds is placed first and settled, that is synced, later.
"""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from dicom_node.durable_file import sync_file, sync_folder
from dicom_node.errors import StorageFailed, StorageFull, StoreInUse
from dicom_node.header import check_uid
from dicom_node.incoming import Incoming, cleaning_up, storage_error
from dicom_node.quarantine import FOLDER as QUARANTINE
from dicom_node.stored_file import has_head, holds_same_data_set, was_begun

INCOMING: Final = "incoming"
INSTANCES: Final = "instances"
LOCK: Final = "receive.lock"

STEP_BYTES: Final = 64 << 20
"""A file that is written while it arrives is synced, and room looked for, each time it grew so."""

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
        self._incoming = str(data / INCOMING)
        self._sync_writes = sync_writes
        self._reserve_bytes = reserve_bytes
        self._reserve_inodes = reserve_inodes
        self._durable_folders: set[str] = set()
        self._failed_folders: set[str] = set()
        for folder in (data, data / INCOMING, data / INSTANCES):
            make_data_folder(folder)
        self._owner = lock_folder(data, LOCK, "receives into")
        if sync_writes:
            sync_folder(data)
            with contextlib.suppress(PermissionError):  # whoever made the folder there synced it
                sync_folder(data.resolve().parent)

    def close(self) -> None:
        """Let go of the data folder."""
        self._owner.close()

    def check_room(self, promised_bytes: int = 0, promised_files: int = 0) -> None:
        """Raise StorageFull when the file system is within its reserve.

        Parameters
        ----------
        promised_bytes, promised_files : int
            What is acknowledged and still needs its file.
        """
        try:
            free = os.statvfs(self.data)
        except OSError as exc:
            raise StorageFailed("the store cannot be read") from exc
        if free.f_bavail * free.f_frsize < self._reserve_bytes + promised_bytes:
            raise StorageFull("no disk space, not saved")
        if free.f_files and free.f_favail < self._reserve_inodes + promised_files:
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
        incoming = self.begin(head)
        with cleaning_up(incoming):
            for chunk in chunks:
                incoming.write(chunk)
            return self.finish(
                incoming,
                study_instance_uid=study_instance_uid,
                series_instance_uid=series_instance_uid,
                sop_instance_uid=sop_instance_uid,
            )

    def begin(self, head: bytes | memoryview) -> Incoming:
        """Begin the file of an instance; its data set is written while it arrives.

        Raises
        ------
        StorageFull, StorageFailed
            It has no place.
        """
        self.check_room()
        try:
            return Incoming(self._incoming_path(), head)
        except OSError as exc:
            raise storage_error(exc) from exc

    def write(self, incoming: Incoming, data: memoryview) -> None:
        """Append to a file that was begun; large ones are synced on the way.

        Raises
        ------
        StorageFull, StorageFailed
            The disk does not take it.
        """
        is_step = incoming.size_bytes % STEP_BYTES + len(data) >= STEP_BYTES
        try:
            incoming.write(data)
            if is_step:
                self.check_room()
                incoming.sync(sync=self._sync_writes)
        except OSError as exc:
            raise storage_error(exc) from exc

    def finish(
        self,
        incoming: Incoming,
        *,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
    ) -> StoredInstance:
        """Make a file durable that was begun, under its name; as `store`."""
        folder, name = _place_of(study_instance_uid, series_instance_uid, sop_instance_uid)
        self._check_folder(folder)
        with cleaning_up(incoming):
            digest = incoming.finish(sync=self._sync_writes)
            target, version = self._publish(incoming, folder, name)
            self._sync_folders(folder)
            is_new = incoming.is_published
            incoming.discard()
        pending = os.path.basename(incoming.path) if is_new else ""
        return StoredInstance(target, version, digest, incoming.size_bytes, is_new, pending)

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
        try:
            # no look at the reserve: it is acknowledged, and the reserve is there for this
            incoming = Incoming(self._incoming_path(), head)
        except OSError as exc:
            raise storage_error(exc) from exc
        with cleaning_up(incoming):
            incoming.write(dataset)
            digest = incoming.finish(sync=False)
            known_digest = digest if anew else None
            target, version = self._publish(incoming, folder, name, known_digest)
            with contextlib.suppress(FileNotFoundError):  # it replaced the file
                os.unlink(incoming.path)
        return StoredInstance(
            target, version, digest, incoming.size_bytes, is_new=incoming.is_published
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
                sync_file(self.data / path)
                folders.add(os.path.dirname(path))
            for folder in folders:
                self._check_folder(folder)
                self._sync_folders(folder)
        except OSError as exc:
            raise storage_error(exc) from exc

    def _check_folder(self, folder: str) -> None:
        if folder in self._failed_folders:
            # a second sync may succeed without having written what the first one lost
            raise StorageFailed("the disk failed here before, not saved")

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

    def _incoming_path(self) -> str:
        return f"{self._incoming}/{secrets.token_hex(12)}"

    def _publish(
        self, incoming: Incoming, folder: str, name: str, known_digest: str | None = None
    ) -> tuple[str, int]:
        """Link the finished file under its name, or under the next version of it.

        With `known_digest` the file replaces the one that has its data set, or should have.
        """
        os.makedirs(self.data / folder, exist_ok=True)
        version, target = 1, f"{folder}/{name}.dcm"
        while not self._link(incoming, self.data / target, known_digest):
            version += 1
            target = f"{folder}/{name}~{version}.dcm"
        return target, version

    def _link(self, incoming: Incoming, target: Path, known_digest: str | None) -> bool:
        """Give the file this name; False when another data set has it."""
        try:
            os.link(incoming.path, target)
        except FileExistsError:
            is_same = holds_same_data_set(target, Path(incoming.path))
            if known_digest is None:
                return is_same
            if not is_same and not was_begun(target, known_digest):
                if has_head(target):
                    return False
                self._set_aside(target)
            os.replace(incoming.path, target)
        else:
            incoming.is_published = True
        return True

    def _set_aside(self, path: Path) -> None:
        """Keep what is left of a file nobody can read, where IT looks."""
        folder = self.data / QUARANTINE
        folder.mkdir(exist_ok=True)
        os.link(path, folder / f"{secrets.token_hex(6)}.torn")

    def _sync_folders(self, folder: str) -> None:
        """Sync the series folder, and once each parent whose entry for it may be new."""
        if not self._sync_writes:
            return
        try:
            sync_folder(self.data / folder)
            for child in (folder, os.path.dirname(folder)):
                if child not in self._durable_folders:
                    sync_folder(self.data / os.path.dirname(child))
                    if len(self._durable_folders) >= _REMEMBERED_FOLDERS:
                        self._durable_folders.clear()
                    self._durable_folders.add(child)
        except OSError as exc:
            if exc.errno == errno.EIO:
                self._failed_folders.add(folder)
            raise


def _place_of(
    study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
) -> tuple[str, str]:
    """Return the folder of an instance, relative to the data folder, and its name in it."""
    study = check_uid(study_instance_uid, "Study Instance UID")
    series = check_uid(series_instance_uid, "Series Instance UID")
    return f"{INSTANCES}/{study}/{series}", check_uid(sop_instance_uid, "SOP Instance UID")


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


def lock_folder(data: Path, name: str, work: str) -> IO[bytes]:
    """Be the only process that does one kind of work on a data folder.

    Parameters
    ----------
    data : Path
    name : str
        Of the file in it that is locked.
    work : str
        What is done, e.g. "receives into".

    Returns
    -------
    binary file
        Closing it, or the end of the process, lets the folder go.

    Raises
    ------
    StoreInUse
        Another process does it already.
    """
    file = os.fdopen(os.open(data / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600), "rb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise StoreInUse(f"another Lifeboat already {work} {data}; stop it first") from exc
    return file
