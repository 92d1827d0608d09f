"""What could not be stored: raw bytes and a reason, kept for IT to look at."""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from dicom_node.durable_file import sync_folder

FOLDER: Final = "quarantine"


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One thing we would not store.

    `name` is the file with the raw bytes, `code` the kind of error, `reason` says it in words
    without patient data, `door` is where it came in (`c-store` or `inbox`), `received_at` is
    ISO 8601 in UTC.
    """

    name: str
    received_at: str
    code: str
    reason: str
    size_bytes: int
    calling_ae_title: str
    door: str
    transfer_syntax_uid: str = ""


class Quarantine:
    """The quarantine folder of one data folder.

    Parameters
    ----------
    folder : Path
        Made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def keep(
        self,
        data: bytes | memoryview,
        *,
        now: datetime,
        code: str,
        reason: str,
        calling_ae_title: str,
        door: str,
        transfer_syntax_uid: str = "",
    ) -> QuarantineEntry:
        """Write raw bytes and the reason beside them, durably.

        Raises
        ------
        OSError
            The disk refused; nothing is listed then.
        """
        # our own name: nothing a sender wrote may become a path
        name = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}.bin"
        entry = QuarantineEntry(
            name=name,
            received_at=now.isoformat(timespec="milliseconds"),
            code=code,
            reason=reason,
            size_bytes=len(data),
            calling_ae_title=calling_ae_title,
            door=door,
            transfer_syntax_uid=transfer_syntax_uid,
        )
        _write_durably(self.folder / name, (data,))
        note = json.dumps(asdict(entry), indent=1).encode("utf-8")
        _write_durably((self.folder / name).with_suffix(".json"), (note,))
        sync_folder(self.folder)
        return entry


def list_quarantine(folder: Path, limit: int = 200) -> list[QuarantineEntry]:
    """List what lies in quarantine, newest first.

    Parameters
    ----------
    folder : Path
        The quarantine folder; a missing one is empty.
    limit : int
        Most entries to return.

    Returns
    -------
    list of QuarantineEntry
    """
    notes = sorted(folder.glob("*.json"), key=lambda path: path.name, reverse=True)
    return [entry for note in notes[:limit] if (entry := _read_note(note)) is not None]


def count_quarantine(folder: Path) -> int:
    """Return how many things lie in quarantine."""
    return sum(1 for _ in folder.glob("*.json"))


def _read_note(note: Path) -> QuarantineEntry | None:
    try:
        return QuarantineEntry(**json.loads(note.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # being written, or damaged: its bytes are still in the folder


def _write_durably(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    with path.open("xb") as file:
        os.chmod(path, 0o600)
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
