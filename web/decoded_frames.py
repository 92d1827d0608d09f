"""Compressed frames decoded in cages, once: kept in memory and on disk, and decoded ahead."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from pydicom.uid import RLELossless

from dicom_node.index import IndexReader, InstanceRecord
from dicom_node.settings import Settings
from viewer.cache import ByteBoundedCache
from viewer.codecs import NATIVE_SYNTAXES, FrameDecoder
from viewer.decode import Instance, StoredFrame
from viewer.decode_pool import DecodePool
from viewer.errors import UnreadableFile
from viewer.frame_store import FrameStore, read_only
from viewer.header import read_file_header
from viewer.sandbox import DecodeLimits
from viewer.strips import StripThreads
from web.display_order import in_display_order
from web.limits import AtWork
from web.read_ahead import ReadAhead

FOLDER: Final = "cache/frames"
"""Where decoded frames are kept, below the data folder; may be deleted at any time."""
KEPT_BYTES: Final = 128 * 1024 * 1024
"""What decoded frames may take in the memory of one process."""
QUICK_SYNTAXES: Final = (RLELossless,)
"""Transfer syntaxes that are decoded as quickly as a file in the cache is read and checked."""
_RANGE: Final = "native range"
SPARE_WORKER_TIMEOUT_S: Final = 1.0
MOST_PROCESSORS: Final = 8
"""As many make one picture at most: a large radiograph has no more strips."""
_MORE_AT_WORK: Final = 1
"""Threads that work on frames, beyond one for each processor: some of them read a file."""
_RESERVES_KEPT_FREE: Final = 2  # one is the node's own, the other is for what arrives

Keep = Callable[[str, Callable[[], StoredFrame]], StoredFrame]
"""(key, decode) -> the frame of that key, decoded now or before."""


@dataclass(frozen=True, eq=False)
class HeldInstance(Instance):
    """An instance whose compressed frames are decoded once, however they are asked for.

    Parameters
    ----------
    source : str
        Names the bytes that the frames come from.
    keep : callable
        Returns what was kept of a frame, or keeps what it decodes.
    asked : callable
        Is told of each frame that somebody waited for.
    """

    source: str = field(kw_only=True)
    keep: Keep = field(kw_only=True, repr=False)
    asked: Callable[[int], None] = field(kw_only=True, repr=False)

    def key(self, frame_number: int) -> str:
        """Return what a decoded frame is kept under."""
        return f"{self.source} {frame_number}"

    def native_range(self, frame_number: int) -> tuple[int, int] | None:
        """Return what `Instance.native_range` does; that of the frame asked for last is kept."""
        asked, found = self.worked_out.get(_RANGE, (0, None))
        if asked != frame_number:
            found = super().native_range(frame_number)
            self.worked_out[_RANGE] = frame_number, found
        return cast("tuple[int, int] | None", found)

    def stored_frame(self, frame_number: int, decoder: FrameDecoder | None = None) -> StoredFrame:
        """Decode one frame, or return it as decoded before.

        Parameters
        ----------
        frame_number, decoder
            As `Instance.stored_frame`; with a decoder it is being decoded ahead.

        Returns
        -------
        numpy.ndarray
            As `Instance.stored_frame`; read-only.

        Raises
        ------
        viewer.errors.ViewerError
            As `Instance.stored_frame`.
        """
        decode = super().stored_frame
        if self.transfer_syntax_uid in NATIVE_SYNTAXES:
            return decode(frame_number)
        frame = self.keep(self.key(frame_number), lambda: decode(frame_number, decoder))
        if decoder is None:
            self.asked(frame_number)
        return frame


class DecodedFrames:
    """Opens instances so that each of their compressed frames is decoded once and in a cage.

    Parameters
    ----------
    pool : DecodePool
        Decodes.
    files : FrameStore
        Keeps frames for all processes.
    index : IndexReader
        Knows a series' instances.
    headers : ByteBoundedCache
        Keeps opened instances.
    threads : StripThreads
        Help to draw large frames.
    at_work : AtWork
        Who works on frames; who waits for a decoder leaves it.
    """

    def __init__(
        self,
        pool: DecodePool,
        files: FrameStore,
        index: IndexReader,
        headers: ByteBoundedCache[tuple[str, str], HeldInstance],
        threads: StripThreads,
        at_work: AtWork,
    ) -> None:
        self.at_work = at_work
        self._pool = pool
        self._reader = threading.local()
        self._threads = threads
        self._headers = headers
        self._files = files
        self._index = index
        self._kept: ByteBoundedCache[str, StoredFrame] = ByteBoundedCache(
            KEPT_BYTES, lambda frame: frame.nbytes
        )
        self._read_ahead = ReadAhead(self._in_order, self._decode_ahead)

    def start(self) -> None:
        """Start the decoders in the background, so that the first frame finds them ready."""
        self._pool.start()

    def close(self) -> None:
        """End the decoders and threads."""
        self._read_ahead.close()
        self._pool.close()
        self._threads.close()

    def open(self, record: InstanceRecord) -> HeldInstance:
        """Return an instance with its header read.

        Parameters
        ----------
        record : InstanceRecord
            Its row in the index.

        Returns
        -------
        HeldInstance

        Raises
        ------
        viewer.errors.UnreadableFile
            The file is damaged, away, or holds another instance than the index says.
        """
        key = record.digest, record.sop_instance_uid
        return self._headers.get_or_compute(key, lambda: self._opened(record))

    def expect(self, record: InstanceRecord, frame_number: int) -> None:
        """Have a frame decoded that somebody is about to look at; returns at once.

        Parameters
        ----------
        record : InstanceRecord
            Its instance.
        frame_number : int
            1-based.
        """
        if record.transfer_syntax_uid not in NATIVE_SYNTAXES and self._pool.has_spare:
            self._read_ahead.expected(record, frame_number)

    def prepare(self, record: InstanceRecord, frame_number: int) -> bool:
        """Decode a frame here and now, should anybody want it, as long as nobody waits for one.

        Parameters
        ----------
        record : InstanceRecord
            Its instance.
        frame_number : int
            1-based.

        Returns
        -------
        bool
            False when no decoder was to spare; it may be tried again.

        Raises
        ------
        viewer.errors.ViewerError
            It cannot be opened or decoded.
        """
        if not self._pool.has_spare or self.is_at_hand(record, frame_number):
            return True
        return self._decode_ahead(record, frame_number)

    def is_at_hand(self, record: InstanceRecord, frame_number: int) -> bool:
        """Return whether a frame is read without waiting for a decoder.

        Parameters
        ----------
        record : InstanceRecord
            Its instance.
        frame_number : int
            1-based.

        Returns
        -------
        bool
            True of what is stored plainly, or was decoded before.

        Raises
        ------
        viewer.errors.UnreadableFile
            As `open`.
        """
        if record.transfer_syntax_uid in (*NATIVE_SYNTAXES, *QUICK_SYNTAXES):
            return True
        key = self.open(record).key(frame_number)
        return key in self._kept or self._files.holds(key)

    def _opened(self, record: InstanceRecord) -> HeldInstance:
        header = read_file_header(record.path)
        found = str(header.dataset.get("SOPInstanceUID", "")).strip()
        if found != record.sop_instance_uid:
            raise UnreadableFile(
                "The stored file holds another instance than the index says. Tell the IT team."
            )
        is_quick = header.transfer_syntax_uid in QUICK_SYNTAXES
        return HeldInstance(
            record.path,
            header,
            self._pool.decode,
            threads=self._threads,
            source=f"{record.digest} {_changed_at(record.path)}",
            keep=self._keep_in_memory if is_quick else self._keep,
            asked=lambda number: self._follow(record, number),
        )

    def _keep(self, key: str, decode: Callable[[], StoredFrame]) -> StoredFrame:
        self.at_work.leave()
        return self._kept.get_or_compute(key, lambda: self._files.get_or_compute(key, decode))

    def _keep_in_memory(self, key: str, decode: Callable[[], StoredFrame]) -> StoredFrame:
        self.at_work.leave()
        return self._kept.get_or_compute(key, lambda: read_only(decode()))

    @contextmanager
    def unfollowed(self) -> Iterator[None]:
        """Read for nobody in this thread: what somebody looks at goes on being read ahead."""
        self._reader.is_nobody = True
        try:
            yield
        finally:
            self._reader.is_nobody = False

    def _follow(self, record: InstanceRecord, frame_number: int) -> None:
        if self._pool.has_spare and not getattr(self._reader, "is_nobody", False):
            self._read_ahead.asked(record, frame_number)

    def _in_order(self, record: InstanceRecord) -> list[InstanceRecord]:
        """Return the compressed instances of a record's series as they are scrolled through."""
        series = self._index.instances(record.study_instance_uid, record.series_instance_uid)
        return in_display_order(
            [
                one
                for one in series
                if one.version == 1 and one.transfer_syntax_uid not in NATIVE_SYNTAXES
            ]
        )

    def _decode_ahead(self, record: InstanceRecord, frame_number: int) -> bool:
        """Decode a frame that nobody waits for yet; False when there was no worker to spare."""
        instance = self.open(record)
        key = instance.key(frame_number)
        if key in self._kept or self._files.holds(key):
            return True
        with self._pool.idle_decoder(SPARE_WORKER_TIMEOUT_S) as decoder:
            if decoder is not None:
                instance.stored_frame(frame_number, decoder)
            return decoder is not None


def new_decoded_frames(
    settings: Settings, index: IndexReader, headers: ByteBoundedCache[tuple[str, str], HeldInstance]
) -> DecodedFrames:
    """Return decoders by the settings, none of them started.

    Parameters
    ----------
    settings : Settings
        `[web]` and `[storage]`.
    index : IndexReader
        Over the same data folder.
    headers : ByteBoundedCache
        Keeps opened instances.

    Returns
    -------
    DecodedFrames
    """
    web = settings.web
    limits = DecodeLimits(web.decode_timeout_s, web.decode_memory_bytes)
    files = FrameStore(
        settings.node.data / FOLDER,
        web.cache_bytes,
        keep_free_bytes=_RESERVES_KEPT_FREE * settings.storage.reserve_bytes,
    )
    pool, threads = DecodePool(web.decode_workers, limits), StripThreads(_processors())
    at_work = AtWork(_processors() + _MORE_AT_WORK)
    return DecodedFrames(pool, files, index, headers, threads, at_work)


def _processors() -> int:
    """Return how many processors this process may use, up to as many as one picture can."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSORS)


def _changed_at(path: Path) -> int:
    """Return when a file was written: one in the place of a damaged one has the same digest."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
