"""Where an instance belongs: the UIDs it is filed under, and what the index keeps of it."""

import hashlib
from dataclasses import dataclass
from typing import Final

from dicom_node.header import Header
from dicom_node.index_writer import IndexedInstance
from dicom_node.storage import StoredInstance

_OWN_UID_ROOT: Final = "2.25."
MOST_FRAMES: Final = 100_000
"""An instance that claims more frames is listed with one: whoever lists them would never end."""
_INTEGERS: Final = (
    "series_number",
    "instance_number",
    "acquisition_number",
    "images_in_acquisition",
    "temporal_position_identifier",
)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What is known of an instance beside its bytes; `received_at` is ISO 8601 in UTC."""

    header: Header
    transfer_syntax_uid: str
    received_at: str
    calling_ae_title: str


def file_under(header: Header) -> dict[str, str]:
    """Return the three UIDs an instance is filed and indexed under.

    An instance without a study or a series gets ones of its own, made from its SOP Instance UID:
    it is kept and visible, and never mixed with another one that lacks them too.
    """
    sop_instance_uid = header.text("sop_instance_uid")
    study = header.text("study_instance_uid") or _own_uid("study", sop_instance_uid)
    return {
        "study_instance_uid": study,
        "series_instance_uid": header.text("series_instance_uid")
        or _own_uid("series", sop_instance_uid),
        "sop_instance_uid": sop_instance_uid,
    }


def index_entry(arrived: Arrived, stored: StoredInstance) -> IndexedInstance:
    """Return what the index keeps of one stored instance."""
    header = arrived.header
    values: dict[str, object] = dict(header.values)
    values |= header.numbers
    values |= header.decimals
    for keyword in _INTEGERS:
        values[keyword] = header.integer(keyword)
    values["number_of_frames"] = possible_frames(
        header.integer("number_of_frames"), stored.size_bytes
    )
    return IndexedInstance(
        path=stored.path,
        **file_under(header),
        sop_class_uid=header.text("sop_class_uid"),
        transfer_syntax_uid=arrived.transfer_syntax_uid,
        size_bytes=stored.size_bytes,
        digest=stored.digest,
        received_at=arrived.received_at,
        calling_ae_title=arrived.calling_ae_title,
        version=stored.version,
        values=values,
    )


def possible_frames(claimed: int | None, size_bytes: int) -> int:
    """Return how many frames an instance is taken to have.

    Parameters
    ----------
    claimed : int or None
        Number of Frames (0028,0008).
    size_bytes : int
        Of its file.

    Returns
    -------
    int
        1 when the number is absent, not positive, beyond `MOST_FRAMES`, or when there are not as
        many bits in the file.
    """
    most = min(MOST_FRAMES, size_bytes * 8)
    return claimed if claimed is not None and 1 <= claimed <= most else 1


def _own_uid(purpose: str, sop_instance_uid: str) -> str:
    digest = hashlib.sha256(f"{purpose} of {sop_instance_uid}".encode()).digest()
    return _OWN_UID_ROOT + str(int.from_bytes(digest[:16], "big"))
