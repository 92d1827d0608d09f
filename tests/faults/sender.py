"""A scanner over a bare socket: what it sends, and when, is under the test's control.

Associate with one presentation context, C-STORE from bytes, C-ECHO, release; an answer that does
not come is an error, never an empty status. PDUs as in PS3.8 section 9.3, commands as in PS3.7.
"""

import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.faults.instances import CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN, Instance

VERIFICATION: Final = "1.2.840.10008.1.1"
SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700

_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
_IMPLICIT_VR: Final = "1.2.840.10008.1.2"
_IMPLEMENTATION: Final = "2.25.314150926535897932384626433832795028"
_STORAGE_ID, _VERIFICATION_ID = 1, 3
_PDU: Final = struct.Struct(">BBL")
_PDV: Final = struct.Struct(">LBB")
_ASSOCIATE_RQ, _ASSOCIATE_AC, _ASSOCIATE_RJ = 1, 2, 3
_P_DATA, _RELEASE_RQ, _RELEASE_RP, _ABORT = 4, 5, 6, 7
_COMMAND, _LAST = 1, 2
_C_STORE_RQ, _C_ECHO_RQ = 0x0001, 0x0030
_HAS_DATA, _NO_DATA = 0x0000, 0x0101


class Gone(ConnectionError):
    """The connection ended before the answer: what became of the request is not known."""


class Aborted(Gone):
    """The node ended the association with an A-ABORT."""


class Rejected(ConnectionError):
    """The node did not accept the association."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status (0000,0900) and Error Comment (0000,0902) of a response."""

    status: int
    comment: str = ""


class Scu:
    """One association.

    Parameters
    ----------
    port : int
        Of the node, on this machine.
    sop_class_uid, transfer_syntax_uid : str
        The one presentation context for storage; Verification is proposed beside it.
    timeout_s : float
        How long one answer may take.
    """

    def __init__(
        self,
        port: int,
        sop_class_uid: str = CT_IMAGE_STORAGE,
        transfer_syntax_uid: str = EXPLICIT_VR_LITTLE_ENDIAN,
        *,
        calling_ae_title: str = "SCANNER",
        timeout_s: float = 60.0,
    ) -> None:
        self._sop_class_uid = sop_class_uid
        self._message_id = 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            contexts = _context(_STORAGE_ID, sop_class_uid, transfer_syntax_uid)
            contexts += _context(_VERIFICATION_ID, VERIFICATION, _IMPLICIT_VR)
            self._send(_ASSOCIATE_RQ, _associate_request(calling_ae_title, contexts))
            kind, body = self.read_pdu()
            if kind == _ASSOCIATE_RJ:
                raise Rejected(f"rejected: {tuple(body[1:4])}")
            if kind != _ASSOCIATE_AC:
                raise Gone(f"PDU {kind} instead of an acceptance")
            self._maximum_pdu = _maximum_pdu_of(body)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> "Scu":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def store(
        self, instance: Instance, after_pdu: Callable[[int], None] = lambda sent: None
    ) -> Answer:
        """Send one instance and wait for its answer.

        Parameters
        ----------
        instance : Instance
        after_pdu : callable
            Called with how many bytes of the data set are sent, after each PDU but the last.

        Raises
        ------
        Gone, Aborted
            There is no answer.
        """
        self.begin_store(instance.sop_instance_uid)
        view, sent = memoryview(instance.dataset), 0
        while True:
            part = view[sent : sent + self.fragment_bytes]
            sent += len(part)
            self.send_fragment(part, is_last=sent >= len(view))
            if sent >= len(view):
                return self.answer()
            after_pdu(sent)

    def begin_store(self, sop_instance_uid: str) -> None:
        """Send the command of a C-STORE; its data set is to follow."""
        self._send_command(
            _STORAGE_ID,
            _C_STORE_RQ,
            self._sop_class_uid,
            _HAS_DATA,
            (0x0700, struct.pack("<H", 0)),
            (0x1000, _uid(sop_instance_uid)),
        )

    @property
    def fragment_bytes(self) -> int:
        """How much of a data set goes into one PDU."""
        return self._maximum_pdu - _PDV.size

    def send_fragment(self, data: bytes | memoryview, *, is_last: bool) -> None:
        """Send a part of a data set."""
        value = _PDV.pack(len(data) + 2, _STORAGE_ID, _LAST if is_last else 0)
        self._send(_P_DATA, value, data)

    def echo(self) -> Answer:
        """Send a C-ECHO and wait for its answer."""
        self._send_command(_VERIFICATION_ID, _C_ECHO_RQ, VERIFICATION, _NO_DATA)
        return self.answer()

    def answer(self) -> Answer:
        """Read the response to what was sent last."""
        command = b""
        while True:
            kind, body = self.read_pdu()
            if kind != _P_DATA:
                raise Gone(f"PDU {kind} instead of an answer")
            while body:
                size, _, flags = _PDV.unpack_from(body)
                command += body[_PDV.size : size + 4]
                body = body[size + 4 :]
                if flags == _COMMAND | _LAST:
                    return _read_response(command)

    def release(self) -> None:
        """End the association in order."""
        self._send(_RELEASE_RQ, bytes(4))
        while self.read_pdu()[0] != _RELEASE_RP:
            pass
        self.close()

    def close(self) -> None:
        """End the connection, whatever is under way."""
        self.socket.close()

    def read_pdu(self) -> tuple[int, bytes]:
        """Read one PDU; an A-ABORT is an error."""
        kind, _, length = _PDU.unpack(self._read(_PDU.size))
        body = self._read(length)
        if kind == _ABORT:
            raise Aborted("A-ABORT")
        return kind, body

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except OSError as exc:
                raise Gone(str(exc)) from exc
            if not part:
                raise Gone("closed by the node")
            data += part
        return bytes(data)

    def _send(self, kind: int, *parts: bytes | memoryview) -> None:
        head = _PDU.pack(kind, 0, sum(map(len, parts)))
        try:
            self.socket.sendall(b"".join((head, *parts)))
        except OSError as exc:
            raise Gone(str(exc)) from exc

    def _send_command(
        self,
        context_id: int,
        command: int,
        sop_class_uid: str,
        data_set_type: int,
        *more: tuple[int, bytes],
    ) -> None:
        self._message_id = self._message_id % 0xFFFF + 1
        elements = (
            (0x0002, _uid(sop_class_uid)),
            (0x0100, struct.pack("<H", command)),
            (0x0110, struct.pack("<H", self._message_id)),
            *more[:1],
            (0x0800, struct.pack("<H", data_set_type)),
            *more[1:],
        )
        body = b"".join(_element(number, value) for number, value in elements)
        body = _element(0x0000, struct.pack("<L", len(body))) + body
        self._send(_P_DATA, _PDV.pack(len(body) + 2, context_id, _COMMAND | _LAST), body)


def _associate_request(calling_ae_title: str, contexts: bytes) -> bytes:
    user = _item(0x51, struct.pack(">L", 0)) + _item(0x52, _IMPLEMENTATION.encode())
    return b"".join(
        (
            struct.pack(">HH", 1, 0),
            b"LIFEBOAT".ljust(16),
            calling_ae_title.encode().ljust(16),
            bytes(32),
            _item(0x10, _APPLICATION_CONTEXT.encode()),
            contexts,
            _item(0x50, user),
        )
    )


def _context(context_id: int, abstract_syntax: str, transfer_syntax: str) -> bytes:
    syntaxes = _item(0x30, abstract_syntax.encode()) + _item(0x40, transfer_syntax.encode())
    return _item(0x20, bytes((context_id, 0, 0, 0)) + syntaxes)


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _maximum_pdu_of(acceptance: bytes) -> int:
    """Check that the storage context is accepted; return the largest PDU the node takes."""
    position, largest, is_accepted = 68, 0, False
    while position < len(acceptance):
        kind, _, length = struct.unpack_from(">BBH", acceptance, position)
        value = acceptance[position + 4 : position + 4 + length]
        if kind == 0x21 and value[0] == _STORAGE_ID:
            is_accepted = value[2] == 0
        if kind == 0x50:
            largest = struct.unpack_from(">L", value, value.index(b"\x51\0\0\4") + 4)[0]
        position += 4 + length
    if not is_accepted:
        raise Rejected("the presentation context is not accepted")
    return largest or 1 << 17


def _read_response(command: bytes) -> Answer:
    status, comment, position = None, "", 0
    while position < len(command):
        _, number, length = struct.unpack_from("<HHL", command, position)
        value = command[position + 8 : position + 8 + length]
        if number == 0x0900:
            (status,) = struct.unpack("<H", value)
        elif number == 0x0902:
            comment = value.decode("ascii").strip()
        position += 8 + length
    if status is None:
        raise Gone("an answer without a status")
    return Answer(status, comment)


def _element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def _uid(uid: str) -> bytes:
    return uid.encode() + b"\0" * (len(uid) % 2)
