"""What the ledger knows of requests for storage commitment, and of what came of them."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from dicom_node.ledger import Delivery, State
from dicom_node.ledger_tables import commitment_items, commitments, deliveries
from dicom_node.ledger_writer import Ledger

_UNPROVEN: dict[str, Any] = {
    "proven_at": "",
    "proof": "",
    "verified_at": "",
    "identity_state": "",
}


class LedgerCommitments:
    """The requests of all destinations.

    Parameters
    ----------
    ledger : Ledger
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def record_commitment_request(
        self,
        transaction_uid: str,
        destination: str,
        batch: Sequence[Delivery],
        now: str,
        *,
        is_repeated: bool = False,
    ) -> None:
        """Enter that a PACS is asked to commit, before it is asked.

        When that is repeated, the instances wait for their first request still. Those that were
        given other UIDs meanwhile do not wait for it.
        """
        items = [
            {
                "transaction_uid": transaction_uid,
                "delivery_id": item.delivery_id,
                "sop_instance_uid": item.there.sop_instance_uid,
            }
            for item in batch
        ]
        with self._ledger.change() as connection:
            connection.execute(
                sa.insert(commitments).values(
                    transaction_uid=transaction_uid, destination=destination, requested_at=now
                )
            )
            connection.execute(sa.insert(commitment_items), items)
            if not is_repeated:
                connection.execute(
                    sa.update(deliveries)
                    .where(
                        deliveries.c.delivery_id.in_(
                            _named(transaction_uid, commitment_items.c.delivery_id)
                        ),
                        deliveries.c.state == State.STORED,
                        _uid_there().in_(
                            _named(transaction_uid, commitment_items.c.sop_instance_uid)
                        ),
                    )
                    .values(transaction_uid=transaction_uid)
                )

    def awaited(self, transaction_uid: str) -> list[Delivery]:
        """Return the instances that wait since this request for a proof."""
        is_it = deliveries.c.transaction_uid == transaction_uid
        return self._ledger.matching(is_it & (deliveries.c.state == State.STORED), limit=-1)

    def withdraw_commitment(self, transaction_uid: str, reason: str) -> None:
        """Wait no longer for an answer; one that comes late still counts."""
        with self._ledger.change() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.transaction_uid == transaction_uid,
                    deliveries.c.state == State.STORED,
                )
                .values(transaction_uid="", last_error=reason)
            )

    def unanswered_commitments(self, destination: str, requested_before: str) -> list[str]:
        """Return transactions asked before a moment that some instance still waits for."""
        statement = (
            sa.select(commitments.c.transaction_uid)
            .join(deliveries, deliveries.c.transaction_uid == commitments.c.transaction_uid)
            .where(
                commitments.c.destination == destination,
                commitments.c.requested_at < requested_before,
                deliveries.c.state == State.STORED,
            )
            .distinct()
        )
        with self._ledger.engine.connect() as connection:
            return list(connection.scalars(statement))

    def record_committed(self, transaction_uid: str, sop_instance_uid: str, now: str) -> None:
        """Enter that a PACS took over responsibility for an instance, however late it says so.

        What it says of a UID that was replaced since proves nothing of the new one.
        """
        with self._ledger.change() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.delivery_id.in_(_asked(transaction_uid, sop_instance_uid)),
                    deliveries.c.state == State.STORED,
                    _uid_there() == sop_instance_uid,
                )
                .values(
                    state=State.PROVEN,
                    proven_at=now,
                    proof="commitment",
                    transaction_uid=transaction_uid,
                    last_error="",
                )
            )

    def record_not_committed(self, item: Delivery, values: dict[str, Any]) -> None:
        """Enter what follows when a PACS would not commit an instance.

        Whatever else it is said to have answered, it was asked for before: no longer a proof.
        """
        with self._ledger.change() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.delivery_id == item.delivery_id,
                    deliveries.c.state == item.state,
                    _uid_there() == item.there.sop_instance_uid,
                )
                .values(_UNPROVEN | values)
            )
            connection.execute(_forget_requests(item.delivery_id, item.destination))

    def awaiting(self, transaction_uid: str, sop_instance_uid: str) -> list[Delivery]:
        """Return the deliveries a refusal in this transaction counts for: it is their newest.

        What an older one proved meanwhile is among them.
        """
        is_waiting = (deliveries.c.state == State.STORED) & (deliveries.c.transaction_uid != "")
        is_proven_by_other = sa.and_(
            deliveries.c.state == State.PROVEN,
            deliveries.c.proof == "commitment",
            deliveries.c.transaction_uid != transaction_uid,
        )
        return self._ledger.matching(
            sa.and_(
                sa.or_(
                    deliveries.c.transaction_uid == transaction_uid,
                    deliveries.c.delivery_id.in_(_asked(transaction_uid, sop_instance_uid)),
                ),
                _uid_there() == sop_instance_uid,
                is_waiting | is_proven_by_other,
                ~_is_asked_since(transaction_uid),
            ),
            limit=10,
        )


def _uid_there() -> sa.ColumnElement[str]:
    reissued = sa.func.nullif(deliveries.c.sent_sop_instance_uid, "")
    return sa.func.coalesce(reissued, deliveries.c.sop_instance_uid)


def _asked(transaction_uid: str, sop_instance_uid: str) -> sa.Select[Any]:
    """Select the deliveries of an instance that a request named."""
    return _named(transaction_uid, commitment_items.c.delivery_id).where(
        commitment_items.c.sop_instance_uid == sop_instance_uid
    )


def _named(transaction_uid: str, column: sa.Column[Any]) -> sa.Select[Any]:
    """Select a column of all that a request named."""
    return sa.select(column).where(commitment_items.c.transaction_uid == transaction_uid)


def _is_asked_since(transaction_uid: str) -> sa.ColumnElement[bool]:
    """Tell of a delivery whether a newer request than this one named it."""
    requested_at = (
        sa.select(commitments.c.requested_at)
        .where(commitments.c.transaction_uid == transaction_uid)
        .scalar_subquery()
    )
    newer = commitments.alias()
    return (
        sa.select(commitment_items.c.delivery_id)
        .join(newer, newer.c.transaction_uid == commitment_items.c.transaction_uid)
        .where(
            commitment_items.c.delivery_id == deliveries.c.delivery_id,
            newer.c.destination == deliveries.c.destination,
            newer.c.requested_at > requested_at,
        )
        .exists()
    )


def _forget_requests(delivery_id: int, destination: str) -> sa.Delete:
    """Forget that a destination was ever asked for an instance: late answers prove nothing.

    It goes by the requests, of which there are few, and not by the instances.
    """
    of_destination = sa.select(commitments.c.transaction_uid).where(
        commitments.c.destination == destination
    )
    return sa.delete(commitment_items).where(
        commitment_items.c.transaction_uid.in_(of_destination),
        commitment_items.c.delivery_id == delivery_id,
    )
