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
from dicom_node.header import read_header
from dicom_node.ingest import Ingest, Origin
from dicom_node.part10 import PREAMBLE_LENGTH, read_head

_log = logging.getLogger(__name__)

FOLDER: Final = "inbox"
_PART_SUFFIXES: Final = (".part", ".tmp", ".crdownload")


@dataclass(slots=True)
class _Sight:
    """How a file looked: when it changes, it is still being written.

    `is_done` marks one that was taken but could not be removed, `is_cut_off` one that is not whole.
    """

    size: int
    modified_ns: int
    inode: int
    since: float
    is_done: bool = False
    is_cut_off: bool = False

    def is_of(self, status: os.stat_result) -> bool:
        """Tell whether the file still looks so."""
        looks = (status.st_size, status.st_mtime_ns, status.st_ino)
        return looks == (self.size, self.modified_ns, self.inode)


class Inbox:
    """Takes files from a folder.

    Parameters
    ----------
    folder : Path
        Made when missing.
    ingest : Ingest
    sweep_s, settle_s, incomplete_wait_s : float
        Time between two looks, how long a file must stand still, and how long one that looks cut
        off may wait for its rest, seconds.
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
        incomplete_wait_s: float = 86400.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._ingest = ingest
        self._sweep_s = sweep_s
        self._settle_s = settle_s
        self._incomplete_wait_s = incomplete_wait_s
        self._monotonic = monotonic
        self._seen: dict[str, _Sight] = {}
        self._hint = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._observer = Observer()
        self._unlink: Callable[[str], None] = os.unlink
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
            if self._stopping.is_set():
                break
            sight = seen[path] = self._look(path, status, now)
            if now - sight.since >= self._settle_s and not sight.is_done:
                try:
                    sight.is_done = self._take(path, sight, now)
                except Exception:  # noqa: BLE001 - one file must never keep the others waiting
                    _log.exception("inbox_file_waits")
                taken += sight.is_done
        self._seen = seen
        return taken

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.sweep()
            except Exception:  # noqa: BLE001 - the edge of the thread: the next look tries again
                _log.exception("inbox_sweep_failed")
            # a hint only shortens the wait: the file still has to stand still
            if self._hint.wait(self._sweep_s):
                self._hint.clear()
                self._stopping.wait(min(self._sweep_s, max(self._settle_s, 0.05)))

    def _look(self, path: str, status: os.stat_result, now: float) -> _Sight:
        before = self._seen.get(path)
        if before is not None and before.is_of(status):
            return before
        return _Sight(status.st_size, status.st_mtime_ns, status.st_ino, since=now)

    def _take(self, path: str, sight: "_Sight", now: float) -> bool:
        """Take one file; it leaves the inbox once it is durable, or in quarantine."""
        may_grow = now - sight.since < self._incomplete_wait_s
        if may_grow and sight.is_cut_off:
            return False
        content = _read_file(path)
        sight.is_cut_off = _looks_cut_off(content)
        if may_grow and sight.is_cut_off:
            return False
        try:
            self._accept(content)
        except (StorageFull, StorageFailed):
            _log.warning("inbox_file_waits")
            return False
        except NodeError as error:
            _log.warning("inbox_file_quarantined", extra={"error_code": error.code})
        if sight.is_of(os.lstat(path)):
            try:
                self._unlink(path)
            except OSError:
                _log.warning("inbox_file_not_removed")
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


def _looks_cut_off(content: bytes) -> bool:
    """Tell a DICOM file that is not whole, or perhaps not begun, from one of another kind."""
    prefix = content[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4]
    if prefix != b"DICM":
        return not content
    try:
        head = read_head(content)
        read_header(memoryview(content)[head.dataset_offset :], head.transfer_syntax_uid)
    except BadDataset:
        return True
    return False


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
