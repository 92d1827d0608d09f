"""The TCP side of the DICOM port, by subclassing what pynetdicom lets one replace.

The library reads with no deadline, believes every length a peer claims, keeps its timers on the
wall clock and polls; each of these lets one peer lock out the others or slows every instance.
`tests/dicom_node/test_transport.py` checks what is relied on here against the installed version.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from typing import Final, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.timer import Timer
from pynetdicom.transport import AssociationSocket

HELLO_TIMEOUT_S: Final = 5.0
"""How long a peer may take for its first PDU, seconds."""
HEAD_TIMEOUT_S: Final = 2.0
"""How long the six bytes before a PDU may take, seconds."""
PDU_TIMEOUT_S: Final = 8.0
"""How long the rest of a PDU may take, and how long we wait to send, seconds."""
BUSY_WAIT_S: Final = 0.05
"""How long the reader of a sending peer waits before it lets timers be looked at, seconds."""


class PeerStalled(OSError):
    """A peer began a PDU and did not finish it in time."""


class MonotonicTimer(Timer):
    """A timer that no change of the wall clock moves."""

    def start(self) -> None:
        """Start, or start again."""
        self._start_time = time.monotonic()
        self._end_time = None

    def stop(self) -> None:
        """Stop."""
        self._end_time = time.monotonic()

    @property
    def remaining(self) -> float:
        """Seconds left; 1 when there is no limit."""
        if self.timeout is None:
            return 1
        if self._start_time is None:
            return self.timeout
        end = time.monotonic() if self._end_time is None else self._end_time
        return self.timeout - (end - self._start_time)


class GuardedSocket(AssociationSocket):
    """The socket of one accepted association, with a deadline for everything it reads.

    It acknowledges at once: many senders leave Nagle's algorithm on, and their last short segment
    of each instance then waits for our delayed acknowledgement, 40 ms an instance.

    Parameters
    ----------
    association : Association
    connection : socket.socket
    received : bytes
        What was read from the connection before; it is read again first.
    """

    def __init__(
        self, association: Association, connection: socket.socket, received: bytes = b""
    ) -> None:
        super().__init__(association, client_socket=connection)
        self._received = bytearray(received)
        self._has_flags = not isinstance(connection, ssl.SSLSocket)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self.is_cut = False
        self.wait_s = 0.0
        self._read_timeout_s = 0.0
        self.limit_reads(HELLO_TIMEOUT_S)

    @property
    def connection(self) -> socket.socket:
        """The open socket; an error when it is closed."""
        if self.socket is None or self.is_cut:
            raise ConnectionError("closed")
        return self.socket

    @property
    def ready(self) -> bool:
        """Whether there is something to read; waits `wait_s` for it."""
        if self._received:
            return True
        if self.socket is None or not self._is_connected or self.is_cut:
            return False
        try:
            if not self._has_flags and cast(ssl.SSLSocket, self.socket).pending():
                return True
            return bool(self._poll.poll(self.wait_s * 1000))
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed
            return False

    def limit_reads(self, seconds: float) -> None:
        """Set how long one read may take, however steadily its bytes drip in."""
        if seconds == self._read_timeout_s:
            return
        self._read_timeout_s = seconds
        if self._has_flags:
            connection = self.connection
            connection.settimeout(None)  # the system keeps the time: one call reads a whole PDU
            for option, limit_s in (("SO_RCVTIMEO", seconds), ("SO_SNDTIMEO", PDU_TIMEOUT_S)):
                limit = struct.pack("ll", int(limit_s), int(limit_s % 1 * 1e6))
                connection.setsockopt(socket.SOL_SOCKET, getattr(socket, option), limit)

    def cut(self) -> None:
        """Read nothing more: what comes is no longer believed."""
        self.is_cut = True
        self._received.clear()

    def look(self, size: int) -> bytearray:
        """Return the next bytes without consuming them.

        Raises
        ------
        OSError
            The peer closed, or took too long.
        """
        if len(self._received) < size:
            missing = bytearray(size - len(self._received))
            self._fill([memoryview(missing)])
            self._received += missing
        return self._received[:size]

    def read_into(self, *targets: memoryview) -> None:
        """Fill buffers one after the other, straight from the network.

        Raises
        ------
        OSError
            The peer closed, or took too long.
        """
        views = [view for view in targets if len(view)]
        while self._received and views:
            size = min(len(views[0]), len(self._received))
            views[0][:size] = self._received[:size]
            del self._received[:size]
            views = _behind(views, size)
        self._fill(views)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly that many bytes, for the library's own reader."""
        data = bytearray(nr_bytes)
        self.read_into(memoryview(data))
        return data

    def send_now(self, data: bytes) -> None:
        """Send an answer, and acknowledge what follows without delay."""
        connection = self.connection
        if not self._has_flags:
            connection.settimeout(PDU_TIMEOUT_S)
        connection.sendall(data)
        # the system forgets it whenever we answer
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _fill(self, views: list[memoryview]) -> None:
        deadline = time.monotonic() + self._read_timeout_s
        while views:
            views = _behind(views, self._receive(views, deadline))

    def _receive(self, views: list[memoryview], deadline: float) -> int:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise PeerStalled("the PDU took too long")
        try:
            if self._has_flags:
                size = self.connection.recvmsg_into(views, 0, socket.MSG_WAITALL)[0]
            else:
                self.connection.settimeout(left_s)
                size = self.connection.recv_into(views[0])
        except (BlockingIOError, TimeoutError) as exc:
            raise PeerStalled("the PDU took too long") from exc
        if not size:
            raise ConnectionError("closed by the peer")
        return size


def _behind(views: list[memoryview], size: int) -> list[memoryview]:
    """Return what is left of buffers whose first bytes are filled."""
    while views and size >= len(views[0]):
        size -= len(views[0])
        views = views[1:]
    return [views[0][size:], *views[1:]] if size else views


def use_monotonic_timers(association: Association) -> None:
    """Replace the timers of an association that was not started."""
    dul = association.dul
    dul._idle_timer = MonotonicTimer(dul._idle_timer.timeout)
    dul.artim_timer = MonotonicTimer(dul.artim_timer.timeout)


def acknowledge_at_once(event: evt.Event) -> None:
    """Handle `EVT_DATA_SENT` of an association of ours: acknowledge the answer without delay.

    Peers built on DCMTK write an answer in pieces with Nagle's algorithm on; the last piece waits
    for our acknowledgement of the first, 40 ms an instance.
    """
    held = event.assoc.dul.socket
    connection = held.socket if held is not None else None
    if connection is not None:
        with contextlib.suppress(OSError):  # closed in the meantime
            send_at_once(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def send_at_once(connection: socket.socket) -> None:
    """Turn Nagle's algorithm off for what we send."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
