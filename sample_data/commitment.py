"""Storage commitment as the practice PACS gives it (PS3.4 Annex J, PS3.3 C.14)."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association

from sample_data.answers import keep_answers
from sample_data.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE

SUCCESS = 0x0000
NO_SUCH_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
CLASS_INSTANCE_CONFLICT = 0x0119
NO_SUCH_ACTION = 0x0123

ALL_COMMITTED = 1
FAILURES_EXIST = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommitmentRequest:
    """One accepted N-ACTION request.

    Attributes
    ----------
    transaction_uid : str
        (0008,1195).
    references : tuple of (str, str)
        SOP Class UID and SOP Instance UID of each item of (0008,1199).
    """

    transaction_uid: str
    references: tuple[tuple[str, str], ...]


def check_request(
    action_type: int, sop_instance_uid: str, information: Dataset | None
) -> tuple[int, CommitmentRequest | None]:
    """Judge an N-ACTION request.

    Parameters
    ----------
    action_type : int
        (0000,1008), must be 1.
    sop_instance_uid : str
        (0000,1001), must be the well-known instance.
    information : Dataset or None
        The Action Information.

    Returns
    -------
    tuple of int and CommitmentRequest or None
        Status of the answer, and the request when the status is 0x0000.
    """
    if action_type != 1:
        return NO_SUCH_ACTION, None
    if sop_instance_uid != STORAGE_COMMITMENT_INSTANCE:
        return NO_SUCH_INSTANCE, None
    items = information.get("ReferencedSOPSequence") if information is not None else None
    if information is None or not items or not information.get("TransactionUID"):
        return INVALID_ARGUMENT, None
    references = tuple(
        (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in items
    )
    return SUCCESS, CommitmentRequest(str(information.TransactionUID), references)


def event_report(
    request: CommitmentRequest, class_held: Callable[[str], str | None], ae_title: str
) -> tuple[int, Dataset]:
    """Write the N-EVENT-REPORT for a request.

    Parameters
    ----------
    request : CommitmentRequest
        What was asked.
    class_held : callable
        Gives the SOP Class UID under which an instance is held, or None when it is not.
    ae_title : str
        Put into (0008,0054).

    Returns
    -------
    tuple of int and Dataset
        Event Type ID, 1 or 2, and the Event Information; each reference is in exactly one of its
        two lists.
    """
    committed: list[Dataset] = []
    failed: list[Dataset] = []
    for sop_class_uid, sop_instance_uid in request.references:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        reason = _failure_reason(sop_class_uid, class_held(sop_instance_uid))
        if reason is None:
            committed.append(item)
        else:
            item.FailureReason = reason
            failed.append(item)
    return _event(request.transaction_uid, committed, failed, ae_title)


def _failure_reason(asked_class: str, held_class: str | None) -> int | None:
    if held_class is None:
        return NO_SUCH_INSTANCE
    return None if held_class == asked_class else CLASS_INSTANCE_CONFLICT


def _event(
    transaction_uid: str, committed: list[Dataset], failed: list[Dataset], ae_title: str
) -> tuple[int, Dataset]:
    event = Dataset()
    event.TransactionUID = transaction_uid
    event.RetrieveAETitle = ae_title
    if committed:
        event.ReferencedSOPSequence = committed
    if failed:
        event.FailedSOPSequence = failed
    return (FAILURES_EXIST if failed else ALL_COMMITTED), event


def report_to_address(
    entity: AE,
    address: tuple[str, int],
    ae_title: str,
    report: tuple[int, Dataset],
    *,
    pauses_s: Sequence[float],
    stopping: threading.Event,
) -> bool:
    """Deliver an event report on associations of our own, as the SCP of the class.

    Parameters
    ----------
    entity : AE
        Who calls.
    address : tuple[str, int]
        Where the requestor listens.
    ae_title : str
        AE title of the requestor.
    report : tuple of int and Dataset
        What `event_report` returned.
    pauses_s : sequence of float
        How long to wait after each failed attempt, in seconds; one attempt more than pauses.
    stopping : threading.Event
        Ends the waiting.

    Returns
    -------
    bool
        Whether the requestor answered 0x0000.
    """
    for pause_s in (*pauses_s, None):
        association = entity.associate(
            *address,
            contexts=[build_context(STORAGE_COMMITMENT)],
            ae_title=ae_title,
            ext_neg=[build_role(STORAGE_COMMITMENT, scp_role=True)],
            evt_handlers=[(evt.EVT_CONN_OPEN, keep_answers)],
        )
        if association.is_established:
            is_delivered = report_on(association, report)
            association.release()
            if is_delivered:
                return True
        if pause_s is None or stopping.wait(pause_s):
            break
    _log.warning("commitment_report_undelivered")
    return False


def report_on(association: Association, report: tuple[int, Dataset]) -> bool:
    """Deliver an event report on an open association.

    Parameters
    ----------
    association : Association
        Established, with an accepted context of the storage commitment class.
    report : tuple of int and Dataset
        What `event_report` returned.

    Returns
    -------
    bool
        Whether the requestor answered 0x0000.
    """
    event_type, event = report
    try:
        status, _ = association.send_n_event_report(
            event, event_type, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
        )
    except (RuntimeError, ValueError):  # ended meanwhile, or the peer refused the context
        return False
    return bool(status.get("Status") == SUCCESS)
