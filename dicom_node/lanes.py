"""Sending over several associations at once, each taking the next instance when it is free."""

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol

from dicom_node.errors import NodeError
from dicom_node.in_hand import NOTHING, InHand
from dicom_node.shipment import Outcome, Receipt, Shipment
from dicom_node.slow_start import SlowStart


class Lane(Protocol):
    """One association that sends."""

    @property
    def is_usable(self) -> bool:
        """Whether it can send more."""

    def send(self, item: Shipment) -> Receipt:
        """Send one instance and wait for the answer."""


OpenLane = Callable[[], AbstractContextManager[Lane]]

GROUP_S: Final = 0.25
"""How long receipts are gathered: whoever writes them down syncs the disk once for all, seconds.

Those of the last moment die with this process; what it had in hand then is in `InHand`.
"""


class Lanes:
    """One sending of many instances; ask for its receipts once.

    Parameters
    ----------
    shipments : sequence of Shipment
    open_lane : callable
        Opens one more association; raises `NodeError` where the PACS does not take it.
    slow_start : SlowStart
        Says how many there may be, and is told how it goes.
    in_hand : InHand
        Told what is being sent.
    monotonic : callable
    """

    def __init__(
        self,
        shipments: Sequence[Shipment],
        open_lane: OpenLane,
        slow_start: SlowStart,
        in_hand: InHand,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = deque(shipments)
        self._open_lane = open_lane
        self._slow_start = slow_start
        self._in_hand = in_hand
        self._monotonic = monotonic
        self._said: queue.SimpleQueue[Receipt | BaseException | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._open = 0
        self._going: set[int] = set()
        self._lock = threading.Lock()
        self._all_ended = threading.Event()
        self._has_sent = False
        self._is_stopped = False

    def halt(self) -> None:
        """Begin no other instance; those in hand are sent to their end."""
        self._is_stopped = True

    def receipts(self) -> Iterator[list[Receipt]]:
        """Send all; yield a receipt for each, those of a moment together.

        Raises
        ------
        NodeError
            Not one association could be opened: nothing was sent.
        """
        try:
            if self._waiting:
                self._start()
            while self._open:
                yield from self._listen()
            if self._waiting:
                yield [Receipt(item.delivery_id, Outcome.NOT_SENT) for item in self._waiting]
        finally:
            with self._lock:
                self._is_stopped = True
            for thread in self._threads:
                thread.join()

    def _listen(self) -> Iterator[list[Receipt]]:
        said = self._said_of_a_moment()
        if group := [word for word in said if isinstance(word, Receipt)]:
            yield group
        for word in said:
            if word is None:
                with self._lock:
                    self._open -= 1
            elif isinstance(word, BaseException):
                self._bear(word)

    def _said_of_a_moment(self) -> list[Receipt | BaseException | None]:
        """Wait for a word, and take with it what is said within the next moment.

        It is slept through: to be woken by each receipt takes as long as a small instance does.
        """
        said = [self._said.get()]
        self._all_ended.wait(GROUP_S)
        with contextlib.suppress(queue.Empty):
            while True:
                said.append(self._said.get_nowait())
        return said

    def _bear(self, error: BaseException) -> None:
        """Go on with one association fewer, if another sends or has sent."""
        if isinstance(error, NodeError):
            with self._lock:
                self._slow_start.had_trouble(self._monotonic(), works=self._open - 1)
            if self._has_sent or self._open > 1:
                return
        raise error

    def _start_another_if_wanted(self) -> None:
        is_wanted = self._open < self._slow_start.wanted and not self._is_stopped
        if is_wanted and len(self._waiting) > self._open:
            self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="lane", daemon=True)
        self._threads.append(thread)
        self._open += 1
        thread.start()

    def _learn(self, receipt: Receipt) -> None:
        """Let more be wanted after what went well, fewer after what the PACS could not do."""
        self._has_sent = True
        if receipt.outcome is Outcome.STORED:
            self._slow_start.went_well(self._monotonic())
        elif receipt.is_out_of_resources or receipt.outcome is Outcome.UNKNOWN:
            # no room: whatever else is sent now only adds to its trouble
            self._is_stopped |= receipt.is_out_of_resources
            self._slow_start.had_trouble(self._monotonic())

    def _run(self) -> None:
        with self._lock:
            self._going.add(threading.get_ident())
            self._all_ended.clear()
        try:
            while self._waiting and not self._is_stopped and self._use_lane():
                pass
        except BaseException as error:  # noqa: BLE001 - told to who asked, who raises it
            self._said.put(error)
        finally:
            with self._lock:
                self._going.discard(threading.get_ident())
                is_last = not self._going
            self._said.put(None)
            if is_last:
                self._all_ended.set()

    def _use_lane(self) -> bool:
        """Send over one association; return whether to open another after it."""
        has_stored = False
        with self._open_lane() as lane, self._in_hand.place() as put:
            while self._may_go_on():
                item = self._next()
                if item is None:
                    return False
                put(item.delivery_id)
                receipt = lane.send(item)
                put(NOTHING)
                if receipt.outcome is Outcome.NOT_SENT:
                    self._waiting.appendleft(item)  # the peer ended it, between two instances
                    return has_stored
                with self._lock:
                    self._learn(receipt)
                    self._start_another_if_wanted()
                self._said.put(receipt)
                has_stored |= receipt.outcome is Outcome.STORED
                if receipt.outcome is Outcome.UNKNOWN or receipt.is_out_of_resources:
                    return False
                if not lane.is_usable:
                    return True  # one of our own files is damaged
        return False

    def _may_go_on(self) -> bool:
        """Tell whether this lane is one of those that are still wanted; if not, it is out."""
        with self._lock:
            if len(self._going) > self._slow_start.wanted:
                self._going.discard(threading.get_ident())
                return False
            return not self._is_stopped

    def _next(self) -> Shipment | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None
