"""The receiving process: port, inbox and ingest around one store and one index."""

import logging
import sqlite3
import threading
from pathlib import Path

import sqlalchemy.exc

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.errors import BadSettings
from dicom_node.inbox import FOLDER as INBOX
from dicom_node.inbox import Inbox
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import Index
from dicom_node.ingest import Ingest
from dicom_node.quarantine import FOLDER as QUARANTINE
from dicom_node.quarantine import Quarantine
from dicom_node.reconcile import Progress, adopt_pending, scan_store
from dicom_node.server import DicomServer
from dicom_node.settings import Settings
from dicom_node.storage import InstanceStore

_log = logging.getLogger(__name__)

_REBUILD_BATCH = 500


class Receiver:
    """Everything that takes instances in; the only writer of store and index.

    Parameters
    ----------
    settings : Settings
    clock : Clock

    Raises
    ------
    StoreInUse, StorageFailed
        The data folder belongs to another process, or cannot be written.
    """

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        data = settings.node.data
        self._settings = settings
        self.store = open_store(settings)
        self.index = open_index(data / INDEX_FILE, clock)
        self._index_queue = IndexQueue(self.index.add, self.store.forget)
        quarantine = Quarantine(data / QUARANTINE)
        self.ingest = Ingest(self.store, quarantine, self._index_queue, clock)
        self._server = DicomServer(
            settings.dicom, self.ingest, self.index.add_commitment_reports, clock
        )
        self._inbox = Inbox(
            data / INBOX,
            self.ingest,
            sweep_s=settings.inbox.sweep_s,
            settle_s=settings.inbox.settle_s,
        )
        self._rebuild = threading.Thread(target=self._rebuild_index, name="rebuild", daemon=True)
        self._stopping = threading.Event()

    def start(self) -> int:
        """Reconcile, then receive; return the DICOM port.

        Raises
        ------
        BadSettings
            The DICOM port cannot be listened on.
        """
        pending = adopt_pending(self.store)
        self._index_queue.start()
        for entry, name in pending:
            self._index_queue.put(entry, name)
        try:
            port = self._server.start()
        except BadSettings:
            self._index_queue.stop()
            raise
        if self._settings.inbox.enabled:
            self._inbox.start()
        self._rebuild.start()
        return port

    def stop(self) -> None:
        """Drain: finish what is being received, enter it, and let go."""
        self._stopping.set()
        self._server.stop()
        if self._settings.inbox.enabled:
            self._inbox.stop()
        self._rebuild.join()
        self._index_queue.stop()
        self.index.close()
        self.store.close()

    def _rebuild_index(self) -> None:
        """Fill an empty index from the files, while reception goes on."""
        reader = IndexReader(self._settings.node.data / INDEX_FILE)
        known = reader.paths()
        reader.close()
        if known:
            return
        for entry in scan_store(self.store):
            if self._stopping.is_set():
                return
            self._index_queue.put(entry, "")


def open_store(settings: Settings) -> InstanceStore:
    """Open the instance store as the settings say."""
    return InstanceStore(
        settings.node.data,
        sync_writes=settings.storage.sync_writes,
        reserve_bytes=settings.storage.reserve_bytes,
        reserve_inodes=settings.storage.reserve_inodes,
    )


def open_index(path: Path, clock: Clock = utc_now) -> Index:
    """Open the index; a damaged one is set aside and begun anew, as the files are the truth."""
    try:
        return Index(path)
    except (sqlalchemy.exc.DatabaseError, sqlite3.DatabaseError):
        _log.exception("index_damaged")
        moment = stamp(clock()).replace(":", "")
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(path.with_name(f"{path.name}{suffix}.damaged-{moment}"))
        return Index(path)


def reindex(settings: Settings, progress: Progress) -> int:
    """Build the index anew from the files.

    Parameters
    ----------
    settings : Settings
    progress : Progress

    Returns
    -------
    int
        How many instances it holds.

    Raises
    ------
    StoreInUse
        The node is running: stop it first.
    """
    store = open_store(settings)
    path = settings.node.data / INDEX_FILE
    fresh = path.with_name(path.name + ".new")
    _remove(fresh)
    index = Index(fresh)
    total, batch = 0, []
    try:
        for entry in scan_store(store, progress=progress):
            batch.append(entry)
            if len(batch) >= _REBUILD_BATCH:
                index.add(batch)
                total, batch = total + len(batch), []
        if batch:
            index.add(batch)
    finally:
        index.close()
    _remove(path)
    fresh.rename(path)
    store.close()
    return total + len(batch)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
