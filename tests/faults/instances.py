"""Small CT instances made from bytes: thousands a second, each with content of its own."""

import hashlib
import random
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dicom_node.part10 import build_head

CT_IMAGE_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"

_LONG_VRS: Final = ("OB", "OW", "UN")


@dataclass(frozen=True, slots=True)
class Instance:
    """A data set as it is sent; `digest` is the SHA-256 of its bytes in hex."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    dataset: bytes = field(repr=False)
    digest: str


def new_uid() -> str:
    return f"2.25.{uuid.uuid4().int}"


def make_instance(
    number: int = 1,
    *,
    edge_px: int = 64,
    study_instance_uid: str = "",
    series_instance_uid: str = "",
    seed: int | None = None,
) -> Instance:
    """Make a CT instance of `edge_px` squared pixels of noise, in Explicit VR Little Endian."""
    uids = (study_instance_uid or new_uid(), series_instance_uid or new_uid(), new_uid())
    pixels = random.Random(seed).randbytes(2 * edge_px * edge_px)
    dataset = head_elements(*uids, number, edge_px) + element(0x7FE0, 0x0010, "OW", pixels)
    return Instance(*uids, dataset, hashlib.sha256(dataset).hexdigest())


def make_instances(count: int, *, edge_px: int = 64) -> list[Instance]:
    """Make one series."""
    return [instance for _, instance in zip(range(count), series(edge_px), strict=False)]


def as_file(instance: Instance) -> bytes:
    """Write an instance as the file the node keeps of it."""
    head = build_head(
        CT_IMAGE_STORAGE,
        instance.sop_instance_uid,
        EXPLICIT_VR_LITTLE_ENDIAN,
        source_ae_title="SCANNER",
        received_at="2026-01-02T03:04:05.000+00:00",
        digest=instance.digest,
    )
    return head + instance.dataset


def series(*edges_px: int, length: int = 0) -> Iterator[Instance]:
    """Make instances without end, in the sizes given by turns.

    Parameters
    ----------
    edges_px : int
    length : int
        How many belong to one series; 0 puts all of them into one.
    """
    number, study = 0, new_uid()
    series_uid = new_uid()
    while True:
        number += 1
        if length and number % length == 1:
            study, series_uid = new_uid(), new_uid()
        yield make_instance(
            number,
            edge_px=edges_px[number % len(edges_px)],
            study_instance_uid=study,
            series_instance_uid=series_uid,
        )


def head_elements(
    study: str, series_uid: str, sop: str, number: int, edge_px: int, frames: int = 0
) -> bytes:
    """Encode everything of a CT instance but its pixels."""
    return b"".join(
        (
            element(0x0008, 0x0005, "CS", "ISO_IR 192"),
            element(0x0008, 0x0016, "UI", CT_IMAGE_STORAGE),
            element(0x0008, 0x0018, "UI", sop),
            element(0x0008, 0x0020, "DA", "20260102"),
            element(0x0008, 0x0030, "TM", "030405"),
            element(0x0008, 0x0050, "SH", "FAULTS"),
            element(0x0008, 0x0060, "CS", "CT"),
            element(0x0010, 0x0010, "PN", "PHANTOM^FAULTS"),
            element(0x0010, 0x0020, "LO", "PH-FAULTS"),
            element(0x0020, 0x000D, "UI", study),
            element(0x0020, 0x000E, "UI", series_uid),
            element(0x0020, 0x0011, "IS", "1"),
            element(0x0020, 0x0013, "IS", str(number)),
            element(0x0028, 0x0002, "US", 1),
            element(0x0028, 0x0004, "CS", "MONOCHROME2"),
            element(0x0028, 0x0008, "IS", str(frames)) if frames else b"",
            element(0x0028, 0x0010, "US", edge_px),
            element(0x0028, 0x0011, "US", edge_px),
            element(0x0028, 0x0100, "US", 16),
            element(0x0028, 0x0101, "US", 16),
            element(0x0028, 0x0102, "US", 15),
            element(0x0028, 0x0103, "US", 0),
        )
    )


def element(group: int, number: int, vr: str, value: str | int | bytes) -> bytes:
    """Encode one element in Explicit VR Little Endian (PS3.5 7.1.2)."""
    if isinstance(value, int):
        data = struct.pack("<H", value)
    elif isinstance(value, str):
        data = value.encode()
        data += (b"\0" if vr == "UI" else b" ") * (len(data) % 2)
    else:
        data = value
    head = struct.pack("<HH2s", group, number, vr.encode())
    if vr in _LONG_VRS:
        return head + struct.pack("<HL", 0, len(data)) + data
    return head + struct.pack("<H", len(data)) + data
