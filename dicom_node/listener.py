"""The door of the DICOM port: accepts, and keeps whoever says nothing out of the house.

A connection costs a thread only once it has sent a whole A-ASSOCIATE-RQ and is welcome. Until then
it waits here, thousands for the price of one thread: TLS handshakes and first bytes are taken as
they come, with a deadline, a limit for each address, and never by waiting for one peer.
"""

import contextlib
import errno
import ipaddress
import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from dicom_node.association_request import abort_pdu, missing_bytes
from dicom_node.errors import BadDataset
from dicom_node.transport import HELLO_TIMEOUT_S, PDU_TIMEOUT_S, send_at_once

_log = logging.getLogger(__name__)

MAXIMUM_WAITING: Final = 256
"""Connections of all addresses that may wait; an address with fewer is never the one to go."""
MAXIMUM_WAITING_PER_ADDRESS: Final = 128
LEAVE_TIMEOUT_S: Final = 1.0
"""How long a peer that was turned away may take to read why, seconds."""
_POLL_S: Final = 0.2
_ACCEPTED_AT_ONCE: Final = 64
_OUT_OF_SOCKETS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

SILENT: Final = "silent"
NOT_DICOM: Final = "not-dicom"
CROWDED_OUT: Final = "crowded-out"
NO_TLS: Final = "tls-failed"

Decide = Callable[[bytes, str], bytes]
"""Takes an A-ASSOCIATE-RQ and an address; returns the PDU that refuses it, or nothing."""
TurnedAway = Callable[[str, str], None]
"""Told the address and the reason when a connection ends before it asked for anything."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A connection that asked for an association, with the bytes it asked in."""

    connection: socket.socket
    hello: bytes


@dataclass(eq=False, slots=True)
class Waiting:
    """A connection that has not asked for an association yet."""

    connection: socket.socket
    address: Any
    peer: str
    deadline: float
    is_shaking_hands: bool
    is_leaving: bool = False
    received: bytearray = field(default_factory=bytearray)


class WaitingRoom:
    """Where connections are until they asked for an association; used by one thread.

    Parameters
    ----------
    admit : callable
        Takes what asked and is welcome, with its address as the system gives it.
    decide : Decide
    turned_away : TurnedAway
    maximum_per_address : int
        Beyond it the oldest of the same address goes, so that the newest has its chance.
    maximum : int
        Beyond it the oldest of the address with the most goes.
    monotonic : callable
        Seconds that never step.
    """

    def __init__(
        self,
        admit: Callable[[Accepted, Any], None],
        decide: Decide,
        turned_away: TurnedAway,
        *,
        maximum_per_address: int = MAXIMUM_WAITING_PER_ADDRESS,
        maximum: int = MAXIMUM_WAITING,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.selector = selectors.DefaultSelector()
        self._admit = admit
        self._decide = decide
        self._turned_away = turned_away
        self._maximum_per_address = maximum_per_address
        self._maximum = maximum
        self._monotonic = monotonic
        self._by_peer: dict[str, dict[Waiting, None]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_peer.values()))

    def enter(self, connection: socket.socket, address: Any) -> None:
        """Take in a connection; its handshake and request are awaited, here, without blocking."""
        connection.setblocking(False)
        is_secure = isinstance(connection, ssl.SSLSocket)
        peer = peer_of(address)
        deadline = self._monotonic() + HELLO_TIMEOUT_S
        self._make_room(peer)
        waiting = Waiting(connection, address, peer, deadline, is_secure)
        self._by_peer.setdefault(peer, {})[waiting] = None
        self.selector.register(connection, selectors.EVENT_READ, waiting)
        self.look_at(waiting)  # it has often asked already

    def look_at(self, waiting: Waiting) -> None:
        """Take what a connection sent; admit it or turn it away when that is enough."""
        try:
            self._advance(waiting)
        except (ssl.SSLWantReadError, BlockingIOError):
            self.selector.modify(waiting.connection, selectors.EVENT_READ, waiting)
        except ssl.SSLWantWriteError:
            self.selector.modify(waiting.connection, selectors.EVENT_WRITE, waiting)
        except BadDataset:
            _send(waiting.connection, abort_pdu())
            self._dismiss(waiting, NOT_DICOM)
        except OSError as error:
            has_gone = isinstance(error, ssl.SSLEOFError) or not isinstance(error, ssl.SSLError)
            self._dismiss(waiting, "" if has_gone else NO_TLS)

    def expire(self) -> None:
        """Let go of those that took too long."""
        for waiting in self._late():
            self.look_at(waiting)  # it may be us who were late
        for waiting in self._late():
            self._dismiss(waiting, SILENT)

    def drop_oldest(self) -> None:
        """Let go of the oldest of the address with the most, because room is short."""
        if self._by_peer:
            crowd = max(self._by_peer.values(), key=len)
            self._dismiss(next(iter(crowd)), CROWDED_OUT)

    def close(self) -> None:
        """Let go of everybody."""
        for waiting in [one for those in self._by_peer.values() for one in those]:
            self._leave(waiting)
            waiting.connection.close()
        self.selector.close()

    def _late(self) -> list[Waiting]:
        now = self._monotonic()
        return [one for those in self._by_peer.values() for one in those if one.deadline <= now]

    def _make_room(self, peer: str) -> None:
        of_peer = self._by_peer.get(peer, {})
        if len(of_peer) >= self._maximum_per_address:
            self._dismiss(next(iter(of_peer)), CROWDED_OUT)
        elif len(self) >= self._maximum:
            self.drop_oldest()

    def _advance(self, waiting: Waiting) -> None:
        if waiting.is_shaking_hands:
            cast(ssl.SSLSocket, waiting.connection).do_handshake()
            waiting.is_shaking_hands = False
            waiting.deadline = self._monotonic() + HELLO_TIMEOUT_S
        while missing := missing_bytes(waiting.received):
            waiting.received += _receive(waiting.connection, missing)
        if waiting.is_leaving:
            while _receive(waiting.connection, 4096):
                pass
        self._settle(waiting)

    def _settle(self, waiting: Waiting) -> None:
        answer = self._decide(bytes(waiting.received), waiting.peer)
        if answer:
            _send(waiting.connection, answer)
            waiting.is_leaving = True
            waiting.deadline = self._monotonic() + LEAVE_TIMEOUT_S
            return
        self._leave(waiting)
        waiting.connection.settimeout(PDU_TIMEOUT_S)
        self._admit(Accepted(waiting.connection, bytes(waiting.received)), waiting.address)

    def _dismiss(self, waiting: Waiting, reason: str) -> None:
        self._leave(waiting)
        waiting.connection.close()
        if reason and not waiting.is_leaving:
            self._turned_away(waiting.peer, reason)

    def _leave(self, waiting: Waiting) -> None:
        self.selector.unregister(waiting.connection)
        of_peer = self._by_peer[waiting.peer]
        del of_peer[waiting]
        if not of_peer:
            del self._by_peer[waiting.peer]


class GuardedHandler(RequestHandler):
    """Makes the association of a connection that asked for one; `hello` is what it sent."""

    def __init__(self, request: Any, client_address: Any, server: Any) -> None:
        self.hello = cast(Accepted, request).hello
        super().__init__(request.connection, client_address, server)


class GuardedServer(ThreadedAssociationServer):
    """An association server no peer can hold up; its owner sets the limits before it serves."""

    request_queue_size = 128
    maximum_waiting_per_address = MAXIMUM_WAITING_PER_ADDRESS
    decide: Decide
    turned_away: TurnedAway

    def start(self, name: str) -> None:
        """Serve in a thread of that name until `shutdown`."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, name=name, daemon=True)
        self._thread.start()

    def serve_forever(self, poll_interval: float = _POLL_S) -> None:
        """Accept, and look after those that wait."""
        self._listening.setblocking(False)
        room = WaitingRoom(
            self._admit,
            self.decide,
            self.turned_away,
            maximum_per_address=self.maximum_waiting_per_address,
        )
        room.selector.register(self._listening, selectors.EVENT_READ)
        while not self._stopping.is_set():
            for key, _ in room.selector.select(poll_interval):
                self._attend(room, key.data)
            room.expire()
            self.service_actions()
        room.close()

    def shutdown(self) -> None:
        """Stop accepting; associations that run go on."""
        self._stopping.set()
        self._thread.join()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection; its handshake is still to come."""
        accepted, address = self._listening.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        send_at_once(accepted)
        accepted.setblocking(False)
        if self.ssl_context is not None:
            accepted = self.ssl_context.wrap_socket(
                accepted, server_side=True, do_handshake_on_connect=False
            )
        return accepted, address

    @property
    def _listening(self) -> socket.socket:
        return cast(socket.socket, self.socket)

    def _attend(self, room: WaitingRoom, waiting: Waiting | None) -> None:
        try:
            if waiting is None:
                self._accept_some(room)
            elif waiting.connection.fileno() >= 0:  # not closed by an earlier event of this round
                room.look_at(waiting)
        except Exception:  # noqa: BLE001 - the edge of the thread: one peer must not close the door
            _log.exception("connection_failed")

    def _accept_some(self, room: WaitingRoom) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = self.get_request()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_SOCKETS:
                    room.drop_oldest()
                return  # or it is gone already
            room.enter(accepted, address)

    def _admit(self, accepted: Accepted, address: Any) -> None:
        """Start an association; in this thread, so that the next decision counts it."""
        try:
            self.finish_request(cast(Any, accepted), address)
        except Exception:  # noqa: BLE001 - the edge of the thread: no room for one more thread
            _log.exception("association_not_started")
            accepted.connection.close()


def peer_of(address: Any) -> str:
    """Return the host of a socket address, one spelling for each.

    Examples
    --------
    >>> peer_of(("::ffff:10.0.0.7", 4711, 0, 0)), peer_of(("10.0.0.7", 4711))
    ('10.0.0.7', '10.0.0.7')
    """
    host = ipaddress.ip_address(str(address[0]).partition("%")[0])
    mapped = host.ipv4_mapped if isinstance(host, ipaddress.IPv6Address) else None
    return str(mapped or host)


def _receive(connection: socket.socket, size: int) -> bytes:
    data = connection.recv(size)
    if not data:
        raise ConnectionError("closed by the peer")
    return data


def _send(connection: socket.socket, answer: bytes) -> None:
    """Send a last word to a peer, if it listens."""
    with contextlib.suppress(OSError):
        connection.send(answer)
        connection.shutdown(socket.SHUT_WR)
