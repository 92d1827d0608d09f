"""Storage service class: C-STORE (PS3.4 Annex B)."""

import logging
import secrets
from typing import Final, cast

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE

from dicom_node.errors import BadDataset, NodeError, dimse_status
from dicom_node.ingest import Ingest, Origin

_log = logging.getLogger(__name__)

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
_COMMENT_LENGTH: Final = 64
_UNCOMPRESSED: Final = (ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian)


def handle_store(event: evt.Event, ingest: Ingest) -> Dataset:
    """Take one instance in and answer with its status.

    Parameters
    ----------
    event : pynetdicom.evt.Event
        An `EVT_C_STORE`.
    ingest : Ingest

    Returns
    -------
    pydicom.Dataset
        Status (0000,0900), with an Error Comment (0000,0902) on failure. Success means that the
        instance is durable on disk.
    """
    origin = _origin(event)
    try:
        dataset = cast(C_STORE, event.request).DataSet
        if dataset is None:
            raise BadDataset("the C-STORE request carries no data set")
        ingest.accept(dataset.getbuffer(), str(event.context.transfer_syntax), origin)
    except NodeError as error:
        return _failure(dimse_status(error), str(error), error.code, origin)
    except Exception:  # noqa: BLE001 - the edge to the network: nothing may leave it unanswered
        error_id = secrets.token_hex(4)
        _log.exception("store_failed", extra={"error_id": error_id})
        return _failure(PROCESSING_FAILURE, f"internal error {error_id}", "internal", origin)
    return _status(SUCCESS)


def prefer_transfer_syntaxes(event: evt.Event) -> None:
    """Order what a requestor proposes, so that the first is what we want to receive.

    A compressed first choice stays: the sender has it that way. Among the uncompressed ones
    Explicit VR Little Endian is taken before Implicit VR, which loses the VR of private elements.
    pynetdicom accepts the first transfer syntax of a storage context.
    """
    primitive = event.assoc.requestor.primitive
    for context in primitive.presentation_context_definition_list if primitive else ():
        proposed = [str(uid) for uid in context.transfer_syntax]
        if proposed and proposed[0] in _UNCOMPRESSED:
            context.transfer_syntax = [UID(uid) for uid in sorted(proposed, key=_rank)]


def _rank(transfer_syntax_uid: str) -> int:
    known = transfer_syntax_uid in _UNCOMPRESSED
    return _UNCOMPRESSED.index(transfer_syntax_uid) if known else len(_UNCOMPRESSED)


def _origin(event: evt.Event) -> Origin:
    requestor = event.assoc.requestor
    request = cast(C_STORE, event.request)
    return Origin(
        door="c-store",
        calling_ae_title=str(requestor.ae_title).strip(),
        peer=str(requestor.address),
        sop_class_uid=str(request.AffectedSOPClassUID or ""),
        sop_instance_uid=str(request.AffectedSOPInstanceUID or ""),
    )


def _failure(status: int, comment: str, code: str, origin: Origin) -> Dataset:
    facts = {"peer": origin.peer, "ae_title": origin.calling_ae_title}
    _log.warning("store_refused", extra=facts | {"status": f"{status:04X}", "error_code": code})
    answer = _status(status)
    answer.ErrorComment = comment[:_COMMENT_LENGTH]
    return answer


def _status(status: int) -> Dataset:
    answer = Dataset()
    answer.Status = status
    return answer
