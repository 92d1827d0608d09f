"""The TCP side of the DICOM port, by subclassing what pynetdicom lets one replace."""

import contextlib
import socket
import socketserver
from typing import Any

from pynetdicom import evt
from pynetdicom.transport import ThreadedAssociationServer


class PromptSocket(socket.socket):
    """A socket that acknowledges at once.

    Many senders leave Nagle's algorithm on. Their last short segment of each instance then waits
    for our delayed acknowledgement, 40 ms an instance, unless quick acknowledgement is asked for
    anew after every receive.
    """

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive, and have the kernel acknowledge it now."""
        data = super().recv(size, flags)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data


class PromptServer(ThreadedAssociationServer):
    """An association server with a real backlog whose connections answer without delay."""

    request_queue_size = 128

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept one connection."""
        accepted, address = super().get_request()
        prompt = PromptSocket(fileno=accepted.detach())
        # a peer that stops in the middle of a PDU, or whose cable is cut, frees its place
        prompt.settimeout(self.ae.network_timeout)
        prompt.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        send_at_once(prompt)
        return prompt, address

    def shutdown(self) -> None:
        """Stop accepting; associations that run go on."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()


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
