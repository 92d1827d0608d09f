"""Storage service class: C-STORE (PS3.4 Annex B)."""

import logging
import secrets
from typing import Final

from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt

from dicom_node.errors import NodeError, dimse_status
from dicom_node.ingest import Ingest, Origin

_log = logging.getLogger(__name__)

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
_UNCOMPRESSED: Final = (ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian)


def store_instance(
    ingest: Ingest, dataset: memoryview, transfer_syntax_uid: str, origin: Origin
) -> tuple[int, str]:
    """Take one instance in and say what to answer.

    Parameters
    ----------
    ingest : Ingest
    dataset : memoryview
        The encoded data set, as received.
    transfer_syntax_uid : str
        That of its presentation context.
    origin : Origin

    Returns
    -------
    int, str
        Status (0000,0900) and, on failure, an Error Comment (0000,0902). Success means that the
        instance is durable on disk.
    """
    try:
        ingest.accept(dataset, transfer_syntax_uid, origin)
    except NodeError as error:
        return _refuse(dimse_status(error), str(error), error.code, origin)
    except Exception:  # noqa: BLE001 - the edge to the network: nothing may leave it unanswered
        error_id = secrets.token_hex(4)
        _log.exception("store_failed", extra={"error_id": error_id})
        return _refuse(PROCESSING_FAILURE, f"internal error {error_id}", "internal", origin)
    return SUCCESS, ""


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


def _refuse(status: int, comment: str, code: str, origin: Origin) -> tuple[int, str]:
    facts = {"peer": origin.peer, "ae_title": origin.calling_ae_title}
    _log.warning("store_refused", extra=facts | {"status": f"{status:04X}", "error_code": code})
    return status, comment
