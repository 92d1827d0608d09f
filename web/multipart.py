"""Answers of many parts (RFC 2387), written piece by piece and never held whole in memory."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1024 * 1024
"""So much a slow client may hold in memory; each piece costs a turn of the interpreter."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its media type with parameters, where it can be had alone, and its bytes.

    `size_bytes` is the length of all chunks, None when it is not known beforehand.
    """

    content_type: str
    location: str
    chunks: Iterable[bytes]
    size_bytes: int | None = None

    def head(self, boundary: str) -> bytes:
        """Return what stands before the part's bytes.

        Parameters
        ----------
        boundary : str
            As for `written`.

        Returns
        -------
        bytes
        """
        return (
            f"--{boundary}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Location: {self.location}\r\n\r\n"
        ).encode("ascii")


def written(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """Write parts one after another.

    Parameters
    ----------
    parts : iterable of Part
        The parts; each is asked for when the one before it is written.
    boundary : str
        A text that occurs in none of them.

    Yields
    ------
    bytes
    """
    for part in parts:
        yield part.head(boundary)
        yield from part.chunks
        yield b"\r\n"
    yield _end(boundary)


def total_bytes(parts: Iterable[Part], boundary: str) -> int | None:
    """Return the length of what `written` writes: a client then notices when the end is missing.

    Parameters
    ----------
    parts : iterable of Part
        The parts.
    boundary : str
        As for `written`.

    Returns
    -------
    int or None
        None when the size of a part is not known.
    """
    total = len(_end(boundary))
    for part in parts:
        if part.size_bytes is None:
            return None
        total += len(part.head(boundary)) + part.size_bytes + len(b"\r\n")
    return total


def _end(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode("ascii")


def file_chunks(path: Path, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
    """Read a file, or a range of it, in chunks.

    Parameters
    ----------
    path : Path
        The file.
    offset, length : int
        The range in bytes; a length of None goes to the end.

    Yields
    ------
    bytes
    """
    left = math.inf if length is None else length
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while left > 0 and (chunk := os.pread(descriptor, int(min(CHUNK_BYTES, left)), offset)):
            left -= len(chunk)
            offset += len(chunk)
            yield chunk
    finally:
        os.close(descriptor)


def in_pieces(body: bytes) -> Sequence[bytes] | Iterator[bytes]:
    """Return a body as it is, or cut while it is sent when it is large.

    Parameters
    ----------
    body : bytes
        The body.

    Returns
    -------
    sequence or iterator of bytes
    """
    if len(body) <= CHUNK_BYTES:
        return (body,)
    return (body[begin : begin + CHUNK_BYTES] for begin in range(0, len(body), CHUNK_BYTES))
