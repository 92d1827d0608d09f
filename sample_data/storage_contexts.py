"""Accept whatever a peer proposes for storage, known class or not, for one AE only.

The library has a switch for this, but it is global to the process and would change every other
AE in it; here the contexts are made for each association from what the peer proposes.
"""

from collections.abc import Iterable

from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import (
    NonPatientObjectStorageServiceClass,
    ServiceClass,
    StorageServiceClass,
)
from pynetdicom.sop_class import uid_to_service_class

STORAGE_SERVICE = UID("1.2.840.10008.4.2")
_STANDARD_ROOT = "1.2.840.10008."
_STANDARD_STORAGE = "1.2.840.10008.5.1.4.1.1."


def storage_contexts(proposed: Iterable[PresentationContext]) -> list[PresentationContext]:
    """Return contexts that accept every proposal for storage.

    Parameters
    ----------
    proposed : iterable of PresentationContext
        From the association request.

    Returns
    -------
    list of PresentationContext
        One per storage class, with all transfer syntaxes proposed for it in the order of the
        peer, but Implicit VR Little Endian last.
    """
    syntaxes: dict[UID, dict[UID, None]] = {}
    for context in proposed:
        sop_class = UID(context.abstract_syntax or "")
        if is_storage_class(sop_class):
            syntaxes.setdefault(sop_class, {}).update(dict.fromkeys(context.transfer_syntax))
    return [build_context(uid, _implicit_last(found)) for uid, found in syntaxes.items()]


def common_extended_items(
    proposed: Iterable[PresentationContext],
) -> dict[UID, SOPClassCommonExtendedNegotiation]:
    """Tell the library which proposed classes it does not know belong to the storage service.

    Parameters
    ----------
    proposed : iterable of PresentationContext
        From the association request.

    Returns
    -------
    dict of UID to SOPClassCommonExtendedNegotiation
        One item per unknown or private storage class (PS3.7 D.3.3.6).
    """
    classes = {UID(context.abstract_syntax or "") for context in proposed}
    return {uid: _as_storage(uid) for uid in classes if _is_unknown_storage_class(uid)}


def is_storage_class(sop_class_uid: UID) -> bool:
    """Whether a SOP class is stored by C-STORE: a known one, a private one, or a newer one."""
    service = uid_to_service_class(sop_class_uid)
    known = (StorageServiceClass, NonPatientObjectStorageServiceClass)
    return service in known or _is_unknown_storage_class(sop_class_uid)


def _is_unknown_storage_class(sop_class_uid: UID) -> bool:
    if uid_to_service_class(sop_class_uid) is not ServiceClass:
        return False
    is_private = not sop_class_uid.startswith(_STANDARD_ROOT)
    return is_private or sop_class_uid.startswith(_STANDARD_STORAGE)


def _as_storage(sop_class_uid: UID) -> SOPClassCommonExtendedNegotiation:
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid = sop_class_uid
    item.service_class_uid = STORAGE_SERVICE
    return item


def _implicit_last(syntaxes: Iterable[UID]) -> list[str | UID]:
    return sorted(syntaxes, key=lambda uid: uid == ImplicitVRLittleEndian)
