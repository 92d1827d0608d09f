"""From durable to indexed: one thread that enters what was stored, in batches."""

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import sqlalchemy.exc

from dicom_node.index_writer import IndexedInstance

_log = logging.getLogger(__name__)

BATCH_SIZE: Final = 500
BATCH_WAIT_S: Final = 0.1
RETRY_S: Final = 1.0
CAPACITY: Final = 20_000

_Entry = tuple[IndexedInstance, str]


class IndexQueue:
    """Hands stored instances to the index; the files remain the truth if it fails.

    Parameters
    ----------
    add : callable
        Enters one batch durably, e.g. `Index.add`.
    forget : callable
        Drops the pending names of what is entered, e.g. `InstanceStore.forget`.
    """

    def __init__(
        self,
        add: Callable[[Sequence[IndexedInstance]], None],
        forget: Callable[[Iterable[str]], None],
    ) -> None:
        self._add = add
        self._forget = forget
        # bounded: a stuck index slows reception down, it does not fill the memory
        self._entries: queue.Queue[_Entry | None] = queue.Queue(CAPACITY)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self.failures = 0

    def start(self) -> None:
        """Start entering."""
        self._thread.start()

    def put(self, instance: IndexedInstance, pending: str) -> None:
        """Queue one durable instance with its name in `incoming/`."""
        self._entries.put((instance, pending))

    def stop(self) -> None:
        """Enter what is queued, then end."""
        self._stopping.set()
        self._entries.put(None)
        self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._next_batch()
            if batch:
                self._enter(batch)

    def _next_batch(self) -> tuple[list[_Entry], bool]:
        """Wait for an entry, then take what comes within the batch time."""
        batch: list[_Entry] = []
        while len(batch) < BATCH_SIZE:
            try:
                entry = self._entries.get(timeout=BATCH_WAIT_S if batch else None)
            except queue.Empty:
                break
            if entry is None:
                return batch, True
            batch.append(entry)
        return batch, False

    def _enter(self, batch: list[_Entry]) -> None:
        """Enter a batch; a database that fails is tried again, a row that cannot be is left out."""
        while not self._try(batch):
            # nothing is lost: what is not entered stays in `incoming/` for the next start
            if self._stopping.wait(RETRY_S):
                return

    def _try(self, batch: list[_Entry]) -> bool:
        try:
            self._add([instance for instance, _ in batch])
        except sqlalchemy.exc.OperationalError:
            self._report(batch)
            return False
        except (sqlalchemy.exc.SQLAlchemyError, ValueError):
            self._report(batch)
            if len(batch) > 1:
                return all(self._try([entry]) for entry in batch)
        else:
            self._forget(pending for _, pending in batch if pending)
        return True

    def _report(self, batch: list[_Entry]) -> None:
        self.failures += 1
        _log.exception("index_write_failed", extra={"count": len(batch)})
