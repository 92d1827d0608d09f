"""The watched folder: files dropped in are taken once they stand still.

A look at the whole folder every few seconds is the truth; the operating system's notice that
something changed only makes the next look come sooner.
"""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydicom.uid import MediaStorageDirectoryStorage
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from dicom_node.dropped_files import Look, Replaced, look_through, read_unchanged
from dicom_node.errors import BadDataset, NodeError, StorageFailed, StorageFull
from dicom_node.header import ReadHeader, read_header
from dicom_node.ingest import Ingest, Origin
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, PREAMBLE_LENGTH, read_head

_log = logging.getLogger(__name__)

FOLDER: Final = "inbox"
STATE_FILE: Final = "inbox.json"
_LARGEST_BYTES: Final = 4 * 1024**3
_TAKERS: Final = 4
"""Files taken at the same time: each waits for the disk, which syncs several as fast as one."""


@dataclass(slots=True)
class _Sight:
    """An entry of the folder, and since when it looks so.

    `is_done` marks one that is not to be touched again: of a kind that is never opened, or taken
    and not to be removed. `is_cut_off` marks one that is not whole.
    """

    look: Look
    since: float
    is_done: bool = False
    is_cut_off: bool = False
    is_waiting: bool = False


class Inbox:
    """Takes files from a folder.

    Parameters
    ----------
    folder : Path
        Made the first time; later a missing one is a mount that vanished, and waited for.
    ingest : Ingest
    sweep_s, settle_s, incomplete_wait_s : float
        Time between two looks, how long a file must stand still, and how long one that looks cut
        off may wait for its rest, seconds.
    spool : Path, optional
        A folder for copies of large files while they are read; beside `folder` when absent.
    largest_bytes : int
        What is larger stays where it is.
    read : ReadHeader
        As the ingest reads.
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
        spool: Path | None = None,
        largest_bytes: int = _LARGEST_BYTES,
        read: ReadHeader = read_header,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self._ingest = ingest
        self._sweep_s = sweep_s
        self._settle_s = settle_s
        self._incomplete_wait_s = incomplete_wait_s
        self._spool = spool or folder.parent
        self._largest_bytes = largest_bytes
        self._read_header = read
        self._monotonic = monotonic
        self._seen: dict[str, _Sight] = {}
        self._hint = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="inbox", daemon=True)
        self._observer = Observer()
        self._unlink: Callable[[str], None] = os.unlink
        self._was_mount = bool(_read_state(folder.parent).get("is_mount"))
        if not (folder.parent / STATE_FILE).exists():
            folder.mkdir(parents=True, exist_ok=True)
        self._root: tuple[int, int] | None = None
        self._is_gone: bool | None = None
        self._is_full = False
        self._find_root()

    def start(self) -> None:
        """Watch the folder."""
        try:
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
        self._find_root()
        if self._root is None:
            return 0
        now = self._monotonic()
        # a look costs microseconds and taking milliseconds: first all looks, from one moment
        self._seen = {
            path: self._sight(path, look, now) for path, look in look_through(self.folder)
        }
        ripe = [
            (path, sight)
            for path, sight in self._seen.items()
            if now - sight.since >= self._settle_s and not sight.is_done
        ]
        self._is_full = False
        with ThreadPoolExecutor(_TAKERS, "inbox") as pool:
            return sum(pool.map(lambda item: self._try(item[0], item[1], now), ripe))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.sweep()
            except Exception:  # noqa: BLE001 - the edge of the thread: the next look tries again
                _log.exception("inbox_sweep_failed")
            # a hint only shortens the wait: the file still has to stand still
            if self._hint.wait(self._time_to_next_look()):
                self._hint.clear()
                self._stopping.wait(min(self._sweep_s, max(self._settle_s, 0.05)))

    def _time_to_next_look(self) -> float:
        """Return the seconds after which what was new in the last look may have stood still."""
        settled = self._monotonic() - self._settle_s
        if any(sight.since > settled and not sight.is_done for sight in self._seen.values()):
            return min(self._sweep_s, max(self._settle_s, 0.05))
        return self._sweep_s

    def _find_root(self) -> None:
        """Notice a folder that was renamed, unmounted or made anew: its watch has gone with it."""
        root = _identity(self.folder)
        is_mount = root is not None and os.path.ismount(self.folder)
        self._was_mount |= is_mount
        is_gone = root is None or (self._was_mount and not is_mount)
        if root != self._root:
            self._root = root
            self._watch_anew()
        if is_gone != self._is_gone:
            if is_gone:
                _log.error("inbox_gone")
            elif self._is_gone:
                _log.warning("inbox_back")
            self._is_gone = is_gone
            self._write_state()

    def _watch_anew(self) -> None:
        self._observer.unschedule_all()
        try:
            if self._root is not None:
                self._observer.schedule(_Hint(self._hint), str(self.folder), recursive=True)
        except OSError:
            _log.warning("inbox_hint_unavailable")

    def _write_state(self) -> None:
        state = {"state": "gone" if self._is_gone else "watched", "is_mount": self._was_mount}
        try:
            (self.folder.parent / STATE_FILE).write_text(json.dumps(state), "utf-8")
        except OSError:
            _log.exception("inbox_state_not_written")

    def _sight(self, path: str, look: Look, now: float) -> _Sight:
        before = self._seen.get(path)
        if before is not None and before.look == look:
            return before
        sight = _Sight(look, since=now)
        if look.kind or look.size > self._largest_bytes:
            sight.is_done = True
            _log.warning("inbox_entry_ignored", extra={"state": look.kind or "too-large"})
        return sight

    def _try(self, path: str, sight: _Sight, now: float) -> bool:
        """Take one file if it can be; whatever it is, it never keeps the others waiting."""
        if self._is_full or self._stopping.is_set():
            return False
        try:
            sight.is_done = self._take(path, sight, now)
        except (Replaced, FileNotFoundError):
            sight.since = now  # it has to stand still anew
        except StorageFull:
            if not self._is_full:
                _log.warning("inbox_waits_for_room")
            self._is_full = True
        except Exception:  # noqa: BLE001 - one file must never keep the others waiting
            if not sight.is_waiting:
                _log.exception("inbox_file_waits")
            sight.is_waiting = True
        return sight.is_done

    def _take(self, path: str, sight: _Sight, now: float) -> bool:
        """Take one file; it leaves the inbox once it is durable, or in quarantine."""
        may_grow = now - sight.since < self._incomplete_wait_s
        if may_grow and sight.is_cut_off:
            return False
        content = read_unchanged(path, sight.look, self._spool)
        if _is_dicomdir(content):  # what it names is taken as it lies, not because it is named
            _log.warning("inbox_entry_ignored", extra={"state": "dicomdir"})
            return True
        sight.is_cut_off = self._looks_cut_off(content)
        if may_grow and sight.is_cut_off:
            return False
        try:
            self._accept(content)
        except (StorageFull, StorageFailed):
            raise
        except NodeError as error:
            _log.warning("inbox_file_quarantined", extra={"error_code": error.code})
        if Look.of(os.lstat(path)) == sight.look:
            try:
                self._unlink(path)
            except OSError:
                _log.warning("inbox_file_not_removed")
        return True

    def _accept(self, content: memoryview) -> None:
        origin = Origin(door="inbox", calling_ae_title="")
        try:
            head = read_head(bytes(content[:MAXIMUM_HEAD_BYTES]))
        except BadDataset as error:
            self._ingest.refuse(content, "", origin, error)
            raise
        origin = Origin(door="inbox", calling_ae_title=head.source_ae_title)
        self._ingest.accept(content[head.dataset_offset :], head.transfer_syntax_uid, origin)

    def _looks_cut_off(self, content: memoryview) -> bool:
        """Tell a DICOM file that is not whole, or perhaps not begun, from one of another kind."""
        if bytes(content[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4]) != b"DICM":
            return not content
        try:
            head = read_head(bytes(content[:MAXIMUM_HEAD_BYTES]))
            self._read_header(content[head.dataset_offset :], head.transfer_syntax_uid)
        except BadDataset:
            return True
        return False


def inbox_state(data: Path) -> str:
    """Return what became of the inbox of a data folder: `watched`, `gone`, or `never watched`."""
    return str(_read_state(data).get("state", "never watched"))


def _is_dicomdir(content: memoryview) -> bool:
    with contextlib.suppress(BadDataset):
        head = read_head(bytes(content[:MAXIMUM_HEAD_BYTES]))
        return head.sop_class_uid == MediaStorageDirectoryStorage
    return False


def _read_state(data: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        state = json.loads((data / STATE_FILE).read_text("utf-8"))
        if isinstance(state, dict):
            return state
    return {}


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
        os.scandir(folder).close()  # a mount whose server is gone has a status and no content
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Hint(FileSystemEventHandler):
    """Sets an event whenever anything in the folder changed."""

    def __init__(self, hint: threading.Event) -> None:
        self._hint = hint

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._hint.set()
