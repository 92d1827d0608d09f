"""The command set of a DIMSE message: read what matters, write the answer (PS3.7 Annex E)."""

import struct
from dataclasses import dataclass
from typing import Final

from dicom_node.errors import BadDataset

C_STORE_RQ: Final = 0x0001
_C_STORE_RSP: Final = 0x8001
_NO_DATA_SET: Final = 0x0101
_REQUESTS: Final = (1, 0x10, 0x20, 0x21, 0x30, 0x100, 0x110, 0x120, 0x130, 0x140, 0x150)
_RESPONSE: Final = 0x8000
_C_CANCEL_RQ: Final = 0x0FFF
KNOWN_COMMANDS: Final = frozenset(
    (*_REQUESTS, *(request | _RESPONSE for request in _REQUESTS), _C_CANCEL_RQ)
)
"""Every Command Field (0000,0100) of PS3.7 Table E.1-1."""

_GROUP_LENGTH: Final = 0x0000
_AFFECTED_SOP_CLASS_UID: Final = 0x0002
_COMMAND_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_MESSAGE_ID_RESPONDED: Final = 0x0120
_PRIORITY: Final = 0x0700
_DATA_SET_TYPE: Final = 0x0800
_STATUS: Final = 0x0900
_ERROR_COMMENT: Final = 0x0902
_AFFECTED_SOP_INSTANCE_UID: Final = 0x1000

_HEAD: Final = struct.Struct("<HHL")
_NUMBER: Final = struct.Struct("<H")
_COMMENT_LENGTH: Final = 64
_MEDIUM: Final = 0
_HAS_DATA_SET: Final = 0x0001


@dataclass(frozen=True, slots=True)
class CommandSet:
    """What a request says of itself.

    The UIDs are the raw bytes, so that an answer repeats them exactly.
    """

    command_field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: bytes
    sop_instance_uid: bytes


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What a peer answered to a C-STORE request; `sop_instance_uid` is '' where it names none."""

    message_id: int
    status: int
    comment: str
    sop_instance_uid: str


def read_command_set(data: bytes | bytearray) -> CommandSet:
    """Read a command set, Implicit VR Little Endian.

    Raises
    ------
    BadDataset
        It is malformed, lacks the command, the message ID or the data set type, or the command
        is none of the standard's.
    """
    try:
        elements = _elements(data)
        (command_field,) = _NUMBER.unpack(elements[_COMMAND_FIELD])
        if command_field not in KNOWN_COMMANDS:
            raise BadDataset("the command is unknown")
        return CommandSet(
            command_field=command_field,
            # an answer carries the ID of what it answers instead
            message_id=_NUMBER.unpack(elements.get(_MESSAGE_ID) or elements[_MESSAGE_ID_RESPONDED])[
                0
            ],
            has_data_set=_NUMBER.unpack(elements[_DATA_SET_TYPE])[0] != _NO_DATA_SET,
            sop_class_uid=elements.get(_AFFECTED_SOP_CLASS_UID, b""),
            sop_instance_uid=elements.get(_AFFECTED_SOP_INSTANCE_UID, b""),
        )
    except (KeyError, struct.error) as exc:
        raise BadDataset("the command set is malformed") from exc


def store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Write a C-STORE request (PS3.7 9.3.1.1).

    Parameters
    ----------
    message_id : int
        (0000,0110), 1 to 65535.
    sop_class_uid, sop_instance_uid : str
        (0000,0002), (0000,1000).

    Returns
    -------
    bytes
    """
    return _command_set(
        _element(_AFFECTED_SOP_CLASS_UID, _uid(sop_class_uid))
        + _element(_COMMAND_FIELD, _NUMBER.pack(C_STORE_RQ))
        + _element(_MESSAGE_ID, _NUMBER.pack(message_id))
        + _element(_PRIORITY, _NUMBER.pack(_MEDIUM))
        + _element(_DATA_SET_TYPE, _NUMBER.pack(_HAS_DATA_SET))
        + _element(_AFFECTED_SOP_INSTANCE_UID, _uid(sop_instance_uid))
    )


def read_store_answer(data: bytes | bytearray) -> StoreAnswer:
    """Read the answer to a C-STORE request (PS3.7 9.3.1.2).

    Raises
    ------
    BadDataset
        It is no such answer, is malformed, announces a data set, or lacks the status or the ID of
        what it answers.
    """
    try:
        elements = _elements(data)
        (kind,) = _NUMBER.unpack(elements[_COMMAND_FIELD])
        (data_set,) = _NUMBER.unpack(elements[_DATA_SET_TYPE])
        (message_id,) = _NUMBER.unpack(elements[_MESSAGE_ID_RESPONDED])
        (status,) = _NUMBER.unpack(elements[_STATUS])
    except (KeyError, struct.error) as exc:
        raise BadDataset("the answer is malformed") from exc
    if kind != _C_STORE_RSP or data_set != _NO_DATA_SET:
        raise BadDataset("this is no answer to a C-STORE request")
    return StoreAnswer(
        message_id=message_id,
        status=status,
        comment=_text(elements.get(_ERROR_COMMENT, b""))[:_COMMENT_LENGTH],
        sop_instance_uid=_text(elements.get(_AFFECTED_SOP_INSTANCE_UID, b"")),
    )


def store_response(request: CommandSet, status: int, comment: str) -> bytes:
    """Write the answer to a C-STORE request (PS3.7 9.3.1.2).

    Parameters
    ----------
    request : CommandSet
    status : int
        (0000,0900).
    comment : str
        (0000,0902), cut at 64 characters; '' leaves it out.

    Returns
    -------
    bytes
    """
    text = comment[:_COMMENT_LENGTH].encode("ascii", "replace")
    return _command_set(
        _element(_AFFECTED_SOP_CLASS_UID, request.sop_class_uid)
        + _element(_COMMAND_FIELD, _NUMBER.pack(_C_STORE_RSP))
        + _element(_MESSAGE_ID_RESPONDED, _NUMBER.pack(request.message_id))
        + _element(_DATA_SET_TYPE, _NUMBER.pack(_NO_DATA_SET))
        + _element(_STATUS, _NUMBER.pack(status))
        + (_element(_ERROR_COMMENT, text + b" " * (len(text) % 2)) if text else b"")
        + _element(_AFFECTED_SOP_INSTANCE_UID, request.sop_instance_uid)
    )


def _command_set(body: bytes) -> bytes:
    return _element(_GROUP_LENGTH, struct.pack("<L", len(body))) + body


def _uid(text: str) -> bytes:
    value = text.encode("ascii", "replace")
    return value + b"\0" * (len(value) % 2)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0 ").decode("ascii", "replace")


def _elements(data: bytes | bytearray) -> dict[int, bytes]:
    found, end = {}, 0
    while end < len(data):
        group, element, length = _HEAD.unpack_from(data, end)
        begin = end + _HEAD.size
        end = begin + length
        if group != 0 or end > len(data):
            raise BadDataset("the command set is malformed")
        found[element] = bytes(data[begin:end])
    return found


def _element(element: int, value: bytes) -> bytes:
    return _HEAD.pack(0, element, len(value)) + value
