"""The TCP side of the DICOM port, by subclassing what pynetdicom lets one replace.

The library reads with no deadline, believes every length a peer claims, keeps its timers on the
wall clock and polls; each of these lets one peer lock out the others or slows every instance.
`tests/dicom_node/test_transport.py` checks what is relied on here against the installed version.
"""

import contextlib
import select
import socket
import ssl
import time
from typing import Final

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.timer import Timer
from pynetdicom.transport import AssociationSocket

HELLO_BUFFER_BYTES: Final = 1 << 12
BUFFER_BYTES: Final = 1 << 18
HELLO_TIMEOUT_S: Final = 5.0
"""How long a peer may take for its first PDU, seconds."""
PDU_TIMEOUT_S: Final = 10.0
"""How long one PDU may take from its first byte to its last, seconds."""
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
    """The socket of one accepted association: buffered, with a deadline for each PDU.

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
        self._use_buffer(max(HELLO_BUFFER_BYTES, len(received)))
        self._view[: len(received)] = received
        self._start, self._end = 0, len(received)
        self._deadline = 0.0
        self.is_cut = False
        self.wait_s = 0.0

    @property
    def connection(self) -> socket.socket:
        """The open socket; an error when it is closed."""
        if self.socket is None or self.is_cut:
            raise ConnectionError("closed")
        return self.socket

    @property
    def ready(self) -> bool:
        """Whether there is something to read; waits `wait_s` for it."""
        if self._end > self._start:
            return True
        if self.socket is None or not self._is_connected or self.is_cut:
            return False
        try:
            if isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                return True
            return bool(select.select([self.socket], [], [], self.wait_s)[0])
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed
            return False

    def expect_data(self) -> None:
        """Take the larger buffer, once there is an association."""
        if len(self._buffer) < BUFFER_BYTES:
            kept = bytes(self._view[self._start : self._end])
            self._use_buffer(BUFFER_BYTES)
            self._view[: len(kept)] = kept
            self._start, self._end = 0, len(kept)

    def _use_buffer(self, size: int) -> None:
        self._buffer = bytearray(size)
        self._view = memoryview(self._buffer)

    def begin_pdu(self, timeout_s: float) -> None:
        """Set the deadline of the PDU that begins now."""
        self._deadline = time.monotonic() + timeout_s

    def cut(self) -> None:
        """Read nothing more: what comes is no longer believed."""
        self.is_cut = True
        self._start = self._end = 0

    def need(self, size: int) -> memoryview:
        """Return the next bytes without consuming them; `size` is small.

        Raises
        ------
        OSError
            The peer closed, or the deadline passed.
        """
        if self._end - self._start < size and len(self._buffer) - self._start < size:
            kept = self._end - self._start
            self._buffer[:kept] = self._buffer[self._start : self._end]
            self._start, self._end = 0, kept
        while self._end - self._start < size:
            self._end += self._receive(self._view[self._end :])
        return self._view[self._start : self._start + size]

    def skip(self, size: int) -> None:
        """Consume bytes that `need` returned."""
        self._start += size
        if self._start == self._end:
            self._start = self._end = 0

    def read_into(self, target: memoryview) -> None:
        """Fill a buffer, straight from the network once our own is empty."""
        size = min(len(target), self._end - self._start)
        target[:size] = self._view[self._start : self._start + size]
        self.skip(size)
        while size < len(target):
            size += self._receive(target[size:])

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly that many bytes, for the library's own reader."""
        data = bytearray(nr_bytes)
        self.read_into(memoryview(data))
        return data

    def send_now(self, data: bytes) -> None:
        """Send an answer."""
        self.connection.settimeout(PDU_TIMEOUT_S)
        self.connection.sendall(data)

    def _receive(self, target: memoryview) -> int:
        connection = self.connection
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise PeerStalled("the PDU took too long")
        connection.settimeout(left_s)
        size = connection.recv_into(target)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if not size:
            raise ConnectionError("closed by the peer")
        return size


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
