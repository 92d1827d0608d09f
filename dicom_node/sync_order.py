"""What a person orders delivery to do: pause, go on, try again, accept. On record, for all."""

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.durable_file import append_json_line
from dicom_node.errors import BadSettings, StorageFailed
from dicom_node.unknown_switch import AUDIT_FILE

_log = logging.getLogger(__name__)

FILE: Final = "sync-orders.jsonl"
ORDERS_MARK: Final = "sync_orders"
"""Key of how many orders the ledger has taken in."""
LONGEST_REASON: Final = 200
LONGEST_NAME: Final = 64


class OrderKind(StrEnum):
    """What is ordered."""

    PAUSE = "pause"
    """Send nothing; probing and being asked go on."""
    START = "start"
    """Send again."""
    RETRY = "retry"
    """Send what the PACS refused, or what a correction held back, as if it were new."""
    VERIFY = "verify"
    """Ask a PACS now whether it still has what it vouched for, and send what it lost."""
    ACCEPT = "accept"
    """Let a PACS keep a study under the other identity that was looked at."""
    UNDO_ACCEPT = "undo_accept"
    """Take that back."""
    REISSUE = "reissue"
    """Send a study that has a wrong identity there once more, under new UIDs."""
    UNDO_REISSUE = "undo_reissue"
    """Take that back, as long as nothing was sent."""


@dataclass(frozen=True, slots=True)
class SyncOrder:
    """One order; `destination` and `study_instance_uid` are '' for all, `at` is ISO 8601 in UTC.

    `meaning` and `seen` are of `ACCEPT`: a `Meaning`, and the code of what was looked at; and of
    `REISSUE`: a `reissue.Title`, and the ID of the correction it is sent with.
    """

    kind: OrderKind
    destination: str
    study_instance_uid: str
    at: str
    by: str
    reason: str
    meaning: str = ""
    seen: str = ""

    def concerns(self, destination: str) -> bool:
        """Tell whether a destination is meant."""
        return self.destination in ("", destination)


class SyncOrders:
    """The orders of one data folder: a file that only grows, so that none is lost or hidden.

    Any process may give one; all see it at once.

    Parameters
    ----------
    data : Path
        The data folder.
    clock : Clock
    """

    def __init__(self, data: Path, clock: Clock = utc_now) -> None:
        self._path = data / FILE
        self._audit = data / AUDIT_FILE
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._orders: list[SyncOrder] = []

    def give(
        self,
        kind: OrderKind,
        *,
        by: str,
        reason: str,
        destination: str = "",
        study_instance_uid: str = "",
        meaning: str = "",
        seen: str = "",
        known: Sequence[str] = (),
    ) -> SyncOrder:
        """Give an order; on record before it takes effect.

        Parameters
        ----------
        kind : OrderKind
        by : str
            Who decided it.
        reason : str
            Their words.
        destination : str
            Name of a PACS, '' for all.
        study_instance_uid : str
            Not for `PAUSE` and `START`; '' for all studies.
        meaning, seen : str
            Only for `ACCEPT` and `REISSUE`.
        known : sequence of str
            Names of the destinations there are.

        Returns
        -------
        SyncOrder

        Raises
        ------
        BadSettings
            No such destination, or nobody said who or why.
        StorageFailed
            It cannot be put on record, so it is not given.
        """
        if destination and destination not in known:
            raise BadSettings(f"no PACS is called {destination!r}: {', '.join(known) or 'none'}")
        if not reason.strip() or not by.strip():
            raise BadSettings("say who you are and why: it is put on record")
        order = SyncOrder(
            kind,
            destination,
            study_instance_uid,
            stamp(self._clock()),
            by.strip()[:LONGEST_NAME],
            reason.strip()[:LONGEST_REASON],
            meaning,
            seen,
        )
        try:
            append_json_line(self._audit, {"event": f"sync_{kind}_ordered", **asdict(order)})
            append_json_line(self._path, asdict(order))
        except OSError as exc:
            raise StorageFailed(f"the order cannot be written to {self._path.parent}") from exc
        return order

    def all(self) -> list[SyncOrder]:
        """Return every order ever given, the first one first."""
        with self._lock:
            try:
                status = self._path.stat()
            except OSError:
                return []
            mark = (status.st_mtime_ns, status.st_size)
            if mark != self._seen:
                self._orders = _read(self._path)
                self._seen = mark
            return list(self._orders)

    def pause(self, destination: str) -> SyncOrder | None:
        """Return the order that keeps a destination from being sent to, None when there is none."""
        found = None
        for order in self.all():
            is_of_pausing = order.kind in (OrderKind.PAUSE, OrderKind.START)
            if is_of_pausing and order.concerns(destination):
                found = order if order.kind is OrderKind.PAUSE else None
        return found

    def is_paused(self, destination: str) -> bool:
        """Tell whether a destination is not to be sent to."""
        return self.pause(destination) is not None


def _read(path: Path) -> list[SyncOrder]:
    found = []
    for line in path.read_bytes().splitlines():
        try:
            content = json.loads(line)
            found.append(SyncOrder(**{**content, "kind": OrderKind(content["kind"])}))
        except (ValueError, TypeError, KeyError):
            if line.strip():
                _log.error("sync_order_damaged")  # cut off by a crash: it was never confirmed
    return found
