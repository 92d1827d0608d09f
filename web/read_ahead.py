"""Decodes the frames around the one that somebody looks at, before they are asked for."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    """A series' frames as they are scrolled through, and where each stands."""

    series_instance_uid: str
    read_at: float
    frames: list[_Place]
    positions: dict[tuple[str, int], int]


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
        while (place := self._next()) is not None:
            try:
                self._follow(*place)
            except (ViewerError, NodeError) as error:
                # whoever asks for that frame hears of it; here it only ends this run
                _log.info("read_ahead_ended", extra={"error_code": error.code})
            except Exception:  # noqa: BLE001 - nobody waits for it, and the next frame needs it
                _log.exception("read_ahead_failed")

    def _next(self) -> _Place | None:
        with self._changed:
            self._changed.wait_for(lambda: self._asked is not None or self._is_closed)
            place, self._asked = self._asked, None
            return None if self._is_closed else place

    def _follow(self, record: InstanceRecord, frame_number: int) -> None:
        with self._changed:
            if self._changed.wait_for(lambda: self._asked is not None or self._is_closed, QUIET_S):
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
            return self._asked is not None or self._is_closed

    def _around(self, record: InstanceRecord, frame_number: int) -> list[_Place]:
        """Return the frames to decode, the most wanted first."""
        order, is_new = self._order_with(record)
        position = order.positions.get((record.sop_instance_uid, frame_number))
        if position is None:
            return []
        step = -1 if not is_new and position < self._last_position else 1
        self._last_position = position
        wanted = [position + step * n for n in range(1, AHEAD + 1)]
        wanted += [position - step * n for n in range(1, BEHIND + 1)]
        return [order.frames[n] for n in wanted if 0 <= n < len(order.frames)]

    def _order_with(self, record: InstanceRecord) -> tuple[_Order, bool]:
        """Return the order of a record's series, and whether another one was looked at before."""
        order = self._order
        is_new = order is None or order.series_instance_uid != record.series_instance_uid
        if order is None or is_new or self._now() - order.read_at > ORDER_KEPT_S:
            order = self._order = self._read_order(record)
        return order, is_new

    def _read_order(self, record: InstanceRecord) -> _Order:
        frames = [
            (instance, number)
            for instance in self._order_of(record)
            for number in range(1, instance.number_of_frames + 1)
        ]
        positions = {
            (instance.sop_instance_uid, number): place
            for place, (instance, number) in enumerate(frames)
        }
        return _Order(record.series_instance_uid, self._now(), frames, positions)
