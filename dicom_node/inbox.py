"""The watched folder: files dropped in are taken once they stand still.

A look at the whole folder every few seconds is the truth; the operating system's notice that
something changed only makes the next look come sooner.
"""

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from dicom_node.errors import BadDataset, NodeError, StorageFailed, StorageFull
from dicom_node.ingest import Ingest, Origin
from dicom_node.part10 import read_head

_log = logging.getLogger(__name__)

FOLDER: Final = "inbox"
_PART_SUFFIXES: Final = (".part", ".tmp", ".crdownload")


@dataclass(frozen=True, slots=True)
class _Sight:
    """How a file looked: when it changes, it is still being written."""

    size: int
    modified_ns: int
    inode: int
    since: float


class Inbox:
    """Takes files from a folder.

    Parameters
    ----------
    folder : Path
        Made when missing.
    ingest : Ingest
    sweep_s, settle_s : float
        Time between two looks, and how long a file must stand still, seconds.
    monotonic : callable
        A clock that never jumps, seconds.
    """

    def __init__(
        self,
        folder: Path,
        ingest: Ingest,
        *,
        sweep_s: float,
        settle_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._ingest = ingest
        self._sweep_s = sweep_s
        self._settle_s = settle_s
        self._monotonic = monotonic
        self._seen: dict[str, _Sight] = {}
        self._hint = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._observer = Observer()
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Watch the folder."""
        try:
            self._observer.schedule(_Hint(self._hint), str(self.folder), recursive=True)
            self._observer.start()
        except OSError:
            _log.warning("inbox_hint_unavailable")  # the sweep finds everything all the same
        self._thread.start()

    def stop(self) -> None:
        """Finish the file in hand, then end."""
        self._stopping.set()
        self._hint.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def sweep(self) -> int:
        """Look at the whole folder once; return how many files were taken."""
        now = self._monotonic()
        seen: dict[str, _Sight] = {}
        taken = 0
        for path, status in _regular_files(self.folder):
            sight = self._look(path, status, now)
            if now - sight.since >= self._settle_s:
                taken += self._take(path)
            else:
                seen[path] = sight
        self._seen = seen
        return taken

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.sweep()
            except OSError:
                _log.exception("inbox_sweep_failed")
            # a hint only shortens the wait: the file still has to stand still
            if self._hint.wait(self._sweep_s):
                self._hint.clear()
                self._stopping.wait(min(self._sweep_s, max(self._settle_s, 0.05)))

    def _look(self, path: str, status: os.stat_result, now: float) -> _Sight:
        before = self._seen.get(path)
        looks = (status.st_size, status.st_mtime_ns, status.st_ino)
        if before and (before.size, before.modified_ns, before.inode) == looks:
            return before
        return _Sight(*looks, since=now)

    def _take(self, path: str) -> bool:
        """Take one file; it leaves the inbox once it is durable, or in quarantine."""
        try:
            content = _read_file(path)
            self._accept(content)
        except (StorageFull, StorageFailed, OSError):
            _log.exception("inbox_file_waits")
            return False
        except NodeError as error:
            _log.warning("inbox_file_quarantined", extra={"error_code": error.code})
        os.unlink(path)
        return True

    def _accept(self, content: bytes) -> None:
        origin = Origin(door="inbox", calling_ae_title="")
        try:
            head = read_head(content)
        except BadDataset as error:
            self._ingest.refuse(content, "", origin, error)
            raise
        origin = Origin(door="inbox", calling_ae_title=head.source_ae_title)
        dataset = memoryview(content)[head.dataset_offset :]
        self._ingest.accept(dataset, head.transfer_syntax_uid, origin)


class _Hint(FileSystemEventHandler):
    """Sets an event whenever anything in the folder changed."""

    def __init__(self, hint: threading.Event) -> None:
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._hint.set()


def _regular_files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the ordinary, finished-looking files below a folder; links and devices never."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.startswith(".") or name.lower().endswith(_PART_SUFFIXES):
                continue
            path = os.path.join(root, name)
            try:
                status = os.lstat(path)
            except OSError:
                continue  # gone since it was listed
            if stat.S_ISREG(status.st_mode):
                yield path, status


def _read_file(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        return file.read()
