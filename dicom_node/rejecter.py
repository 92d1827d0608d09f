"""Having old instances rejected: only when every new one is proven, and seen under its identity."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from dicom_node.errors import PeerRefused, PeerUnreachable
from dicom_node.identity import Identity
from dicom_node.ledger import Delivery
from dicom_node.ledger_writer import Ledger
from dicom_node.pacs import Pacs
from dicom_node.part10 import build_head
from dicom_node.reissue import Reissue, ReissueState
from dicom_node.rejection_note import (
    SOP_CLASS_UID,
    TRANSFER_SYNTAX_UID,
    note_uid,
    rejection_note,
)
from dicom_node.settings import Settings
from dicom_node.shipment import Outcome, Receipt, Shipment
from dicom_node.stored_identity import identity_of_file

_log = logging.getLogger(__name__)

KEPT_ONLY: Final = "it may only keep the note, and show both"
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

    def step(self) -> bool:
        """Reject the old instances of one study, or look whether they are gone."""
        with self._ledger.engine.connect() as connection:
            waiting = reissue.unsettled(connection, self._destination)
        if waiting:
            self._reject(waiting[0])
            return True
        return self._look_again()

    def _look_again(self) -> bool:
        """Count the old ones the PACS still lists; one that acts on the note lists none."""
        if not self._interval_s:
            return False
        before = stamp(self._clock() - timedelta(seconds=self._interval_s))
        with self._ledger.engine.connect() as connection:
            found = reissue.still_listed(connection, self._destination, before)
        for one in found[:1]:
            listed, is_known = self._listed(self._rejected(one))
            self._settle(one, still_listed=len(listed) if is_known else None)
        return False

    def _rejected(self, one: Reissue) -> list[Delivery]:
        with self._ledger.engine.connect() as connection:
            return reissue.rejected(connection, one.reissue_id)

    def _listed(self, old: Sequence[Delivery]) -> tuple[list[Delivery], bool]:
        """Return which it lists under the old UIDs, all where it cannot be asked, and if it can."""
        series: dict[tuple[str, str], list[Delivery]] = {}
        for item in old:
            key = (item.study_instance_uid, item.series_instance_uid)
            series.setdefault(key, []).append(item)
        found: list[Delivery] = []
        is_known = True
        for key, items in series.items():
            held = self._courier.held_among(*key, [item.sop_instance_uid for item in items])
            is_known &= held is not None
            found += [item for item in items if held is None or item.sop_instance_uid in held]
        return found, is_known

    def _reject(self, one: Reissue) -> None:
        # what it does not list is not named: archives refuse notes on what they do not know
        old, is_known = self._listed(self._rejected(one))
        if not old:
            self._settle(one, state=ReissueState.NOTHING_LEFT, still_listed=0)
            return
        identity = self._kept_as(one, old)
        note = rejection_note(one, old, identity, _study_of(self._data / old[0].path))
        receipt = self._send(one, note)
        if receipt.outcome is Outcome.STORED:
            left, is_known = self._listed(old)
            count = len(left) if is_known else None
            detail = KEPT_ONLY if left else ""
            self._settle(one, state=ReissueState.REJECTED, detail=detail, still_listed=count)
        elif receipt.outcome is Outcome.NO_CONTEXT or receipt.outcome is Outcome.REFUSED:
            self._settle(
                one,
                state=ReissueState.REFUSED,
                detail=_refusal(receipt),
                still_listed=len(old) if is_known else None,
            )
        else:
            raise PeerUnreachable("the rejection note was not answered")

    def _kept_as(self, one: Reissue, old: Sequence[Delivery]) -> Identity:
        """Return the identity it keeps the old study under, or else the one that was received."""
        received = identity_of_file(self._data / old[0].path)
        answers = self._courier.find_study(one.study_instance_uid) or []
        same = [a.identity for a in answers if a.identity.patient_id == received.patient_id]
        listed = same or [answer.identity for answer in answers]
        return listed[0] if listed else received

    def _send(self, one: Reissue, note: Dataset) -> Receipt:
        with _as_file(self._data / FOLDER, note, one) as path:
            item = Shipment(0, path, SOP_CLASS_UID, note_uid(one), TRANSFER_SYNTAX_UID)
            (receipt,) = self._courier.send([item])
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
    head = build_head(
        SOP_CLASS_UID, note_uid(one), TRANSFER_SYNTAX_UID, source_ae_title="", received_at=one.at
    )
    folder.mkdir(exist_ok=True)
    path = folder / f"{note_uid(one)}.dcm"
    path.write_bytes(head + buffer.getvalue())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _study_of(path: Path) -> Dataset:
    """Return what the note repeats of the study; empty where the file cannot be read so."""
    try:
        return pydicom.dcmread(path, specific_tags=list(_STUDY), stop_before_pixels=True)
    except (InvalidDicomError, OSError, ValueError):
        return Dataset()


def _refusal(receipt: Receipt) -> str:
    if receipt.outcome is Outcome.NO_CONTEXT:
        return "it accepts no Key Object Selection Documents"
    return f"status {receipt.status:04X}" if receipt.status is not None else "no status"
