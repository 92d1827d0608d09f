"""A peer that takes associations and then does, byte by byte, what a test tells it to."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

from dicom_node.certificate import tls_context
from tests.faults.wire import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    COMMAND,
    DATA_SET_TYPE,
    EXPLICIT,
    IS_COMMAND,
    IS_LAST,
    MESSAGE_ID,
    NO_DATA_SET,
    P_DATA,
    RELEASE_RP,
    RELEASE_RQ,
    RESPONDED_ID,
    SOP_INSTANCE,
    STATUS,
    command_set,
    item,
    number,
    p_data,
    pdu,
    uid,
)

TRANSIENT, CONGESTION = 2, 1


class Ended(Exception):
    """The other side released, aborted or closed."""


class Conversation:
    """One connection, seen from the peer."""

    def __init__(self, connection: socket.socket, maximum_length: int) -> None:
        self.connection = connection
        self.maximum_length = maximum_length
        self.stored: dict[str, bytes] = {}
        self.largest_pdu = 0

    def read_pdu(self) -> tuple[int, bytes]:
        kind, _, length = struct.unpack(">BBL", self._read(6))
        self.largest_pdu = max(self.largest_pdu, length)
        return kind, self._read(length)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.connection.recv(size - len(data))
            if not part:
                raise Ended
            data += part
        return data

    def accept(self) -> None:
        _, request = self.read_pdu()
        results = b"".join(
            item(0x21, struct.pack(">BBBB", context_id, 0, 0, 0) + item(0x40, EXPLICIT.encode()))
            for context_id in _context_ids(request)
        )
        user = item(0x51, struct.pack(">L", self.maximum_length)) + item(0x52, b"1.2.3.4")
        body = request[:68] + request[68 : 68 + 4 + 21] + results + item(0x50, user)
        self.largest_pdu = 0
        self.connection.sendall(pdu(ASSOCIATE_AC, body))

    def reject(self, reason: int = CONGESTION) -> None:
        self.read_pdu()
        self.connection.sendall(pdu(ASSOCIATE_RJ, bytes((0, TRANSIENT, 3, reason))))
        self.wait_for_end()

    def read_message(self) -> tuple[int, int, str, bytes]:
        """Return context, message ID, SOP Instance UID and data set of a request."""
        command, data = b"", b""
        while True:
            kind, body = self.read_pdu()
            if kind == RELEASE_RQ:
                self.connection.sendall(pdu(RELEASE_RP, bytes(4)))
                raise Ended
            if kind != P_DATA:
                raise Ended
            _, context_id, flags = struct.unpack_from(">LBB", body)
            if flags & IS_COMMAND:
                command += body[6:]
                continue
            data += body[6:]
            if flags & IS_LAST:
                elements = _elements(command)
                (message_id,) = struct.unpack("<H", elements[MESSAGE_ID])
                instance = elements[SOP_INSTANCE].rstrip(b"\0").decode()
                return context_id, message_id, instance, data

    def answer(
        self, context_id: int, message_id: int, sop_instance_uid: str, status: int = 0
    ) -> None:
        self.connection.sendall(store_answer(context_id, message_id, sop_instance_uid, status))

    def serve(self, status: int = 0) -> None:
        """Take one instance and answer."""
        context_id, message_id, instance, data = self.read_message()
        self.stored[instance] = data
        self.answer(context_id, message_id, instance, status)

    def serve_all(self, status: int = 0) -> None:
        while True:
            self.serve(status)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def wait_for_end(self) -> None:
        """Take whatever comes until the other side goes."""
        with contextlib.suppress(OSError, Ended):
            while self.read_pdu()[0] not in (ABORT, RELEASE_RQ):
                pass


def store_answer(context_id: int, message_id: int, sop_instance_uid: str, status: int = 0) -> bytes:
    answer = command_set(
        {
            COMMAND: number(0x8001),
            RESPONDED_ID: number(message_id),
            DATA_SET_TYPE: number(NO_DATA_SET),
            STATUS: number(status),
            SOP_INSTANCE: uid(sop_instance_uid),
        }
    )
    return p_data(context_id, IS_COMMAND | IS_LAST, answer)


Script = Callable[[Conversation], None]


class ScriptedPeer:
    """Listens; each connection is served by the next script, and the last one serves the rest."""

    def __init__(self, *scripts: Script, maximum_length: int = 16384, tls=None) -> None:
        self._tls = tls and tls_context(tls.settings)
        self._scripts = list(scripts)
        self._maximum_length = maximum_length
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.conversations: list[Conversation] = []
        self.open = 0
        self.most_open = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def stored(self) -> dict[str, bytes]:
        """Every data set that arrived whole, by SOP Instance UID."""
        return {uid: data for talk in self.conversations for uid, data in talk.stored.items()}

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for talk in self.conversations:
            with contextlib.suppress(OSError):
                talk.connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for talk in self.conversations:
            talk.connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
            talk = Conversation(connection, self._maximum_length)
            script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
            self.conversations.append(talk)
            thread = threading.Thread(target=self._serve, args=(talk, script), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, talk: Conversation, script: Script) -> None:
        with self._lock:
            self.open += 1
            self.most_open = max(self.open, self.most_open)
        with contextlib.suppress(Ended, OSError):
            script(talk)
        with self._lock:
            self.open -= 1
        with contextlib.suppress(OSError):
            talk.connection.close()


def _context_ids(request: bytes) -> list[int]:
    found, position = [], 68
    while position < len(request):
        kind, _, length = struct.unpack_from(">BBH", request, position)
        if kind == 0x20:
            found.append(request[position + 4])
        position += 4 + length
    return found


def _elements(command: bytes) -> dict[int, bytes]:
    found, position = {}, 0
    while position < len(command):
        _, element, length = struct.unpack_from("<HHL", command, position)
        found[element] = command[position + 8 : position + 8 + length]
        position += 8 + length
    return found
