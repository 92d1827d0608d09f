"""The command sets of a probe: requests of three services, and whatever answers them."""

import struct
from dataclasses import dataclass
from typing import Final

from dicom_node.errors import BadDataset

C_STORE_RQ: Final = 0x0001
C_FIND_RQ: Final = 0x0020
C_ECHO_RQ: Final = 0x0030

_RESPONSE: Final = 0x8000
_GROUP_LENGTH: Final = 0x0000
_AFFECTED_SOP_CLASS_UID: Final = 0x0002
_COMMAND_FIELD: Final = 0x0100
_MESSAGE_ID: Final = 0x0110
_MESSAGE_ID_RESPONDED: Final = 0x0120
_PRIORITY: Final = 0x0700
_MEDIUM: Final = 0
_DATA_SET_TYPE: Final = 0x0800
_DATA_SET_FOLLOWS: Final = 0x0001
_NO_DATA_SET: Final = 0x0101
_STATUS: Final = 0x0900
_AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
_HEAD: Final = struct.Struct("<HHL")
_NUMBER: Final = struct.Struct("<H")


@dataclass(frozen=True, slots=True)
class Response:
    """What an answer says; `status` is (0000,0900), `message_id` that of what is answered."""

    message_id: int
    status: int


def write_request(
    command_field: int,
    message_id: int,
    sop_class_uid: str,
    *,
    sop_instance_uid: str = "",
    has_data_set: bool = False,
) -> bytes:
    """Write a C-ECHO, C-FIND or C-STORE request of medium priority (PS3.7 9.3).

    Parameters
    ----------
    command_field : int
        (0000,0100).
    message_id : int
        (0000,0110).
    sop_class_uid, sop_instance_uid : str
        (0000,0002) and (0000,1000); the latter only for C-STORE.
    has_data_set : bool
        Whether a data set follows; such a request has a priority too.

    Returns
    -------
    bytes
        Implicit VR Little Endian, as every command set.
    """
    numbers = {_COMMAND_FIELD: command_field, _MESSAGE_ID: message_id}
    numbers |= {_PRIORITY: _MEDIUM} if has_data_set else {}
    numbers[_DATA_SET_TYPE] = _DATA_SET_FOLLOWS if has_data_set else _NO_DATA_SET
    elements = {tag: _NUMBER.pack(value) for tag, value in numbers.items()}
    elements[_AFFECTED_SOP_CLASS_UID] = _uid(sop_class_uid)
    if sop_instance_uid:
        elements[_AFFECTED_SOP_INSTANCE_UID] = _uid(sop_instance_uid)
    body = b"".join(_element(tag, elements[tag]) for tag in sorted(elements))
    return _element(_GROUP_LENGTH, struct.pack("<L", len(body))) + body


def read_response(data: bytes) -> Response | None:
    """Read an answer; None when the message is a request.

    Parameters
    ----------
    data : bytes
        A whole command set.

    Raises
    ------
    BadDataset
        It is malformed.
    """
    try:
        elements = _elements(data)
        (command_field,) = _NUMBER.unpack(elements[_COMMAND_FIELD])
        if not command_field & _RESPONSE:
            return None
        (message_id,) = _NUMBER.unpack(elements[_MESSAGE_ID_RESPONDED])
        (status,) = _NUMBER.unpack(elements[_STATUS])
    except (KeyError, struct.error) as exc:
        raise BadDataset("the command set is malformed") from exc
    return Response(message_id, status)


def _elements(data: bytes) -> dict[int, bytes]:
    found, position = {}, 0
    while position < len(data):
        group, element, length = _HEAD.unpack_from(data, position)
        position += _HEAD.size
        if group != 0 or position + length > len(data):
            raise BadDataset("the command set is malformed")
        found[element] = data[position : position + length]
        position += length
    return found


def _element(element: int, value: bytes) -> bytes:
    return _HEAD.pack(0, element, len(value)) + value


def _uid(value: str) -> bytes:
    return value.encode("ascii") + b"\0" * (len(value) % 2)
