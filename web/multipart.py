"""Answers of many parts (RFC 2387), written piece by piece and never held whole in memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1024 * 1024


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


def file_chunks(path: Path) -> Iterator[bytes]:
    """Read a file in chunks.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    bytes
    """
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
