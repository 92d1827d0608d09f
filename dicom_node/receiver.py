"""The receiving process: port, inbox and ingest around one store and one index."""

import logging
import os
import signal
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy.exc

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.durable_file import sync_folder
from dicom_node.errors import BadSettings, StorageFailed
from dicom_node.header_reader import HeaderReader
from dicom_node.inbox import FOLDER as INBOX
from dicom_node.inbox import Inbox
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index import IndexReader
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import Index, IndexedInstance
from dicom_node.ingest import Ingest
from dicom_node.journal import FILE as JOURNAL_FILE
from dicom_node.journal import Journal
from dicom_node.placement import Placement, replay
from dicom_node.policy import Policy
from dicom_node.quarantine import FOLDER as QUARANTINE
from dicom_node.quarantine import Quarantine
from dicom_node.reconcile import Progress, adopt_pending, scan_store
from dicom_node.refusals import Refusals
from dicom_node.scrub import Scrub
from dicom_node.server import DicomServer
from dicom_node.settings import Settings
from dicom_node.storage import INCOMING, InstanceStore
from dicom_node.trouble import Trouble
from dicom_node.unknown_switch import UnknownSwitch

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
        self._index_queue = IndexQueue(
            self.index.add, self.store.forget, self._give_up, self.index.mark_incomplete
        )
        quarantine = Quarantine(data / QUARANTINE)
        trouble = Trouble(data, clock)
        self._headers = HeaderReader()
        self._placement = Placement(
            open_journal(settings), self.store, self._index_queue, trouble.tell
        )
        self.ingest = Ingest(
            self.store, quarantine, self._index_queue, clock, self._headers.read, self._placement
        )
        self._refusals = Refusals(data, clock)
        self._server = DicomServer(
            settings.dicom,
            self.ingest,
            self.index.add_commitment_reports,
            clock,
            tls=settings.tls,
            policy=Policy(settings, UnknownSwitch(data, clock).is_open),
            count_refusal=self._refusals.add,
            on_trouble=trouble.tell,
        )
        self._inbox = Inbox(
            data / INBOX,
            self.ingest,
            sweep_s=settings.inbox.sweep_s,
            settle_s=settings.inbox.settle_s,
            incomplete_wait_s=settings.inbox.incomplete_wait_s,
            spool=data / INCOMING,
            largest_bytes=settings.dicom.maximum_object_bytes,
            read=self._headers.read,
        )
        self._scrub = Scrub(data, self.index, settings.scrub, clock)
        self._rebuild = threading.Thread(target=self._rebuild_index, name="rebuild", daemon=True)
        self._stopping = threading.Event()
        self.has_failed = False

    def start(self) -> int:
        """Reconcile, then receive; return the DICOM port.

        Raises
        ------
        BadSettings
            The DICOM port cannot be listened on.
        """
        pending = adopt_pending(self.store, self._headers.read)
        self._index_queue.start()
        for entry, name in pending:
            self._index_queue.put(entry, name)
        self._placement.start()
        try:
            port = self._server.start()
        except BadSettings:
            self._index_queue.stop_retrying()
            self._placement.stop()
            self._index_queue.stop()
            raise
        self._refusals.start()
        if self._settings.inbox.enabled:
            self._inbox.start()
        self._rebuild.start()
        if self._settings.scrub.enabled:
            self._scrub.start()
        return port

    def stop(self) -> None:
        """Drain: finish what is being received, enter it, and let go."""
        self._stopping.set()
        self._server.stop()
        self._refusals.stop()
        if self._settings.inbox.enabled:
            self._inbox.stop()
        self._index_queue.stop_retrying()  # the placement waits for it
        self._placement.stop()
        self._index_queue.stop()  # before the rebuild: it may wait for what is queued
        self._rebuild.join()
        self._scrub.stop()
        self._headers.close()
        self.index.close()
        self.store.close()

    def _give_up(self) -> None:
        """End this process, so that the next one sets the damaged index aside and rebuilds it."""
        if not self.has_failed:
            self.has_failed = True
            os.kill(os.getpid(), signal.SIGTERM)

    def _rebuild_index(self) -> None:
        """Enter the files a new index lacks, while reception goes on."""
        if self.index.is_complete():
            return
        reader = IndexReader(self._settings.node.data / INDEX_FILE)
        known = reader.paths()
        reader.close()
        try:
            for entry in scan_store(self.store, known, read=self._headers.read):
                if self._stopping.is_set():
                    return
                self._index_queue.put(entry, "")
        except StorageFailed:
            _log.exception("rebuild_interrupted")  # taken up again at the next start
            return
        if self._index_queue.flush() and not self.has_failed:
            self.index.mark_complete()


def open_store(settings: Settings) -> InstanceStore:
    """Open the instance store as the settings say."""
    return InstanceStore(
        settings.node.data,
        sync_writes=settings.storage.sync_writes,
        reserve_bytes=settings.storage.reserve_bytes,
        reserve_inodes=settings.storage.reserve_inodes,
    )


def open_journal(settings: Settings) -> Journal:
    """Return the journal as the settings say; it is opened when it is replayed."""
    return Journal(
        settings.node.data / JOURNAL_FILE,
        settings.storage.journal_bytes,
        sync_writes=settings.storage.sync_writes,
    )


def open_index(path: Path, clock: Clock = utc_now) -> Index:
    """Open the index; a damaged one is set aside and begun anew, as the files are the truth."""
    try:
        return Index(path)
    except (sqlalchemy.exc.DatabaseError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlalchemy.exc.OperationalError | sqlite3.OperationalError):
            raise StorageFailed("the index cannot be opened; check the disk") from error
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
    journal, headers = open_journal(settings), HeaderReader()
    placed = [(record, entry.path) for record, entry in replay(journal, store)]
    store.settle(path for _, path in placed)
    total, batch = 0, []
    try:
        for entry in scan_store(store, progress=progress, read=headers.read):
            batch.append(entry)
            if len(batch) >= _REBUILD_BATCH:
                total, batch = total + _add(index, batch), []
        total += _add(index, batch)
        index.mark_complete()
    except sqlalchemy.exc.OperationalError as exc:
        raise StorageFailed("the new index cannot be written; is the disk full?") from exc
    finally:
        headers.close()
        index.close()
    _remove(path)
    fresh.rename(path)
    sync_folder(path.parent)
    journal.release([record for record, _ in placed])
    journal.remember_released()
    journal.close()
    store.close()
    return total


def _add(index: Index, batch: Sequence[IndexedInstance]) -> int:
    """Enter a batch; leave out the row that cannot be entered."""
    try:
        if batch:
            index.add(batch)
    except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.DataError, ValueError):
        _log.exception("index_write_failed", extra={"count": len(batch)})
        return sum(_add(index, [item]) for item in batch) if len(batch) > 1 else 0
    return len(batch)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
