"""What a person decided about a study that a PACS keeps under another identity than we sent.

A decision holds for what was seen: this study, at this archive, with these differences. Anything
new is a difference again. It says whose the images are and nothing of where they are: what a PACS
has not vouched for stays unproven.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from dicom_node.identity import Difference, Identity
from dicom_node.kept_identity import COMPARED, Finding, Kept
from dicom_node.ledger import KeptIdentity, LedgerReader, State
from dicom_node.ledger_tables import (
    deliveries,
    destinations,
    identity_decisions,
    identity_difference,
)
from dicom_node.study_answer import StudyAnswer
from dicom_node.sync_order import SyncOrder

ACCEPTABLE: Final = (Kept.KEPT, Kept.SPLIT, Kept.THERE_BEFORE)
"""Where a PACS shows another identity; of the rest there is nothing to look at."""
CODE_LENGTH: Final = 8


_FOLLOWING: Final = {"accepted": ("differs",), "differs": ("accepted", "")}
"""The states of images that become another by a decision; '' is not verified."""


class Decision(StrEnum):
    """What was decided."""

    ACCEPTED = "accepted"
    UNDONE = "undone"


class Meaning(StrEnum):
    """Why the other identity may stay."""

    SAME_PERSON = "same-person"
    PACS_IS_RIGHT = "pacs-is-right"


MEANING_WORDS: Final[Mapping[str, str]] = {
    Meaning.SAME_PERSON: "both name the same person",
    Meaning.PACS_IS_RIGHT: "what the PACS names is right, what the images came with is not",
}


@dataclass(frozen=True, slots=True)
class IdentityDecision:
    """One decision. `place` is the archive's address, `at` ISO 8601 in UTC.

    `kept` is how the PACS kept the study, a `kept_identity.Kept`; `differences` is JSON, as
    `written` returns it.
    """

    decision_id: int
    destination: str
    place: str
    study_instance_uid: str
    decision: str
    meaning: str
    kept: str
    differences: str
    at: str
    by: str
    reason: str

    @property
    def attributes(self) -> list[str]:
        """What differed, without naming anyone."""
        found = dict.fromkeys(item.attribute for item in read_differences(self.differences))
        listed = [one.identity for one in read_answers(self.differences)]
        between = (name for name in COMPARED if len({getattr(one, name) for one in listed}) > 1)
        return list(found | dict.fromkeys(between))


def written(finding: Finding) -> str:
    """Return as JSON what was found: each difference, and each value that a PACS returned."""
    answers = [
        {name: getattr(one.identity, name) for name in COMPARED if name in one.returned}
        for one in finding.answers
    ]
    found = [asdict(item) for item in finding.found]
    return json.dumps({"found": found, "answers": answers}, ensure_ascii=False)


def read_differences(text: str) -> tuple[Difference, ...]:
    """Return the differences the ledger keeps as JSON."""
    return tuple(Difference(**item) for item in _parts(text)[0])


def read_answers(text: str) -> tuple[StudyAnswer, ...]:
    """Return all that a PACS returned; nothing where an older ledger kept the differences alone."""
    return tuple(StudyAnswer(Identity.of(item), frozenset(item)) for item in _parts(text)[1])


def _parts(text: str) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    content = json.loads(text or "[]")
    if isinstance(content, list):
        return content, []
    return content["found"], content["answers"]


def code_of(one: KeptIdentity) -> str:
    """Return a code of what is to be seen of a difference; it changes with every part of it.

    Parameters
    ----------
    one : KeptIdentity

    Returns
    -------
    str
        `CODE_LENGTH` hexadecimal digits, capitals.
    """
    seen = "\n".join((one.destination, one.study_instance_uid, one.state, one.differences))
    return hashlib.sha256(seen.encode()).hexdigest()[:CODE_LENGTH].upper()


def accept(connection: sa.Connection, order: SyncOrder, destination: str, now: str) -> str:
    """Enter that the identity a PACS keeps a study under may stay, if it still is what was seen.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        A transaction of the ledger.
    order : SyncOrder
    destination : str
    now : str
        ISO 8601 in UTC.

    Returns
    -------
    str
        What came of it.
    """
    seen = difference_of(connection, destination, order.study_instance_uid)
    if seen is None or seen.state not in ACCEPTABLE or code_of(seen) != order.seen:
        return "not accepted: the PACS keeps it otherwise than was seen"
    if not read_answers(seen.differences):
        return "not accepted: what the PACS has is not known"
    decision = IdentityDecision(
        0,
        destination,
        _place(connection, destination),
        order.study_instance_uid,
        Decision.ACCEPTED,
        order.meaning,
        seen.state,
        seen.differences,
        now,
        order.by,
        order.reason,
    )
    count = _enter(connection, decision, (seen.state, Kept.ACCEPTED), "accepted")
    return f"accepted for {count} proven"


def undo(connection: sa.Connection, order: SyncOrder, destination: str, now: str) -> str:
    """Take an acceptance back: its difference is open again.

    Parameters
    ----------
    connection, order, destination, now
        As `accept`.

    Returns
    -------
    str
        What came of it.
    """
    last = _last(connection, destination, order.study_instance_uid)
    if last is None or last.decision != Decision.ACCEPTED:
        return "nothing was accepted"
    decision = replace(last, decision=Decision.UNDONE, at=now, by=order.by, reason=order.reason)
    count = _enter(connection, decision, (Kept.ACCEPTED, last.kept), "differs")
    return f"open again for {count} proven"


def _enter(
    connection: sa.Connection,
    decision: IdentityDecision,
    of_difference: tuple[str, str],
    of_images: str,
) -> int:
    """Enter a decision and the states that follow; return how many images it is for.

    Images that could not be verified since follow as well. Where the PACS has something else by
    now, no state follows.
    """
    values = {name: getattr(decision, name) for name in identity_decisions.c.keys()[1:]}
    connection.execute(sa.insert(identity_decisions).values(values))
    changed = connection.execute(
        sa.update(identity_difference)
        .where(_is_of(identity_difference, decision.destination, decision.study_instance_uid))
        .where(identity_difference.c.state == of_difference[0])
        .values(state=of_difference[1])
    )
    if not changed.rowcount:
        return 0
    result = connection.execute(
        sa.update(deliveries)
        .where(
            _is_of(deliveries, decision.destination, decision.study_instance_uid),
            deliveries.c.state == State.PROVEN,
            deliveries.c.identity_state.in_(_FOLLOWING[of_images]),
        )
        .values(identity_state=of_images)
    )
    return result.rowcount


def difference_of(
    connection: sa.Connection, destination: str, study_instance_uid: str
) -> KeptIdentity | None:
    """Return how a PACS keeps a study, None where it was never found to differ."""
    is_it = _is_of(identity_difference, destination, study_instance_uid)
    row = connection.execute(sa.select(identity_difference).where(is_it)).mappings().first()
    return None if row is None else KeptIdentity(**row)


def settled(
    connection: sa.Connection, destination: str, study_instance_uid: str, finding: Finding
) -> Finding:
    """Return a finding, as `ACCEPTED` where a person accepted just this difference.

    Any value that the PACS returned counts, also one we have nothing to compare with: it is then
    another patient that was accepted.

    Parameters
    ----------
    connection : sqlalchemy.Connection
    destination, study_instance_uid : str
    finding : Finding
        How the PACS keeps the study now.
    """
    if finding.kept not in ACCEPTABLE:
        return finding
    last = _last(connection, destination, study_instance_uid)
    if last is None or last.decision != Decision.ACCEPTED:
        return finding
    is_the_same = (
        last.place == _place(connection, destination)
        and (last.kept == Kept.SPLIT) == (finding.kept is Kept.SPLIT)
        and set(read_differences(last.differences)) == set(finding.found)
        and set(read_answers(last.differences)) == set(finding.answers) != set()
    )
    return replace(finding, kept=Kept.ACCEPTED) if is_the_same else finding


def decisions_of(ledger: LedgerReader, study_instance_uid: str = "") -> list[IdentityDecision]:
    """Return every decision on one study, or on all, the oldest first."""
    statement = sa.select(identity_decisions).order_by(identity_decisions.c.decision_id)
    if study_instance_uid:
        is_it = identity_decisions.c.study_instance_uid == study_instance_uid
        statement = statement.where(is_it)
    return [IdentityDecision(**row) for row in ledger.rows(statement)]


def decided_of(
    ledger: LedgerReader, study_instance_uids: Sequence[str]
) -> list[tuple[IdentityDecision, bool]]:
    """Return what was accepted of these studies, each with whether it is still so in the PACS."""
    table = identity_decisions
    is_of_them = table.c.study_instance_uid.in_(study_instance_uids)
    statement = sa.select(table).where(is_of_them).order_by(table.c.decision_id)
    found = in_force(IdentityDecision(**row) for row in ledger.rows(statement))
    now = sa.select(identity_difference.c.study_instance_uid, identity_difference.c.destination)
    now = now.where(
        identity_difference.c.study_instance_uid.in_(study_instance_uids),
        identity_difference.c.state == Kept.ACCEPTED,
    )
    still = {tuple(row.values()) for row in ledger.rows(now)} if found else set()
    return [(one, (one.study_instance_uid, one.destination) in still) for one in found]


def in_force(decisions: Iterable[IdentityDecision]) -> list[IdentityDecision]:
    """Return of decisions, the oldest first, the acceptances that were not taken back."""
    last = {(one.study_instance_uid, one.destination): one for one in decisions}
    return [one for one in last.values() if one.decision == Decision.ACCEPTED]


def _is_of(table: sa.Table, destination: str, study_instance_uid: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.destination == destination, table.c.study_instance_uid == study_instance_uid
    )


def _last(
    connection: sa.Connection, destination: str, study_instance_uid: str
) -> IdentityDecision | None:
    statement = (
        sa.select(identity_decisions)
        .where(_is_of(identity_decisions, destination, study_instance_uid))
        .order_by(identity_decisions.c.decision_id.desc())
        .limit(1)
    )
    row: Any = connection.execute(statement).mappings().first()
    return None if row is None else IdentityDecision(**row)


def _place(connection: sa.Connection, destination: str) -> str:
    """Return the address of an archive: behind another one, nothing that was decided holds."""
    statement = sa.select(destinations.c.ae_title, destinations.c.host, destinations.c.port)
    row = connection.execute(statement.where(destinations.c.name == destination)).one()
    return f"{row.ae_title}@{row.host}:{row.port}"
