"""Decoded frames in a folder: bounded, disposable, shared by all processes that use the folder."""

import contextlib
import fcntl
import hashlib
import math
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Final

import numpy as np
from isal import isal_zlib

from viewer.decode import StoredFrame

FORMAT: Final = b"LBFRAME1"
"""First bytes of a file; to be changed whenever decoding gives other values than before."""
SUFFIX: Final = ".frame"
LOCK_TIMEOUT_S: Final = 15.0
"""How long a process waits for another one that decodes the same frame."""

_HEAD: Final = struct.Struct("<8s32s2s2x3L4xL")
"""Format, key, type of the values, shape (0 = no axis), checksum of all this and the values."""
_TYPES: Final = (b"u1", b"i2", b"u2", b"i4", b"u4")
_LOOK_EVERY: Final = 32
_KEPT_PART: Final = 7 / 8
_STALE_S: Final = 3600.0
_TOUCH_S: Final = 60.0
_POLL_S: Final = 0.005


class FrameStore:
    """Keeps decoded frames in files and decodes each once, whichever process asks.

    A file that is cut off, damaged or of another frame is noticed and thrown away. A folder that
    cannot be written, or a disk with little room left, is no error: then nothing is kept.

    Parameters
    ----------
    folder : Path
        Made when first needed, for this user only; its parent is made too.
    max_bytes : int
        What the files may take, bytes; 0 keeps nothing. Other processes that write to the folder
        may exceed it by a thirty-second each.
    keep_free_bytes : int
        When the disk has less free than this, bytes, nothing is written and all is given back.
    now : callable
        Wall clock, seconds since 1970; file times are compared with it.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        *,
        keep_free_bytes: int = 0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._keep_free_bytes = keep_free_bytes
        self._now = now
        self._accounts = threading.Lock()
        self._held_bytes = 0
        self._since_look_bytes: int | None = None

    def get_or_compute(self, key: str, compute: Callable[[], StoredFrame]) -> StoredFrame:
        """Return the frame of a key, computing it when no process has.

        Parameters
        ----------
        key : str
            Names the frame's bytes: other bytes have another key.
        compute : callable
            Makes the frame.

        Returns
        -------
        numpy.ndarray
            What `compute` returned, perhaps in another process; read-only.
        """
        found = self.read(key)
        if found is None:
            with self._lock(key):
                found = self.read(key)
                if found is None:
                    found = np.ascontiguousarray(compute())
                    self.write(key, found)
        return read_only(found)

    def holds(self, key: str) -> bool:
        """Tell whether there is a file for a key; only `read` knows whether it is sound."""
        return self._path(key).exists()

    def read(self, key: str) -> StoredFrame | None:
        """Return a kept frame, or None."""
        if not self._max_bytes:
            return None
        path = self._path(key)
        with contextlib.suppress(OSError), path.open("rb", buffering=0) as file:
            frame = _read(file, _digest(key))
            if frame is None:
                path.unlink(missing_ok=True)
            elif self._now() - os.fstat(file.fileno()).st_mtime > _TOUCH_S:
                os.utime(path)  # the oldest are thrown away first
            return frame
        return None

    def write(self, key: str, frame: StoredFrame) -> None:
        """Keep a frame, if there is room."""
        size_bytes = _HEAD.size + frame.nbytes
        if size_bytes > self._max_bytes // 2 or frame.dtype.str[1:].encode() not in _TYPES:
            return
        with contextlib.suppress(OSError):
            self._make_folder()
            if self._has_disk_room(size_bytes):
                self._make_room(size_bytes)
                self._write(self._path(key), _head(_digest(key), frame), frame)
            else:
                self._evict(0)

    def _write(self, path: Path, head: bytes, frame: StoredFrame) -> None:
        part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(head)
                file.write(frame.data.cast("B"))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{_digest(key).hex()}{SUFFIX}"

    def _make_folder(self) -> None:
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _has_disk_room(self, size_bytes: int) -> bool:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize - size_bytes >= self._keep_free_bytes

    def _make_room(self, size_bytes: int) -> None:
        with self._accounts:
            since = self._since_look_bytes
            if since is None or since > self._max_bytes // _LOOK_EVERY:
                self._held_bytes, self._since_look_bytes = self._look(), 0
            if self._held_bytes + size_bytes > self._max_bytes:
                self._held_bytes = self._evict(int(self._max_bytes * _KEPT_PART) - size_bytes)
            self._held_bytes += size_bytes
            self._since_look_bytes = (self._since_look_bytes or 0) + size_bytes

    def _look(self) -> int:
        """Return the bytes of all files, other processes' too; sweep what a crash left."""
        held_bytes = 0
        for entry, facts in self._entries():
            if not entry.name.endswith(SUFFIX) and self._now() - facts.st_mtime > _STALE_S:
                Path(entry.path).unlink(missing_ok=True)
            else:
                held_bytes += facts.st_size
        return held_bytes

    def _evict(self, kept_bytes: int) -> int:
        """Throw away the least recently used until no more is left than said; return what is."""
        files = [(facts, entry) for entry, facts in self._entries() if entry.name.endswith(SUFFIX)]
        held_bytes = sum(facts.st_size for facts, _ in files)
        for facts, entry in sorted(files, key=lambda file: file[0].st_mtime_ns):
            if held_bytes <= kept_bytes:
                break
            Path(entry.path).unlink(missing_ok=True)
            held_bytes -= facts.st_size
        return held_bytes

    def _entries(self) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another process was faster
                    yield entry, entry.stat(follow_symlinks=False)

    @contextlib.contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        """Wait a bounded time for other processes that make the same frame."""
        path = self._path(key).with_suffix(".lock")
        descriptor = self._open_lock(path)
        if descriptor is None:
            yield
            return
        is_ours = _lock_in_time(descriptor)
        try:
            yield
        finally:
            if is_ours:
                # who has it open still waits for it, then finds the frame
                with contextlib.suppress(OSError):
                    path.unlink()
            os.close(descriptor)

    def _open_lock(self, path: Path) -> int | None:
        if not self._max_bytes:
            return None
        with contextlib.suppress(OSError):
            self._make_folder()
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return None


def read_only(frame: StoredFrame) -> StoredFrame:
    """Return a frame that several threads may share, because none can change it."""
    frame.flags.writeable = False
    return frame


def _lock_in_time(descriptor: int) -> bool:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_POLL_S)
        else:
            return True
    return False


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8")).digest()


def _head(digest: bytes, frame: StoredFrame) -> bytes:
    axes = (*frame.shape, 0, 0)[:3]
    fields = (FORMAT, digest, frame.dtype.str[1:].encode("ascii"), *axes)
    return _HEAD.pack(*fields, _checksum(_HEAD.pack(*fields, 0), frame))


def _checksum(head: bytes, frame: StoredFrame) -> int:
    return int(isal_zlib.crc32(frame.data.cast("B"), isal_zlib.crc32(head)))


def _read(file: FileIO, digest: bytes) -> StoredFrame | None:
    """Return the frame in a file; None when it is not what it should be."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    magic, found_digest, kind, *axes, _ = _HEAD.unpack(head)
    if (magic, found_digest) != (FORMAT, digest) or kind not in _TYPES:
        return None
    shape = tuple(axis for axis in axes if axis)
    dtype = np.dtype(f"<{kind.decode('ascii')}")
    values_bytes = os.fstat(file.fileno()).st_size - _HEAD.size
    if values_bytes <= 0 or values_bytes != math.prod(shape) * dtype.itemsize:
        return None
    frame = np.empty(shape, dtype)
    values = frame.data.cast("B")
    position = 0
    while position < values_bytes and (count := file.readinto(values[position:])):
        position += count
    return frame if position == values_bytes and _head(digest, frame) == head else None
