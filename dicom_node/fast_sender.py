"""C-STORE to a peer straight from the stored files: nothing is parsed, rebuilt or encoded again.

A file is read once, and its blocks leave as they were read. The last leaves only when all of them
are what was stored, so that no peer ever has a damaged instance whole.
"""

import fcntl
import socket
import struct
import termios
import time
from collections.abc import Callable
from typing import Final

from dicom_node.command_set import StoreAnswer, read_store_answer, store_request
from dicom_node.corrected_copy import NotCovered
from dicom_node.errors import BadDataset
from dicom_node.lent_association import LentAssociation
from dicom_node.outgoing_file import BLOCK_BYTES, Damaged, OutgoingFile, corrected
from dicom_node.part10 import MAXIMUM_HEAD_BYTES
from dicom_node.rate_cap import RateCap
from dicom_node.shipment import Outcome, Receipt, Shipment

SLOWEST_BYTES_PER_S: Final = 100_000
"""A line slower than this is taken for a dead one."""
LARGEST_PDU_BYTES: Final = 1 << 18
"""We send no larger PDU, whatever the peer offers to take."""

_PDU: Final = struct.Struct(">BBL")
_PDV: Final = struct.Struct(">LBB")
_HEAD: Final = struct.Struct(">BBLLBB")
_P_DATA: Final = 0x04
_MORE_DATA: Final = b"\x04"
_COMMAND: Final = 1
_LAST: Final = 2
_SMALLEST_PDU_BYTES: Final = 128
_LARGEST_ANSWER_BYTES: Final = 64 * 1024
_LARGEST_MESSAGE_ID: Final = 0xFFFF
_SOMETHING_ELSE: Final = "it answered with something else"
_VECTORS: Final = 512
"""Buffers given to the system in one call; it takes 1024."""

Clock = Callable[[], float]
Buffer = bytes | memoryview


class NoAnswer(Exception):
    """No answer, not in time, or none that says anything certain: the outcome is unknown.

    `is_broken` tells whether the connection is of no use even for an A-ABORT.
    """

    def __init__(self, reason: str, *, is_broken: bool) -> None:
        super().__init__(reason)
        self.is_broken = is_broken


class FastSender:
    """Sends instances over one association, one after the other.

    Parameters
    ----------
    lent : LentAssociation
    answer_timeout_s : float
        How long nothing may move, and how long an answer may take.
    on_progress : callable
        Called whenever something moved.
    cap : RateCap
        How fast.
    monotonic : callable
    """

    def __init__(
        self,
        lent: LentAssociation,
        answer_timeout_s: float,
        on_progress: Callable[[], None] = lambda: None,
        cap: RateCap | None = None,
        monotonic: Clock = time.monotonic,
    ) -> None:
        self._lent = lent
        self._contexts = lent.contexts
        self._connection = lent.connection
        self._answer_timeout_s = answer_timeout_s
        self._on_progress = on_progress
        self._cap = cap or RateCap(0, 0)
        self._monotonic = monotonic
        self._fragment_bytes = _fragment_bytes(lent.maximum_pdu_bytes)
        self._buffer = bytearray(BLOCK_BYTES + MAXIMUM_HEAD_BYTES)
        self._message_id = 0
        self._moved_at = self._deadline = 0.0
        self._unsent = 0
        self._received = bytearray()

    @property
    def is_usable(self) -> bool:
        """Whether the association stands: after an unknown outcome nothing more is sent on it."""
        return self._lent.is_whole

    def send(self, item: Shipment) -> Receipt:
        """Send one instance and wait for the answer."""
        context_id = self._contexts.get(item.context)
        if context_id is None:
            return Receipt(item.delivery_id, Outcome.NO_CONTEXT)
        self._cap.wait_for_image()
        if not self._fragment_bytes or self._has_ended():
            self._lent.end(is_broken=False)
            return Receipt(item.delivery_id, Outcome.NOT_SENT)
        try:
            if item.copy_order is None:
                return self._send(item, context_id)
            with corrected(item, item.copy_order, self._on_progress) as copy:
                return self._send(copy, context_id)
        except NotCovered as error:
            return Receipt(item.delivery_id, Outcome.NOT_COVERED, comment=str(error))
        except Damaged:
            return Receipt(item.delivery_id, Outcome.UNREADABLE)
        except NoAnswer as error:
            self._lent.end(is_broken=error.is_broken)
            return Receipt(item.delivery_id, Outcome.UNKNOWN, comment=str(error))

    def _has_ended(self) -> bool:
        """Tell whether the peer says something unasked: that it wants no more."""
        if self._received:
            return True
        try:
            self._received += self._connection.recv(_LARGEST_ANSWER_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            pass  # it is gone
        return True

    def _send(self, item: Shipment, context_id: int) -> Receipt:
        self._message_id = self._message_id % _LARGEST_MESSAGE_ID + 1
        request = store_request(self._message_id, item.sop_class_uid, item.sop_instance_uid)
        with OutgoingFile(item, self._buffer) as file:
            longest_s = self._answer_timeout_s + file.size_bytes / SLOWEST_BYTES_PER_S
            self._unsent = 0  # nothing to compare the first silence with
            self._moved_at = self._monotonic()
            self._deadline = self._moved_at + longest_s
            self._write_message(file, request, context_id)
        answer = self._read_answer(context_id)
        self._check(answer, item)
        is_stored = answer.status == 0 or answer.status >> 12 == 0xB
        outcome = Outcome.STORED if is_stored else Outcome.REFUSED
        digest = item.digest if item.copy_order else ""
        return Receipt(item.delivery_id, outcome, answer.status, answer.comment, digest)

    def _write_message(self, file: OutgoingFile, request: bytes, context_id: int) -> None:
        waiting = self._pdus(memoryview(request), context_id, _COMMAND, is_end=True)
        has_begun = False
        try:
            for block, is_end in file.blocks(self._fragment_bytes):
                file.count(block)
                if is_end:
                    file.check()
                self._write(waiting + self._pdus(block, context_id, 0, is_end=is_end))
                waiting, has_begun = [], True
        except Damaged:
            if has_begun:
                self._lent.end(is_broken=False)
            raise

    def _pdus(self, data: memoryview, context_id: int, flags: int, *, is_end: bool) -> list[Buffer]:
        """Cut data into P-DATA-TF PDUs of one presentation data value each (PS3.8 9.3.5)."""
        size = self._fragment_bytes
        last = (len(data) - 1) // size * size
        head = _head(size, context_id, flags)
        pdus: list[Buffer] = [
            part for start in range(0, last, size) for part in (head, data[start : start + size])
        ]
        rest = data[last:]
        return [*pdus, _head(len(rest), context_id, flags | _LAST if is_end else flags), rest]

    def _write(self, buffers: list[Buffer]) -> None:
        if not self._cap.caps_bytes:
            self._write_now(buffers)
            return
        # one PDU at a time, so that the peer never waits long
        for start in range(0, len(buffers), 2):
            pdu = buffers[start : start + 2]
            waited_s = self._cap.wait_for_bytes(sum(map(len, pdu)))
            self._deadline += waited_s
            self._moved_at += waited_s
            self._write_now(pdu)

    def _write_now(self, left: list[Buffer]) -> None:
        while left:
            try:
                sent = self._connection.sendmsg(left[:_VECTORS])
            except BlockingIOError:
                sent = 0  # nothing could leave within one slice of time
            except OSError as exc:
                raise NoAnswer("the connection broke", is_broken=True) from exc
            left = _behind(left, sent)
            self._keep_time(has_moved=sent > 0, is_broken=True)

    def _keep_time(self, *, has_moved: bool, is_broken: bool) -> None:
        now = self._monotonic()
        if has_moved:
            self._moved_at = now
            self._on_progress()
        if now > self._deadline or now - self._moved_at > self._answer_timeout_s:
            raise NoAnswer("no answer in time", is_broken=is_broken)

    def _read_answer(self, context_id: int) -> StoreAnswer:
        command = b""
        try:
            # the system forgets it whenever we send
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            is_whole = False
            while not is_whole and len(command) <= _LARGEST_ANSWER_BYTES:
                part, is_whole = _command_part(self._read_pdu(), context_id)
                command += part
            if is_whole and self._received[:1] != _MORE_DATA:
                return read_store_answer(command)
        except BadDataset as exc:
            raise NoAnswer(str(exc), is_broken=False) from exc
        except OSError as exc:
            raise NoAnswer("the connection broke", is_broken=True) from exc
        raise NoAnswer(_SOMETHING_ELSE, is_broken=False)

    def _read_pdu(self) -> bytes:
        """Read one P-DATA-TF PDU; return what follows its head."""
        self._receive(_PDU.size)
        kind, _, length = _PDU.unpack_from(self._received)
        if kind != _P_DATA or not _PDV.size <= length <= _LARGEST_ANSWER_BYTES:
            raise NoAnswer(_SOMETHING_ELSE, is_broken=False)
        end = _PDU.size + length
        self._receive(end)
        found = bytes(self._received[_PDU.size : end])
        del self._received[:end]
        return found

    def _receive(self, size: int) -> None:
        """Receive until there are at least so many bytes."""
        while len(self._received) < size:
            try:
                data = self._connection.recv(_LARGEST_ANSWER_BYTES)
            except BlockingIOError:
                self._keep_time_of_silence()
                continue
            if not data:
                raise ConnectionError("closed by the peer")
            self._received += data
            self._keep_time(has_moved=True, is_broken=False)

    def _keep_time_of_silence(self) -> None:
        # what we sent may still be on its way: that is no silence
        before, self._unsent = self._unsent, self._unsent_bytes()
        self._keep_time(has_moved=self._unsent < before, is_broken=self._unsent > 0)

    def _unsent_bytes(self) -> int:
        (size,) = struct.unpack(
            "i", fcntl.ioctl(self._connection.fileno(), termios.TIOCOUTQ, bytes(4))
        )
        return int(size)

    def _check(self, answer: StoreAnswer, item: Shipment) -> None:
        if answer.message_id != self._message_id:
            raise NoAnswer("it answered another message", is_broken=False)
        if answer.sop_instance_uid not in ("", item.sop_instance_uid):
            raise NoAnswer("it answered for another instance", is_broken=False)


def _command_part(data: bytes, context_id: int) -> tuple[bytes, bool]:
    """Return what presentation data values hold of a command, and whether it ends with them."""
    found, is_last, end = b"", False, 0
    while end < len(data):
        if len(data) - end < _PDV.size:
            raise BadDataset(_SOMETHING_ELSE)
        size, found_id, flags = _PDV.unpack_from(data, end)
        begin, end = end + _PDV.size, end + 4 + size
        is_ours = found_id == context_id and flags & _COMMAND
        if is_last or not is_ours or not begin <= end <= len(data):
            raise BadDataset(_SOMETHING_ELSE)
        found += data[begin:end]
        is_last = bool(flags & _LAST)
    return found, is_last


def _head(size: int, context_id: int, flags: int) -> bytes:
    """Return what stands before a fragment: the heads of the PDU and of its value (PS3.8 9.3.5)."""
    return _HEAD.pack(_P_DATA, 0, size + _PDV.size, size + 2, context_id, flags)


def _fragment_bytes(maximum_pdu_bytes: int) -> int:
    """Return how much data goes into one PDU, an even number; 0 when the peer takes too little."""
    limit = min(maximum_pdu_bytes or LARGEST_PDU_BYTES, LARGEST_PDU_BYTES)
    return (limit - _PDV.size) // 2 * 2 if limit >= _SMALLEST_PDU_BYTES else 0


def _behind(buffers: list[Buffer], size: int) -> list[Buffer]:
    """Return what is left of buffers of which so many bytes have left."""
    for number, buffer in enumerate(buffers):
        if size < len(buffer):
            first = memoryview(buffer)[size:] if size else buffer
            return [first, *buffers[number + 1 :]]
        size -= len(buffer)
    return []
