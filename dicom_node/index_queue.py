"""From durable to indexed: one thread that enters what was stored, in batches."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import sqlalchemy.exc

from dicom_node.errors import StorageFailed
from dicom_node.index_writer import IndexedInstance

_log = logging.getLogger(__name__)

BATCH_SIZE: Final = 500
BATCH_WAIT_S: Final = 0.1
BATCH_TIME_S: Final = 0.3
"""How long the first instance of a batch waits for others, seconds."""
RETRY_S: Final = 1.0
CAPACITY: Final = 20_000

PUT_TIMEOUT_S: Final = 10.0

_Entry = tuple[IndexedInstance, str]


class IndexQueue:
    """Hands stored instances to the index; the files remain the truth if it fails.

    Parameters
    ----------
    add : callable
        Enters one batch durably, e.g. `Index.add`.
    forget : callable
        Drops the pending names of what is entered, e.g. `InstanceStore.forget`.
    on_damage : callable
        Called when the database is damaged, so that no retry can help.
    on_left_out : callable
        Called when a row cannot be entered: the index lacks a file now.
    """

    def __init__(
        self,
        add: Callable[[Sequence[IndexedInstance]], None],
        forget: Callable[[Iterable[str]], None],
        on_damage: Callable[[], None] = lambda: None,
        on_left_out: Callable[[], None] = lambda: None,
    ) -> None:
        self._add = add
        self._forget = forget
        self._on_damage = on_damage
        self._on_left_out = on_left_out
        # bounded: a stuck index slows reception down, it does not fill the memory
        self._entries: queue.Queue[_Entry | threading.Event | None] = queue.Queue(CAPACITY)
        self._stopping = threading.Event()
        self._has_left_out = False
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)

    def start(self) -> None:
        """Start entering."""
        self._thread.start()

    def put(self, instance: IndexedInstance, pending: str) -> None:
        """Queue one durable instance with its name in `incoming/`.

        Raises
        ------
        StorageFailed
            The index takes nothing any more.
        """
        try:
            self._entries.put((instance, pending), timeout=PUT_TIMEOUT_S)
        except queue.Full as exc:
            raise StorageFailed("the index is stuck, ask IT") from exc

    def flush(self) -> bool:
        """Wait until what was put before is entered; False when it may not be."""
        entered = threading.Event()
        try:
            self._entries.put(entered, timeout=PUT_TIMEOUT_S)
        except queue.Full:
            return False
        while not entered.wait(BATCH_WAIT_S):
            if not self._thread.is_alive():
                return False
        return not self._has_left_out

    def stop_retrying(self) -> None:
        """Try what is queued only once more: the end is near."""
        self._stopping.set()

    def stop(self) -> None:
        """Enter what is queued, then end."""
        self._stopping.set()
        self._entries.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, marker = self._next_batch()
            try:
                self._has_left_out |= not self._enter(batch)
            except Exception:  # noqa: BLE001 - the edge of the thread: it must outlive any fault
                _log.exception("index_write_failed", extra={"count": len(batch)})
                self._has_left_out = True
            if isinstance(marker, threading.Event):
                marker.set()
            is_last = marker is None

    def _next_batch(self) -> tuple[list[_Entry], threading.Event | bool | None]:
        """Wait for an entry, then take what comes soon behind it.

        Behind the batch comes None at the end, an event that waits for it, or True.
        """
        batch: list[_Entry] = []
        began = time.monotonic()
        while len(batch) < BATCH_SIZE and (not batch or time.monotonic() < began + BATCH_TIME_S):
            try:
                entry = self._entries.get(timeout=BATCH_WAIT_S if batch else None)
            except queue.Empty:
                break
            if entry is None or isinstance(entry, threading.Event):
                return batch, entry
            if not batch:
                began = time.monotonic()
            batch.append(entry)
        return batch, True

    def _enter(self, batch: list[_Entry]) -> bool:
        """Enter a batch; a database that fails is tried again, a row that cannot be is left out."""
        while batch and not self._try(batch):
            # nothing is lost: what is not entered keeps its place in `incoming/` or the journal
            if self._stopping.wait(RETRY_S):
                return False
        return True

    def _try(self, batch: list[_Entry]) -> bool:
        try:
            self._add([instance for instance, _ in batch])
        except (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.DataError, ValueError):
            _log.exception("index_write_failed", extra={"count": len(batch)})
            if len(batch) == 1:
                self._on_left_out()
                return True
            return all(self._try([entry]) for entry in batch)
        except sqlalchemy.exc.SQLAlchemyError as error:
            _log.exception("index_write_failed", extra={"count": len(batch)})
            if type(error) is sqlalchemy.exc.DatabaseError:
                self._on_damage()
            return False
        self._drop(pending for _, pending in batch if pending)
        return True

    def _drop(self, pending: Iterable[str]) -> None:
        try:
            self._forget(pending)
        except OSError:
            _log.exception("incoming_not_swept")  # the next start looks at it again
