"""Enters in the ledger what people order delivery to do."""

import os
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from dicom_node import reissue
from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.correction import Correction
from dicom_node.identity_decisions import accept, undo
from dicom_node.ledger import State, may_be_tried_again
from dicom_node.ledger_entries import add_event, set_mark
from dicom_node.ledger_proofs import look_again
from dicom_node.ledger_tables import deliveries
from dicom_node.ledger_writer import Ledger
from dicom_node.reissued_uids import NAMESPACE_BYTES
from dicom_node.sync_order import ORDERS_MARK, OrderKind, SyncOrder, SyncOrders


class OrderKeeper:
    """Takes orders one by one, each once, also when the process ends between two.

    Parameters
    ----------
    orders : SyncOrders
    ledger : Ledger
    destinations : sequence of str
        Names of the configured ones.
    clock : Clock
    correction_of : callable
        Returns the correction in force for a study, by its UID.
    randomness : callable
        Returns so many random bytes.
    """

    def __init__(
        self,
        orders: SyncOrders,
        ledger: Ledger,
        destinations: Sequence[str],
        clock: Clock = utc_now,
        correction_of: Callable[[str], Correction | None] = lambda study_instance_uid: None,
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._orders = orders
        self._ledger = ledger
        self._destinations = destinations
        self._clock = clock
        self._correction_of = correction_of
        self._randomness = randomness

    def step(self) -> bool:
        """Enter what is new; return False, because there is never more."""
        given = self._orders.all()
        done = int(self._ledger.mark(ORDERS_MARK) or 0)
        for number, order in enumerate(given[done:], done + 1):
            self._enter(order, number)
        return False

    def _enter(self, order: SyncOrder, number: int) -> None:
        now = stamp(self._clock())
        with self._ledger.change() as connection:
            for name in filter(order.concerns, self._destinations):
                detail = f"{order.by}: {order.reason}"
                if order.kind is OrderKind.RETRY:
                    count = _put_back(connection, name, order.study_instance_uid)
                    detail += f" ({count} sent again)"
                elif order.kind is OrderKind.VERIFY:
                    count = look_again(connection, name, order.study_instance_uid)
                    detail += f" ({count} looked at again)"
                elif order.kind is OrderKind.ACCEPT:
                    detail += f" ({accept(connection, order, name, now)})"
                elif order.kind is OrderKind.UNDO_ACCEPT:
                    detail += f" ({undo(connection, order, name, now)})"
                elif order.kind is OrderKind.REISSUE:
                    detail += f" ({self._reissue(connection, order, name, now)})"
                elif order.kind is OrderKind.UNDO_REISSUE:
                    said = reissue.undo(connection, name, order.study_instance_uid)
                    detail += f" ({said})"
                add_event(connection, f"{order.kind}_ordered", name, detail, now)
            set_mark(connection, ORDERS_MARK, str(number))

    def _reissue(
        self, connection: sa.Connection, order: SyncOrder, destination: str, now: str
    ) -> str:
        correction = self._correction_of(order.study_instance_uid)
        if correction is None or correction.correction_id != order.seen:
            return "not reissued: its correction is not in force"
        randomness = self._randomness(NAMESPACE_BYTES)
        return reissue.enter(connection, order, destination, now, randomness)


def _put_back(connection: sa.Connection, destination: str, study_instance_uid: str) -> int:
    """Owe again what a person had to look at; return how many.

    What is held for a correction is among it: the PACS is asked afresh whether it would do harm.
    Of two instances under one UID, trying again chooses none: they stay held.
    """
    condition = sa.and_(deliveries.c.destination == destination, may_be_tried_again())
    if study_instance_uid:
        condition = sa.and_(condition, deliveries.c.study_instance_uid == study_instance_uid)
    result = connection.execute(
        sa.update(deliveries)
        .where(condition)
        .values(
            state=State.QUEUED, attempts=0, next_attempt_at="", last_error="", first_failed_at=""
        )
    )
    return result.rowcount
