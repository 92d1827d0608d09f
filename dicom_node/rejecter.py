"""Having old instances rejected: only when every new one is proven, and seen under its identity."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from dicom_node import reissue
from dicom_node.clock import Clock, stamp
from dicom_node.corrected_copy import FOLDER
from dicom_node.courier import Courier
from dicom_node.errors import (
    BadDataset,
    ConversationLost,
    NodeError,
    PeerRefused,
    PeerUnreachable,
    StorageFailed,
)
from dicom_node.identity import Identity
from dicom_node.ledger import Delivery, InstanceUids
from dicom_node.ledger_writer import Ledger
from dicom_node.pacs import Pacs
from dicom_node.part10 import build_head
from dicom_node.reissue import Reissue, ReissueState
from dicom_node.rejection_gate import SEEN, why_not_yet
from dicom_node.rejection_note import SOP_CLASS_UID, TRANSFER_SYNTAX_UID, rejection_note
from dicom_node.settings import Settings
from dicom_node.shipment import Outcome, Receipt, Shipment
from dicom_node.stored_identity import identity_of_file

_log = logging.getLogger(__name__)

KEPT_ONLY: Final = "it may only keep the note, and show both"
NEW_UNLISTED: Final = "the PACS does not list all the new ones: nothing is rejected"
NOT_COMPARED: Final = "the PACS was not heard on whose the new ones are: nothing is rejected"
UNANSWERED: Final = "the rejection note was not answered"
NO_PATIENT: Final = (
    "no note is sent: under which patient the PACS has the old ones is not to be told, because it "
    "lists several, or no stored file can be read; ask its administrator to remove them there"
)
TRIES: Final = 5
"""How often a note is sent that gets no answer."""
_STUDY: Final = ("StudyDate", "StudyTime", "StudyID", "ReferringPhysicianName")


class Rejecter:
    """Rejects at one PACS, one study in a step.

    Parameters
    ----------
    destination : str
    settings : Settings
    ledger : Ledger
    courier : Courier
    clock : Clock
    """

    def __init__(
        self,
        destination: str,
        settings: Settings,
        ledger: Ledger,
        courier: Courier | Pacs,
        clock: Clock,
    ) -> None:
        self._destination = destination
        self._data = settings.node.data
        self._interval_s = settings.sync.reverify_interval_s
        self._ledger = ledger
        self._courier = courier
        self._clock = clock
        self._unanswered: Counter[int] = Counter()

    def step(self) -> bool:
        """Reject the old instances of one study, or look whether they are gone.

        Raises
        ------
        PeerUnreachable, PeerRefused, BadDataset, StorageFailed
            It was not done now; the next step tries another study first.
        """
        one = self._next()
        if one is not None:
            with self._noting_failure_of(one):
                self._reject(one)
            return True
        return self._look_again()

    def _next(self) -> Reissue | None:
        """Return what may be rejected and was tried longest ago; of others note why they may not.

        What came since gets its new UIDs here: however long nothing is sent, none is forgotten.
        """
        ready: list[Reissue] = []
        with self._ledger.change() as connection:
            reissue.assign(connection, self._destination)
            for one in reissue.open_at(connection, self._destination):
                why = why_not_yet(connection, one)
                if not why:
                    ready.append(one)
                elif why != one.detail:
                    reissue.settle(connection, one.reissue_id, detail=why)
        return ready[0] if ready else None

    @contextmanager
    def _noting_failure_of(self, one: Reissue) -> Iterator[None]:
        """Let the others come first after a failure: it may be this one that cannot be done."""
        try:
            yield
        except NodeError as error:
            self._settle(one, detail=str(error))
            raise

    def _look_again(self) -> bool:
        """Count the old ones the PACS still lists; one that acts on the note lists none."""
        if not self._interval_s:
            return False
        before = stamp(self._clock() - timedelta(seconds=self._interval_s))
        with self._ledger.engine.connect() as connection:
            found = reissue.still_listed(connection, self._destination, before)
        for one in found[:1]:
            try:
                listed, is_known = self._listed(self._replaced(one), _here)
            except NodeError:
                self._settle(one)
                raise
            self._settle(one, still_listed=len(listed) if is_known else None)
        return False

    def _replaced(self, one: Reissue) -> list[Delivery]:
        with self._ledger.engine.connect() as connection:
            return reissue.rejected(connection, one.reissue_id)

    def _listed(
        self, items: Sequence[Delivery], uids_of: Callable[[Delivery], InstanceUids]
    ) -> tuple[list[Delivery], bool]:
        """Return which it lists under these UIDs, all where it cannot be asked, and if it can."""
        series: dict[tuple[str, str], list[Delivery]] = {}
        for item in items:
            series.setdefault(uids_of(item)[:2], []).append(item)
        found: list[Delivery] = []
        is_known = True
        for key, some in series.items():
            held = self._courier.held_among(*key, [uids_of(item)[2] for item in some])
            is_known &= held is not None
            found += [item for item in some if held is None or uids_of(item)[2] in held]
        return found, is_known

    def _reject(self, one: Reissue) -> None:
        replaced = self._replaced(one)
        # what it does not list is not named: archives refuse notes on what they do not know
        old, is_known = self._listed(replaced, _here)
        if not old:
            self._settle(one, state=ReissueState.NOTHING_LEFT, detail="", still_listed=0)
            return
        self._check_new(replaced, is_known)
        identity = self._kept_as(one, old)
        receipt = self._send(rejection_note(one, old, identity, self._study_of(old)), one)
        if receipt.outcome is Outcome.STORED:
            left, is_known = self._listed(old, _here)
            count = len(left) if is_known else None
            detail = KEPT_ONLY if left else ""
            self._settle(one, state=ReissueState.REJECTED, detail=detail, still_listed=count)
        elif words := self._why_never(receipt, one):
            left_there = len(old) if is_known else None
            self._settle(one, state=ReissueState.REFUSED, detail=words, still_listed=left_there)
        else:
            raise PeerUnreachable(UNANSWERED)

    def _check_new(self, replaced: Sequence[Delivery], has_answered: bool) -> None:
        """Refuse to go on unless it has all the new ones, as far as it can be asked."""
        listed, is_known = self._listed(replaced, _there)
        if len(listed) < len(replaced):
            raise PeerRefused(NEW_UNLISTED)
        is_seen = all(item.identity_state in SEEN for item in replaced)
        if (has_answered or is_known) and not is_seen:
            raise PeerRefused(NOT_COMPARED)

    def _why_never(self, receipt: Receipt, one: Reissue) -> str:
        """Say why the note is not sent again, '' when it is."""
        if receipt.outcome is Outcome.NO_CONTEXT:
            return "it accepts no Key Object Selection Documents"
        if receipt.outcome is Outcome.REFUSED:
            return f"status {receipt.status:04X}" if receipt.status is not None else "no status"
        self._unanswered[one.reissue_id] += 1
        is_enough = self._unanswered[one.reissue_id] >= TRIES
        return f"it did not answer it {TRIES} times" if is_enough else ""

    def _kept_as(self, one: Reissue, old: Sequence[Delivery]) -> Identity:
        """Return the identity it keeps the old study under, or else the one that was received.

        Raises
        ------
        BadDataset
            It lists the study under several patients, and none is known to be the right one.
        """
        received = next(self._received(old), None)
        answers = self._courier.find_study(one.study_instance_uid) or []
        listed = [answer.identity for answer in answers]
        same = [it for it in listed if received and it.patient_id == received.patient_id]
        found = same or listed or list(filter(None, [received]))
        if len({it.patient_id for it in found}) != 1:
            raise BadDataset(NO_PATIENT)
        return found[0]

    def _received(self, old: Sequence[Delivery]) -> Iterator[Identity]:
        """Return whose the stored files are, of those that can be read."""
        for item in old:
            with suppress(OSError, ValueError, BadDataset):  # an empty file: ValueError
                yield identity_of_file(self._data / item.path)

    def _study_of(self, old: Sequence[Delivery]) -> Dataset:
        """Return what the note repeats of the study; empty where no file can be read."""
        for item in old:
            with suppress(InvalidDicomError, OSError, ValueError, EOFError):
                path = self._data / item.path
                return pydicom.dcmread(path, specific_tags=list(_STUDY), stop_before_pixels=True)
        return Dataset()

    def _send(self, note: Dataset, one: Reissue) -> Receipt:
        with _as_file(self._data / FOLDER, note, one) as path:
            item = Shipment(0, str(path), SOP_CLASS_UID, note.SOPInstanceUID, TRANSFER_SYNTAX_UID)
            try:
                (receipt,) = self._courier.send([item])
            except ConversationLost:
                return Receipt(0, Outcome.UNKNOWN)
        if receipt.is_out_of_resources:
            raise PeerRefused("it is out of resources")
        return receipt

    def _settle(self, one: Reissue, **values: object) -> None:
        now = stamp(self._clock())
        if "state" in values:
            values["settled_at"] = now
        with self._ledger.change() as connection:
            reissue.settle(connection, one.reissue_id, looked_at=now, **values)
        if "state" in values:
            words = reissue.STATE_WORDS[str(values["state"])]
            event = f"reissue_{str(values['state']).replace('-', '_')}"
            self._ledger.record_event(event, self._destination, words, now)
            _log.warning(event, extra={"destination": self._destination})


@contextmanager
def _as_file(folder: Path, note: Dataset, one: Reissue) -> Iterator[Path]:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, note)
    uid = str(note.SOPInstanceUID)
    head = build_head(
        SOP_CLASS_UID, uid, TRANSFER_SYNTAX_UID, source_ae_title="", received_at=one.at
    )
    path = folder / f"{uid}.dcm"
    try:
        folder.mkdir(exist_ok=True)
        path.write_bytes(head + buffer.getvalue())
    except OSError as exc:
        raise StorageFailed("the rejection note could not be written") from exc
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _here(item: Delivery) -> InstanceUids:
    return item.here


def _there(item: Delivery) -> InstanceUids:
    return item.there
