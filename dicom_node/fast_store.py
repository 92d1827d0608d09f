"""C-STORE without detours: read in place, answered in the thread that reads.

pynetdicom negotiates, releases, aborts and serves every other message; only the data of a C-STORE
request is taken out of its hands, because its queues, copies and polling threads cost more than
the disk does.
"""

import contextlib
import logging
import mmap
import socket
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.association_request import MAXIMUM_HELLO_BYTES
from dicom_node.command_set import C_STORE_RQ, CommandSet, read_command_set, store_response
from dicom_node.errors import BadDataset, NodeError, StorageFull, dimse_status
from dicom_node.ingest import Origin
from dicom_node.listener import GuardedHandler, GuardedServer
from dicom_node.storage import storage_error
from dicom_node.transport import (
    BUSY_WAIT_S,
    HELLO_TIMEOUT_S,
    PDU_TIMEOUT_S,
    GuardedSocket,
    use_monotonic_timers,
)

_log = logging.getLogger(__name__)

Store = Callable[[memoryview, str, Origin], tuple[int, str]]
"""Takes a data set, its transfer syntax and its origin; returns status and comment."""

MAXIMUM_COMMAND_BYTES: Final = 64 * 1024
MAXIMUM_MESSAGE_BYTES: Final = 16 * 1024**2
"""Largest data set of a message that is no C-STORE."""
FIRST_BUFFER_BYTES: Final = 1 << 20
KEPT_BUFFER_BYTES: Final = 4 << 20
SPOOL_BYTES: Final = 64 * 1024**2
"""Data sets larger than this go to a file while they arrive."""

_PDU: Final = struct.Struct(">BBL")
_PDV: Final = struct.Struct(">LBB")
_P_DATA: Final = 0x04
_KNOWN_PDUS: Final = range(0x01, 0x08)
_ESTABLISHED: Final = "Sta6"
_COMMAND: Final = 1
_LAST: Final = 2
_INVALID_PDU: Final = "Evt19"
_CLOSED: Final = "Evt17"


class Refused(Exception):
    """The peer breaks the protocol: the association is aborted."""


class Arrival:
    """A data set while it arrives: in memory, or in a file without a name when it is large.

    Parameters
    ----------
    spool_folder : Path
        Where the file is made.
    maximum_bytes : int
        The largest data set accepted.
    """

    def __init__(self, spool_folder: Path, maximum_bytes: int) -> None:
        self._spool_folder = spool_folder
        self._maximum_bytes = maximum_bytes
        self._buffer = bytearray()  # a silent peer costs nothing
        self._file: Any = None
        self._size = 0
        self.error: NodeError | None = None

    @property
    def size_bytes(self) -> int:
        """How much has arrived."""
        return self._size

    def read(self, source: GuardedSocket, size: int) -> None:
        """Take the next bytes of the data set from a socket.

        A disk that fails is remembered; the rest is read all the same, so that the sender gets
        its answer.

        Raises
        ------
        Refused
            The data set is larger than accepted.
        OSError
            The peer is gone.
        """
        if self._size + size > self._maximum_bytes:
            self.error = StorageFull("the instance is larger than this node accepts")
            raise Refused
        if self._file is None and self._size + size > SPOOL_BYTES:
            self._spool()
        if self._file is None and self.error is None:
            self._grow(self._size + size)
            source.read_into(memoryview(self._buffer)[self._size : self._size + size])
        else:
            chunk = bytearray(size)
            source.read_into(memoryview(chunk))
            self._write(chunk)
        self._size += size

    def data(self) -> memoryview:
        """Return the whole data set.

        Raises
        ------
        StorageFull, StorageFailed
            The disk did not take it.
        """
        if self.error is not None:
            raise self.error
        if self._file is None:
            return memoryview(self._buffer)[: self._size]
        try:
            content = mmap.mmap(self._file.fileno(), self._size, access=mmap.ACCESS_READ)
        except OSError as exc:
            raise storage_error(exc) from exc
        return memoryview(content)

    def clear(self) -> None:
        """Begin the next data set; the buffer is kept unless it became large."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        if len(self._buffer) > KEPT_BUFFER_BYTES:
            self._buffer = bytearray()
        self._size, self.error = 0, None

    def _grow(self, size: int) -> None:
        if size > len(self._buffer):
            # a new one: views of the old one may still be held by an error on its way out
            larger = bytearray(max(size, 2 * len(self._buffer), FIRST_BUFFER_BYTES))
            larger[: self._size] = memoryview(self._buffer)[: self._size]
            self._buffer = larger

    def _spool(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed by clear()
                dir=self._spool_folder, buffering=0
            )
        except OSError as exc:
            self.error = storage_error(exc)
        self._write(memoryview(self._buffer)[: self._size])

    def _write(self, data: bytearray | memoryview) -> None:
        view = memoryview(data)
        while view and self.error is None:
            try:
                view = view[self._file.write(view) :]
            except OSError as exc:
                self.error = storage_error(exc)


class FastProvider(DULServiceProvider):
    """The upper layer of one accepted association, with a way of its own for C-STORE.

    Parameters
    ----------
    association : Association
    store : Store
    arrival : Arrival
    maximum_pdu_bytes : int
        What we offered to receive.
    """

    def __init__(
        self, association: Association, store: Store, arrival: Arrival, maximum_pdu_bytes: int
    ) -> None:
        super().__init__(association)
        self._store = store
        self._arrival = arrival
        self._maximum_pdu_bytes = maximum_pdu_bytes
        self._command = bytearray()
        self._request: CommandSet | None = None
        self._context_id = 0
        self._is_storing = False
        self.heard_at = 0.0

    @property
    def _run_loop_delay(self) -> float:
        # while a peer sends, the socket waits for it: no sleep between two PDUs
        return 0.0 if self._is_storing else 0.001

    @_run_loop_delay.setter
    def _run_loop_delay(self, value: float) -> None:
        """Ignore what the library sets."""

    @property
    def is_receiving(self) -> bool:
        """Whether a message has begun and is not answered yet."""
        return self._request is not None

    @property
    def _guarded(self) -> GuardedSocket:
        return cast(GuardedSocket, self.socket)

    def _is_transport_event(self) -> bool:
        is_event = super()._is_transport_event()
        if not is_event and self._is_storing:
            self._rest()  # silence: the library may look at its timers
        return bool(is_event)

    def _read_pdu_data(self) -> None:
        """Read one PDU: data ourselves, every other kind by the library."""
        source = self._guarded
        is_established = self.state_machine.current_state == _ESTABLISHED
        source.begin_pdu(PDU_TIMEOUT_S if is_established else HELLO_TIMEOUT_S)
        try:
            kind, _, length = _PDU.unpack(source.need(_PDU.size))
            limit = self._maximum_pdu_bytes if is_established else MAXIMUM_HELLO_BYTES
            if kind not in _KNOWN_PDUS or length > max(limit, MAXIMUM_HELLO_BYTES):
                raise Refused
            self.heard_at = time.monotonic()
            if is_established and kind == _P_DATA:
                source.skip(_PDU.size)
                source.expect_data()
                self._read_data(source, length)
            else:
                self._rest()
                super()._read_pdu_data()
        except (Refused, BadDataset):
            self._end(_INVALID_PDU)
        except OSError:
            self._end(_CLOSED)
        except Exception:  # noqa: BLE001 - the edge of the thread: no association may be left hanging
            _log.exception("association_failed")
            self._end(_INVALID_PDU)

    def _end(self, event: str) -> None:
        _log.warning("association_cut", extra={"peer": str(self.assoc.requestor.address)})
        self._arrival.clear()
        self._rest()
        self._guarded.cut()
        self.event_queue.put(event)

    def _rest(self) -> None:
        """Hand over to the library until the next C-STORE."""
        self._is_storing = False
        self._guarded.wait_s = 0.0
        self.assoc._reactor_checkpoint.set()

    def _work(self) -> None:
        """Keep the library's polling thread still while instances come."""
        self._is_storing = True
        self._guarded.wait_s = BUSY_WAIT_S
        self.assoc._reactor_checkpoint.clear()

    def _read_data(self, source: GuardedSocket, length: int) -> None:
        """Read the presentation data values of one P-DATA-TF PDU (PS3.8 9.3.5)."""
        while length:
            size, context_id, flags = _PDV.unpack(source.need(_PDV.size))
            source.skip(_PDV.size)
            length -= size + 4
            if size < 2 or length < 0:
                raise Refused
            self._read_value(source, size - 2, context_id, flags)

    def _read_value(self, source: GuardedSocket, size: int, context_id: int, flags: int) -> None:
        is_first = self._request is None and not self._command
        if not is_first and context_id != self._context_id:
            raise Refused
        self._context_id = context_id
        if flags & _COMMAND:
            self._read_command(source, size)
        elif self._request is None:
            raise Refused  # data before its command
        else:
            is_store = self._request.command_field == C_STORE_RQ
            if not is_store and self._arrival.size_bytes + size > MAXIMUM_MESSAGE_BYTES:
                raise Refused
            self._arrival.read(source, size)
        if flags & _LAST:
            self._end_of_part(is_command=bool(flags & _COMMAND))

    def _read_command(self, source: GuardedSocket, size: int) -> None:
        if self._request is not None or len(self._command) + size > MAXIMUM_COMMAND_BYTES:
            raise Refused
        self._command += source.recv(size)

    def _end_of_part(self, *, is_command: bool) -> None:
        if is_command:
            self._request = read_command_set(self._command)
            if self._request.command_field == C_STORE_RQ:
                self._work()
            if self._request.has_data_set:
                return
        self._serve()

    def _serve(self) -> None:
        request, command = self._request, bytes(self._command)
        assert request is not None  # a part ended
        self._request = None
        self._command.clear()
        if request.command_field == C_STORE_RQ:
            self._answer(request)
        else:
            self._hand_over(command, request.has_data_set)
        self._arrival.clear()
        self._idle_timer.restart()

    def _answer(self, request: CommandSet) -> None:
        context = self.assoc._accepted_cx.get(self._context_id)
        if context is None:
            raise Refused
        requestor = self.assoc.requestor
        origin = Origin(
            door="c-store",
            calling_ae_title=str(requestor.ae_title).strip(),
            peer=str(requestor.address),
            sop_class_uid=_text(request.sop_class_uid),
            sop_instance_uid=_text(request.sop_instance_uid),
        )
        try:
            data = self._arrival.data()
        except NodeError as error:
            status, comment = dimse_status(error), str(error)
        else:
            status, comment = self._store(data, str(context.transfer_syntax[0]), origin)
        answer = store_response(request, status, comment)
        head = _PDU.pack(_P_DATA, 0, len(answer) + 6)
        value = _PDV.pack(len(answer) + 2, self._context_id, _COMMAND | _LAST)
        self._guarded.send_now(head + value + answer)

    def _hand_over(self, command: bytes, has_data_set: bool) -> None:
        """Give a message that is no C-STORE to the library, whole."""
        self._rest()
        primitive = P_DATA()
        primitive.presentation_data_value_list.append((self._context_id, b"\x03" + command))
        if has_data_set:
            data = b"\x02" + bytes(self._arrival.data())
            primitive.presentation_data_value_list.append((self._context_id, data))
        self.assoc.dimse.receive_primitive(primitive)


class FastHandler(GuardedHandler):
    """Makes the association of an accepted connection."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        server = cast(FastServer, self.server)
        arrival = Arrival(server.spool_folder, server.maximum_object_bytes)
        association.dul = FastProvider(
            association, server.store, arrival, server.ae.maximum_pdu_size
        )
        # set again what the association had set on the provider that is replaced
        association.network_timeout = association.network_timeout
        association.acse_timeout = association.acse_timeout
        use_monotonic_timers(association)
        connection = cast(socket.socket, self.request)
        association.set_socket(GuardedSocket(association, connection, self.hello))
        return association


class FastServer(GuardedServer):
    """A server whose associations store the fast way; its owner sets these before it serves."""

    store: Store
    spool_folder: Path
    maximum_object_bytes: int


def _text(uid: bytes) -> str:
    return uid.rstrip(b"\0 ").decode("ascii", "replace")
