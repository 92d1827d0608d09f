"""Whom the DICOM port turned away: counted in memory, kept in a small file, shown to IT."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.durable_file import read_json, replace_json

_log = logging.getLogger(__name__)

FILE: Final = "refusals.json"
MAXIMUM_ENTRIES: Final = 500
FLUSH_INTERVAL_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """How often one caller was turned away for one reason; times are ISO 8601 in UTC.

    `calling_ae_title` is printable, and empty when the caller never said it.
    """

    calling_ae_title: str
    address: str
    reason: str
    count: int
    first_at: str
    last_at: str


class Refusals:
    """Counts for one data folder; the receiving process writes them, the others read the file.

    Parameters
    ----------
    data : Path
        The data folder.
    clock : Clock
    """

    def __init__(self, data: Path, clock: Clock = utc_now) -> None:
        self._path = data / FILE
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, str, str], Refusal] = OrderedDict()
        for entry in reversed(read_refusals(data)):
            self._entries[entry.calling_ae_title, entry.address, entry.reason] = entry
        self._has_changed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._flush_often, name="refusals", daemon=True)

    def start(self) -> None:
        """Write the counts every few seconds while they change."""
        self._thread.start()

    def stop(self) -> None:
        """Write them a last time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def add(self, calling_ae_title: str, address: str, reason: str) -> None:
        """Count one refusal; the least recent caller is forgotten when there are too many."""
        now = stamp(self._clock())
        key = calling_ae_title, address, reason
        with self._lock:
            old = self._entries.get(key) or Refusal(*key, 0, now, now)
            new = replace(old, count=old.count + 1, last_at=now)
            self._entries[key] = new
            self._entries.move_to_end(key)
            if len(self._entries) > MAXIMUM_ENTRIES:
                self._entries.popitem(last=False)
            self._has_changed = True
        if _is_worth_a_line(new.count):
            facts = {"ae_title": calling_ae_title, "peer": address, "error_code": reason}
            _log.warning("caller_refused", extra=facts | {"count": new.count})

    def flush(self) -> None:
        """Write the counts if they changed; a disk that refuses costs only the counts."""
        with self._lock:
            if not self._has_changed:
                return
            self._has_changed = False
            entries = [asdict(entry) for entry in reversed(self._entries.values())]
        try:
            replace_json(self._path, entries)
        except OSError:
            _log.warning("refusals_not_written")
            self._has_changed = True

    def _flush_often(self) -> None:
        while not self._stopping.wait(FLUSH_INTERVAL_S):
            self.flush()


def read_refusals(data: Path) -> list[Refusal]:
    """Read the counts of a data folder, the latest first; a damaged file is an empty one."""
    content = read_json(data / FILE)
    try:
        return [Refusal(**entry) for entry in content] if isinstance(content, list) else []
    except TypeError:
        return []


def _is_worth_a_line(count: int) -> bool:
    """Tell whether a count is 1, 10, 100...: a flood must not fill the log."""
    return str(count).strip("0") == "1"


Count = Callable[[str, str, str], None]
"""Takes calling AE title, address and reason of one refusal."""
