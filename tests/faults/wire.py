"""The bytes of an association, built by hand, so that they can be built wrong (PS3.7, PS3.8)."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"

C_STORE_RQ, C_FIND_RQ, C_MOVE_RQ, C_ECHO_RQ, N_ACTION_RQ = 0x0001, 0x0020, 0x0021, 0x0030, 0x0130
C_CANCEL_RQ = 0x0FFF
NO_DATA_SET, HAS_DATA_SET = 0x0101, 0x0001

SOP_CLASS, COMMAND, MESSAGE_ID, RESPONDED_ID = 0x0002, 0x0100, 0x0110, 0x0120
DATA_SET_TYPE, STATUS, SOP_INSTANCE = 0x0800, 0x0900, 0x1000

DATA, IS_COMMAND, IS_LAST = 0, 1, 2
FRAGMENT_BYTES = 64 * 1024

Context = tuple[int, str, Sequence[str]]
ECHO_CONTEXT: Context = (1, VERIFICATION, [IMPLICIT])
STORE_CONTEXT: Context = (3, CT, [EXPLICIT])


def pdu(kind: int, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def context_item(context: Context) -> bytes:
    context_id, abstract_syntax, transfer_syntaxes = context
    syntaxes = b"".join(item(0x40, uid.encode()) for uid in transfer_syntaxes)
    head = struct.pack(">BBBB", context_id, 0, 0, 0)
    return item(0x20, head + item(0x30, abstract_syntax.encode()) + syntaxes)


def associate_rq(
    contexts: Sequence[Context] = (ECHO_CONTEXT, STORE_CONTEXT),
    *,
    called: bytes = b"LIFEBOAT",
    calling: bytes = b"ABUSE",
    version: int = 1,
    application_context: str = APPLICATION_CONTEXT,
    maximum_length: int = 65536,
    user_items: bytes = b"",
) -> bytes:
    user = item(0x51, struct.pack(">L", maximum_length)) + item(0x52, b"1.2.3.4") + user_items
    return pdu(
        ASSOCIATE_RQ,
        struct.pack(">HH16s16s32x", version, 0, called.ljust(16), calling.ljust(16))
        + item(0x10, application_context.encode())
        + b"".join(map(context_item, contexts))
        + item(0x50, user),
    )


def pdv(context_id: int, flags: int, value: bytes, length: int | None = None) -> bytes:
    size = len(value) + 2 if length is None else length
    return struct.pack(">LBB", size, context_id, flags) + value


def p_data(context_id: int, flags: int, value: bytes) -> bytes:
    return pdu(P_DATA, pdv(context_id, flags, value))


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def number(value: int) -> bytes:
    return struct.pack("<H", value)


def uid(text: str | bytes) -> bytes:
    value = text.encode() if isinstance(text, str) else text
    return value + b"\0" * (len(value) % 2)


def command_set(elements: dict[int, bytes]) -> bytes:
    body = b"".join(element(name, elements[name]) for name in sorted(elements))
    return element(0, struct.pack("<L", len(body))) + body


def request(
    command: int, sop_class_uid: str, message_id: int = 1, *, data_set_type: int = NO_DATA_SET
) -> dict[int, bytes]:
    return {
        SOP_CLASS: uid(sop_class_uid),
        COMMAND: number(command),
        MESSAGE_ID: number(message_id),
        DATA_SET_TYPE: number(data_set_type),
    }


def store_request(
    sop_instance_uid: str | bytes, sop_class_uid: str = CT, message_id: int = 1
) -> dict[int, bytes]:
    elements = request(C_STORE_RQ, sop_class_uid, message_id, data_set_type=HAS_DATA_SET)
    return elements | {SOP_INSTANCE: uid(sop_instance_uid)}


def message(
    context_id: int, command: dict[int, bytes], data_set: bytes | None = None
) -> Iterator[bytes]:
    """Yield the P-DATA-TF PDUs of one message."""
    yield p_data(context_id, IS_COMMAND | IS_LAST, command_set(command))
    if data_set is not None:
        yield from fragments(context_id, data_set)


def fragments(context_id: int, data_set: bytes) -> Iterator[bytes]:
    starts = range(0, max(1, len(data_set)), FRAGMENT_BYTES)
    for start in starts:
        flags = DATA | (IS_LAST if start == starts[-1] else 0)
        yield p_data(context_id, flags, data_set[start : start + FRAGMENT_BYTES])


ECHO = b"".join(message(1, request(C_ECHO_RQ, VERIFICATION)))


@dataclass(frozen=True)
class Answer:
    """A PDU of the node, the command set of a message, or the end of the connection: kind 0."""

    kind: int
    body: bytes = b""

    @property
    def is_end(self) -> bool:
        return self.kind in (0, ABORT)

    @property
    def is_rejection(self) -> bool:
        return self.kind == ASSOCIATE_RJ

    @property
    def rejection(self) -> tuple[int, ...]:
        return tuple(self.body[1:4])

    @property
    def command(self) -> dict[int, bytes]:
        """The elements of the command set."""
        return dict(read_command(self.body))

    @property
    def status(self) -> int:
        return int.from_bytes(self.command[STATUS], "little")

    @property
    def results(self) -> dict[int, int]:
        """Result of each presentation context of an A-ASSOCIATE-AC; 0 = accepted."""
        return {body[0]: body[2] for kind, body in read_items(self.body[68:]) if kind == 0x21}

    @property
    def user_items(self) -> dict[int, bytes]:
        user = next(body for kind, body in read_items(self.body[68:]) if kind == 0x50)
        return dict(read_items(user))


def read_items(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        kind, _, length = struct.unpack_from(">BBH", data)
        yield kind, data[4 : 4 + length]
        data = data[4 + length :]


def read_command(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        _, name, length = struct.unpack_from("<HHL", data)
        yield name, data[8 : 8 + length]
        data = data[8 + length :]


def read_pdus(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the whole PDUs of a stream."""
    while len(stream) >= 6:
        kind, _, length = struct.unpack_from(">BBL", stream)
        if len(stream) < 6 + length:
            return
        yield kind, stream[6 : 6 + length]
        stream = stream[6 + length :]


def data_sets(stream: bytes) -> list[bytes]:
    """Return the data sets a stream of PDUs carries, as a receiver would put them together."""
    found, current = [], b""
    for kind, body in read_pdus(stream):
        while kind == P_DATA and len(body) >= 6:
            size, _, flags = struct.unpack_from(">LBB", body)
            value, body = body[6 : 4 + size], body[4 + size :]
            if flags & IS_COMMAND:
                continue
            current += value
            if flags & IS_LAST:
                found.append(current)
                current = b""
    return found


class Peer:
    """One connection to the node; what goes wrong on it is an answer, not an error."""

    def __init__(self, port: int, timeout_s: float = 30.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.timeout_s = timeout_s

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, *data: bytes) -> "Peer":
        """Send, as far as the node still listens."""
        with contextlib.suppress(ConnectionError):
            for part in data:
                self.socket.sendall(part)
        return self

    def end(self) -> None:
        """Send nothing more; answers are still read."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def read(self) -> Answer:
        """Read one PDU or message; silence beyond the time limit is a TimeoutError."""
        try:
            kind, body = self._read_pdu()
            return Answer(kind, self._read_message(body) if kind == P_DATA else body)
        except ConnectionError:
            return Answer(0)

    def read_to_end(self) -> list[Answer]:
        answers = [self.read()]
        while answers[-1].kind:
            answers.append(self.read())
        return answers[:-1]

    def associate(self, *contexts: Context, **facts: object) -> Answer:
        offered = contexts or (ECHO_CONTEXT, STORE_CONTEXT)
        return self.send(associate_rq(offered, **facts)).read()  # type: ignore[arg-type]

    def store(
        self, command: dict[int, bytes], data_set: bytes | None, context_id: int = 3
    ) -> Answer:
        return self.send(*message(context_id, command, data_set)).read()

    def is_answered(self) -> bool:
        """Tell whether a C-ECHO on this association is answered."""
        answer = self.send(ECHO).read()
        return answer.kind == P_DATA and answer.status == 0

    def release(self) -> bool:
        return self.send(pdu(RELEASE_RQ, bytes(4))).read().kind == RELEASE_RP

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def seconds_to_end(self) -> float:
        """Wait until the node ends the connection."""
        began = time.monotonic()
        self.read_to_end()
        return time.monotonic() - began

    def _read_pdu(self) -> tuple[int, bytes]:
        kind, _, length = struct.unpack(">BBL", self._receive(6))
        return kind, self._receive(length)

    def _read_message(self, body: bytes) -> bytes:
        """Put together the message whose first PDU was read; the node answers without data sets."""
        found = b""
        while True:
            while body:
                size, _, flags = struct.unpack_from(">LBB", body)
                found, body = found + body[6 : 4 + size], body[4 + size :]
                if flags & IS_LAST:
                    return found
            kind, body = self._read_pdu()
            if kind != P_DATA:
                raise ConnectionError("a message without its end")

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError("closed")
            data += part
        return bytes(data)


def is_alive(port: int) -> bool:
    """Tell whether the node answers a C-ECHO to a new peer."""
    with contextlib.suppress(OSError), Peer(port) as peer:
        return (
            peer.associate(ECHO_CONTEXT).kind == ASSOCIATE_AC
            and peer.is_answered()
            and peer.release()
        )
    return False
