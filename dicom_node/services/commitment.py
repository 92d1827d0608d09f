"""Storage commitment push model, as the one who asked: N-EVENT-REPORT (PS3.4 Annex J)."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom import evt

from dicom_node.clock import Clock, stamp
from dicom_node.errors import BadDataset
from dicom_node.index import CommitmentReport

_log = logging.getLogger(__name__)

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
_UNSPECIFIED: Final = 0x0110

AddReports = Callable[[Sequence[CommitmentReport]], None]


def handle_commitment_report(
    event: evt.Event, add_reports: AddReports, clock: Clock
) -> tuple[int, None]:
    """Take what a PACS says of instances we asked it to commit.

    It may come on an association the PACS opens to us, or on one of ours.

    Parameters
    ----------
    event : pynetdicom.evt.Event
        An `EVT_N_EVENT_REPORT`.
    add_reports : callable
        Keeps the reports durably.
    clock : Clock

    Returns
    -------
    int, None
        The status of the answer: success only once the report is kept.
    """
    try:
        reports = read_reports(event.event_information, stamp(clock()))
        add_reports(reports)
    except Exception:  # noqa: BLE001 - the edge to the network: the PACS is asked to repeat
        _log.exception("commitment_report_failed")
        return PROCESSING_FAILURE, None
    _log.info("commitment_reported", extra={"count": len(reports)})
    return SUCCESS, None


def read_reports(information: Dataset, received_at: str) -> list[CommitmentReport]:
    """Read the instances of an Event Information data set (PS3.4 Table J.3-2).

    Parameters
    ----------
    information : pydicom.Dataset
        Transaction UID (0008,1195), Referenced SOP Sequence (0008,1199), Failed SOP Sequence
        (0008,1198).
    received_at : str
        ISO 8601 in UTC.

    Returns
    -------
    list of CommitmentReport

    Raises
    ------
    BadDataset
        It has no Transaction UID, so it answers nothing we asked.
    """
    transaction_uid = str(information.get("TransactionUID", ""))
    if not transaction_uid:
        raise BadDataset("the commitment report names no transaction")
    succeeded = [
        CommitmentReport(0, transaction_uid, str(item.ReferencedSOPInstanceUID), None, received_at)
        for item in information.get("ReferencedSOPSequence") or ()
    ]
    failed = [
        CommitmentReport(
            0,
            transaction_uid,
            str(item.ReferencedSOPInstanceUID),
            int(item.get("FailureReason", _UNSPECIFIED)),
            received_at,
        )
        for item in information.get("FailedSOPSequence") or ()
    ]
    return succeeded + failed
