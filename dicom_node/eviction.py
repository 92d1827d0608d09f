"""Which instances may go from this disk: only what is proven everywhere, old, and not in use.

Nothing is deleted here or anywhere yet; this is the gate that whatever deletes must ask.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from dicom_node.clock import Clock, utc_now
from dicom_node.database import ReadOnlyDatabase, Rows, text_column
from dicom_node.desk_file import FILE as DESK_FILE
from dicom_node.desk_file import read_desk
from dicom_node.index import FILE as INDEX_FILE
from dicom_node.index_tables import commitment_reports, instances
from dicom_node.kept_identity import Kept
from dicom_node.ledger import FILE as LEDGER_FILE
from dicom_node.ledger import State
from dicom_node.ledger_tables import LAST_TABLE, deliveries, identity_difference, reissues
from dicom_node.reissue import ReissueState
from dicom_node.settings import Settings

OPENED_KEPT: Final = timedelta(hours=24)
"""A study that was opened so recently stays: somebody may come back to it in theatre."""

desk_tables = sa.MetaData()
study_opened = sa.Table(
    "study_opened",
    desk_tables,
    sa.Column("study_instance_uid", sa.Text, primary_key=True),
    text_column("opened_at"),
)
"""When a person last opened each study; the web process writes it."""


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    """What the ledger says of one instance at one destination; texts are '' when nothing is."""

    state: str
    proven_at: str
    identity_state: str
    correction_id: str = ""


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """All that decides whether an instance may go.

    `deliveries` is by destination; `opened_at` is when its study was last opened, None when
    never. `is_doubtful` tells of a difference of identity that nobody accepted,
    `is_being_reissued` of old instances at a PACS that are not rejected yet; `correction_id` is
    that of the correction in force for its study.
    """

    received_at: str
    is_conflict: bool
    is_damaged: bool
    is_doubtful: bool
    is_being_reissued: bool
    opened_at: str | None
    deliveries: Mapping[str, DeliveryFacts]
    correction_id: str = ""


def reason_to_stay(
    facts: InstanceFacts, required: Collection[str], now: datetime, keep_days: float
) -> str:
    """Return why an instance must stay, '' when it may go.

    Parameters
    ----------
    facts : InstanceFacts
    required : collection of str
        Names of the destinations it must be proven at; without any, everything stays.
    now : datetime
        Aware.
    keep_days : float
        How long it stays at least after it arrived, days.

    Returns
    -------
    str
        Whatever is not plainly in favour of going is a reason to stay.
    """
    if not required:
        return "no PACS is required to have it"
    for name in sorted(required):
        words = _unproven(facts.deliveries.get(name), facts.correction_id)
        if words:
            return f"{name}: {words}"
    if facts.is_conflict:
        return "another instance has the same UID"
    if facts.is_damaged:
        return "the file is damaged: it is evidence"
    if facts.is_doubtful:
        return "a PACS keeps it under another identity or lists it not: to be corrected there"
    if facts.is_being_reissued:
        return "it is reissued under new UIDs, and the old ones are not rejected yet"
    if not _is_older(facts.received_at, now, timedelta(days=keep_days)):
        return "it is not old enough"
    if facts.opened_at is not None and not _is_older(facts.opened_at, now, OPENED_KEPT):
        return "its study was opened today"
    return ""


def _unproven(delivery: DeliveryFacts | None, correction_id: str) -> str:
    if delivery is None:
        return "not queued yet"
    if delivery.state != State.PROVEN or not delivery.proven_at:
        return f"not proven: {delivery.state}"
    if delivery.identity_state == "differs":
        return "kept under another identity"
    if delivery.identity_state not in (Kept.SAME, Kept.ACCEPTED):
        return "its identity was not verified"
    return "" if delivery.correction_id == correction_id else "its correction was not sent"


def _is_older(moment: str, now: datetime, age: timedelta) -> bool:
    """Tell whether a moment is longer ago; what is no moment, or lies ahead, is not."""
    try:
        return datetime.fromisoformat(moment) <= now - age
    except (ValueError, TypeError):
        return False


@dataclass(frozen=True, slots=True)
class Judged:
    """One instance of the index, and why it must stay; '' when it may go."""

    study_instance_uid: str
    sop_instance_uid: str
    path: str
    size_bytes: int
    reason: str


def judge_instances(settings: Settings, clock: Clock = utc_now) -> Iterator[Judged]:
    """Return every instance with the reason why it must stay, the oldest study first.

    Parameters
    ----------
    settings : Settings
    clock : Clock

    Yields
    ------
    Judged
    """
    data = settings.node.data
    # the ledger first: what is owed after it was looked at is in no proof of it
    with (
        _opened(ReadOnlyDatabase(data / LEDGER_FILE, LAST_TABLE)) as ledger,
        _opened(ReadOnlyDatabase(data / INDEX_FILE, commitment_reports.name)) as index,
    ):
        required = [pacs.name for pacs in settings.pacs if pacs.required]
        configured = [pacs.name for pacs in settings.pacs]
        around = _look_around(data, ledger, index, configured)
        for study in index(_STUDIES):
            for row, facts in _facts(study["study_instance_uid"], around):
                reason = reason_to_stay(facts, required, clock(), settings.storage.keep_days)
                yield Judged(
                    study["study_instance_uid"],
                    row["sop_instance_uid"],
                    row["path"],
                    row["size_bytes"],
                    reason,
                )


@dataclass(frozen=True, slots=True)
class _Around:
    """What is known beside the instances themselves, by Study Instance UID."""

    ledger: Rows
    index: Rows
    opened: Mapping[str, str]
    doubtful: Collection[str]
    reissued: Collection[str]
    corrected: Mapping[str, str]


@contextmanager
def _opened(source: ReadOnlyDatabase) -> Iterator[Rows]:
    try:
        with source.snapshot() as rows:
            yield rows
    finally:
        source.close()


def _look_around(data: Path, ledger: Rows, index: Rows, configured: Collection[str]) -> _Around:
    """Read what is known beside the instances; the desk is closed at once: readers stall it."""
    with _opened(read_desk(data, desk_tables)) as desk:
        opened = {row["study_instance_uid"]: row["opened_at"] for row in desk(_OPENED)}
    decided = ReadOnlyDatabase(data / DESK_FILE, last_table=_corrections.name, rolls_back=True)
    with _opened(decided) as desk:
        corrected = {row["study_instance_uid"]: row["correction_id"] for row in desk(_ACTIVE)}
    doubtful = {row["study_instance_uid"] for row in ledger(_DOUBTFUL)}
    reissued = {
        row["study_instance_uid"] for row in ledger(_REISSUED) if row["destination"] in configured
    }
    return _Around(ledger, index, opened, doubtful, reissued, corrected)


def _facts(study: str, around: _Around) -> Iterator[tuple[dict[str, Any], InstanceFacts]]:
    owed: dict[tuple[str, str], dict[str, DeliveryFacts]] = {}
    in_conflict = set()
    for row in around.ledger(_DELIVERIES, {"study": study}):
        facts = DeliveryFacts(
            row["state"], row["proven_at"], row["identity_state"], row["correction_id"]
        )
        owed.setdefault((row["sop_instance_uid"], row["digest"]), {})[row["destination"]] = facts
        if row["state"] == State.HELD:
            in_conflict.add(row["sop_instance_uid"])
    rows = around.index(_INSTANCES, {"study": study})
    in_conflict |= {row["sop_instance_uid"] for row in rows if row["is_conflict"]}
    for row in rows:
        yield (
            row,
            InstanceFacts(
                received_at=row["received_at"],
                is_conflict=row["sop_instance_uid"] in in_conflict,
                is_damaged=bool(row["damaged_at"]),
                is_doubtful=study in around.doubtful,
                is_being_reissued=study in around.reissued,
                opened_at=around.opened.get(study),
                deliveries=owed.get((row["sop_instance_uid"], row["digest"]), {}),
                correction_id=around.corrected.get(study, ""),
            ),
        )


_corrections = sa.table(
    "corrections", sa.column("study_instance_uid"), sa.column("correction_id"), sa.column("state")
)
"""What people decided about identities, as far as it matters here; the desk keeps it."""
_ACTIVE: Final = sa.select(_corrections).where(_corrections.c.state == "active")
_STUDIES: Final = (
    sa.select(instances.c.study_instance_uid)
    .group_by(instances.c.study_instance_uid)
    .order_by(sa.func.min(instances.c.received_at))
)
_INSTANCES: Final = sa.select(
    instances.c.sop_instance_uid,
    instances.c.digest,
    instances.c.path,
    instances.c.size_bytes,
    instances.c.received_at,
    instances.c.is_conflict,
    instances.c.damaged_at,
).where(instances.c.study_instance_uid == sa.bindparam("study"))
_DELIVERIES: Final = sa.select(
    deliveries.c.destination,
    deliveries.c.sop_instance_uid,
    deliveries.c.digest,
    deliveries.c.state,
    deliveries.c.proven_at,
    deliveries.c.identity_state,
    deliveries.c.correction_id,
).where(deliveries.c.study_instance_uid == sa.bindparam("study"))
_DOUBTFUL: Final = sa.select(identity_difference.c.study_instance_uid).where(
    identity_difference.c.state != Kept.ACCEPTED
)
_REISSUED: Final = sa.select(reissues.c.study_instance_uid, reissues.c.destination).where(
    reissues.c.state == ReissueState.SENDING
)
_OPENED: Final = sa.select(study_opened)
