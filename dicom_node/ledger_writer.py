"""The writing side of the ledger: every step of a delivery, durable before the next is taken."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dicom_node.database import writer_engine
from dicom_node.errors import BadSettings
from dicom_node.index import InstanceRecord
from dicom_node.ledger import Delivery, State
from dicom_node.ledger_tables import (
    SCHEMA_VERSION,
    about,
    commitments,
    deliveries,
    destinations,
    events,
    metadata,
)
from dicom_node.settings import PacsSettings

_OPEN = (State.QUEUED, State.SENDING)


class Ledger:
    """The writing side; exactly one in one process.

    Parameters
    ----------
    path : Path
        The SQLite file, made when missing.

    Raises
    ------
    BadSettings
        The ledger was written by another version.
    """

    def __init__(self, path: Path) -> None:
        self._engine = writer_engine(path)
        metadata.create_all(self._engine)
        with self._engine.begin() as connection:
            statement = insert(about).values(key="schema", value=SCHEMA_VERSION)
            connection.execute(statement.on_conflict_do_nothing())
        if self.mark("schema") != SCHEMA_VERSION:
            raise BadSettings("the ledger was written by another version of Lifeboat")

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def mark(self, key: str) -> str:
        """Return a remembered position, '' when there is none."""
        with self._engine.connect() as connection:
            value = connection.scalar(sa.select(about.c.value).where(about.c.key == key))
        return value or ""

    def set_mark(self, key: str, value: str) -> None:
        """Remember a position."""
        with self._engine.begin() as connection:
            _set_mark(connection, key, value)

    def record_destinations(self, configured: Sequence[PacsSettings]) -> None:
        """Enter the configured destinations; what was owed to a removed one stays."""
        with self._engine.begin() as connection:
            for pacs in configured:
                place = {"ae_title": pacs.ae_title, "host": pacs.host, "port": pacs.port}
                connection.execute(
                    insert(destinations)
                    .values(name=pacs.name, **place)
                    .on_conflict_do_update(index_elements=["name"], set_=place)
                )

    def record_probe(self, destination: str, *, is_reachable: bool, detail: str, now: str) -> None:
        """Enter the result of a probe; a change becomes an event."""
        with self._engine.begin() as connection:
            before = connection.execute(
                sa.select(destinations.c.is_reachable).where(destinations.c.name == destination)
            ).scalar_one()
            values: dict[str, Any] = {
                "is_reachable": is_reachable,
                "probed_at": now,
                "detail": detail,
            }
            if before is not is_reachable:
                values["changed_at"] = now
                kind = "reachable" if is_reachable else "unreachable"
                _add_event(connection, kind, destination, detail, now)
            connection.execute(
                sa.update(destinations).where(destinations.c.name == destination).values(values)
            )

    def record_event(self, kind: str, destination: str, detail: str, now: str) -> None:
        """Enter something that happened."""
        with self._engine.begin() as connection:
            _add_event(connection, kind, destination, detail, now)

    def enqueue(
        self,
        records: Sequence[InstanceRecord],
        destination_names: Sequence[str],
        *,
        data: Path,
        now: str,
        marks: dict[str, str],
    ) -> None:
        """Owe instances to destinations, and remember up to where the index was read.

        Parameters
        ----------
        records : sequence of InstanceRecord
        destination_names : sequence of str
        data : Path
            The data folder; paths are kept relative to it.
        now : str
            ISO 8601 in UTC.
        marks : dict
            Positions to remember in the same transaction.
        """
        rows = [
            _queued(record, name, data, now) for record in records for name in destination_names
        ]
        with self._engine.begin() as connection:
            if rows:
                connection.execute(insert(deliveries).on_conflict_do_nothing(), rows)
            for key, value in marks.items():
                _set_mark(connection, key, value)

    def hold(self, sop_instance_uids: Iterable[str], reason: str) -> None:
        """Keep back what is not sent yet of these instances, for a person to decide."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.sop_instance_uid.in_(list(sop_instance_uids)),
                    deliveries.c.state.in_(_OPEN),
                )
                .values(state=State.HELD, last_error=reason)
            )

    def requeue_unknown(self, destination: str | None = None) -> int:
        """Put back what is marked as being sent, when nothing is any more; return how many."""
        condition = deliveries.c.state == State.SENDING
        if destination is not None:
            condition = sa.and_(condition, deliveries.c.destination == destination)
        with self._engine.begin() as connection:
            result = connection.execute(
                sa.update(deliveries)
                .where(condition)
                .values(state=State.QUEUED, last_error="outcome unknown, asking the PACS")
            )
        return result.rowcount

    def due(self, destination: str, now: str, limit: int) -> list[Delivery]:
        """Return what to send next: instances of one study, the last queued study first."""
        is_due = sa.and_(
            deliveries.c.destination == destination,
            deliveries.c.state == State.QUEUED,
            deliveries.c.next_attempt_at <= now,
        )
        newest = (
            sa.select(deliveries.c.study_instance_uid)
            .where(is_due)
            .order_by(deliveries.c.queued_at.desc())
            .limit(1)
            .scalar_subquery()
        )
        return self._deliveries(sa.and_(is_due, deliveries.c.study_instance_uid == newest), limit)

    def unproven(self, destination: str, limit: int) -> list[Delivery]:
        """Return what the PACS has taken and nobody has asked it to prove yet."""
        return self._deliveries(
            sa.and_(
                deliveries.c.destination == destination,
                deliveries.c.state == State.STORED,
                deliveries.c.transaction_uid == "",
            ),
            limit,
        )

    def update(self, delivery_ids: Sequence[int], **values: Any) -> None:
        """Change columns of deliveries, in one transaction."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.delivery_id.in_(delivery_ids))
                .values(values)
            )

    def record_attempt(
        self, delivery_id: int, *, state: State, error: str, status: int | None, **times: str
    ) -> None:
        """Enter the outcome of one try to send."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.delivery_id == delivery_id)
                .values(
                    state=state,
                    attempts=deliveries.c.attempts + 1,
                    last_status=status,
                    last_error=error,
                    **times,
                )
            )

    def record_commitment_request(
        self, transaction_uid: str, destination: str, delivery_ids: Sequence[int], now: str
    ) -> None:
        """Enter that a PACS is asked to commit, before it is asked."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.insert(commitments).values(
                    transaction_uid=transaction_uid, destination=destination, requested_at=now
                )
            )
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.delivery_id.in_(delivery_ids))
                .values(transaction_uid=transaction_uid)
            )

    def withdraw_commitment(self, transaction_uid: str, reason: str) -> None:
        """Forget a request that the PACS did not take, so that it is made again."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.delete(commitments).where(commitments.c.transaction_uid == transaction_uid)
            )
            connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.transaction_uid == transaction_uid,
                    deliveries.c.state == State.STORED,
                )
                .values(transaction_uid="", last_error=reason)
            )

    def unanswered_commitments(self, destination: str, requested_before: str) -> list[str]:
        """Return transactions that were asked before a moment and not answered."""
        statement = sa.select(commitments.c.transaction_uid).where(
            commitments.c.destination == destination,
            commitments.c.answered_at == "",
            commitments.c.requested_at < requested_before,
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(statement))

    def record_committed(self, transaction_uid: str, sop_instance_uid: str, now: str) -> None:
        """Enter that a PACS took over responsibility for an instance."""
        self._record_report(
            transaction_uid,
            sop_instance_uid,
            now,
            {"state": State.PROVEN, "proven_at": now, "proof": "commitment", "last_error": ""},
        )

    def record_not_committed(
        self, transaction_uid: str, sop_instance_uid: str, now: str, values: dict[str, Any]
    ) -> None:
        """Enter that a PACS would not commit an instance, and what follows."""
        self._record_report(
            transaction_uid, sop_instance_uid, now, {"transaction_uid": "", **values}
        )

    def _record_report(
        self, transaction_uid: str, sop_instance_uid: str, now: str, values: dict[str, Any]
    ) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.transaction_uid == transaction_uid,
                    deliveries.c.sop_instance_uid == sop_instance_uid,
                    deliveries.c.state == State.STORED,
                )
                .values(values)
            )
            connection.execute(
                sa.update(commitments)
                .where(commitments.c.transaction_uid == transaction_uid)
                .values(answered_at=now)
            )

    def _deliveries(self, condition: sa.ColumnElement[bool], limit: int) -> list[Delivery]:
        statement = (
            sa.select(deliveries)
            .where(condition)
            .order_by(deliveries.c.series_instance_uid, deliveries.c.delivery_id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [Delivery(**row) for row in connection.execute(statement).mappings()]


def _queued(record: InstanceRecord, destination: str, data: Path, now: str) -> dict[str, Any]:
    return {
        "destination": destination,
        "study_instance_uid": record.study_instance_uid,
        "series_instance_uid": record.series_instance_uid,
        "sop_instance_uid": record.sop_instance_uid,
        "sop_class_uid": record.sop_class_uid,
        "transfer_syntax_uid": record.transfer_syntax_uid,
        "path": str(record.path.relative_to(data)),
        "digest": record.digest,
        "state": State.HELD if record.is_conflict else State.QUEUED,
        "queued_at": now,
        "last_error": CONFLICT_REASON if record.is_conflict else "",
    }


CONFLICT_REASON = "the same SOP Instance UID exists with other bytes; a person must decide"


def _set_mark(connection: sa.Connection, key: str, value: str) -> None:
    connection.execute(
        insert(about)
        .values(key=key, value=value)
        .on_conflict_do_update(index_elements=["key"], set_={"value": value})
    )


def _add_event(
    connection: sa.Connection, kind: str, destination: str, detail: str, now: str
) -> None:
    connection.execute(
        sa.insert(events).values(at=now, kind=kind, destination=destination, detail=detail)
    )
