"""Decodes the frames around the one that somebody looks at, before they are asked for."""

import logging
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Final

from dicom_node.errors import NodeError
from dicom_node.index import InstanceRecord
from viewer.errors import UnsafePixels, ViewerError

AHEAD: Final = 8
"""Frames decoded in the direction of motion."""
BEHIND: Final = 2
"""Frames decoded against it, should somebody turn round."""
QUIET_S: Final = 0.03
"""How long nobody may have asked before decoding ahead begins: who waits needs the processor."""
ORDER_KEPT_S: Final = 5.0
"""How long a series' order is believed before the index is asked again."""

_Place = tuple[InstanceRecord, int]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Order:
    """A series' instances as they are scrolled through, and where each one's first frame stands."""

    series_instance_uid: str
    read_at: float
    instances: Sequence[InstanceRecord]
    firsts: Sequence[int]

    def position(self, record: InstanceRecord, frame_number: int) -> int | None:
        """Return where a frame stands, from 0; None when its instance is not of the series."""
        for instance, first in zip(self.instances, self.firsts, strict=True):
            if instance.sop_instance_uid == record.sop_instance_uid:
                return first + frame_number - 1
        return None

    def place(self, position: int) -> _Place | None:
        """Return the frame that stands somewhere; None before the first and after the last."""
        at = bisect_right(self.firsts, position) - 1
        if at < 0:
            return None
        number = position - self.firsts[at] + 1
        instance = self.instances[at]
        return (instance, number) if number <= instance.number_of_frames else None


class ReadAhead:
    """One thread that follows the last frame asked for; a newer one ends its work on an older.

    Parameters
    ----------
    order_of : callable
        (record) -> the instances of its series in display order.
    decode : callable
        (record, frame number) -> decodes and keeps a frame; False when it had better wait.
    now : callable
        A clock that never goes back, seconds.
    """

    def __init__(
        self,
        order_of: Callable[[InstanceRecord], Sequence[InstanceRecord]],
        decode: Callable[[InstanceRecord, int], bool],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._order_of = order_of
        self._decode = decode
        self._now = now
        self._changed = threading.Condition()
        self._asked: _Place | None = None
        self._expected: _Place | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._order: _Order | None = None
        self._last_position = 0

    def asked(self, record: InstanceRecord, frame_number: int) -> None:
        """Note that somebody looks at a frame; returns at once.

        Parameters
        ----------
        record : InstanceRecord
            Its instance.
        frame_number : int
            1-based.
        """
        with self._changed:
            self._asked = (record, frame_number)
            self._wake()

    def expected(self, record: InstanceRecord, frame_number: int) -> None:
        """Note that somebody is about to look at a frame; returns at once.

        It is decoded before anything else is, unless it was asked for by then.

        Parameters
        ----------
        record : InstanceRecord
            Its instance.
        frame_number : int
            1-based.
        """
        with self._changed:
            self._expected = (record, frame_number)
            self._wake()

    def _wake(self) -> None:
        if self._thread is None and not self._is_closed:
            self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def close(self) -> None:
        """End the thread, after the frame that it decodes now."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except (ViewerError, NodeError) as error:
                # whoever asks for that frame hears of it; here it only ends this run
                _log.info("read_ahead_ended", extra={"error_code": error.code})
            except Exception:  # noqa: BLE001 - nobody waits for it, and the next frame needs it
                _log.exception("read_ahead_failed")

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._changed.wait_for(self._is_interrupted)
            if self._is_closed:
                return None
            if self._expected is not None:
                expected, self._expected = self._expected, None
                return partial(self._decode_now, *expected)
            asked, self._asked = self._asked, None
            return None if asked is None else partial(self._follow, *asked)

    def _decode_now(self, record: InstanceRecord, frame_number: int) -> None:
        while not self._decode_one(record, frame_number) and not self._is_overtaken():
            pass

    def _follow(self, record: InstanceRecord, frame_number: int) -> None:
        with self._changed:
            if self._changed.wait_for(self._is_interrupted, QUIET_S):
                return
        for place in self._around(record, frame_number):
            while not self._is_overtaken() and not self._decode_one(*place):
                pass
            if self._is_overtaken():
                return

    def _decode_one(self, record: InstanceRecord, frame_number: int) -> bool:
        try:
            return self._decode(record, frame_number)
        except UnsafePixels:
            raise  # its neighbours may be of the same making
        except ViewerError:
            return True

    def _is_overtaken(self) -> bool:
        with self._changed:
            return self._is_interrupted()

    def _is_interrupted(self) -> bool:
        return self._asked is not None or self._expected is not None or self._is_closed

    def _around(self, record: InstanceRecord, frame_number: int) -> list[_Place]:
        """Return the frames to decode, the most wanted first."""
        order, is_new = self._order_with(record)
        position = order.position(record, frame_number)
        if position is None:
            return []
        step = -1 if not is_new and position < self._last_position else 1
        self._last_position = position
        wanted = [position + step * n for n in range(1, AHEAD + 1)]
        wanted += [position - step * n for n in range(1, BEHIND + 1)]
        return [place for n in wanted if (place := order.place(n)) is not None]

    def _order_with(self, record: InstanceRecord) -> tuple[_Order, bool]:
        """Return the order of a record's series, and whether another one was looked at before."""
        order = self._order
        is_new = order is None or order.series_instance_uid != record.series_instance_uid
        if order is None or is_new or self._now() - order.read_at > ORDER_KEPT_S:
            order = self._order = self._read_order(record)
        return order, is_new

    def _read_order(self, record: InstanceRecord) -> _Order:
        instances = self._order_of(record)
        firsts = list(accumulate((one.number_of_frames for one in instances), initial=0))[:-1]
        return _Order(record.series_instance_uid, self._now(), instances, firsts)
