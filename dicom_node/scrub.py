"""Reading every stored file again and again, slowly: a damaged one is noticed before it is needed.

What is checked is the data set by its digest, and of the head in front of it what says how to read
and where to send it.
"""

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.errors import BadDataset
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader, InstanceRecord
from dicom_node.index_writer import Index
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, read_head
from dicom_node.setting_tables import ScrubSettings

_log = logging.getLogger(__name__)

FILE: Final = "scrub.json"
BATCH_SIZE: Final = 100
QUIET_S: Final = 5.0
"""Nothing may have arrived for this long; instances that arrive need the disk more."""
LONGEST_PAUSE_S: Final = 600.0
"""A node that is never quiet is scrubbed all the same: one file in each such time at least."""
REST_S: Final = 3600.0
"""Between two passes."""
ERROR_REST_S: Final = 60.0
_CHUNK_BYTES: Final = 1 << 20

Pace = Callable[[int], None]
"""Called with how many bytes were read; returns when the next may be."""


@dataclass(slots=True)
class ScrubState:
    """How far the scrub is; kept in `scrub.json`, which survives the index.

    `position` is the last path that was checked in this pass, `last_pass_at` when a pass last ended
    (ISO 8601 in UTC), `damaged` when each damaged file was found so, by its path.
    """

    position: str = ""
    last_pass_at: str = ""
    damaged: dict[str, str] = field(default_factory=dict)


def read_state(data: Path) -> ScrubState:
    """Read how far the scrub of a data folder is; a lost note means from the start."""
    try:
        return ScrubState(**json.loads((data / FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return ScrubState()


def write_state(data: Path, state: ScrubState) -> None:
    """Replace the note; it is whole after a power cut, the old one or the new one."""
    fresh = data / f"{FILE}.new"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(asdict(state), file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(data / FILE)


def is_sound(record: InstanceRecord, pace: Pace = lambda length: None) -> bool:
    """Tell whether a stored file is what the index says, reading it from the disk itself.

    Parameters
    ----------
    record : InstanceRecord
    pace : Pace
    """
    digest = hashlib.sha256()
    try:
        with record.path.open("rb", buffering=0) as file:
            # what lies in memory may be sound while the disk is not; nor shall what we read here
            # push out of memory what is being looked at
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            head = read_head(file.read(MAXIMUM_HEAD_BYTES))
            file.seek(head.dataset_offset)
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                pace(len(chunk))
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except (OSError, BadDataset):
        return False
    return (
        digest.hexdigest() == (record.digest or head.digest or digest.hexdigest())
        and head.sop_class_uid == record.sop_class_uid
        and head.sop_instance_uid == record.sop_instance_uid
        and head.transfer_syntax_uid == record.transfer_syntax_uid
    )


def find_damaged(data: Path, progress: Callable[[int, int], None]) -> Iterator[Path]:
    """Read every indexed file once, as fast as the disk gives it; yield those that are damaged.

    Parameters
    ----------
    data : Path
        The data folder; nothing is written there, the node may be running.
    progress : callable
        Called with how many files were read and how many there are.
    """
    reader = IndexReader(data / INDEX_FILE)
    total, done, position = reader.counts()["instances"], 0, ""
    try:
        while batch := reader.stored_after(position, BATCH_SIZE):
            for record in batch:
                position = _relative(data, record)
                if not is_sound(record) and reader.holds_path(position):
                    yield record.path
                done += 1
                progress(done, max(done, total))
    finally:
        reader.close()


class Scrub:
    """Checks every stored file in turn, in a thread of its own; marks damaged ones in the index.

    Parameters
    ----------
    data : Path
        The data folder.
    index : Index
        Receives the marks.
    settings : ScrubSettings
    clock : Clock
    monotonic : callable
        A clock that never jumps, seconds.
    """

    def __init__(
        self,
        data: Path,
        index: Index,
        settings: ScrubSettings,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._data = data
        self._index = index
        self._reader = IndexReader(data / INDEX_FILE)
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._state = read_state(data)
        self._is_restored = False
        self._newest = (0, float("-inf"))  # the newest instance, and since when it is that
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scrub", daemon=True)

    def start(self) -> None:
        """Take up the pass where it was left."""
        self._thread.start()

    def stop(self) -> None:
        """Remember how far it is, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._reader.close()

    def restore(self) -> None:
        """Mark in an index that was built anew what was known to be damaged."""
        known = self._reader.damaged_paths()
        for path, when in self._state.damaged.items():
            if path not in known:
                self._index.mark_damaged(path, when)

    def step(self) -> bool:
        """Check the next files; return False when that was the end of the pass."""
        batch = self._reader.stored_after(self._state.position, BATCH_SIZE)
        try:
            for record in batch:
                self._wait_for_quiet()
                self._check(record)
                self._state.position = _relative(self._data, record)
        finally:
            if not batch:
                self._state.position, self._state.last_pass_at = "", stamp(self._clock())
                _log.info("scrub_pass_ended", extra={"count": len(self._state.damaged)})
            write_state(self._data, self._state)
        return bool(batch)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                rest_s = self._turn()
            except _Stopped:
                return
            except Exception:  # noqa: BLE001 - the edge of the thread: it tries again later
                _log.exception("scrub_interrupted")
                rest_s = ERROR_REST_S
            self._stopping.wait(rest_s)

    def _turn(self) -> float:
        """Do what comes next; return how long to rest after it, seconds."""
        if not self._is_restored:
            if not self._index.is_complete():
                return QUIET_S
            self.restore()
            self._is_restored = True
        return 0 if self.step() else REST_S

    def _check(self, record: InstanceRecord) -> None:
        path = _relative(self._data, record)
        sound = is_sound(record, self._pace)
        if sound == (not record.damaged_at) or not self._reader.holds_path(path):
            return
        when = "" if sound else stamp(self._clock())
        if sound:
            self._state.damaged.pop(path, None)
            _log.warning("instance_sound_again", extra={"bytes": record.size_bytes})
        else:
            self._state.damaged[path] = when
            _log.error("instance_damaged", extra={"bytes": record.size_bytes})
        write_state(self._data, self._state)
        self._index.mark_damaged(path, when)

    def _pace(self, length: int) -> None:
        if self._stopping.wait(length / self._settings.bytes_per_s):
            raise _Stopped

    def _wait_for_quiet(self) -> None:
        """Let instances that arrive have the disk."""
        begin = self._monotonic()
        while self._monotonic() - begin < LONGEST_PAUSE_S:
            now, newest = self._monotonic(), self._reader.newest_instance_id()
            if newest != self._newest[0]:
                # the first look says nothing of when the newest came
                is_first = self._newest[1] == float("-inf")
                self._newest = (newest, now - QUIET_S if is_first else now)
            if now - self._newest[1] >= QUIET_S:
                return
            if self._stopping.wait(1.0):
                raise _Stopped


class _Stopped(Exception):
    """The node ends in the middle of a file."""


def _relative(data: Path, record: InstanceRecord) -> str:
    return str(record.path.relative_to(data))
