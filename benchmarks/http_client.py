"""One HTTP connection that stays open, and looks at no more of an answer's head than it must.

A client of the standard library reads every field of a head as an e-mail's: with the dozen that
protect a browser, longer than it takes to make the answer.
"""

import json
import re
import socket
from typing import Any, Final

from benchmarks.processes import LOOPBACK, BenchmarkError

_TIMEOUT_S: Final = 60
_LARGEST_HEAD_BYTES: Final = 65536
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3})")
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_END_OF_HEAD: Final = b"\r\n\r\n"


class KeepAliveClient:
    """One HTTP connection that stays open, as a browser's does.

    Parameters
    ----------
    port : int
        On loopback.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: socket.socket | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def get(self, path: str, accept: str = "*/*") -> bytes:
        """Return the body of an answer.

        Raises
        ------
        BenchmarkError
            There is no answer, its status is not 200, or it does not say its length.
        """
        return self._ask(f"GET {path}", f"Accept: {accept}", b"")

    def get_json(self, path: str) -> Any:
        """Return an answer in JSON."""
        return json.loads(self.get(path, "application/json"))

    def post(self, path: str, body: bytes) -> Any:
        """Send a body and return the answer in JSON."""
        return json.loads(self._ask(f"POST {path}", f"Content-Length: {len(body)}", body))

    def _ask(self, line: str, field: str, body: bytes) -> bytes:
        head = f"{line} HTTP/1.1\r\nHost: {LOOPBACK}:{self._port}\r\n{field}\r\n\r\n"
        request = head.encode("ascii") + body
        try:
            try:
                return self._exchange(request)
            except ConnectionError:
                # Orthanc closes a connection that was silent for a second; the next one is opened
                # in a fraction of the time its answer takes
                self.close()
                return self._exchange(request)
        except OSError as error:
            raise BenchmarkError(f"no answer over HTTP: {type(error).__name__}") from error

    def _exchange(self, request: bytes) -> bytes:
        connection = self._connection or self._connect()
        connection.sendall(request)
        begin = b""
        while _END_OF_HEAD not in begin:
            begin += _received(connection)
        head, _, body = begin.partition(_END_OF_HEAD)
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or status[1] != b"200" or length is None:
            self.close()  # what is left of the answer answers no later question
            line = head.partition(b"\r\n")[0].decode("latin-1")
            raise BenchmarkError(f"no answer of a known length: {line}")
        return _whole(connection, body, int(length[1]))

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((LOOPBACK, self._port), _TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        return connection


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(_LARGEST_HEAD_BYTES)
    if not data:
        raise ConnectionResetError
    return data


def _whole(connection: socket.socket, begun: bytes, length: int) -> bytes:
    """Read the rest of a body into one piece of memory."""
    body = bytearray(length)
    body[: len(begun)] = begun
    left = memoryview(body)[len(begun) :]
    while left:
        size = connection.recv_into(left)
        if not size:
            raise ConnectionResetError
        left = left[size:]
    return bytes(body)
