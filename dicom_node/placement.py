"""From the journal into the store: one thread that gives what is acknowledged its files."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dicom_node.errors import NodeError
from dicom_node.filing import Arrived, file_under, index_entry
from dicom_node.header import read_header
from dicom_node.incoming import storage_error
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import IndexedInstance
from dicom_node.journal import Journal, JournalUnavailable, Record
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, read_head
from dicom_node.storage import InstanceStore

_log = logging.getLogger(__name__)

QUIET_S: Final = 1.0
"""Files are synced when nothing came for this long, or when the journal fills, seconds."""
LINGER_S: Final = 0.5
"""How long instances wait for their files, so that a burst is acknowledged first, seconds."""
RETRY_S: Final = 1.0
REPLAY_TIMEOUT_S: Final = 10.0
SETTLE_COUNT: Final = 64
BUFFER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An instance in the journal that has no file yet, and when it may have one.

    `arrived` is None for what an earlier process left: it is read again.
    """

    record: Record
    arrived: Arrived | None = None
    head_bytes: int = 0
    due: float = 0.0


class Placement:
    """Takes instances into the journal and gives them their files behind the acknowledgement.

    Parameters
    ----------
    journal : Journal
    store : InstanceStore
    index_queue : IndexQueue
        Receives what has its file.
    on_trouble : callable
        Called with an error when files cannot be written or synced.
    monotonic : callable
        Seconds that never step.
    """

    def __init__(
        self,
        journal: Journal,
        store: InstanceStore,
        index_queue: IndexQueue,
        on_trouble: Callable[[NodeError], None] = lambda error: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._journal = journal
        self._store = store
        self._index_queue = index_queue
        self._on_trouble = on_trouble
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._placed: list[tuple[Record, str]] = []
        self._failed: list[_Waiting] = []
        self._buffer = bytearray(BUFFER_BYTES)
        self._is_replayed = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="place", daemon=True)

    @property
    def backlog_bytes(self) -> int:
        """What is acknowledged and has no durable file yet."""
        return self._journal.used_bytes

    @property
    def backlog_files(self) -> int:
        """How many files that will take."""
        return self._journal.used_records

    def start(self) -> None:
        """Place what the last process left, then what comes."""
        self._thread.start()

    def stop(self) -> None:
        """Place and settle everything that can be, then end; the journal stays open."""
        self._stopping.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def add(self, arrived: Arrived, head: bytes, dataset: bytes | memoryview) -> None:
        """Make one instance durable in the journal; its file follows.

        Raises
        ------
        JournalUnavailable
            It must have a file at once.
        OSError
            The disk refused.
        """
        # what an earlier process left comes first, so that versions keep their order
        if not self._is_replayed.wait(REPLAY_TIMEOUT_S):
            raise JournalUnavailable
        record = self._journal.append((head, dataset))
        due = self._monotonic() + LINGER_S
        self._waiting.put(_Waiting(record, arrived, len(head), due))

    def _run(self) -> None:
        try:
            self._replay()
        except Exception as error:  # noqa: BLE001 - the edge of the thread: reception goes on with files
            _log.exception("journal_not_replayed")
            self._tell(error if isinstance(error, OSError) else OSError(str(error)))
        self._is_replayed.set()
        while self._step():
            pass

    def _step(self) -> bool:
        """Place the next instance, or settle what is placed; False at the end."""
        try:
            waiting = self._waiting.get(timeout=QUIET_S)
        except queue.Empty:
            waiting = None
        try:
            if waiting is not None:
                self._stopping.wait(max(0.0, waiting.due - self._monotonic()))
                self._try_to_place(waiting)
            self._place_those_that_failed()
            if waiting is None or self._journal.is_half_full:
                self._settle(len(self._placed) if waiting is None else SETTLE_COUNT)
        except Exception:  # noqa: BLE001 - the edge of the thread: it must outlive any fault
            _log.exception("placement_failed")
        return waiting is not None or not self._stopping.is_set()

    def _place_those_that_failed(self) -> None:
        """Try again, however long the disk takes to recover; the others go on meanwhile."""
        now = self._monotonic()
        due = [waiting for waiting in self._failed if waiting.due <= now]
        self._failed = [waiting for waiting in self._failed if waiting.due > now]
        for waiting in due:
            self._try_to_place(waiting)

    def _try_to_place(self, waiting: _Waiting) -> None:
        try:
            entry = _place(self._journal, self._store, waiting, self._buffer)
            # a duplicate too: its first arrival may have failed between store and index
            self._index_queue.put(entry, "")
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others go on
            self._tell(error if isinstance(error, NodeError | OSError) else OSError(str(error)))
            self._failed.append(replace(waiting, due=self._monotonic() + RETRY_S))
        else:
            self._placed.append((waiting.record, entry.path))

    def _settle(self, count: int) -> None:
        """Sync files that were placed, and release their records.

        What cannot be synced stays in the journal until the next start: a second sync may succeed
        without having written what the first one lost.
        """
        batch, self._placed = self._placed[:count], self._placed[count:]
        if not batch:
            return
        try:
            self._store.settle(path for _, path in batch)
        except NodeError as error:
            self._tell(error)
            return
        if self._index_queue.flush():
            self._release([record for record, _ in batch])

    def _release(self, records: Sequence[Record]) -> None:
        self._journal.release(records)
        try:
            self._journal.remember_released()
        except OSError as error:
            self._tell(error)

    def _replay(self) -> None:
        """Place what an earlier process acknowledged and may not have placed durably."""
        records = self._journal.open()
        for record in records:
            self._try_to_place(_Waiting(record))
        if records:
            _log.info("journal_replayed", extra={"count": len(records)})
        self._is_replayed.set()
        self._settle(len(self._placed))
        if self._journal.is_to_be_made:
            self._make_journal()

    def _make_journal(self) -> None:
        try:
            self._store.check_room(self._journal.size_bytes)
            self._journal.prepare()
        except (NodeError, OSError):
            _log.warning("journal_not_made", exc_info=True)  # each instance waits for its own file

    def _tell(self, error: NodeError | OSError) -> None:
        _log.warning("placement_waits", exc_info=error)
        self._on_trouble(error if isinstance(error, NodeError) else storage_error(error))


def replay(journal: Journal, store: InstanceStore) -> Iterator[tuple[Record, IndexedInstance]]:
    """Open the journal and place what it holds; settle the files, then release the records.

    Parameters
    ----------
    journal : Journal
    store : InstanceStore

    Yields
    ------
    Record, IndexedInstance
        What has its file again, in the order it came.

    Raises
    ------
    OSError
        The journal cannot be read at all.
    """
    buffer = bytearray(BUFFER_BYTES)
    for record in journal.open():
        try:
            yield record, _place(journal, store, _Waiting(record), buffer)
        except (NodeError, OSError):
            _log.exception("journal_record_waits")  # for the next start; the others go on


def _place(
    journal: Journal, store: InstanceStore, waiting: _Waiting, buffer: bytearray
) -> IndexedInstance:
    """Give an instance its file; return what the index keeps of it."""
    content = journal.read(waiting.record, buffer)
    arrived, head_bytes = waiting.arrived, waiting.head_bytes
    if arrived is None:
        arrived, head_bytes = _read_again(content)
    stored = store.place(
        content[:head_bytes],
        content[head_bytes:],
        anew=waiting.arrived is None,
        **file_under(arrived.header),
    )
    return index_entry(arrived, stored)


def _read_again(content: memoryview) -> tuple[Arrived, int]:
    head = read_head(bytes(content[:MAXIMUM_HEAD_BYTES]))
    header = read_header(content[head.dataset_offset :], head.transfer_syntax_uid)
    arrived = Arrived(header, head.transfer_syntax_uid, head.received_at, head.source_ae_title)
    return arrived, head.dataset_offset
