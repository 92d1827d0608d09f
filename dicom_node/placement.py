"""From the journal into the store: one thread that gives what is acknowledged its files."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dicom_node.errors import NodeError, StorageFailed
from dicom_node.filing import file_under, index_entry
from dicom_node.header import Header, read_header
from dicom_node.incoming import storage_error
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import IndexedInstance
from dicom_node.journal import Journal, Record
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, read_head
from dicom_node.storage import InstanceStore

_log = logging.getLogger(__name__)

QUIET_S: Final = 1.0
"""Files are synced when nothing came for this long, or when the journal fills, seconds."""
LINGER_S: Final = 0.5
"""How long instances wait for their files, so that a burst is acknowledged first, seconds."""
RETRY_S: Final = 1.0
REPLAY_TIMEOUT_S: Final = 30.0
SETTLE_COUNT: Final = 64
BUFFER_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is known of an instance beside its bytes; `received_at` is ISO 8601 in UTC."""

    header: Header
    transfer_syntax_uid: str
    received_at: str
    calling_ae_title: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An instance in the journal that has no file yet."""

    record: Record
    arrived: Arrived
    head_bytes: int
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
        """Place and settle everything, then end."""
        self._stopping.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._journal.close()

    def add(self, arrived: Arrived, head: bytes, dataset: bytes | memoryview) -> None:
        """Make one instance durable in the journal; its file follows.

        Raises
        ------
        JournalUnavailable
            It must have a file at once.
        StorageFailed
            What the last process left is not placed yet.
        OSError
            The disk refused.
        """
        if not self._is_replayed.wait(REPLAY_TIMEOUT_S):
            raise StorageFailed("the node is still starting, not saved")
        record = self._journal.append((head, dataset))
        due = self._monotonic() + LINGER_S
        self._waiting.put(_Waiting(record, arrived, len(head), due))

    def _run(self) -> None:
        try:
            self._replay()
        except Exception:  # noqa: BLE001 - the edge of the thread: reception goes on with files
            _log.exception("journal_not_replayed")
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
                self._place_at_last(waiting)
            if waiting is None or self._journal.is_half_full:
                self._settle(len(self._placed) if waiting is None else SETTLE_COUNT)
        except Exception:  # noqa: BLE001 - the edge of the thread: it must outlive any fault
            _log.exception("placement_failed")
        return waiting is not None or not self._stopping.is_set()

    def _place_at_last(self, waiting: _Waiting) -> None:
        """Place an instance, however long the disk takes to recover."""
        while True:
            try:
                content = self._journal.read(waiting.record, self._buffer)
                entry = _place(self._store, waiting, content, anew=False)
                # a duplicate too: its first arrival may have failed between store and index
                self._index_queue.put(entry, "")
            except (NodeError, OSError) as error:
                self._tell(error)
                if self._stopping.wait(RETRY_S):
                    return  # the next start takes it up
            else:
                self._placed.append((waiting.record, entry.path))
                return

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
        for record, entry in replay(self._journal, self._store):
            self._index_queue.put(entry, "")
            self._placed.append((record, entry.path))
        if self._placed:
            _log.info("journal_replayed", extra={"count": len(self._placed)})
        self._settle(len(self._placed))
        try:
            self._store.check_room(self._journal.size_bytes)
            self._journal.prepare()
        except (NodeError, OSError):
            _log.warning("journal_not_made", exc_info=True)  # then each waits for its own file

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
            yield record, _place_again(journal, store, record, buffer)
        except (NodeError, OSError):
            _log.exception("journal_record_waits")  # for the next start; the others go on


def _place_again(
    journal: Journal, store: InstanceStore, record: Record, buffer: bytearray
) -> IndexedInstance:
    content = journal.read(record, buffer)
    head = read_head(bytes(content[:MAXIMUM_HEAD_BYTES]))
    header = read_header(content[head.dataset_offset :], head.transfer_syntax_uid)
    arrived = Arrived(header, head.transfer_syntax_uid, head.received_at, head.source_ae_title)
    return _place(store, _Waiting(record, arrived, head.dataset_offset), content, anew=True)


def _place(
    store: InstanceStore, waiting: _Waiting, content: memoryview, *, anew: bool
) -> IndexedInstance:
    """Give an instance its file; return what the index keeps of it."""
    arrived = waiting.arrived
    head, dataset = content[: waiting.head_bytes], content[waiting.head_bytes :]
    stored = store.place(head, dataset, anew=anew, **file_under(arrived.header))
    return index_entry(
        arrived.header,
        stored,
        arrived.transfer_syntax_uid,
        arrived.received_at,
        arrived.calling_ae_title,
    )
