"""Accepting the identity a PACS keeps a study under: what is looked at, who may, and undoing it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from dicom_node.clock import Clock, utc_now
from dicom_node.closing import Closings
from dicom_node.correction import OF_THE_PATIENT
from dicom_node.errors import BadSettings
from dicom_node.identity import Difference, Identity, Kind, differences
from dicom_node.identity_decisions import (
    ACCEPTABLE,
    IdentityDecision,
    Meaning,
    code_of,
    decisions_of,
    in_force,
    read_answers,
    read_differences,
)
from dicom_node.kept_identity import COMPARED, Kept
from dicom_node.ledger import KeptIdentity, LedgerReader
from dicom_node.ledger_tables import about
from dicom_node.study_answer import StudyAnswer
from dicom_node.sync_order import ORDERS_MARK, OrderKind, SyncOrder, SyncOrders

PROMISE: Final = (
    "Accepting proves nothing: what the PACS has not vouched for stays unproven. Nothing is "
    "changed in the PACS or here. It is on record, can be undone until an outage is signed as "
    "closed, and holds only for these differences."
)

NOT_KNOWN: Final = (
    "what the PACS has was not kept when this was found: let it be asked again with lifeboat sync "
    "verify, and then look at it"
)
NOT_AS_SEEN: Final = (
    "not accepted: the PACS keeps it otherwise than was shown; look at it once more with lifeboat "
    "sync accept"
)
_KIND_WORDS: Final = {Kind.DIFFERENT: "different", Kind.SPELLING: "other spelling"}


@dataclass(frozen=True, slots=True)
class Compared:
    """One attribute here and in a PACS; `kind` is '' where nothing differs, `words` say it all."""

    attribute: str
    ours: str
    theirs: str
    kind: str
    words: str


def _compared(ours: Identity, answer: StudyAnswer, name: str) -> Compared:
    here, there = getattr(ours, name), getattr(answer.identity, name)
    if name not in answer.returned:
        return Compared(name, here, there, "", "not compared: the PACS does not say")
    found = differences(ours, answer.identity, (name,))
    if not found:
        return Compared(name, here, there, "", "same" if here.strip() else "unknown to both")
    kind = found[0].kind
    missing = "only in the PACS" if there.strip() else "not in the PACS"
    return Compared(name, here, there, str(kind), _KIND_WORDS.get(kind, missing))


@dataclass(frozen=True, slots=True)
class OtherIdentity:
    """A study that a PACS keeps under another identity, as it can be accepted now.

    `answers` are what it returned, one for each patient it lists; without them nothing can be
    looked at, and nothing accepted. `code` stands for all that is to be seen of it. `pending` is
    the order that accepts it and waits to be entered by the delivering process.
    """

    kept: KeptIdentity
    found: tuple[Difference, ...]
    answers: tuple[StudyAnswer, ...]
    code: str
    pending: SyncOrder | None = None

    @property
    def is_of_the_patient(self) -> bool:
        """Whether it says that the images are of somebody else than they were taken for."""
        differing = {one.attribute for one in self.found}
        return self.kept.state == Kept.SPLIT or not OF_THE_PATIENT.isdisjoint(differing)

    @property
    def id_to_type(self) -> str:
        """The patient ID in the PACS, typed once more by who accepts it; '' for none."""
        if not self.is_of_the_patient:
            return ""
        other = [one.theirs.strip() for one in self.found if one.attribute == "patient_id"]
        listed = [one.identity.patient_id for one in self.answers]
        return next(filter(None, [*other, *listed]), "")

    def compared(self, ours: Identity) -> list[list[Compared]]:
        """Set each patient the PACS lists beside ours, attribute by attribute.

        Parameters
        ----------
        ours : Identity
            The one the study is sent with; where it differs, what it was compared with counts.
        """
        ours = replace(ours, **{one.attribute: one.ours for one in self.found})
        return [[_compared(ours, answer, name) for name in COMPARED] for answer in self.answers]


class Accepting:
    """Decisions about other identities, asked for by people in any process.

    Parameters
    ----------
    data : Path
        The data folder.
    ledger : LedgerReader
    clock : Clock
    """

    def __init__(self, data: Path, ledger: LedgerReader, clock: Clock = utc_now) -> None:
        self._ledger = ledger
        self._orders = SyncOrders(data, clock)
        self._closings = Closings(data)

    def open(self, study_instance_uid: str = "", destination: str = "") -> list[OtherIdentity]:
        """Return what can be accepted; '' for all studies, and for every PACS."""
        waiting = {one.seen: one for one in self._not_entered()}
        found = []
        for kept in self._ledger.identity_differences(study_instance_uid):
            if kept.state in ACCEPTABLE and destination in ("", kept.destination):
                code = code_of(kept)
                seen = read_differences(kept.differences), read_answers(kept.differences)
                found.append(OtherIdentity(kept, *seen, code, waiting.get(code)))
        return found

    def _not_entered(self) -> list[SyncOrder]:
        """Return the acceptances that the delivering process has not looked at yet."""
        is_it = about.c.key == ORDERS_MARK
        marks = self._ledger.rows(sa.select(about.c.value).where(is_it))
        done = int(marks[0]["value"]) if marks else 0
        return [one for one in self._orders.all()[done:] if one.kind is OrderKind.ACCEPT]

    def decided(self, study_instance_uid: str = "") -> list[IdentityDecision]:
        """Return what was accepted and not undone, also where the PACS has something else now."""
        return in_force(decisions_of(self._ledger, study_instance_uid))

    def accepted(self, study_instance_uid: str = "") -> list[IdentityDecision]:
        """Return what was accepted, and is still so in the PACS."""
        now = {
            (one.study_instance_uid, one.destination)
            for one in self._ledger.identity_differences(study_instance_uid)
            if one.state == Kept.ACCEPTED
        }
        found = self.decided(study_instance_uid)
        return [one for one in found if (one.study_instance_uid, one.destination) in now]

    def outcome(self, order: SyncOrder) -> str | None:
        """Return what came of an acceptance.

        Parameters
        ----------
        order : SyncOrder
            As `accept` returned it.

        Returns
        -------
        str or None
            '' where it is accepted, or why it is not; None while nobody has looked at it.
        """
        if order in self._not_entered():
            return None
        is_entered = any(
            one.destination == order.destination
            and (one.by, one.reason, one.meaning) == (order.by, order.reason, order.meaning)
            and one.at >= order.at
            for one in self.accepted(order.study_instance_uid)
        )
        return "" if is_entered else NOT_AS_SEEN

    def accept(
        self,
        chosen: OtherIdentity,
        code: str,
        meaning: str,
        *,
        by: str,
        reason: str,
        retyped_patient_id: str = "",
    ) -> SyncOrder:
        """Order that a PACS may keep a study as it does.

        Parameters
        ----------
        chosen : OtherIdentity
        code : str
            Of what the person looked at.
        meaning : str
            A `Meaning`.
        by, reason : str
            Who decides, and why.
        retyped_patient_id : str
            The one in the PACS, where the patient is in question; see `OtherIdentity.id_to_type`.

        Raises
        ------
        BadSettings
            It is not what was looked at any more, what the PACS has is not known, or who, why,
            what it means or the patient ID is missing.
        StorageFailed
            It cannot be put on record, so it is not given.
        """
        if meaning not in set(Meaning):
            raise BadSettings(f"say what it means: {' or '.join(Meaning)}")
        if not chosen.answers:
            raise BadSettings(NOT_KNOWN)
        if retyped_patient_id.strip() != chosen.id_to_type and chosen.id_to_type:
            raise BadSettings("type the patient ID the PACS has, exactly as it is shown")
        if code.strip().upper() != chosen.code:
            raise BadSettings("the code is not that of these differences: look at them once more")
        return self._orders.give(
            OrderKind.ACCEPT,
            by=by,
            reason=reason,
            destination=chosen.kept.destination,
            study_instance_uid=chosen.kept.study_instance_uid,
            meaning=meaning,
            seen=chosen.code,
            known=[chosen.kept.destination],
        )

    def undo(self, chosen: IdentityDecision, *, by: str, reason: str) -> SyncOrder:
        """Order that an acceptance be taken back.

        Raises
        ------
        BadSettings
            An outage with this study was signed as closed since, or who or why is missing.
        StorageFailed
            It cannot be put on record, so it is not given.
        """
        closing = self._closings.first_with(chosen.study_instance_uid, chosen.at)
        if closing is not None:
            known = "with" if closing.accepted is not None else "and that may be with"
            raise BadSettings(
                f"{closing.signed_by} signed at {closing.signed_at} that an outage is closed, "
                f"{known} this acceptance: it stands. Correct the study in the PACS"
            )
        return self._orders.give(
            OrderKind.UNDO_ACCEPT,
            by=by,
            reason=reason,
            destination=chosen.destination,
            study_instance_uid=chosen.study_instance_uid,
            known=[chosen.destination],
        )


def only_one(found: Sequence[OtherIdentity]) -> OtherIdentity:
    """Return the one other identity that is meant.

    Raises
    ------
    BadSettings
        There is nothing to accept, or several PACS keep it otherwise.
    """
    if not found:
        raise BadSettings(
            "there is nothing to accept: no PACS shows that study under another identity"
        )
    if len(found) > 1:
        names = ", ".join(one.kept.destination for one in found)
        raise BadSettings(
            f"several PACS keep it under another identity: choose with --pacs: {names}"
        )
    return found[0]
