"""A few decode workers, shared by all threads of one process and replaced when they are lost."""

import contextlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from viewer.codecs import FrameDecoder, Samples
from viewer.errors import DecoderBusy, UnsafePixels, UnsupportedPixels
from viewer.pixel_format import PixelFormat
from viewer.sandbox import (
    COMMAND,
    DecodeLimits,
    DecodeWorker,
    WorkerDied,
    WorkerLost,
    unsafe_picture,
)

USES: Final = 2000
"""Jobs after which a worker is replaced, whatever its libraries may have gathered by then."""
TRIES: Final = 2
"""Workers that may die of one frame: the first may have died of something else."""
QUEUE_TIMEOUT_S: Final = 30.0
"""How long a frame may wait for a worker."""
START_AGAIN_S: Final = 1.0
"""Wait before another worker is started when one could not be."""
REMEMBERED: Final = 1000
"""Frames that cost a worker its life and are not tried again for a while."""
REMEMBERED_S: Final = 600.0
"""How long; a machine that was too busy then may have time now."""

_log = logging.getLogger(__name__)


class DecodePool:
    """Decodes compressed frames in caged processes.

    A frame that crashes, hangs or bloats its worker costs that worker and gets an error; other
    frames are not concerned.

    Parameters
    ----------
    workers : int
        Processes.
    limits : DecodeLimits
        What one frame may take.
    command : sequence of str
        As `DecodeWorker`.
    uses : int
        As the constant above.
    now : callable
        A clock that never goes back, seconds.

    Notes
    -----
    Nothing is started before `start` or the first frame, so a pool may be made before a fork and
    used after it.
    """

    def __init__(
        self,
        workers: int,
        limits: DecodeLimits,
        *,
        command: Sequence[str] = COMMAND,
        uses: int = USES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workers = workers
        self._limits = limits
        self._command = command
        self._uses = uses
        self._now = now
        self._changed = threading.Condition()
        self._idle: list[DecodeWorker] = []
        self._missing = 0
        self._queued = 0
        self._keeper: threading.Thread | None = None
        self._is_closed = False
        self._lost_by: OrderedDict[tuple[int, int], float] = OrderedDict()

    def start(self) -> None:
        """Start the workers in the background, if that has not been done."""
        with self._changed:
            if self._keeper is None and not self._is_closed:
                self._missing = self._workers
                # workers die with the thread that starts them, so it lives as long as the pool
                self._keeper = threading.Thread(
                    target=self._keep_complete, name="decode-workers", daemon=True
                )
                self._keeper.start()

    def close(self) -> None:
        """End the workers; frames that are asked for later get `DecoderBusy`."""
        with self._changed:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for worker in idle:
            worker.end()
        if self._keeper is not None:
            self._keeper.join()

    def decode(self, transfer_syntax_uid: str, encoded: bytes, described: PixelFormat) -> Samples:
        """Decode one frame as soon as a worker is free; a `viewer.codecs.FrameDecoder`.

        Parameters
        ----------
        transfer_syntax_uid, encoded, described
            As `viewer.codecs.decode_frame`.

        Returns
        -------
        numpy.ndarray
            As `viewer.codecs.decode_frame`.

        Raises
        ------
        UnsupportedPixels
            As `viewer.codecs.decode_frame`, or the frame is too large.
        UnsafePixels
            It cost its worker's life, now or a short while ago, or would have.
        DecoderBusy
            No worker was free in time.
        """
        for _ in range(TRIES):
            with contextlib.suppress(WorkerDied):
                return self._decode_on_one(transfer_syntax_uid, encoded, described)
        self._remember(encoded)
        raise unsafe_picture()

    @contextlib.contextmanager
    def idle_decoder(self, timeout_s: float) -> Iterator[FrameDecoder | None]:
        """Give a decoder to work ahead with, when nobody waits and another worker stands by.

        Parameters
        ----------
        timeout_s : float
            How long to wait for it; a pool of one has never one to spare.

        Yields
        ------
        callable or None
            None when all were busy.
        """
        worker = self._take(timeout_s, is_ahead=True)
        if worker is None:
            yield None
            return
        with self._lease(worker) as decode:

            def decode_ahead(
                transfer_syntax_uid: str, encoded: bytes, described: PixelFormat
            ) -> Samples:
                try:
                    return decode(transfer_syntax_uid, encoded, described)
                except WorkerDied:
                    raise unsafe_picture() from None

            yield decode_ahead

    @property
    def has_spare(self) -> bool:
        """Whether there may ever be a worker to decode ahead with."""
        return self._workers > 1

    def process_ids(self) -> list[int]:
        """Return the numbers of the workers that wait for a job."""
        with self._changed:
            return [worker.process_id for worker in self._idle]

    def _decode_on_one(
        self, transfer_syntax_uid: str, encoded: bytes, described: PixelFormat
    ) -> Samples:
        self._check(encoded, described)
        worker = self._take(QUEUE_TIMEOUT_S, is_ahead=False)
        if worker is None:
            raise DecoderBusy("Too many pictures are being decoded at once. Try again in a moment.")
        with self._lease(worker) as decode:
            return decode(transfer_syntax_uid, encoded, described)

    def _take(self, timeout_s: float, *, is_ahead: bool) -> DecodeWorker | None:
        """Take a worker that is alive; one may have been killed while it waited for a job."""
        self.start()
        for _ in range(self._workers + 1):
            worker = self._pop(timeout_s, is_ahead=is_ahead)
            if worker is None or not worker.has_ended:
                return worker
            self._take_back(worker, is_lost=True)
        return None

    def _pop(self, timeout_s: float, *, is_ahead: bool) -> DecodeWorker | None:
        def is_one_free() -> bool:
            if is_ahead:
                return self._is_closed or (
                    len(self._idle) == self._workers > 1 and not self._queued
                )
            return self._is_closed or bool(self._idle)

        with self._changed:
            self._queued += not is_ahead
            try:
                is_free = self._changed.wait_for(is_one_free, timeout_s)
                return self._idle.pop() if is_free and not self._is_closed else None
            finally:
                self._queued -= not is_ahead

    @contextlib.contextmanager
    def _lease(self, worker: DecodeWorker) -> Iterator[FrameDecoder]:
        """Hand out a worker's decoder; afterwards the worker is taken back or replaced."""
        is_lost = False

        def decode(transfer_syntax_uid: str, encoded: bytes, described: PixelFormat) -> Samples:
            nonlocal is_lost
            self._check(encoded, described)
            try:
                return worker.decode(transfer_syntax_uid, encoded, described)
            except UnsafePixels:
                self._remember(encoded)
                raise
            except UnsupportedPixels:
                raise
            except WorkerDied:
                is_lost = True
                raise
            except WorkerLost:
                is_lost = True
                self._remember(encoded)
                raise unsafe_picture() from None
            except BaseException:
                is_lost = True  # its answer may still be on the way
                raise

        try:
            yield decode
        finally:
            self._take_back(worker, is_lost=is_lost)

    def _take_back(self, worker: DecodeWorker, *, is_lost: bool) -> None:
        is_usable = not is_lost and worker.jobs < self._uses
        with self._changed:
            if is_usable and not self._is_closed:
                self._idle.append(worker)
                self._changed.notify_all()
                return
        exit_code = worker.end()
        if is_lost:
            _log.warning("decode_worker_lost", extra={"exit_code": exit_code})
        with self._changed:
            self._missing += 1
            self._changed.notify_all()

    def _keep_complete(self) -> None:
        """Start what is missing, until the pool is closed."""
        while self._wait_for_missing():
            started = self._started()
            for worker in started:
                self._welcome(worker)
            with self._changed:
                is_failing = not started and not self._is_closed
                if is_failing:
                    self._changed.wait_for(lambda: self._is_closed, START_AGAIN_S)

    def _wait_for_missing(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._missing > 0 or self._is_closed)
            return not self._is_closed

    def _started(self) -> list[DecodeWorker]:
        """Start all that are missing at once, not yet ready."""
        with self._changed:
            wanted = self._missing
        started = []
        try:
            for _ in range(wanted):
                started.append(DecodeWorker(self._limits, self._command))
        except OSError:
            _log.exception("decode_worker_not_started")
        with self._changed:
            self._missing -= len(started)
        return started

    def _welcome(self, worker: DecodeWorker) -> None:
        try:
            worker.wait_until_ready()
        except WorkerLost:
            self._take_back(worker, is_lost=True)
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, START_AGAIN_S)
        else:
            self._take_back(worker, is_lost=False)

    def _check(self, encoded: bytes, described: PixelFormat) -> None:
        """Refuse what need not be tried."""
        if max(described.native_bytes, len(encoded)) > self._limits.shared_bytes:
            raise UnsupportedPixels(
                "This picture is too large to be decoded here. It is stored safely and goes to the"
                " PACS as it is; open it there."
            )
        with self._changed:
            lost_at = self._lost_by.get(_name_of(encoded))
        if lost_at is not None and self._now() - lost_at < REMEMBERED_S:
            raise unsafe_picture()

    def _remember(self, encoded: bytes) -> None:
        with self._changed:
            self._lost_by[_name_of(encoded)] = self._now()
            while len(self._lost_by) > REMEMBERED:
                self._lost_by.popitem(last=False)


def _name_of(encoded: bytes) -> tuple[int, int]:
    # the hash is keyed by a secret of this process, so no sender can make another frame's
    return len(encoded), hash(encoded)
