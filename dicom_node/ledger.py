"""What became of each instance at each destination, for everyone to read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from dicom_node.database import ReadOnlyDatabase
from dicom_node.held_reasons import GOES_WHEN_ORDERED
from dicom_node.ledger_tables import (
    LAST_TABLE,
    about,
    deliveries,
    destinations,
    events,
    identity_difference,
)

FILE: Final = "ledger.sqlite"
RECENT_ROWS: Final = 100_000
"""How far back the studies last queued are looked for: a ledger may have a million rows."""
MODE_KIND: Final = "mode_"
"""Kinds of events that are changes of the mode begin so; the mode follows."""


class State(StrEnum):
    """How far one instance has come at one destination."""

    QUEUED = "queued"
    """Waiting to be sent."""
    SENDING = "sending"
    """On its way; after a crash the outcome is unknown and the PACS is asked."""
    STORED = "stored"
    """The PACS said that it has it; not yet proven."""
    PROVEN = "proven"
    """Storage commitment or C-FIND confirmed it."""
    HELD = "held"
    """Kept back for a person: two contents under one UID, or a correction would do harm."""
    ATTENTION = "attention"
    """The PACS refuses this instance again and again; a person must look."""


@dataclass(frozen=True, slots=True)
class DestinationState:
    """One PACS: whether it answers, since when, and the number of instances in each state.

    Times are ISO 8601 in UTC, '' when never. `is_reachable` is None before the first probe.
    """

    name: str
    ae_title: str
    host: str
    port: int
    is_reachable: bool | None
    probed_at: str
    changed_at: str
    detail: str
    counts: dict[str, int]
    oldest_unproven_at: str


@dataclass(frozen=True, slots=True)
class StudyDelivery:
    """One study at one destination: instances per state, and when the last step of each was."""

    study_instance_uid: str
    destination: str
    counts: dict[str, int]
    queued_at: str
    stored_at: str
    proven_at: str
    proofs: tuple[str, ...]
    last_error: str


class InstanceUids(NamedTuple):
    """(0020,000D), (0020,000E) and (0008,0018) of one instance."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


class Delivery(NamedTuple):
    """One instance at one destination. Times are ISO 8601 in UTC, '' when never.

    `sent_transfer_syntax_uid` is '' until it was sent; `verified_at` is when the PACS was last
    asked whether it still has it; `identity_state` is '', `same`, `accepted` or `differs`;
    `correction_id` is that of the correction it was sent with. The `sent_` UIDs are those it goes
    under when it is reissued, '' where it goes under its own; `sent_digest` is that of the data set
    which left then.
    """

    delivery_id: int
    destination: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    path: str
    digest: str
    state: str
    attempts: int
    queued_at: str
    sent_at: str
    stored_at: str
    proven_at: str
    proof: str
    transaction_uid: str
    next_attempt_at: str
    last_status: int | None
    last_error: str
    sent_transfer_syntax_uid: str = ""
    first_failed_at: str = ""
    verified_at: str = ""
    identity_state: str = ""
    correction_id: str = ""
    sent_study_instance_uid: str = ""
    sent_series_instance_uid: str = ""
    sent_sop_instance_uid: str = ""
    sent_digest: str = ""

    @property
    def here(self) -> InstanceUids:
        """The UIDs it was received with."""
        return InstanceUids(
            self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid
        )

    @property
    def there(self) -> InstanceUids:
        """The UIDs the destination has it under, or will have."""
        return InstanceUids(
            self.sent_study_instance_uid or self.study_instance_uid,
            self.sent_series_instance_uid or self.series_instance_uid,
            self.sent_sop_instance_uid or self.sop_instance_uid,
        )


@dataclass(frozen=True, slots=True)
class RefusedStudy:
    """Instances of one study that need a person at one destination, for one reason."""

    study_instance_uid: str
    destination: str
    state: str
    reason: str
    number: int


class Attempt(NamedTuple):
    """The outcome of one try to send: what a delivery becomes.

    `status` is (0000,0900), None without an answer; `stored_at` is None where nothing was stored.
    `counts` tells whether it is one of the tries after which a person must look; `failed_at` is ''
    where it went well; `transfer_syntax_uid` is the one it was sent in, '' if it was not, and
    `sent_digest` that of the copy which was sent. `sent_at`
    is that of an earlier try where this one certainly did not leave, None where it may have.
    """

    delivery_id: int
    state: State
    error: str
    status: int | None
    next_attempt_at: str
    stored_at: str | None = None
    counts: bool = True
    failed_at: str = ""
    transfer_syntax_uid: str = ""
    sent_at: str | None = None
    sent_digest: str = ""


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """Something that happened to a destination."""

    event_id: int
    at: str
    kind: str
    destination: str
    detail: str


@dataclass(frozen=True, slots=True)
class RecordedMode:
    """One change of the mode: to what, when, by whom and why; `event_id` counts upward."""

    event_id: int
    at: str
    mode: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeptIdentity:
    """How one PACS keeps one study, where that is not as we sent it.

    `state` is a `kept_identity.Kept`; `differences` is JSON, see `identity_decisions.written`.
    """

    destination: str
    study_instance_uid: str
    found_at: str
    state: str
    differences: str


class LedgerReader:
    """The reading side, for any thread of any process. A missing file is an empty ledger.

    Parameters
    ----------
    path : Path
        The SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._database = ReadOnlyDatabase(path, last_table=LAST_TABLE)
        self.rows = self._rows = self._database.rows
        """See `ReadOnlyDatabase.rows`; for questions of other modules."""

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def destinations(self) -> list[DestinationState]:
        """Return every configured destination with its counts."""
        counts = self._counts_of_destinations()
        oldest = self._oldest_unproven(counts)
        return [
            DestinationState(
                **row,
                counts=counts.get(row["name"], no_counts()),
                oldest_unproven_at=oldest.get(row["name"], ""),
            )
            for row in self._rows(sa.select(destinations).order_by(destinations.c.name))
        ]

    def studies(self, limit: int = 200) -> list[StudyDelivery]:
        """Return deliveries by study, the last queued first, of the last rows of the ledger."""
        recent = (
            sa.select(deliveries.c.study_instance_uid)
            .order_by(deliveries.c.delivery_id.desc())
            .limit(RECENT_ROWS)
            .subquery()
        )
        newest = sa.select(recent.c.study_instance_uid).distinct().limit(limit)
        statement = study_rollup().where(deliveries.c.study_instance_uid.in_(newest))
        grouped: dict[tuple[str, str], list[sa.RowMapping]] = {}
        for row in self._rows(statement):
            key = (row["study_instance_uid"], row["destination"])
            grouped.setdefault(key, []).append(row)
        return [_study_delivery(*key, rows) for key, rows in grouped.items()][:limit]

    def study(self, study_instance_uid: str) -> list[StudyDelivery]:
        """Return the deliveries of one study, one for each destination."""
        condition = deliveries.c.study_instance_uid == study_instance_uid
        grouped: dict[str, list[sa.RowMapping]] = {}
        for row in self._rows(study_rollup().where(condition)):
            grouped.setdefault(row["destination"], []).append(row)
        return [_study_delivery(study_instance_uid, *item) for item in grouped.items()]

    def counts_of(self, study_instance_uids: Sequence[str]) -> dict[str, dict[str, dict[str, int]]]:
        """Return instances per state of several studies, by study and destination."""
        key = (deliveries.c.study_instance_uid, deliveries.c.destination, deliveries.c.state)
        statement = (
            sa.select(*key, sa.func.count().label("n"))
            .where(deliveries.c.study_instance_uid.in_(study_instance_uids))
            .group_by(*key)
        )
        found: dict[str, dict[str, dict[str, int]]] = {}
        for row in self._rows(statement):
            places = found.setdefault(row["study_instance_uid"], {})
            places.setdefault(row["destination"], no_counts())[row["state"]] = row["n"]
        return found

    def deliveries(self, study_instance_uid: str) -> list[Delivery]:
        """Return each instance of a study at each destination."""
        statement = (
            sa.select(deliveries)
            .where(deliveries.c.study_instance_uid == study_instance_uid)
            .order_by(deliveries.c.destination, deliveries.c.delivery_id)
        )
        return [Delivery(**row) for row in self._rows(statement)]

    def count_refused(self, destination: str, study_instance_uid: str) -> int:
        """Return how many instances trying again sends; '' is each destination, all studies."""
        conditions = [may_be_tried_again()]
        conditions += [deliveries.c.destination == destination] if destination else []
        if study_instance_uid:
            conditions.append(deliveries.c.study_instance_uid == study_instance_uid)
        statement = sa.select(sa.func.count().label("n")).where(*conditions)
        return next((int(row["n"]) for row in self._rows(statement)), 0)

    def identity_differences(self, study_instance_uid: str = "") -> list[KeptIdentity]:
        """Return the studies a PACS keeps otherwise than we sent them, or what is said of one."""
        statement = sa.select(identity_difference).order_by(identity_difference.c.found_at.desc())
        if study_instance_uid:
            statement = statement.where(
                identity_difference.c.study_instance_uid == study_instance_uid
            )
        return [KeptIdentity(**row) for row in self._rows(statement)]

    def refused_studies(self, limit: int) -> list[RefusedStudy]:
        """Return the studies of which something needs a person."""
        key = (
            deliveries.c.study_instance_uid,
            deliveries.c.destination,
            deliveries.c.state,
            deliveries.c.last_error.label("reason"),
        )
        statement = (
            sa.select(*key, sa.func.count().label("number"))
            .where(
                # the names first, so that the index is searched and not read through
                deliveries.c.destination.in_(sa.select(destinations.c.name)),
                deliveries.c.state.in_((State.ATTENTION, State.HELD)),
            )
            .group_by(*key)
            .limit(limit)
        )
        return [RefusedStudy(**row) for row in self._rows(statement)]

    def count_images(self) -> int:
        """Return how many instances are owed, each once to however many destinations."""
        owed = sa.select(deliveries.c.sop_instance_uid, deliveries.c.digest).distinct().subquery()
        statement = sa.select(sa.func.count().label("n")).select_from(owed)
        return next((int(row["n"]) for row in self._rows(statement)), 0)

    def last_instance_id(self) -> int:
        """Return up to where the index was read."""
        statement = sa.select(about.c.value).where(about.c.key == "instance_id")
        return next((int(row["value"]) for row in self._rows(statement)), 0)

    def events(self, limit: int = 100) -> list[LedgerEvent]:
        """Return what happened, newest first."""
        statement = sa.select(events).order_by(events.c.event_id.desc()).limit(limit)
        return [LedgerEvent(**row) for row in self._rows(statement)]

    def mode_changes(self, limit: int = 100) -> list[RecordedMode]:
        """Return the changes of the mode, newest first."""
        statement = (
            sa.select(events)
            .where(events.c.kind.startswith(MODE_KIND, autoescape=True))
            .order_by(events.c.event_id.desc())
            .limit(limit)
        )
        return [recorded_mode(LedgerEvent(**row)) for row in self._rows(statement)]

    def _counts_of_destinations(self) -> dict[str, dict[str, int]]:
        statement = sa.select(
            deliveries.c.destination, deliveries.c.state, sa.func.count().label("n")
        ).group_by(deliveries.c.destination, deliveries.c.state)
        counts: dict[str, dict[str, int]] = {}
        for row in self._rows(statement):
            counts.setdefault(row["destination"], no_counts())[row["state"]] = row["n"]
        return counts

    def _oldest_unproven(self, names: Iterable[str]) -> dict[str, str]:
        """Ask for each state by itself: then the index answers without counting through it."""
        found: dict[str, str] = {}
        for name, state in product(names, set(State) - {State.PROVEN}):
            statement = sa.select(sa.func.min(deliveries.c.queued_at).label("at")).where(
                deliveries.c.destination == name, deliveries.c.state == state
            )
            at = next((row["at"] for row in self._rows(statement)), None)
            if at and at < found.get(name, "9"):
                found[name] = at
        return found


def may_be_tried_again() -> sa.ColumnElement[bool]:
    """Select what a person may order to be sent once more."""
    is_held = sa.and_(
        deliveries.c.state == State.HELD, deliveries.c.last_error.in_(GOES_WHEN_ORDERED)
    )
    return sa.or_(deliveries.c.state == State.ATTENTION, is_held)


def recorded_mode(event: LedgerEvent) -> RecordedMode:
    """Return the change of the mode that an event of its kind tells of."""
    by, _, reason = event.detail.partition(": ")
    mode = event.kind.removeprefix(MODE_KIND)
    return RecordedMode(event.event_id, event.at, mode, by, reason)


def no_counts() -> dict[str, int]:
    """Return a count of 0 for every state."""
    return {state.value: 0 for state in State}


def study_rollup() -> sa.Select[Any]:
    """Select instances per study, destination and state, the last queued study first."""
    last_queued = sa.func.max(sa.func.max(deliveries.c.queued_at)).over(
        partition_by=deliveries.c.study_instance_uid
    )
    return (
        sa.select(
            deliveries.c.study_instance_uid,
            deliveries.c.destination,
            deliveries.c.state,
            sa.func.count().label("n"),
            sa.func.min(deliveries.c.queued_at).label("queued_at"),
            sa.func.max(deliveries.c.stored_at).label("stored_at"),
            sa.func.max(deliveries.c.proven_at).label("proven_at"),
            sa.func.group_concat(deliveries.c.proof.distinct()).label("proofs"),
            sa.func.max(deliveries.c.last_error).label("last_error"),
        )
        .group_by(deliveries.c.study_instance_uid, deliveries.c.destination, deliveries.c.state)
        .order_by(last_queued.desc())
    )


def _study_delivery(
    study_instance_uid: str, destination: str, rows: Iterable[sa.RowMapping]
) -> StudyDelivery:
    rows = list(rows)
    counts = no_counts() | {row["state"]: row["n"] for row in rows}
    proofs = {proof for row in rows for proof in row["proofs"].split(",") if proof}
    return StudyDelivery(
        study_instance_uid=study_instance_uid,
        destination=destination,
        counts=counts,
        queued_at=min(row["queued_at"] for row in rows),
        stored_at=max(row["stored_at"] for row in rows),
        proven_at=max(row["proven_at"] for row in rows),
        proofs=tuple(sorted(proofs)),
        last_error=max(row["last_error"] for row in rows),
    )
