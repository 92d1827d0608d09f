"""The head of our DICOM files: preamble, prefix and file meta information (PS3.10 section 7.1).

The data set behind the head is exactly what was received. What we must know about a file and no
data set can tell (its digests, when and from whom it came) lies in the standard's own place for
private information of the writer, (0002,0100) and (0002,0102), so that the index can be rebuilt
from the files alone and every file can be checked against itself.
"""

import struct
from typing import Final, NamedTuple

from dicom_node.errors import BadDataset

IMPLEMENTATION_CLASS_UID: Final = "2.25.262149541126337016711482327366034846251"
IMPLEMENTATION_VERSION_NAME: Final = "LIFEBOAT_0_1"
PRIVATE_INFORMATION_CREATOR_UID: Final = "2.25.187201538240861326590342837914403741215"
PREAMBLE_LENGTH: Final = 128
MAXIMUM_HEAD_BYTES: Final = 64 * 1024
AE_TITLE_LENGTH: Final = 16
DIGEST_LENGTH: Final = 64
NO_DIGEST: Final = "0" * DIGEST_LENGTH
CHECKSUM_LENGTH: Final = 8
NO_CHECKSUM: Final = "0" * CHECKSUM_LENGTH

_LONG_VRS: Final = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"SQ", b"UC", b"UN", b"UR", b"UT"))
_SHORT: Final = struct.Struct("<HH2sH")
_UINT32: Final = struct.Struct("<L")
_SPACE: Final = ord(" ")


class FileHead(NamedTuple):
    """What stands before the data set of a DICOM file.

    `dataset_offset` is in bytes from the start of the file. `digest` is the SHA-256 of the data set
    bytes in hex, `checksum` their CRC-32 in hex and `received_at` an ISO 8601 time in UTC; they are
    '' in files of other writers, and `checksum` where none was taken.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_offset: int
    source_ae_title: str = ""
    digest: str = ""
    checksum: str = ""
    received_at: str = ""


def build_head(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    *,
    source_ae_title: str,
    received_at: str,
    digest: str = NO_DIGEST,
) -> bytes:
    """Build preamble, prefix and file meta information.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax_uid : str
        (0002,0002), (0002,0003), (0002,0010).
    source_ae_title : str
        (0002,0016), who sent it; '' leaves the element out.
    received_at : str
        ISO 8601 time in UTC.
    digest : str
        SHA-256 of the data set in hex; a place holder of the same length may be overwritten later
        at `digest_offset`, or together with the checksum, see `seal`.

    Returns
    -------
    bytes
        128 zero bytes, `DICM` and group 0002 in Explicit VR Little Endian.
    """
    elements = [
        _long(0x0001, b"OB", b"\0\1"),
        _short(0x0002, b"UI", sop_class_uid),
        _short(0x0003, b"UI", sop_instance_uid),
        _short(0x0010, b"UI", transfer_syntax_uid),
        _short(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        _short(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
    ]
    if source_ae_title:
        elements.append(_short(0x0016, b"AE", source_ae_title[:AE_TITLE_LENGTH]))
    elements.append(_short(0x0100, b"UI", PRIVATE_INFORMATION_CREATOR_UID))
    private = f"{received_at} {NO_CHECKSUM} {digest}".encode("ascii")
    # the digest ends the head: odd lengths are padded in front, so that its place is always known
    elements.append(_long(0x0102, b"OB", b" " * (len(private) % 2) + private))
    meta = b"".join(elements)
    length = _SHORT.pack(2, 0, b"UL", 4) + _UINT32.pack(len(meta))
    return bytes(PREAMBLE_LENGTH) + b"DICM" + length + meta


def digest_offset(head: bytes | memoryview) -> int:
    """Return where in a head of `build_head` the digest stands, in bytes."""
    return len(head) - DIGEST_LENGTH


def seal(head: bytes | memoryview, checksum: int, digest: str) -> tuple[int, bytes]:
    """Return what a head is to end with, by which its data set can be checked, and where it stands.

    Parameters
    ----------
    head : bytes
        From `build_head`, also from that of a time when heads had no place for a checksum.
    checksum : int
        CRC-32 of the data set, 0 to 2**32 - 1. An instance whose checksum is 0 has none.
    digest : str
        SHA-256 of the data set in hex.

    Returns
    -------
    (int, bytes)
        Offset in the head, in bytes, and what to write there.
    """
    end = digest_offset(head)
    place = end - 1 - CHECKSUM_LENGTH
    if (head[place - 1], head[end - 1]) != (_SPACE, _SPACE):
        return end, digest.encode("ascii")
    return place, f"{checksum:0{CHECKSUM_LENGTH}x} {digest}".encode("ascii")


def read_head(data: bytes | memoryview) -> FileHead:
    """Read the head of any Part 10 file.

    Parameters
    ----------
    data : bytes-like
        The start of the file, at most `MAXIMUM_HEAD_BYTES` are needed.

    Returns
    -------
    FileHead

    Raises
    ------
    BadDataset
        It is not a Part 10 file, or its file meta information cannot be read.
    """
    if data[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4] != b"DICM":
        raise BadDataset("this is not a DICOM file: the DICM prefix is missing")
    try:
        return _file_head(*_meta_elements(data, PREAMBLE_LENGTH + 4))
    except struct.error as exc:
        raise BadDataset("the file meta information is cut off") from exc


def _file_head(values: dict[int, bytes], dataset_offset: int) -> FileHead:
    transfer_syntax_uid = _text(values, 0x0010)
    if not transfer_syntax_uid:
        raise BadDataset("the file names no transfer syntax (0002,0010)")
    received_at = checksum = digest = ""
    if _is_ours(values):
        received_at, checksum, digest = _private_information(values.get(0x0102, b""))
    return FileHead(
        sop_class_uid=_text(values, 0x0002),
        sop_instance_uid=_text(values, 0x0003),
        transfer_syntax_uid=transfer_syntax_uid,
        dataset_offset=dataset_offset,
        source_ae_title=_text(values, 0x0016).strip(),
        digest=digest,
        checksum=checksum,
        received_at=received_at,
    )


def _text(values: dict[int, bytes], element: int) -> str:
    return values.get(element, b"").rstrip(b"\0 ").decode("ascii", "replace")


def _is_ours(values: dict[int, bytes]) -> bool:
    return _text(values, 0x0100) == PRIVATE_INFORMATION_CREATOR_UID


def _private_information(value: bytes) -> tuple[str, str, str]:
    """Return when it came, its checksum and its digest; without a checksum there are two words."""
    received_at, _, rest = value.decode("ascii", "replace").strip().partition(" ")
    checksum, _, digest = rest.rpartition(" ")
    is_checksum = len(checksum) == CHECKSUM_LENGTH and checksum != NO_CHECKSUM
    is_digest = len(digest) == DIGEST_LENGTH
    return received_at, checksum if is_checksum else "", digest if is_digest else ""


def _meta_elements(data: bytes | memoryview, offset: int) -> tuple[dict[int, bytes], int]:
    """Return the values of group 0002 and where it ends; its stated length is not trusted."""
    values: dict[int, bytes] = {}
    size = len(data)
    while offset + 8 <= size:
        group, element, vr, length = _SHORT.unpack_from(data, offset)
        if group != 2:
            break
        begin = offset + 8
        if vr in _LONG_VRS:
            (length,) = _UINT32.unpack_from(data, begin)
            begin += 4
        offset = begin + length
        if offset > size:
            raise BadDataset("the file meta information is cut off")
        values[element] = bytes(data[begin:offset])
        if element == 0x0102 and _is_ours(values):
            break  # our heads end here: what follows is data set, even if it looks like head
    return values, offset


def _short(element: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii", "replace")
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return _SHORT.pack(2, element, vr, len(value)) + value


def _long(element: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sHL", 2, element, vr, 0, len(value)) + value
