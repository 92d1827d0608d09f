"""The writing side of the ledger: every step of a delivery, durable before the next is taken."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import starmap
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import sqlalchemy.exc
from sqlalchemy.dialects.sqlite import insert

from dicom_node.database import writer_engine
from dicom_node.errors import DatabaseFailed
from dicom_node.held_reasons import TWO_CONTENTS
from dicom_node.index import InstanceRecord
from dicom_node.ledger import Attempt, Delivery, State
from dicom_node.ledger_entries import add_event, enter_destination, set_mark, was_away
from dicom_node.ledger_schema import prepare_ledger
from dicom_node.ledger_tables import about, deliveries, destinations
from dicom_node.setting_tables import PacsSettings

_OPEN = (State.QUEUED, State.SENDING, State.HELD)


def _kept(first: sa.ColumnElement[Any], second: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the first text unless it is empty, else the second."""
    return sa.func.coalesce(sa.func.nullif(first, ""), second)


def _listed(as_json: str | sa.BindParameter[str]) -> sa.Select[Any]:
    """Select what a JSON list holds: one parameter, where a thousand are slow to compile."""
    return sa.select(sa.func.json_each(as_json).table_valued("value").c.value)


_ATTEMPTED = (
    sa.update(deliveries)
    .where(
        deliveries.c.delivery_id.in_(_listed(sa.bindparam("delivery_ids"))),
        deliveries.c.state == State.SENDING,
    )
    .values(
        state=sa.bindparam("state"),
        attempts=deliveries.c.attempts + sa.bindparam("tries"),
        last_status=sa.bindparam("last_status"),
        last_error=sa.bindparam("last_error"),
        next_attempt_at=sa.bindparam("next_attempt_at"),
        sent_at=sa.func.coalesce(sa.bindparam("last_sent_at"), deliveries.c.sent_at),
        stored_at=sa.func.coalesce(sa.bindparam("now_stored_at"), deliveries.c.stored_at),
        first_failed_at=_kept(deliveries.c.first_failed_at, sa.bindparam("failed_at")),
        sent_transfer_syntax_uid=_kept(
            sa.bindparam("sent_in"), deliveries.c.sent_transfer_syntax_uid
        ),
        sent_digest=_kept(sa.bindparam("digest_sent"), deliveries.c.sent_digest),
    )
)
"""Enters one outcome of several deliveries; built once, because building it takes longer."""


class Ledger:
    """The writing side; exactly one in one process.

    Parameters
    ----------
    path : Path
        The SQLite file, made when missing.

    Raises
    ------
    BadSettings
        A newer version of Lifeboat wrote the ledger.
    StorageFailed
        It is of an older version, and there is no room to copy it before it is brought up to date.
    DatabaseFailed
        The file is damaged, or the disk failed.
    """

    def __init__(self, path: Path) -> None:
        self._engine = writer_engine(path)
        try:
            prepare_ledger(self._engine, path)
        except (sa.exc.DBAPIError, sqlite3.DatabaseError) as exc:
            raise DatabaseFailed(
                f"{path.name} cannot be opened; see docs/errors.md, database-failed"
            ) from exc

    @property
    def engine(self) -> sa.Engine:
        """The database, for what writes other parts of the ledger in this process."""
        return self._engine

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    @contextmanager
    def change(self) -> Iterator[sa.Connection]:
        """Open a transaction for entries of another module; it is durable when it ends."""
        with self._engine.begin() as connection:
            yield connection

    def mark(self, key: str) -> str:
        """Return a remembered position, '' when there is none."""
        with self._engine.connect() as connection:
            value = connection.scalar(sa.select(about.c.value).where(about.c.key == key))
        return value or ""

    def set_mark(self, key: str, value: str) -> None:
        """Remember a position."""
        with self._engine.begin() as connection:
            set_mark(connection, key, value)

    def record_destinations(self, configured: Sequence[PacsSettings]) -> None:
        """Enter the configured destinations.

        What was owed to a removed one stays. Behind a changed address or AE title is perhaps
        another archive: what the old one held is asked for, and sent where it lacks.
        """
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(destinations)
                .where(destinations.c.name.not_in([pacs.name for pacs in configured]))
                .values(is_reachable=None, detail="no longer configured")
            )
            for pacs in configured:
                enter_destination(connection, pacs)

    def record_probe(self, destination: str, *, is_reachable: bool, detail: str, now: str) -> bool:
        """Enter the result of a probe; a change becomes an event.

        Returns
        -------
        bool
            Whether it is back: when it was probed last, perhaps by an earlier process, it was away.
        """
        with self._engine.begin() as connection:
            before = connection.execute(
                sa.select(destinations.c.is_reachable).where(destinations.c.name == destination)
            ).scalar_one()
            values: dict[str, Any] = {
                "is_reachable": is_reachable,
                "probed_at": now,
                "detail": detail,
            }
            is_back = is_reachable and not before and was_away(connection, destination)
            if before is not is_reachable:
                values["changed_at"] = now
                kind = "reachable" if is_reachable else "unreachable"
                add_event(connection, kind, destination, detail, now)
            connection.execute(
                sa.update(destinations).where(destinations.c.name == destination).values(values)
            )
        return is_back

    def record_event(self, kind: str, destination: str, detail: str, now: str) -> None:
        """Enter something that happened."""
        with self._engine.begin() as connection:
            add_event(connection, kind, destination, detail, now)

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
                statement = insert(deliveries)
                # the same bytes under another path: a good copy beside one that was damaged
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=["destination", "sop_instance_uid", "digest"],
                        set_={"path": statement.excluded.path},
                        where=sa.or_(
                            deliveries.c.state == State.QUEUED,
                            deliveries.c.state == State.ATTENTION,
                        ),
                    ),
                    rows,
                )
            for key, value in marks.items():
                set_mark(connection, key, value)

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

    def has_sent_with(self, destination: str, correction_id: str) -> bool:
        """Tell whether a destination took anything that was sent with a correction."""
        is_sent = sa.and_(
            deliveries.c.destination == destination,
            deliveries.c.state.in_((State.STORED, State.PROVEN)),
            deliveries.c.correction_id == correction_id,
        )
        return bool(self.matching(is_sent, limit=1))

    def held_for(self, destination: str, reasons: Sequence[str]) -> list[tuple[str, str]]:
        """Return study and correction of what is held for some reasons, each pair once."""
        key = (deliveries.c.study_instance_uid, deliveries.c.correction_id)
        statement = sa.select(*key).where(_is_held(destination, reasons)).distinct()
        with self._engine.connect() as connection:
            return [(study_uid, one) for study_uid, one in connection.execute(statement)]

    def release(self, destination: str, correction_id: str, reasons: Sequence[str]) -> None:
        """Queue again what is held for a correction, and for some reasons only."""
        is_of_it = deliveries.c.correction_id == correction_id
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(_is_held(destination, reasons), is_of_it)
                .values(state=State.QUEUED, correction_id="", last_error="")
            )

    def take(
        self,
        delivery_ids: Sequence[int],
        now: str,
        uids_there: Sequence[str] = ("",),
        correction_id: str = "",
    ) -> set[int]:
        """Mark queued deliveries as being sent; return those that still were queued.

        Parameters
        ----------
        delivery_ids : sequence of int
        now : str
            ISO 8601 in UTC.
        uids_there : sequence of str
            Their `sent_sop_instance_uid` when they were read: what was reissued since, or taken
            back, is not taken.
        correction_id : str
            Of the correction they are sent with, '' without one.
        """
        statement = (
            sa.update(deliveries)
            .where(
                deliveries.c.delivery_id.in_(_listed(json.dumps(delivery_ids))),
                deliveries.c.state == State.QUEUED,
                deliveries.c.sent_sop_instance_uid.in_(set(uids_there)),
            )
            .values(
                state=State.SENDING,
                sent_at=now,
                last_status=None,  # what an earlier try was answered says nothing of this one
                correction_id=correction_id,
            )
            .returning(deliveries.c.delivery_id)
        )
        with self._engine.begin() as connection:
            return set(connection.scalars(statement))

    def requeue_unknown(self, destination: str | None = None) -> int:
        """Put back what is marked as being sent, when nothing is any more; return how many."""
        condition = deliveries.c.state == State.SENDING
        if destination is not None:
            condition = sa.and_(condition, deliveries.c.destination == destination)
        with self._engine.begin() as connection:
            result = connection.execute(
                sa.update(deliveries)
                .where(condition)
                .values(
                    state=State.QUEUED,
                    last_status=None,
                    last_error="outcome unknown, asking the PACS",
                )
            )
        return result.rowcount

    def due(
        self, destination: str, now: str, latest: str, limit: int, begun_study: str = ""
    ) -> list[Delivery]:
        """Return what to send next: instances of one study, the last queued study first.

        What failed before comes last, so that an instance a PACS breaks on holds up no other.

        Parameters
        ----------
        destination : str
        now, latest : str
            ISO 8601 in UTC. No wait ends after `latest`: one that does was set before the clock
            was put back, and is over.
        limit : int
        begun_study : str
            The study that was sent from last: it is finished before another begins.

        Returns
        -------
        list of Delivery
        """
        is_due = sa.and_(
            deliveries.c.destination == destination,
            deliveries.c.state == State.QUEUED,
            _is_over(now, latest),
        )
        has_not_failed = deliveries.c.first_failed_at == ""
        is_of_begun = deliveries.c.study_instance_uid == begun_study
        for first in (has_not_failed & is_of_begun, has_not_failed, sa.true()):
            newest = (
                sa.select(deliveries.c.study_instance_uid)
                .where(is_due, first)
                .order_by(deliveries.c.queued_at.desc())
                .limit(1)
                .scalar_subquery()
            )
            is_next = sa.and_(is_due, first, deliveries.c.study_instance_uid == newest)
            if found := self.matching(is_next, limit):
                return found
        return []

    def unproven(self, destination: str, now: str, latest: str, limit: int) -> list[Delivery]:
        """Return what the PACS has taken and is to be asked to prove now; see `due`."""
        return self.matching(
            sa.and_(
                deliveries.c.destination == destination,
                deliveries.c.state == State.STORED,
                deliveries.c.transaction_uid == "",
                _is_over(now, latest),
            ),
            limit,
        )

    def update(self, delivery_ids: Sequence[int], *, expected: State, **values: Any) -> None:
        """Change columns of deliveries that are in the expected state, in one transaction."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(deliveries)
                .where(
                    deliveries.c.delivery_id.in_(_listed(json.dumps(delivery_ids))),
                    deliveries.c.state == expected,
                )
                .values(values)
            )

    def record_attempts(self, attempts: Sequence[Attempt]) -> None:
        """Enter outcomes of tries to send, together; what a person holds meanwhile stays held."""
        alike: dict[Attempt, list[int]] = {}
        for attempt in attempts:
            alike.setdefault(attempt._replace(delivery_id=0), []).append(attempt.delivery_id)
        if alike:
            with self._engine.begin() as connection:
                connection.execute(_ATTEMPTED, list(starmap(_attempted, alike.items())))

    def count_proven(self, destination: str) -> int:
        """Return how many instances a destination has vouched for."""
        statement = (
            sa.select(sa.func.count())
            .select_from(deliveries)
            .where(deliveries.c.destination == destination, deliveries.c.state == State.PROVEN)
        )
        with self._engine.connect() as connection:
            return int(connection.scalar(statement) or 0)

    def matching(self, condition: sa.ColumnElement[bool], limit: int) -> list[Delivery]:
        """Return deliveries a condition is true of; a limit of -1 is none."""
        statement = (
            sa.select(deliveries)
            .where(condition)
            .order_by(deliveries.c.series_instance_uid, deliveries.c.delivery_id)
            .limit(limit)
        )
        with self._engine.connect() as connection:
            # by their places: by their names it takes twice as long, and a batch waits for it
            return list(map(Delivery._make, connection.execute(statement)))


def _is_held(destination: str, reasons: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(
        deliveries.c.destination == destination,
        deliveries.c.state == State.HELD,
        deliveries.c.last_error.in_(reasons),
    )


def _attempted(attempt: Attempt, delivery_ids: Sequence[int]) -> dict[str, Any]:
    return {
        "delivery_ids": json.dumps(delivery_ids),
        "state": attempt.state,
        "last_status": attempt.status,
        "last_error": attempt.error,
        "next_attempt_at": attempt.next_attempt_at,
        "last_sent_at": attempt.sent_at,
        "now_stored_at": attempt.stored_at,
        "tries": int(attempt.counts),
        "failed_at": attempt.failed_at,
        "sent_in": attempt.transfer_syntax_uid,
        "digest_sent": attempt.sent_digest,
    }


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
        "last_error": TWO_CONTENTS if record.is_conflict else "",
    }


def _is_over(now: str, latest: str) -> sa.ColumnElement[bool]:
    return sa.or_(deliveries.c.next_attempt_at <= now, deliveries.c.next_attempt_at > latest)
