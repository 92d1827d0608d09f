"""Accepting the identity a PACS keeps a study under: what is looked at, who may, and undoing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from dicom_node.clock import Clock, utc_now
from dicom_node.closing import Closings
from dicom_node.correction import OF_THE_PATIENT
from dicom_node.errors import BadSettings
from dicom_node.identity import Difference
from dicom_node.identity_decisions import (
    ACCEPTABLE,
    IdentityDecision,
    Meaning,
    code_of,
    decisions_of,
    in_force,
    read_differences,
)
from dicom_node.ledger import KeptIdentity, LedgerReader
from dicom_node.ledger_tables import about
from dicom_node.sync_order import ORDERS_MARK, OrderKind, SyncOrder, SyncOrders

PROMISE: Final = (
    "Accepting proves nothing: what the PACS has not vouched for stays unproven. Nothing is "
    "changed in the PACS or here. It is on record, can be undone until an outage is signed as "
    "closed, and holds only for these differences."
)


@dataclass(frozen=True, slots=True)
class OtherIdentity:
    """A study that a PACS keeps under another identity, as it can be accepted now.

    `code` stands for all that is to be seen of it. `pending` is the order that accepts it and
    waits to be entered by the delivering process.
    """

    kept: KeptIdentity
    found: tuple[Difference, ...]
    code: str
    pending: SyncOrder | None = None

    @property
    def is_of_the_patient(self) -> bool:
        """Whether it says that the images are of somebody else than they were taken for."""
        return not OF_THE_PATIENT.isdisjoint(one.attribute for one in self.found)


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
                code, differs = code_of(kept), read_differences(kept.differences)
                found.append(OtherIdentity(kept, differs, code, waiting.get(code)))
        return found

    def _not_entered(self) -> list[SyncOrder]:
        """Return the acceptances that the delivering process has not looked at yet."""
        is_it = about.c.key == ORDERS_MARK
        marks = self._ledger.rows(sa.select(about.c.value).where(is_it))
        done = int(marks[0]["value"]) if marks else 0
        return [one for one in self._orders.all()[done:] if one.kind is OrderKind.ACCEPT]

    def accepted(self, study_instance_uid: str = "") -> list[IdentityDecision]:
        """Return what was accepted and not undone."""
        return in_force(decisions_of(self._ledger, study_instance_uid))

    def accept(
        self, chosen: OtherIdentity, code: str, meaning: str, *, by: str, reason: str
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

        Raises
        ------
        BadSettings
            It is not what was looked at any more, or who, why or what it means is missing.
        StorageFailed
            It cannot be put on record, so it is not given.
        """
        if meaning not in set(Meaning):
            raise BadSettings(f"say what it means: {' or '.join(Meaning)}")
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
            An outage was signed as closed since, or who or why is missing.
        StorageFailed
            It cannot be put on record, so it is not given.
        """
        closing = self._closings.first_after(chosen.at)
        if closing is not None:
            raise BadSettings(
                f"{closing.signed_by} signed at {closing.signed_at} that an outage is closed, with "
                "this acceptance: it stands. Correct the study in the PACS"
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
