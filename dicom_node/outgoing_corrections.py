"""What is sent to one PACS corrected: which correction holds, and when it would do harm."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dicom_node import reissue
from dicom_node.corrected_copy import FOLDER, CopyOrder
from dicom_node.correction import Correction
from dicom_node.correction_desk import CorrectionReader, deciding
from dicom_node.held_reasons import FOR_A_CORRECTION, KEEPS_OLD, NEVER_SENT, SPLITS
from dicom_node.identity import Identity
from dicom_node.kept_identity import find_identity
from dicom_node.ledger import Delivery, State
from dicom_node.ledger_writer import Ledger
from dicom_node.study_answer import StudyAnswer

AskForStudy = Callable[[str], list[StudyAnswer] | None]


class OutgoingCorrections:
    """The corrections of what one destination is sent.

    Parameters
    ----------
    data : Path
        The data folder.
    node_name : str
        Named as Modifying System (0400,0563) in what is sent corrected.
    ledger : Ledger
    destination : str
    """

    def __init__(self, data: Path, node_name: str, ledger: Ledger, destination: str) -> None:
        self._data = data
        self._node_name = node_name
        self._ledger = ledger
        self._destination = destination
        self._reader = CorrectionReader(data)

    def close(self) -> None:
        """Close the desk's file."""
        self._reader.close()

    def release(self) -> None:
        """Let go what was held for a correction that is no longer in force, or for want of one.

        What came late for a study that is reissued gets its new UIDs here: nothing is on its way.
        """
        with self._ledger.change() as connection:
            reissue.assign(connection, self._destination)
        for study_uid, correction_id in self._ledger.held_for(self._destination, FOR_A_CORRECTION):
            active = self._reader.active(study_uid)
            if active is None or active.correction_id != correction_id:
                self._ledger.release(self._destination, correction_id, FOR_A_CORRECTION)
        for study_uid, _ in self._ledger.held_for(self._destination, (NEVER_SENT,)):
            if self._reader.active(study_uid) is not None:
                self._ledger.release(self._destination, "", (NEVER_SENT,))

    def take(
        self, batch: Sequence[Delivery], ask: AskForStudy, now: str
    ) -> tuple[list[Delivery], CopyOrder | None]:
        """Mark instances of one study as being sent, and say what is corrected in them.

        From then on the correction cannot be taken back.

        Parameters
        ----------
        batch : sequence of Delivery
            Of one study.
        ask : callable
            Asks the PACS for a study; None when it cannot be asked.
        now : str
            ISO 8601 in UTC.

        Returns
        -------
        list of Delivery, and CopyOrder or None
            What is to be sent now. Nothing when the correction would do harm: it is held then.
        """
        if not batch:
            return [], None
        study_uid = batch[0].study_instance_uid
        uids = self._new_uids(study_uid)
        if uids is not None:
            batch = [item for item in batch if item.sent_sop_instance_uid]
        correction = self._reader.active(study_uid)
        if uids is not None and correction is None:
            self._hold(batch, "", NEVER_SENT)
            return [], None
        if correction and uids is None and (objection := self._objection(correction, ask)):
            self._hold(batch, correction.correction_id, objection)
            return [], None
        ids = [item.delivery_id for item in batch]
        with deciding(self._data):
            if self._reader.active(study_uid) != correction:
                return [], None  # decided meanwhile: the next step sees it
            uids_there = [item.sent_sop_instance_uid for item in batch]
            correction_id = correction.correction_id if correction else ""
            taken = self._ledger.take(ids, now, uids_there, correction_id)
        order = self._order(correction, uids or {})
        return [item for item in batch if item.delivery_id in taken], order

    def _new_uids(self, study_instance_uid: str) -> dict[str, str] | None:
        """Return old and new UIDs of a study that is reissued, None of any other."""
        with self._ledger.engine.connect() as connection:
            found = reissue.of_study(connection, study_instance_uid, self._destination)
            return reissue.uid_map(connection, found[0]) if found else None

    def _order(self, correction: Correction | None, uids: dict[str, str]) -> CopyOrder | None:
        if correction is None:
            return None
        return CopyOrder(correction, self._data / FOLDER, self._node_name, uids)

    def _hold(self, batch: Sequence[Delivery], correction_id: str, why: str) -> None:
        self._ledger.update(
            [item.delivery_id for item in batch],
            expected=State.QUEUED,
            state=State.HELD,
            correction_id=correction_id,
            last_error=why,
        )

    def _objection(self, correction: Correction, ask: AskForStudy) -> str:
        """Say what speaks against the first send under a correction, '' when nothing does."""
        if self._is_begun(correction):
            return ""
        answers = ask(correction.study_instance_uid)
        if all(_differs(correction.of(one), answers) for one in correction.identities):
            return SPLITS if correction.moves_to_another_patient else KEEPS_OLD
        return ""

    def _is_begun(self, correction: Correction) -> bool:
        return self._ledger.has_sent_with(self._destination, correction.correction_id)


def _differs(ours: Identity, answers: Sequence[StudyAnswer] | None) -> bool:
    return find_identity(ours, answers, was_there_before=True).state == "differs"
