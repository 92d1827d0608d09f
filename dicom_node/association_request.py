"""The bytes before an association: who calls whom, and the two ways to say no (PS3.8 9.3)."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dicom_node.errors import BadDataset

PROTOCOL_VERSION: Final = 1
HEADER: Final = struct.Struct(">BBL")
A_ASSOCIATE_RQ: Final = 0x01
MAXIMUM_HELLO_BYTES: Final = 64 * 1024
"""Longest A-ASSOCIATE-RQ that is read, bytes; 170 contexts of 45 transfer syntaxes need less."""

APPLICATION_CONTEXT_NAME: Final = b"1.2.840.10008.3.1.1.1"
_FIXED_PART: Final = struct.Struct(">HH16s16s32x")
_ITEM: Final = struct.Struct(">BxH")
_APPLICATION_CONTEXT, _PRESENTATION_CONTEXT = 0x10, 0x20
_ANSWER: Final = struct.Struct(">BBLBBBB")
_A_ASSOCIATE_RJ, _A_ABORT = 0x03, 0x07
_SERVICE_PROVIDER: Final = 2
_INVALID_PDU: Final = 6
_AE_TITLE: Final = re.compile(rb"[ -\[\]-~]+")
"""The basic G0 set without backslash (PS3.5 6.2, AE)."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an association is refused: our word for it, and the three of A-ASSOCIATE-RJ.

    `result`, `source` and `diagnostic` are those of PS3.8 Table 9-21.
    """

    reason: str
    result: int
    source: int
    diagnostic: int


BAD_CALLING_AE_TITLE: Final = Rejection("bad-calling-ae-title", 1, 1, 3)
WRONG_APPLICATION_CONTEXT: Final = Rejection("wrong-application-context", 1, 1, 2)
WRONG_PROTOCOL_VERSION: Final = Rejection("wrong-protocol-version", 1, 2, 2)
UNKNOWN_CALLER: Final = Rejection("unknown-caller", 1, 1, 3)
WRONG_CALLED_AE_TITLE: Final = Rejection("wrong-called-ae-title", 1, 1, 7)
TOO_MANY_ASSOCIATIONS: Final = Rejection("too-many-associations", 2, 3, 2)


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """Who calls whom; titles without padding, names exactly as sent."""

    calling_ae_title: bytes
    called_ae_title: bytes
    protocol_version: int = PROTOCOL_VERSION
    application_context_name: bytes = APPLICATION_CONTEXT_NAME

    @property
    def has_valid_caller(self) -> bool:
        """Whether the calling AE title is one at all: not blank, no control characters."""
        return bool(_AE_TITLE.fullmatch(self.calling_ae_title))


def missing_bytes(received: bytes | bytearray) -> int:
    """Return how many bytes of an A-ASSOCIATE-RQ are still to come.

    While the length is not known, only the bytes up to it are counted.

    Raises
    ------
    BadDataset
        This is no A-ASSOCIATE-RQ, or one of impossible length.
    """
    if received and received[0] != A_ASSOCIATE_RQ:
        raise BadDataset("no association request")
    if len(received) < HEADER.size:
        return HEADER.size - len(received)
    length = HEADER.unpack_from(received)[2]
    if not _FIXED_PART.size <= length <= MAXIMUM_HELLO_BYTES:
        raise BadDataset("no association request is that long")
    return int(HEADER.size + length - len(received))


def read_request(received: bytes | bytearray) -> AssociationRequest:
    """Read who calls whom from a whole A-ASSOCIATE-RQ.

    Parameters
    ----------
    received : bytes
        The PDU, of which `missing_bytes` misses nothing.

    Returns
    -------
    AssociationRequest

    Raises
    ------
    BadDataset
        Its items do not fit into it, or two presentation contexts cannot be told apart.
    """
    version, _, called, calling = _FIXED_PART.unpack_from(received, HEADER.size)
    items = list(_items(received))
    names = [value for kind, value in items if kind == _APPLICATION_CONTEXT]
    context_ids = [value[:1] for kind, value in items if kind == _PRESENTATION_CONTEXT]
    if len(set(context_ids)) < len(context_ids) or not all(map(_is_odd, context_ids)):
        raise BadDataset("the presentation contexts are not numbered as they should be")
    return AssociationRequest(
        calling.strip(b" "), called.strip(b" "), version, b"".join(names).rstrip(b"\0 ")
    )


def _items(received: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
    """Yield kind and value of each variable item (PS3.8 9.3.2)."""
    position = HEADER.size + _FIXED_PART.size
    while position < len(received):
        if position + _ITEM.size > len(received):
            raise BadDataset("the association request ends inside an item")
        kind, length = _ITEM.unpack_from(received, position)
        position += _ITEM.size
        if position + length > len(received):
            raise BadDataset("the association request ends inside an item")
        yield kind, bytes(received[position : position + length])
        position += length


def _is_odd(context_id: bytes) -> bool:
    return bool(context_id) and context_id[0] % 2 == 1


def printable(ae_title: bytes) -> str:
    r"""Write an AE title so that it can be shown and logged, whatever bytes it holds.

    Examples
    --------
    >>> printable(b"CT1"), printable(b"\xff\n<b>")
    ('CT1', '\\xff\\x0a<b>')
    """
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in ae_title)


def rejection_pdu(rejection: Rejection) -> bytes:
    """Return the A-ASSOCIATE-RJ PDU of a rejection."""
    words = (rejection.result, rejection.source, rejection.diagnostic)
    return _ANSWER.pack(_A_ASSOCIATE_RJ, 0, 4, 0, *words)


def abort_pdu() -> bytes:
    """Return the A-ABORT PDU for a peer that does not speak DICOM."""
    return _ANSWER.pack(_A_ABORT, 0, 4, 0, 0, _SERVICE_PROVIDER, _INVALID_PDU)
