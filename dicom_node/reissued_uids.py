"""New UIDs for instances that are sent once more, and every reference to the old ones rewritten.

Study, Series and SOP Instance UIDs are replaced. The Frame of Reference UID (0020,0052), and
what else names no instance of the study, stays: the pixels and where they lie are the same, so what
was registered to them still is (PS3.3 C.7.4.1).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

NAMESPACE_BYTES: Final = 16
OF_INSTANCE: Final = {
    "study_instance_uid": "StudyInstanceUID",
    "series_instance_uid": "SeriesInstanceUID",
    "sop_instance_uid": "SOPInstanceUID",
}
"""(0020,000D), (0020,000E), (0008,0018)."""
_ORIGINAL_ATTRIBUTES: Final = 0x04000561
"""It tells what was: the old UIDs in it are no references, and stay."""
_MAY_HOLD_UIDS: Final = (None, "UI", "SQ", "UN")
"""Value representations as read; None in Implicit VR, where the dictionary says which it is."""


def new_namespace(randomness: bytes) -> str:
    """Return what the new UIDs of one study are made from.

    Parameters
    ----------
    randomness : bytes
        `NAMESPACE_BYTES` that nobody else has.

    Returns
    -------
    str
        A random UUID (version 4).
    """
    return str(UUID(bytes=randomness, version=4))


def new_uid(namespace: str, uid: str) -> str:
    """Return the UID that replaces another: the same one, however often it is asked for.

    Parameters
    ----------
    namespace : str
        Of `new_namespace`.
    uid : str
        The old one.

    Returns
    -------
    str
        A name-based UUID under the root 2.25 (PS3.5 B.2), at most 44 characters.
    """
    return f"2.25.{uuid5(UUID(namespace), uid).int}"


def rewrite(ds: Dataset, uids: Mapping[str, str], tags: Iterable[int] = ()) -> list[int]:
    """Replace UIDs in every UI element that names one, in sequences too; return which changed.

    What names none stays as it was read.

    Parameters
    ----------
    ds : Dataset
        Changed in place.
    uids : mapping
        Old to new.
    tags : iterable of int
        Only these elements; empty for all.

    Returns
    -------
    list of int
        Tags of elements of `ds` itself.
    """
    return [
        int(tag)
        for tag in (tags or list(ds.keys()))
        if int(tag) != _ORIGINAL_ATTRIBUTES
        and _may_name(ds.get_item(tag), uids)
        and _rewrite_element(ds[tag], uids)
    ]


def _may_name(element: Any, uids: Mapping[str, str]) -> bool:
    """Tell whether an element is worth parsing: those that name nothing are never encoded anew."""
    if not isinstance(element, RawDataElement):
        return element.VR in _MAY_HOLD_UIDS
    if element.VR not in _MAY_HOLD_UIDS or not element.value:
        return False
    text = element.value.decode("latin-1")  # where a UID ends no byte tells: a tag may be a digit
    return any(old in text for old in uids)


def _rewrite_element(element: DataElement, uids: Mapping[str, str]) -> bool:
    if element.VR == "SQ":
        changed = [rewrite(item, uids) for item in element.value]
        return any(changed)
    if element.VR != "UI":
        return False
    before = element.value
    named = list(before) if isinstance(before, MultiValue) else [before]
    after = [uids.get(str(one), one) for one in named]
    if after == named:
        return False
    element.value = after if len(after) > 1 else after[0]
    return True
