"""A small association for probing, on one socket without threads, that never waits too long.

The library's association keeps threads, and its timers follow the wall clock. A probe needs only a
handful of messages, each against a deadline of a clock that never jumps (PS3.8 section 9.3).
"""

import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from dicom_node.association_request import (
    A_ASSOCIATE_RQ,
    APPLICATION_CONTEXT_NAME,
    HEADER,
    PROTOCOL_VERSION,
)
from dicom_node.errors import BadDataset
from dicom_node.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.probe_command import Response, read_response

IMPLICIT_VR_LITTLE_ENDIAN: Final = b"1.2.840.10008.1.2"
"""Every peer must accept it (PS3.5 section 10.1)."""

_A_ASSOCIATE_AC, _A_ASSOCIATE_RJ, _P_DATA_TF = 0x02, 0x03, 0x04
_A_RELEASE_RQ, _A_RELEASE_RP, _A_ABORT = 0x05, 0x06, 0x07
_ITEM: Final = struct.Struct(">BxH")
_FIXED_PART: Final = struct.Struct(">HH16s16s32x")
_PDV: Final = struct.Struct(">LBB")
_MAXIMUM_PDU_BYTES: Final = 16384
_LONGEST_PDU_BYTES: Final = 1 << 20
_GOODBYE_S: Final = 0.5
"""How long a peer may take to confirm the end, seconds."""


class Rejected(Exception):
    """An A-ASSOCIATE-RJ with its result, source and reason (PS3.8 Table 9-21)."""

    def __init__(self, result: int, source: int, reason: int) -> None:
        super().__init__()
        self.result, self.source, self.reason = result, source, reason


class ProbeAssociation:
    """One association, asked for and used step by step.

    Parameters
    ----------
    connection : socket.socket
        Connected; closed by `close`.
    monotonic : callable
        A clock that never jumps, seconds.

    Notes
    -----
    Every method may raise TimeoutError (the peer is silent), OSError (the connection broke) and
    `BadDataset` (what came is not DICOM).
    """

    def __init__(
        self, connection: socket.socket, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._connection = connection
        self._monotonic = monotonic
        self._is_established = False
        self._peer_pdu_bytes = _MAXIMUM_PDU_BYTES
        self._message_id = 0

    def request(
        self, calling: str, called: str, sop_class_uids: Sequence[str], deadline: float
    ) -> set[str]:
        """Ask for the association; return the SOP classes it is good for.

        Parameters
        ----------
        calling, called : str
            AE titles.
        sop_class_uids : sequence of str
            What is to be used, in Implicit VR Little Endian.
        deadline : float
            Of `monotonic`.

        Raises
        ------
        Rejected
            It said no.
        """
        self._send(_associate_rq(calling, called, sop_class_uids), deadline)
        kind, body = self._receive(deadline)
        if kind == _A_ASSOCIATE_RJ and len(body) >= 4:
            raise Rejected(*body[1:4])
        if kind == _A_ABORT:
            raise ConnectionAbortedError
        if kind != _A_ASSOCIATE_AC or len(body) < _FIXED_PART.size:
            raise BadDataset("the answer is no answer to an association request")
        self._is_established = True
        self._context_ids = {uid: 2 * at + 1 for at, uid in enumerate(sop_class_uids)}
        accepted = self._read_items(body[_FIXED_PART.size :])
        return {uid for uid, number in self._context_ids.items() if number in accepted}

    def ask(
        self,
        sop_class_uid: str,
        make_request: Callable[[int], bytes],
        dataset: bytes,
        deadline: float,
    ) -> Response:
        """Send a request and return the last answer to it.

        Parameters
        ----------
        sop_class_uid : str
            One that was accepted; its presentation context is used.
        make_request : callable
            Makes the command set from the message ID.
        dataset : bytes
            In Implicit VR Little Endian; empty for none.
        deadline : float
            Of `monotonic`.
        """
        self._message_id += 1
        context_id = self._context_ids[sop_class_uid]
        self._send_message(context_id, make_request(self._message_id), dataset, deadline)
        while True:
            command = self._receive_command(deadline)
            answer = read_response(command)
            is_ours = answer is not None and answer.message_id == self._message_id
            if answer is not None and is_ours and answer.status not in (0xFF00, 0xFF01):
                return answer

    def close(self) -> None:
        """End the association in the standard's way, or at once when the peer does not."""
        with suppress(OSError, BadDataset):
            if self._is_established:
                deadline = self._monotonic() + _GOODBYE_S
                self._send(HEADER.pack(_A_RELEASE_RQ, 0, 4) + bytes(4), deadline)
                while self._receive(deadline)[0] not in (_A_RELEASE_RP, _A_ABORT):
                    pass
        self._connection.close()

    def abort(self) -> None:
        """End it at once."""
        with suppress(OSError):
            self._send(HEADER.pack(_A_ABORT, 0, 4) + bytes(4), self._monotonic() + _GOODBYE_S)
        self._connection.close()

    def _read_items(self, items: bytes) -> set[int]:
        """Return the accepted context IDs, and remember the longest PDU the peer takes."""
        accepted, position = set(), 0
        while position + _ITEM.size <= len(items):
            kind, length = _ITEM.unpack_from(items, position)
            value = items[position + _ITEM.size : position + _ITEM.size + length]
            position += _ITEM.size + length
            if kind == 0x21 and len(value) >= 3 and value[2] == 0:
                accepted.add(value[0])
            if kind == 0x50 and value[:4] == b"\x51\x00\x00\x04" and len(value) >= 8:
                length_told = int.from_bytes(value[4:8], "big")
                self._peer_pdu_bytes = min(length_told or _MAXIMUM_PDU_BYTES, _MAXIMUM_PDU_BYTES)
        return accepted

    def _send_message(
        self, context_id: int, command: bytes, dataset: bytes, deadline: float
    ) -> None:
        for content, is_command in ((command, True), (dataset, False)):
            room = max(64, self._peer_pdu_bytes - _PDV.size)
            for start in range(0, len(content), room):
                fragment = content[start : start + room]
                flags = is_command | (2 if start + room >= len(content) else 0)
                pdv = _PDV.pack(len(fragment) + 2, context_id, flags) + fragment
                self._send(HEADER.pack(_P_DATA_TF, 0, len(pdv)) + pdv, deadline)

    def _receive_command(self, deadline: float) -> bytes:
        """Return the next whole command set; data sets between are passed over."""
        command = b""
        while True:
            kind, body = self._receive(deadline)
            if kind != _P_DATA_TF:
                raise ConnectionAbortedError
            position = 0
            while position + _PDV.size <= len(body):
                length, _, flags = _PDV.unpack_from(body, position)
                if flags & 1:
                    command += body[position + _PDV.size : position + 4 + length]
                    if flags & 2:
                        return command
                position += 4 + max(2, length)

    def _send(self, data: bytes, deadline: float) -> None:
        self._connection.settimeout(self._left(deadline))
        self._connection.sendall(data)

    def _receive(self, deadline: float) -> tuple[int, bytes]:
        kind, _, length = HEADER.unpack(self._read(HEADER.size, deadline))
        if not _A_ASSOCIATE_RQ_TO_ABORT[0] <= kind <= _A_ASSOCIATE_RQ_TO_ABORT[1]:
            raise BadDataset("what answers does not speak DICOM")
        if length > _LONGEST_PDU_BYTES:
            raise BadDataset("the answer is too long")
        return kind, self._read(length, deadline)

    def _read(self, length: int, deadline: float) -> bytes:
        parts, missing = [], length
        while missing:
            self._connection.settimeout(self._left(deadline))
            part = self._connection.recv(missing)
            if not part:
                raise ConnectionResetError
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _left(self, deadline: float) -> float:
        left = deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError
        return left


_A_ASSOCIATE_RQ_TO_ABORT: Final = (A_ASSOCIATE_RQ, _A_ABORT)


def _associate_rq(calling: str, called: str, sop_class_uids: Sequence[str]) -> bytes:
    contexts = b"".join(
        _item(
            0x20,
            bytes((2 * at + 1, 0, 0, 0))
            + _item(0x30, uid.encode("ascii"))
            + _item(0x40, IMPLICIT_VR_LITTLE_ENDIAN),
        )
        for at, uid in enumerate(sop_class_uids)
    )
    about_us = (
        _item(0x51, _MAXIMUM_PDU_BYTES.to_bytes(4, "big"))
        + _item(0x52, IMPLEMENTATION_CLASS_UID.encode("ascii"))
        + _item(0x55, IMPLEMENTATION_VERSION_NAME.encode("ascii"))
    )
    titles = (title.encode("ascii", "replace").ljust(16) for title in (called, calling))
    body = (
        _FIXED_PART.pack(PROTOCOL_VERSION, 0, *titles)
        + _item(0x10, APPLICATION_CONTEXT_NAME)
        + contexts
        + _item(0x50, about_us)
    )
    return HEADER.pack(A_ASSOCIATE_RQ, 0, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value
