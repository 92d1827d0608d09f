"""Reissuing a study, asked for by people in any process: a preview, the order, and the way back."""

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, utc_now
from dicom_node.correction import Correction, CorrectionState, Source, checked_values
from dicom_node.correction_desk import CorrectionDesk
from dicom_node.errors import BadSettings, NodeError, ReissueRefused
from dicom_node.identity import Identity
from dicom_node.index import IndexReader
from dicom_node.ledger import Delivery, LedgerReader, State
from dicom_node.reconciling import confirm, distinct, may_be_there
from dicom_node.reissue import Reissue, Title, reissues_of
from dicom_node.stored_identity import identity_of_file
from dicom_node.sync_order import OrderKind, SyncOrder, SyncOrders

PROMISE: Final = (
    "The stored files stay as they are. The images are sent under new UIDs with the corrected "
    "identity. Only when the PACS has proven all of them, it is sent a note that rejects the old "
    "ones. An archive that knows no such notes keeps showing both: then its administrator must "
    "remove the old ones. It can be undone until the first image is sent."
)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a reissue would do. `sent` are all instances of it, `rejected` those the PACS has."""

    correction: Correction
    destination: str
    before: Identity
    after: Identity
    sent: int
    rejected: int

    @property
    def id_to_type(self) -> str:
        """The patient ID the images are to have, typed once more; '' where that is settled."""
        is_draft = self.correction.state is CorrectionState.DRAFT
        return self.after.patient_id if is_draft and self.correction.is_of_the_patient else ""


class Reissuing:
    """Reissues of one data folder.

    Parameters
    ----------
    data : Path
        The data folder.
    ledger : LedgerReader
    clock : Clock
    """

    def __init__(self, data: Path, ledger: LedgerReader, clock: Clock = utc_now) -> None:
        self._data = data
        self._ledger = ledger
        self._clock = clock
        self._orders = SyncOrders(data, clock)

    def places(self, correction: Correction) -> list[str]:
        """Return the destinations that have, or may have, images without this correction."""
        study = correction.study_instance_uid
        reissued = {one.destination for one in reissues_of(self._ledger, study)}
        there = [i for i in self._ledger.deliveries(study) if _is_wrong(i, correction)]
        names = dict.fromkeys(item.destination for item in there)
        return [name for name in names if name not in reissued]

    def preview(self, correction: Correction, destination: str) -> Preview:
        """Return what would be sent under which identity, and what would be rejected.

        Raises
        ------
        ReissueRefused
            There is nothing of it to reject, or it is reissued already.
        """
        study = correction.study_instance_uid
        if self.at(study, destination) is not None:
            raise ReissueRefused(f"this study is reissued to {destination} already")
        owed = self._owed(study, destination)
        if destination not in self.places(correction):
            raise ReissueRefused(
                f"{destination or 'no PACS'} has nothing of this study that lacks the correction"
            )
        there = sum(map(may_be_there, owed))
        before = correction.identities[0]
        return Preview(correction, destination, before, correction.of(before), len(owed), there)

    def order(
        self, chosen: Preview, title: str, *, by: str, reason: str, retyped_patient_id: str
    ) -> SyncOrder:
        """Order a reissue; a correction that is only previewed comes into force by it.

        Parameters
        ----------
        chosen : Preview
        title : str
            A `Title`: why the old ones are rejected.
        by, reason : str
            Who decides, and why.
        retyped_patient_id : str
            See `Preview.id_to_type`.

        Raises
        ------
        BadSettings
            The title is none, or who or why is missing.
        BadCorrection, CorrectionRefused
            The correction cannot come into force; see `reconciling.confirm`.
        StorageFailed
            It cannot be put on record, so it is not given.
        """
        if title not in set(Title):
            raise BadSettings(f"the title of the note is one of {', '.join(Title)}")
        if chosen.correction.state is CorrectionState.DRAFT:
            confirm(
                self._data,
                [chosen.correction],
                self._ledger.deliveries,
                by=by,
                reason=reason,
                retyped_patient_id=retyped_patient_id,
                now=self._clock(),
                is_reissued=True,
            )
        return self._give(
            OrderKind.REISSUE,
            chosen.correction.study_instance_uid,
            chosen.destination,
            by,
            reason,
            meaning=title,
            seen=chosen.correction.correction_id,
        )

    def undo(self, study_instance_uid: str, destination: str, *, by: str, reason: str) -> SyncOrder:
        """Order that a reissue be taken back.

        Raises
        ------
        ReissueRefused
            There is none, or new instances were sent.
        BadSettings
            Who or why is missing.
        StorageFailed
            It cannot be put on record, so it is not given.
        """
        if self.at(study_instance_uid, destination) is None:
            raise ReissueRefused(f"this study is not reissued to {destination}")
        owed = self._owed(study_instance_uid, destination)
        if any(item.sent_sop_instance_uid and may_be_there(item) for item in owed):
            raise ReissueRefused("not undone: images were sent under new UIDs")
        return self._give(OrderKind.UNDO_REISSUE, study_instance_uid, destination, by, reason)

    def at(self, study_instance_uid: str, destination: str) -> Reissue | None:
        """Return the reissue of a study to a destination, None when there is none in force."""
        found = reissues_of(self._ledger, study_instance_uid)
        return next((one for one in found if one.destination == destination), None)

    def progress(self, study_instance_uid: str, destination: str) -> tuple[int, int, int]:
        """Return how many are proven under new UIDs, need a person, and there are in all."""
        owed = self._owed(study_instance_uid, destination)
        proven = sum(bool(i.sent_sop_instance_uid) and i.state == State.PROVEN for i in owed)
        stuck = sum(
            i.state in (State.HELD, State.ATTENTION) or i.identity_state == "differs" for i in owed
        )
        return proven, stuck, len(owed)

    def _owed(self, study_instance_uid: str, destination: str) -> list[Delivery]:
        found = self._ledger.deliveries(study_instance_uid)
        return [item for item in found if item.destination == destination]

    def _give(
        self, kind: OrderKind, study: str, destination: str, by: str, reason: str, **more: str
    ) -> SyncOrder:
        known = [place.name for place in self._ledger.destinations()]
        return self._orders.give(
            kind,
            by=by,
            reason=reason,
            destination=destination,
            study_instance_uid=study,
            known=known,
            **more,
        )


def draft(
    data: Path, index: IndexReader, study_instance_uid: str, wanted: Mapping[str, str], clock: Clock
) -> Correction:
    """Return a correction of a study that is previewed, its identities read from its files.

    Parameters
    ----------
    data : Path
        The data folder.
    index : IndexReader
    study_instance_uid : str
    wanted : mapping
        Attribute name to the value that is right.
    clock : Clock

    Raises
    ------
    ReissueRefused
        The node does not hold the study.
    BadCorrection
        A value cannot be written, or nothing would change.
    """
    identities = distinct(_identities(index, study_instance_uid))
    if not identities:
        raise ReissueRefused("this node does not hold that study, or cannot read its files")
    values = checked_values(identities, wanted, clock().date())
    made = Correction(secrets.token_hex(8), study_instance_uid, values, identities, Source.TYPED)
    with CorrectionDesk(data) as desk:
        desk.draft([made], clock())
    return made


def _is_wrong(item: Delivery, correction: Correction) -> bool:
    """Tell whether a destination may have an instance, and not as it is corrected."""
    is_corrected = item.correction_id == correction.correction_id
    return may_be_there(item) and not (is_corrected and item.identity_state != "differs")


def _identities(index: IndexReader, study_instance_uid: str) -> Iterator[Identity]:
    for record in index.instances(study_instance_uid):
        with contextlib.suppress(OSError, ValueError, NodeError):  # an empty file: ValueError
            yield identity_of_file(record.path)
