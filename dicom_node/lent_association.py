"""The connection of an association of ours, for us alone while instances are sent over it.

pynetdicom opens, releases and aborts; in between its reader rests, because its queues, copies and
polling threads cost more than the network does. `tests/dicom_node/test_fast_sender.py` checks what
is relied on here against the installed version.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from typing import Final, cast

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from dicom_node.errors import PeerUnreachable
from dicom_node.pacs_tls import EncryptedConnection
from dicom_node.transport import send_at_once

REST_S: Final = 0.05
"""How long the library's reader sleeps between two looks at whether it may go on, seconds."""
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


class RestingSocket:
    """Stands in for the socket of an association while its reader rests: there is nothing to read.

    Parameters
    ----------
    held : AssociationSocket
        What it stands in for; closing and sending reach it.
    """

    def __init__(self, held: AssociationSocket) -> None:
        self.held = held
        self.is_resting = threading.Event()
        self.is_over = threading.Event()
        self.is_cut = False

    @property
    def socket(self) -> socket.socket | None:
        """The connection, None once it is closed."""
        return self.held.socket

    @property
    def ready(self) -> bool:
        """Nothing is ever there to read; says after a rest, so that who asks does not spin."""
        self.is_resting.set()
        self.is_over.wait(REST_S)
        return False

    def send(self, data: bytes) -> None:
        """Send what the library has to say, unless the peer is in the middle of a PDU or gone."""
        connection = self.held.socket
        if connection is not None and not self.is_cut:
            # what fails here is found out at the close that follows; told twice, it is an error
            with contextlib.suppress(OSError):
                connection.sendall(data)

    def close(self) -> None:
        """Close the connection."""
        self.held.close()

    def _shutdown_socket(self) -> None:
        self.held._shutdown_socket()


class LentAssociation:
    """An association whose connection is ours; made by `lend`.

    Parameters
    ----------
    association : Association
        Established.
    slice_s : float
        How long one call that sends or receives may block, seconds.
    """

    def __init__(self, association: Association, slice_s: float) -> None:
        self._association = association
        held = cast(AssociationSocket, association.dul.socket)
        if held.socket is None:
            raise PeerUnreachable("it closed the connection")
        self.connection = _in_slices(held.socket, slice_s)
        self._resting = RestingSocket(held)
        self.is_whole = True

    @property
    def contexts(self) -> dict[tuple[str, str], int]:
        """The ID of each accepted presentation context, by SOP class and transfer syntax."""
        return {
            (str(context.abstract_syntax), str(context.transfer_syntax[0])): cast(
                int, context.context_id
            )
            for context in self._association.accepted_contexts
        }

    @property
    def maximum_pdu_bytes(self) -> int:
        """The largest PDU the peer takes, without its head; 0 means any."""
        return self._association.acceptor.maximum_length or 0

    def take(self) -> None:
        """Keep both threads of the library still."""
        association = self._association
        association._reactor_checkpoint.clear()
        association.dul.socket = cast(AssociationSocket, self._resting)
        # it may be about to look at the real one: only when it met the other it looks no more
        while not self._resting.is_resting.wait(REST_S) and association.dul.is_alive():
            pass
        if not association.is_established:
            self.end(is_broken=True)
            raise PeerUnreachable("it ended the association")
        send_at_once(cast(socket.socket, self._resting.socket))

    def give_back(self) -> None:
        """Let the library go on where it was."""
        dul = self._association.dul
        if isinstance(self.connection, EncryptedConnection) and self._resting.socket is not None:
            self._resting.socket.settimeout(None)
        dul._idle_timer.restart()
        dul.socket = self._resting.held
        self._resting.is_over.set()
        self._association._reactor_checkpoint.set()

    def end(self, *, is_broken: bool) -> None:
        """Abort: nothing that was begun is to be taken for whole.

        Parameters
        ----------
        is_broken : bool
            The peer is gone, or would not understand an A-ABORT PDU where it stands.
        """
        self.is_whole = False
        self._resting.is_cut = is_broken
        self._resting.is_over.set()
        if is_broken:
            with contextlib.suppress(OSError):  # closed already
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self._association.abort()


def _in_slices(connection: socket.socket, slice_s: float) -> socket.socket | EncryptedConnection:
    """Let no call on a connection block longer than so many seconds."""
    if isinstance(connection, ssl.SSLSocket):
        return EncryptedConnection(connection, slice_s)
    limit = struct.pack("ll", int(slice_s), int(slice_s % 1 * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, limit)
    return connection


@contextlib.contextmanager
def lend(association: Association, slice_s: float) -> Iterator[LentAssociation]:
    """Lend the connection of an association until the end of the block.

    Parameters
    ----------
    association : Association
        Established.
    slice_s : float
        How long one call that sends or receives may block, seconds.

    Yields
    ------
    LentAssociation

    Raises
    ------
    PeerUnreachable
        The association ended in the meantime.
    """
    lent = LentAssociation(association, slice_s)
    lent.take()
    try:
        yield lent
    finally:
        if lent.is_whole:
            lent.give_back()
