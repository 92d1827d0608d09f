"""Bringing the index in line with the files: after a crash, and from nothing."""

import contextlib
import logging
import mmap
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from dicom_node.errors import NodeError
from dicom_node.filing import Arrived, file_under, index_entry
from dicom_node.header import Header, ReadHeader, read_header
from dicom_node.index_writer import IndexedInstance
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, FileHead, read_head
from dicom_node.storage import INCOMING, INSTANCES, InstanceStore, StoredInstance

_log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with how many files were read and how many there are (0 while unknown)."""


def adopt_pending(
    store: InstanceStore, read: ReadHeader = read_header
) -> list[tuple[IndexedInstance, str]]:
    """Find what was durable but perhaps not indexed when the last process ended.

    Parameters
    ----------
    store : InstanceStore
        Before it receives anything.
    read : ReadHeader

    Returns
    -------
    list of (IndexedInstance, str)
        What to index, with its name in `incoming/`.
    """
    found = []
    for pending in store.sweep():
        path = _final_path(store.data, store.data / INCOMING / pending, read)
        if path is not None and (entry := read_entry(store.data, path, read)) is not None:
            found.append((entry, pending))
    _log.info("incoming_swept", extra={"count": len(found)})
    return found


def scan_store(
    store: InstanceStore,
    known: Iterable[str] = (),
    progress: Progress = lambda done, total: None,
    read: ReadHeader = read_header,
) -> Iterable[IndexedInstance]:
    """Read every stored file that is not known.

    Parameters
    ----------
    store : InstanceStore
    known : iterable of str
        Paths relative to the data folder that need not be read.
    progress : Progress
    read : ReadHeader

    Yields
    ------
    IndexedInstance
    """
    skip = set(known)
    paths = [path for path in store.walk() if path not in skip]
    for done, path in enumerate(paths, start=1):
        entry = read_entry(store.data, path, read)
        if entry is not None:
            yield entry
        progress(done, len(paths))


def read_entry(data: Path, path: str, read: ReadHeader = read_header) -> IndexedInstance | None:
    """Read what the index keeps of one stored file; None when the file is damaged."""
    try:
        head, header, size_bytes = _read(data / path, read)
    except (OSError, ValueError, NodeError):  # ValueError: an empty file cannot be mapped
        _log.exception("stored_file_unreadable")
        return None
    stored = StoredInstance(path, _version(path), head.digest, size_bytes, is_new=True)
    arrived = Arrived(header, head.transfer_syntax_uid, head.received_at, head.source_ae_title)
    return index_entry(arrived, stored)


def _final_path(data: Path, pending: Path, read: ReadHeader) -> str | None:
    """Find the name in the store of a file that still has its name in `incoming/`."""
    with contextlib.suppress(OSError, ValueError, NodeError):
        _, header, _ = _read(pending, read)
        uids = file_under(header)
        folder = data / INSTANCES / uids["study_instance_uid"] / uids["series_instance_uid"]
        for candidate in folder.glob(f"{uids['sop_instance_uid']}*.dcm"):
            if os.path.samefile(candidate, pending):
                return str(candidate.relative_to(data))
    return None


def _read(path: Path, read: ReadHeader) -> tuple[FileHead, Header, int]:
    with path.open("rb") as file:
        # not closed by hand: an error keeps views of it alive, the last one frees it
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    head = read_head(content[:MAXIMUM_HEAD_BYTES])
    dataset = memoryview(content)[head.dataset_offset :]
    return head, read(dataset, head.transfer_syntax_uid), len(content)


def _version(path: str) -> int:
    _, tilde, number = Path(path).stem.rpartition("~")
    return int(number) if tilde and number.isdigit() else 1
