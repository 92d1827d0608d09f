"""Files somebody else puts in a folder of ours: found and read without trusting any of them.

Only ordinary files that have no other name are opened. A link may lead to what its owner may not
read, a pipe may never answer, and a file may be replaced, or shrink, while it is being read.
"""

import contextlib
import mmap
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IN_MEMORY_BYTES: Final = 32 * 1024**2
"""A larger file is copied first: mapped where it lies, it would end this process by shrinking."""
_CHUNK_BYTES: Final = 1 << 20
_PART_SUFFIXES: Final = (".part", ".tmp", ".crdownload")


class Replaced(Exception):
    """The file is not the one that was looked at, or changed while it was read."""


@dataclass(frozen=True, slots=True)
class Look:
    """How an entry of a folder looked: when it changes, it is still being written."""

    size: int
    modified_ns: int
    inode: int
    kind: str
    """'' for what may be opened, else in a word what it is."""

    @classmethod
    def of(cls, status: os.stat_result) -> "Look":
        """Return the look of what has this status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, _kind(status))


def _kind(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "link"
    if stat.S_ISDIR(status.st_mode):
        return "unreadable-folder"
    if not stat.S_ISREG(status.st_mode):
        return "special-file"
    # a second name may be anybody's file, put here by one who may not read it
    return "hard-link" if status.st_nlink > 1 else ""


def look_through(folder: Path) -> Iterator[tuple[str, Look]]:
    """Yield path and look of everything below a folder that seems finished.

    Folders are gone through and not yielded, except those that cannot be listed.
    """
    pending = [str(folder)]
    while pending:
        current = pending.pop()
        try:
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            with contextlib.suppress(OSError):
                yield current, Look.of(os.lstat(current))
            continue
        for entry in entries:
            if _is_unfinished(entry.name):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone since it was listed
            if stat.S_ISDIR(status.st_mode):
                pending.append(entry.path)
            else:
                yield entry.path, Look.of(status)


def _is_unfinished(name: str) -> bool:
    """Tell a name that programs give to what they are still writing; two dots are none of these."""
    is_hidden = name.startswith(".") and not name.startswith("..")
    return is_hidden or name.lower().endswith(_PART_SUFFIXES)


def read_unchanged(path: str, look: Look, spool: Path) -> memoryview:
    """Read a file that still is what it looked like.

    Parameters
    ----------
    path : str
    look : Look
        From `look_through`.
    spool : Path
        A folder for a nameless copy of a large file.

    Returns
    -------
    memoryview
        Its content, which nobody else can change.

    Raises
    ------
    Replaced
        It is another file, or changed meanwhile.
    OSError
        It cannot be read, or the copy cannot be written.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if look.kind or Look.of(os.fstat(fd)) != look:
            raise Replaced
        is_small = look.size <= IN_MEMORY_BYTES
        content = _read_all(fd, look.size) if is_small else _private_copy(fd, spool)
        if Look.of(os.fstat(fd)) != look or Look.of(os.lstat(path)) != look:
            raise Replaced
        return memoryview(content)
    finally:
        os.close(fd)


def _read_all(fd: int, size: int) -> bytes:
    with open(fd, "rb", buffering=0, closefd=False) as file:
        content = file.read(size)
    if len(content) != size:
        raise Replaced
    return content


def _private_copy(fd: int, spool: Path) -> mmap.mmap:
    with tempfile.TemporaryFile(dir=spool) as copy:  # the map alone keeps it
        while chunk := os.read(fd, _CHUNK_BYTES):
            copy.write(chunk)
        copy.flush()
        return mmap.mmap(copy.fileno(), 0, access=mmap.ACCESS_READ)
