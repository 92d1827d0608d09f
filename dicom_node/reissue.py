"""A reissue: a study that a PACS is sent once more under new UIDs, and the old ones rejected.

It is the way out where a PACS has a wrong identity already: it would keep the old tags, or split
the study, if the same UIDs came again. The steps are entered in the ledger one by one, each in one
transaction, so that a crash between any two leaves what the next start goes on with.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from dicom_node.held_reasons import TWO_CONTENTS
from dicom_node.identity_decisions import undo as undo_acceptance
from dicom_node.ledger import Delivery, InstanceUids, LedgerReader, State
from dicom_node.ledger_proofs import look_again
from dicom_node.ledger_tables import (
    commitment_items,
    deliveries,
    identity_difference,
    reissues,
    rejected_instances,
)
from dicom_node.reconciling import may_be_there
from dicom_node.reissued_uids import new_namespace, new_uid
from dicom_node.sync_order import SyncOrder


class Title(StrEnum):
    """Why the old instances are rejected: codes of CID 7011 that hide them altogether."""

    INCORRECT_WORKLIST = "113038"
    PATIENT_SAFETY = "113037"


TITLE_WORDS: Final[Mapping[str, str]] = {
    Title.INCORRECT_WORKLIST: "Incorrect Modality Worklist Entry",
    Title.PATIENT_SAFETY: "Rejected for Patient Safety Reasons",
}
"""The meanings of the codes (PS3.16 Annex D)."""


class ReissueState(StrEnum):
    """How far a reissue has come."""

    SENDING = "sending"
    """The new instances are not all proven, or the old ones not rejected yet."""
    REJECTED = "rejected"
    """The new ones are proven, and the PACS took the note that rejects the old ones."""
    REFUSED = "refused"
    """The new ones are proven, and the PACS does not take the note."""
    NOTHING_LEFT = "nothing-left"
    """The new ones are proven, and the PACS lists none of the old ones."""
    UNDONE = "undone"
    """Taken back before any new instance was sent."""


STATE_WORDS: Final[Mapping[str, str]] = {
    ReissueState.SENDING: "the old ones are rejected once all the new ones are proven",
    ReissueState.REJECTED: "the new ones are proven, and the PACS took the note that rejects the "
    "old ones",
    ReissueState.REFUSED: "the new ones are proven, but the PACS does not take the note that "
    "rejects the old ones: ask its administrator to remove them there; lifeboat sync report "
    "--study names each",
    ReissueState.NOTHING_LEFT: "the new ones are proven, and the PACS lists none of the old ones",
    ReissueState.UNDONE: "taken back before anything was sent",
}
IN_FORCE: Final = tuple(set(ReissueState) - {ReissueState.UNDONE})
_AT_ONCE: Final = 5000
"""Instances named in one statement: SQLite takes 32766 values."""
_FRESH: Final[Mapping[str, Any]] = {
    "state": State.QUEUED,
    "attempts": 0,
    "sent_at": "",
    "stored_at": "",
    "proven_at": "",
    "proof": "",
    "transaction_uid": "",
    "next_attempt_at": "",
    "last_status": None,
    "last_error": "",
    "sent_transfer_syntax_uid": "",
    "first_failed_at": "",
    "verified_at": "",
    "identity_state": "",
    "correction_id": "",
}


@dataclass(frozen=True, slots=True)
class Reissue:
    """One reissue of one study to one PACS. Times are ISO 8601 in UTC, '' when never.

    `namespace` is what the new UIDs are made from; `title` a `Title`; `settled_at` when the old
    ones were rejected, or could not be; `still_listed` counts those of them that the PACS listed
    when it was looked at last, None where that is not known.
    """

    reissue_id: int
    destination: str
    study_instance_uid: str
    correction_id: str
    namespace: str
    title: str
    at: str
    by: str
    reason: str
    state: str = ReissueState.SENDING
    settled_at: str = ""
    detail: str = ""
    still_listed: int | None = None
    looked_at: str = ""

    @property
    def words(self) -> str:
        """What is to be said of it, without naming anyone."""
        said = STATE_WORDS.get(self.state, self.state)
        left = f"; the PACS lists {self.still_listed} of the old ones" if self.still_listed else ""
        why = f" ({self.detail})" if self.detail else ""
        return (
            f"reissued under new UIDs by {self.by} at {self.at}, {self.reason}: {said}{why}{left}"
        )

    def new_uids(self, item: Delivery) -> InstanceUids:
        """Return the UIDs an instance goes under."""
        return InstanceUids(*(new_uid(self.namespace, uid) for uid in item.here))


def enter(
    connection: sa.Connection, order: SyncOrder, destination: str, now: str, randomness: bytes
) -> str:
    """Enter a reissue, and owe every instance of the study to the PACS once more.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        A transaction of the ledger.
    order : SyncOrder
        `meaning` is a `Title`, `seen` the ID of the correction.
    destination : str
    now : str
        ISO 8601 in UTC.
    randomness : bytes
        `NAMESPACE_BYTES`, for the new UIDs: where the study is reissued to another PACS already,
        it gets the same ones.

    Returns
    -------
    str
        What came of it.
    """
    study = order.study_instance_uid
    others = of_study(connection, study)
    if any(one.destination == destination for one in others):
        return "not reissued: it is already"
    owed = _deliveries(connection, destination, study)
    if not any(may_be_there(item) and not _is_held_between_two(item) for item in owed):
        return "not reissued: the PACS was never sent it"
    namespace = others[0].namespace if others else new_namespace(randomness)
    made = Reissue(
        0,
        destination,
        study,
        order.seen,
        namespace,
        order.meaning,
        now,
        order.by,
        order.reason,
    )
    values = {name: getattr(made, name) for name in reissues.c.keys()[1:]}
    number = connection.execute(sa.insert(reissues).values(values)).inserted_primary_key
    assert number is not None  # one row was entered
    settled = set(State) - {State.QUEUED, State.SENDING}
    count = _assign(connection, replace(made, reissue_id=number[0]), settled)
    # what was accepted was the old study: the new one is to have the right identity
    undo_acceptance(connection, order, destination, now)
    is_it = _is_of(identity_difference, destination, study)
    connection.execute(sa.delete(identity_difference).where(is_it))
    for other in _other_places(connection, destination, study):
        look_again(connection, other, study)
    return f"reissued, {count} sent again"


def assign(connection: sa.Connection, destination: str) -> None:
    """Give new UIDs to what is owed of reissued studies and has none, such as late arrivals.

    Only who sends to this destination may ask for it, between two batches.
    """
    is_left = (
        sa.select(deliveries.c.delivery_id)
        .where(
            deliveries.c.study_instance_uid == reissues.c.study_instance_uid,
            deliveries.c.destination == destination,
            deliveries.c.state != State.SENDING,
            deliveries.c.sent_sop_instance_uid == "",
        )
        .exists()
    )
    statement = sa.select(reissues).where(
        reissues.c.destination == destination, reissues.c.state.in_(IN_FORCE), is_left
    )
    for row in connection.execute(statement).mappings().all():
        _assign(connection, Reissue(**row), set(State) - {State.SENDING})


def undo(connection: sa.Connection, destination: str, study_instance_uid: str) -> str:
    """Take a reissue back: what the PACS had is asked to be proven again, under the old UIDs.

    Returns
    -------
    str
        What came of it; nothing once a new instance was sent, or may have been.
    """
    found = [o for o in of_study(connection, study_instance_uid) if o.destination == destination]
    if not found:
        return "nothing was reissued"
    owed = _deliveries(connection, destination, study_instance_uid)
    if any(item.sent_sop_instance_uid and may_be_there(item) for item in owed):
        return "not undone: new instances were sent"
    (reissue,) = found
    before = rejected_instances
    was_there = {
        row["delivery_id"]: dict(row)
        for row in connection.execute(
            sa.select(before).where(before.c.reissue_id == reissue.reissue_id)
        ).mappings()
    }
    for item in owed:
        old = was_there.get(item.delivery_id)
        if not item.sent_sop_instance_uid:
            continue
        values: dict[str, Any] = {**_FRESH, **dict.fromkeys(_SENT_UIDS, "")}
        if old is not None:
            kept = {name: old[name] for name in ("sent_at", "stored_at", "correction_id")}
            values |= {**kept, "state": State.STORED}
        if _is_held_between_two(item):  # a person must still decide
            values |= {"state": item.state, "last_error": item.last_error}
        is_it = deliveries.c.delivery_id == item.delivery_id
        connection.execute(sa.update(deliveries).where(is_it).values(values))
    connection.execute(
        sa.update(reissues)
        .where(reissues.c.reissue_id == reissue.reissue_id)
        .values(state=ReissueState.UNDONE)
    )
    return "undone"


def of_study(
    connection: sa.Connection, study_instance_uid: str, destination: str = ""
) -> list[Reissue]:
    """Return the reissues of a study that are in force, to one PACS or to all."""
    statement = sa.select(reissues).where(
        reissues.c.study_instance_uid == study_instance_uid, reissues.c.state.in_(IN_FORCE)
    )
    if destination:
        statement = statement.where(reissues.c.destination == destination)
    return [Reissue(**row) for row in connection.execute(statement).mappings()]


def reissues_of(
    ledger: LedgerReader, study_instance_uid: str = "", states: Collection[str] = IN_FORCE
) -> list[Reissue]:
    """Return reissues of one study or of all, in these states, the newest first."""
    statement = sa.select(reissues).where(reissues.c.state.in_(states))
    if study_instance_uid:
        statement = statement.where(reissues.c.study_instance_uid == study_instance_uid)
    statement = statement.order_by(reissues.c.reissue_id.desc())
    return [Reissue(**row) for row in ledger.rows(statement)]


def open_at(connection: sa.Connection, destination: str) -> list[Reissue]:
    """Return the reissues whose old instances are to be rejected, those tried longest ago first."""
    statement = (
        sa.select(reissues)
        .where(reissues.c.destination == destination, reissues.c.state == ReissueState.SENDING)
        .order_by(reissues.c.looked_at, reissues.c.reissue_id)
    )
    return [Reissue(**row) for row in connection.execute(statement).mappings()]


def still_listed(connection: sa.Connection, destination: str, before: str) -> list[Reissue]:
    """Return the reissues whose old instances were listed, or not asked for, before a moment."""
    settled = (ReissueState.REJECTED, ReissueState.REFUSED)
    statement = sa.select(reissues).where(
        reissues.c.destination == destination,
        reissues.c.state.in_(settled),
        sa.or_(reissues.c.still_listed > 0, reissues.c.still_listed.is_(None)),
        reissues.c.looked_at < before,
    )
    statement = statement.order_by(reissues.c.looked_at)
    return [Reissue(**row) for row in connection.execute(statement).mappings()]


def rejected(connection: sa.Connection, reissue_id: int) -> list[Delivery]:
    """Return the instances that a PACS has, or perhaps has, under their old UIDs."""
    statement = (
        sa.select(deliveries)
        .join(rejected_instances, rejected_instances.c.delivery_id == deliveries.c.delivery_id)
        .where(rejected_instances.c.reissue_id == reissue_id)
        .order_by(deliveries.c.series_instance_uid, deliveries.c.delivery_id)
    )
    return [Delivery(**row) for row in connection.execute(statement).mappings()]


def settle(connection: sa.Connection, reissue_id: int, **values: Any) -> None:
    """Enter what became of the old instances of a reissue."""
    is_it = reissues.c.reissue_id == reissue_id
    connection.execute(sa.update(reissues).where(is_it).values(values))


def uid_map(connection: sa.Connection, reissue: Reissue) -> dict[str, str]:
    """Return old and new UIDs of the study, its series and its instances, those to come as well.

    Whatever the ledger knows of the study is in it, at any PACS: what refers to an instance may go
    before the instance itself does.
    """
    owed = sa.select(deliveries).where(
        deliveries.c.study_instance_uid == reissue.study_instance_uid
    )
    found: dict[str, str] = {}
    for row in connection.execute(owed).mappings():
        item = Delivery(**row)
        found.update(zip(item.here, reissue.new_uids(item), strict=True))
    return found


_SENT_UIDS: Final = (
    "sent_study_instance_uid",
    "sent_series_instance_uid",
    "sent_sop_instance_uid",
    "sent_digest",
)


def _assign(connection: sa.Connection, reissue: Reissue, states: Collection[State]) -> int:
    """Give new UIDs to instances in these states that have none, and owe them; return how many.

    Of two contents under one UID none is chosen: what is held for that stays held.
    """
    owed = _deliveries(connection, reissue.destination, reissue.study_instance_uid)
    found = [
        item
        for item in owed
        if not item.sent_sop_instance_uid
        and item.state in states
        and not _is_held_between_two(item)
    ]
    if not found:
        return 0
    _enter_rejected(connection, reissue, filter(may_be_there, found))
    _forget_requests(connection, found)
    rows = [
        dict(zip(("study", "series", "instance"), reissue.new_uids(item), strict=True))
        | {"of_delivery": item.delivery_id}
        for item in found
    ]
    connection.execute(_ASSIGNED, rows)
    return len(found)


def _enter_rejected(connection: sa.Connection, reissue: Reissue, items: Iterable[Delivery]) -> None:
    rows = [
        {
            "reissue_id": reissue.reissue_id,
            "delivery_id": item.delivery_id,
            "sent_at": item.sent_at,
            "stored_at": item.stored_at or item.queued_at,
            "correction_id": item.correction_id,
        }
        for item in items
    ]
    if not rows:
        return
    connection.execute(sa.insert(rejected_instances), rows)
    # a note that went out before does not name them
    values = {"state": ReissueState.SENDING, "settled_at": "", "detail": "", "still_listed": None}
    settle(connection, reissue.reissue_id, **values)


def _forget_requests(connection: sa.Connection, items: Sequence[Delivery]) -> None:
    """Forget what was asked under the old UIDs: late answers prove nothing of the new ones."""
    for start in range(0, len(items), _AT_ONCE):
        ids = [item.delivery_id for item in items[start : start + _AT_ONCE]]
        is_of_them = commitment_items.c.delivery_id.in_(ids)
        connection.execute(sa.delete(commitment_items).where(is_of_them))


def _is_held_between_two(item: Delivery) -> bool:
    return item.state == State.HELD and item.last_error == TWO_CONTENTS


_ASSIGNED: Final = (
    sa.update(deliveries)
    .where(deliveries.c.delivery_id == sa.bindparam("of_delivery"))
    .values(
        **_FRESH,
        sent_study_instance_uid=sa.bindparam("study"),
        sent_series_instance_uid=sa.bindparam("series"),
        sent_sop_instance_uid=sa.bindparam("instance"),
    )
)


def _is_of(table: sa.Table, destination: str, study_instance_uid: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.destination == destination, table.c.study_instance_uid == study_instance_uid
    )


def _deliveries(
    connection: sa.Connection, destination: str, study_instance_uid: str
) -> list[Delivery]:
    is_it = _is_of(deliveries, destination, study_instance_uid)
    statement = sa.select(deliveries).where(is_it).order_by(deliveries.c.delivery_id)
    return [Delivery(**row) for row in connection.execute(statement).mappings()]


def _other_places(connection: sa.Connection, destination: str, study: str) -> list[str]:
    statement = sa.select(deliveries.c.destination).distinct()
    is_other = deliveries.c.destination != destination
    statement = statement.where(deliveries.c.study_instance_uid == study, is_other)
    return list(connection.scalars(statement))
