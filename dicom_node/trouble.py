"""What keeps the node from taking images: told by the receiving process, shown to everyone."""

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.durable_file import read_json
from dicom_node.errors import NodeError, StorageFailed
from dicom_node.settings import Settings

_log = logging.getLogger(__name__)

FILE: Final = "trouble.json"
_READ_ONLY: Final = "The disk is read-only: new images are refused."
_FULL: Final = "The disk is full: new images are refused."
_NO_NAMES: Final = "The disk takes no more files: new images are refused."


class Trouble:
    """Remembers that the disk failed, until the process is started again.

    Parameters
    ----------
    data : Path
        The data folder.
    clock : Clock
    """

    def __init__(self, data: Path, clock: Clock = utc_now) -> None:
        self._path = data / FILE
        self._clock = clock
        self._is_told = False
        with contextlib.suppress(OSError):
            self._path.unlink()

    def tell(self, error: NodeError) -> None:
        """Note an error of the disk; one that is only full shows by itself."""
        if self._is_told or not isinstance(error, StorageFailed):
            return
        self._is_told = True
        _log.error("node_degraded", extra={"error_code": error.code})
        # not synced: the disk just failed, and a notice is better than none
        with contextlib.suppress(OSError):
            note = {"since": stamp(self._clock()), "reason": str(error)}
            fresh = self._path.with_name(f"{FILE}.new")
            fresh.write_text(json.dumps(note), "utf-8")
            fresh.replace(self._path)


def troubles(settings: Settings) -> list[str]:
    """Return in words what keeps a node from taking images; empty when nothing does.

    Parameters
    ----------
    settings : Settings
    """
    data = settings.node.data
    found = []
    with contextlib.suppress(OSError):
        disk = os.statvfs(data)
        if disk.f_flag & os.ST_RDONLY:
            found.append(_READ_ONLY)
        if disk.f_bavail * disk.f_frsize < settings.storage.reserve_bytes:
            found.append(_FULL)
        if disk.f_files and disk.f_favail < settings.storage.reserve_inodes:
            found.append(_NO_NAMES)
    note = read_json(data / FILE)
    if isinstance(note, dict):
        since = str(note.get("since", ""))[:16].replace("T", " ")
        reason = note.get("reason", "")
        found.append(
            f"Images are not taken safely since {since} UTC ({reason}):"
            " check the disk, then start the node again."
        )
    return found
