"""Tune the sockets of the practice room."""

import socket

from pynetdicom.events import Event


def send_at_once(event: Event) -> None:
    """Switch off the delay of small packets; bind it to `evt.EVT_CONN_OPEN`.

    A C-STORE is a small packet followed by large ones, so with the delay each instance waits up
    to 40 ms for an acknowledgement of TCP.

    Parameters
    ----------
    event : Event
        Of a connection that has just been opened.
    """
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
