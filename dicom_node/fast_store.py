"""C-STORE without detours: read in place, answered in the thread that reads.

pynetdicom negotiates, releases, aborts and serves every other message; only the data of a C-STORE
request is taken out of its hands, because its queues, copies and polling threads cost more than
the disk does.
"""

import logging
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Final, cast

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from dicom_node.association_request import MAXIMUM_HELLO_BYTES
from dicom_node.command_set import C_STORE_RQ, CommandSet, read_command_set, store_response
from dicom_node.errors import BadDataset, NodeError, StorageFull, dimse_status
from dicom_node.ingest import LargeInstance, Origin
from dicom_node.listener import GuardedHandler, GuardedServer, TurnedAway
from dicom_node.services.store import StorageService
from dicom_node.transport import (
    BUSY_WAIT_S,
    HEAD_TIMEOUT_S,
    PDU_TIMEOUT_S,
    GuardedSocket,
    PeerStalled,
    use_monotonic_timers,
)

_log = logging.getLogger(__name__)

BeginLarge = Callable[[], LargeInstance]

MAXIMUM_COMMAND_BYTES: Final = 64 * 1024
MAXIMUM_MESSAGE_BYTES: Final = 16 * 1024**2
"""Largest data set of a message that is no C-STORE."""
MAXIMUM_EMPTY_PDUS: Final = 10
FIRST_BUFFER_BYTES: Final = 1 << 20
KEPT_BUFFER_BYTES: Final = 16 << 20
"""A larger buffer is given back after its instance."""
MEMORY_BYTES: Final = 16 * 1024**2
"""Data sets larger than this are written to their file while they arrive."""

_PDU: Final = struct.Struct(">BBL")
_PDV: Final = struct.Struct(">LBB")
_P_DATA: Final = 0x04
_KNOWN_PDUS: Final = range(0x01, 0x08)
_ESTABLISHED: Final = "Sta6"
_AWAITING_CLOSE: Final = "Sta13"
_COMMAND: Final = 1
_LAST: Final = 2
CUT: Final = "cut"
"""The reason told of a peer whose association was ended for breaking the rules."""
_INVALID_PDU: Final = "Evt19"
_CLOSED: Final = "Evt17"


class Refused(Exception):
    """The peer breaks the protocol: the association is aborted."""


class Arrival:
    """A data set while it arrives: in memory, or in the file it will stay in when it is large.

    Parameters
    ----------
    maximum_bytes : int
        The largest data set accepted.
    """

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum_bytes = maximum_bytes
        self._buffer = bytearray()  # a silent peer costs nothing
        self._begin_large: BeginLarge | None = None
        self.large: LargeInstance | None = None
        self.size_bytes = 0
        self.error: NodeError | None = None

    @property
    def data(self) -> memoryview:
        """The whole data set, unless it is large."""
        return memoryview(self._buffer)[: self.size_bytes]

    def begin(self, begin_large: BeginLarge) -> None:
        """Expect an instance; `begin_large` gives it a file if it needs one."""
        self._begin_large = begin_large

    def room(self, size: int) -> memoryview:
        """Return a buffer for the next bytes; `take` them once they are there."""
        if self._is_in_memory and self.size_bytes + size > MEMORY_BYTES:
            self._turn_large()
        start = self.size_bytes if self._is_in_memory else 0
        self._grow(start + size)
        return memoryview(self._buffer)[start : start + size]

    def take(self, size: int) -> None:
        """Count bytes that were read into `room` as the next of the data set.

        A disk that fails is remembered; the rest is taken all the same, so that the sender gets
        its answer.

        Raises
        ------
        StorageFull
            The data set is larger than accepted.
        """
        if self.size_bytes + size > self._maximum_bytes:
            raise StorageFull("the instance is larger than this node accepts")
        if self.large is not None and self.error is None:
            self._write(memoryview(self._buffer)[:size])
        self.size_bytes += size

    def clear(self) -> None:
        """Begin the next data set; the buffer is kept unless it became large."""
        if self.large is not None:
            self.large.discard()
            self.large = None
        if len(self._buffer) > KEPT_BUFFER_BYTES:
            self._buffer = bytearray()
        self.size_bytes, self.error, self._begin_large = 0, None, None

    def forget(self) -> None:
        """Give the buffer back: the peer rests."""
        self.clear()
        self._buffer = bytearray()

    @property
    def _is_in_memory(self) -> bool:
        return self.large is None and self.error is None

    def _grow(self, size: int) -> None:
        if size > len(self._buffer):
            # a new one: views of the old one may still be held by an error on its way out
            larger = bytearray(max(size, 2 * len(self._buffer), FIRST_BUFFER_BYTES))
            larger[: self.size_bytes] = self._buffer[: self.size_bytes]
            self._buffer = larger

    def _turn_large(self) -> None:
        if self._begin_large is None:
            raise Refused  # only instances may be large
        try:
            self.large = self._begin_large()
        except NodeError as error:
            self.error = error
        else:
            self._write(self.data)

    def _write(self, data: memoryview) -> None:
        assert self.large is not None  # it turned large
        try:
            self.large.write(data)
        except NodeError as error:
            self.error = error


class FastProvider(DULServiceProvider):
    """The upper layer of one accepted association, with a way of its own for C-STORE.

    Parameters
    ----------
    association : Association
    storage : StorageService
    arrival : Arrival
    maximum_pdu_bytes : int
        What we offered to receive.
    turned_away : TurnedAway
        Told the address when the peer breaks the rules.
    """

    def __init__(
        self,
        association: Association,
        storage: StorageService,
        arrival: Arrival,
        maximum_pdu_bytes: int,
        turned_away: TurnedAway,
    ) -> None:
        super().__init__(association)
        self._storage = storage
        self._arrival = arrival
        self._maximum_pdu_bytes = maximum_pdu_bytes
        self._turned_away = turned_away
        self._command = bytearray()
        self._request: CommandSet | None = None
        self._context_id = 0
        self._transfer_syntax_uid = ""
        self._origin = Origin(door="c-store", calling_ae_title="")
        self._is_storing = False
        self._value_head = bytearray(_PDV.size)
        self._empty_pdus = 0
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

    def run_reactor(self) -> None:
        """Serve the association until it ends, then drop what has not arrived whole."""
        try:
            super().run_reactor()
        finally:
            self._arrival.forget()

    def _process_recv_primitive(self) -> bool:
        """Drop an answer that the end of the association overtook."""
        if self.state_machine.current_state == _AWAITING_CLOSE:
            self.to_provider_queue.queue.clear()
        return bool(super()._process_recv_primitive())

    def _is_transport_event(self) -> bool:
        is_event = super()._is_transport_event()
        if not is_event and self._is_storing:
            self._rest()  # silence: the library may look at its timers
            if not self.is_receiving:
                self._arrival.forget()
        return bool(is_event)

    def _read_pdu_data(self) -> None:
        """Read what comes: data ourselves, every other kind of PDU by the library."""
        source = self._guarded
        try:
            if self.state_machine.current_state == _ESTABLISHED:
                self._read_while_busy(source)
            else:
                self._read_pdu(source, MAXIMUM_HELLO_BYTES)
        except (Refused, BadDataset, PeerStalled):
            self._tell_cut()
            self._end(_INVALID_PDU)
        except OSError:
            self._end(_CLOSED)
        except Exception:  # noqa: BLE001 - the edge of the thread: no association may be left hanging
            _log.exception("association_failed")
            self._end(_INVALID_PDU)

    def _read_while_busy(self, source: GuardedSocket) -> None:
        """Read PDUs of data as they come; return when the library has something to do."""
        source.limit_reads(PDU_TIMEOUT_S)
        limit = max(self._maximum_pdu_bytes, MAXIMUM_HELLO_BYTES)
        while self._read_pdu(source, limit) and source.ready:
            if self._kill_thread or not self.to_provider_queue.empty():
                return

    def _read_pdu(self, source: GuardedSocket, limit: int) -> bool:
        """Read one PDU; tell whether it was data, which we serve ourselves."""
        begin = time.monotonic()
        kind, _, length = _PDU.unpack(source.look(_PDU.size))
        if time.monotonic() - begin > HEAD_TIMEOUT_S:
            raise PeerStalled("the head of a PDU took too long")
        if kind not in _KNOWN_PDUS or length > limit:
            raise Refused
        self.heard_at = time.monotonic()
        is_data: bool = kind == _P_DATA and self.state_machine.current_state == _ESTABLISHED
        if is_data:
            source.recv(_PDU.size)
            self._read_data(source, length)
        else:
            self._rest()
            super()._read_pdu_data()
        return is_data

    def _tell_cut(self) -> None:
        address = str(self.assoc.requestor.address)
        _log.warning("association_cut", extra={"peer": address})
        self._turned_away(address, CUT)

    def _end(self, event: str) -> None:
        self._arrival.forget()
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
        if not self._is_storing:
            self._is_storing = True
            self._guarded.wait_s = BUSY_WAIT_S
            self.assoc._reactor_checkpoint.clear()

    def _read_data(self, source: GuardedSocket, length: int) -> None:
        """Read the presentation data values of one P-DATA-TF PDU (PS3.8 9.3.5).

        The usual one has a single value, whose bytes go where they stay.
        """
        if length < _PDV.size:
            self._empty_pdus += 1
            if length or self._empty_pdus > MAXIMUM_EMPTY_PDUS:
                raise Refused
            return
        content = self._arrival.room(length - _PDV.size)
        source.read_into(memoryview(self._value_head), content)
        size, context_id, flags = _PDV.unpack(self._value_head)
        if size == length - 4 and not flags & _COMMAND:
            self._take_data(context_id, len(content))
            if flags & _LAST:
                self._end_of_part(is_command=False)
        else:
            self._take_values(bytes(self._value_head) + bytes(content))

    def _take_values(self, values: bytes) -> None:
        """Take several presentation data values, or one of a command."""
        position = 0
        while position < len(values):
            if len(values) - position < _PDV.size:
                raise Refused
            size, context_id, flags = _PDV.unpack_from(values, position)
            if size < 2 or position + size + 4 > len(values):
                raise Refused
            content = values[position + _PDV.size : position + size + 4]
            position += size + 4
            if flags & _COMMAND:
                self._take_command(context_id, content)
            else:
                self._arrival.room(len(content))[:] = content
                self._take_data(context_id, len(content))
            if flags & _LAST:
                self._end_of_part(is_command=bool(flags & _COMMAND))

    def _take_command(self, context_id: int, content: bytes) -> None:
        is_first = not self._command
        if self._request is not None or not (is_first or context_id == self._context_id):
            raise Refused
        if len(self._command) + len(content) > MAXIMUM_COMMAND_BYTES:
            raise Refused
        self._context_id = context_id
        self._command += content

    def _take_data(self, context_id: int, size: int) -> None:
        if self._request is None or context_id != self._context_id:
            raise Refused  # data before its command, or of another one
        if self._request.command_field == C_STORE_RQ:
            self._work()
        elif self._arrival.size_bytes + size > MAXIMUM_MESSAGE_BYTES:
            raise Refused
        try:
            self._arrival.take(size)
        except StorageFull as error:
            self._send_answer(self._request, dimse_status(error), str(error))
            raise Refused from error

    def _end_of_part(self, *, is_command: bool) -> None:
        if is_command:
            self._begin_message()
            if self._request is None or self._request.has_data_set:
                return
        self._serve()

    def _begin_message(self) -> None:
        self._request = request = read_command_set(self._command)
        if request.command_field != C_STORE_RQ:
            return
        context = self.assoc._accepted_cx.get(self._context_id)
        if context is None:
            raise Refused
        self._work()
        self._transfer_syntax_uid = str(context.transfer_syntax[0])
        self._origin = self._origin_of(request, str(context.abstract_syntax))
        begin_large = partial(self._storage.begin_large, self._transfer_syntax_uid, self._origin)
        self._arrival.begin(begin_large)

    def _origin_of(self, request: CommandSet, abstract_syntax: str) -> Origin:
        requestor = self.assoc.requestor
        return Origin(
            door="c-store",
            calling_ae_title=str(requestor.ae_title).strip(),
            peer=str(requestor.address),
            sop_class_uid=_text(request.sop_class_uid),
            sop_instance_uid=_text(request.sop_instance_uid),
            abstract_syntax=abstract_syntax,
        )

    def _serve(self) -> None:
        request, command = self._request, bytes(self._command)
        assert request is not None  # a part ended
        self._request = None
        self._command.clear()
        if request.command_field == C_STORE_RQ:
            self._send_answer(request, *self._store())
        else:
            self._hand_over(command, request.has_data_set)
        self._arrival.clear()
        self._idle_timer.restart()

    def _store(self) -> tuple[int, str]:
        arrival = self._arrival
        if arrival.error is not None:
            return self._storage.refuse(arrival.error, self._origin)
        if arrival.large is not None:
            return self._storage.finish_large(arrival.large)
        return self._storage.store(arrival.data, self._transfer_syntax_uid, self._origin)

    def _send_answer(self, request: CommandSet, status: int, comment: str) -> None:
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
            data = b"\x02" + bytes(self._arrival.data)
            primitive.presentation_data_value_list.append((self._context_id, data))
        self.assoc.dimse.receive_primitive(primitive)


class FastHandler(GuardedHandler):
    """Makes the association of an accepted connection."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        server = cast(FastServer, self.server)
        arrival = Arrival(server.maximum_object_bytes)
        association.dul = FastProvider(
            association,
            server.storage,
            arrival,
            server.ae.maximum_pdu_size,
            server.turned_away,
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

    storage: StorageService
    maximum_object_bytes: int


def _text(uid: bytes) -> str:
    return uid.rstrip(b"\0 ").decode("ascii", "replace")
