"""Storage service class: C-STORE (PS3.4 Annex B)."""

import logging
import secrets
from collections.abc import Callable
from typing import Final

from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, evt
from pynetdicom.service_class import (
    NonPatientObjectStorageServiceClass,
    ServiceClass,
    StorageServiceClass,
)
from pynetdicom.sop_class import uid_to_service_class

from dicom_node.errors import NodeError, dimse_status
from dicom_node.ingest import Ingest, LargeInstance, Origin

_log = logging.getLogger(__name__)

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
_STANDARD_ROOT: Final = "1.2.840.10008."
_STANDARD_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_UNCOMPRESSED: Final = (ExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian)


class StorageService:
    """Takes instances in and says what to answer; never raises.

    Each answer is a status (0000,0900) and, on failure, an Error Comment (0000,0902). Success means
    that the instance is durable on disk.

    Parameters
    ----------
    ingest : Ingest
    on_trouble : callable
        Told of what the disk refused.
    """

    def __init__(
        self, ingest: Ingest, on_trouble: Callable[[NodeError], None] = lambda error: None
    ) -> None:
        self._ingest = ingest
        self._on_trouble = on_trouble

    def store(
        self, dataset: memoryview, transfer_syntax_uid: str, origin: Origin
    ) -> tuple[int, str]:
        """Take in one data set, encoded as it was received."""
        return self._answer(
            lambda: self._ingest.accept(dataset, transfer_syntax_uid, origin), origin
        )

    def begin_large(self, transfer_syntax_uid: str, origin: Origin) -> LargeInstance:
        """Begin one that is written while it arrives.

        Raises
        ------
        StorageFull, StorageFailed
            It has no place.
        """
        return self._ingest.begin_large(transfer_syntax_uid, origin)

    def refuse(self, error: NodeError, origin: Origin) -> tuple[int, str]:
        """Answer for an instance that failed while it arrived."""
        self._on_trouble(error)
        return _refuse(dimse_status(error), str(error), error.code, origin)

    def finish_large(self, instance: LargeInstance) -> tuple[int, str]:
        """Take in one that has arrived."""
        return self._answer(instance.finish, instance.origin)

    def _answer(self, accept: Callable[[], object], origin: Origin) -> tuple[int, str]:
        try:
            accept()
        except NodeError as error:
            return self.refuse(error, origin)
        except Exception:  # noqa: BLE001 - the edge to the network: nothing may leave it unanswered
            error_id = secrets.token_hex(4)
            _log.exception("store_failed", extra={"error_id": error_id})
            return _refuse(PROCESSING_FAILURE, f"internal error {error_id}", "internal", origin)
        return SUCCESS, ""


def accept_storage(event: evt.Event) -> None:
    """Accept whatever a requestor proposes for storage: known classes, private and newer ones.

    In each context one transfer syntax is left, the one we want to receive. A compressed first
    choice stays: the sender has it that way. Among the uncompressed ones Explicit VR Little Endian
    is taken before Implicit VR, which loses the VR of private elements.
    """
    primitive = event.assoc.requestor.primitive
    chosen: dict[str, list[str | UID]] = {}
    for context in primitive.presentation_context_definition_list if primitive else ():
        sop_class_uid = UID(context.abstract_syntax or "")
        if is_storage_class(sop_class_uid) and context.transfer_syntax:
            wanted = UID(_preferred([str(uid) for uid in context.transfer_syntax]))
            context.transfer_syntax = [wanted]
            chosen.setdefault(sop_class_uid, []).append(wanted)
    acceptor = event.assoc.acceptor
    storage = [build_context(sop_class_uid, wanted) for sop_class_uid, wanted in chosen.items()]
    acceptor.supported_contexts = [*acceptor.supported_contexts, *storage]


def is_storage_class(sop_class_uid: UID) -> bool:
    """Tell whether instances of a SOP class are sent by C-STORE, as far as anyone can know."""
    service = uid_to_service_class(sop_class_uid)
    if service is not ServiceClass:
        return service in (StorageServiceClass, NonPatientObjectStorageServiceClass)
    is_private = not sop_class_uid.startswith(_STANDARD_ROOT)
    return is_private or sop_class_uid.startswith(_STANDARD_STORAGE)


def _preferred(proposed: list[str]) -> str:
    if proposed[0] not in _UNCOMPRESSED:
        return proposed[0]
    return min(proposed, key=_rank)


def _rank(transfer_syntax_uid: str) -> int:
    known = transfer_syntax_uid in _UNCOMPRESSED
    return _UNCOMPRESSED.index(transfer_syntax_uid) if known else len(_UNCOMPRESSED)


def _refuse(status: int, comment: str, code: str, origin: Origin) -> tuple[int, str]:
    facts = {"peer": origin.peer, "ae_title": origin.calling_ae_title}
    _log.warning("store_refused", extra=facts | {"status": f"{status:04X}", "error_code": code})
    return status, comment
