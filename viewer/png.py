"""Write pictures as PNG, quickly: one kind of row filter and a fast deflate."""

import struct
from typing import Final

import numpy as np
from isal.isal_zlib import compress, crc32
from numpy.typing import NDArray

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_GREY: Final = 0
_RGB: Final = 2
_UP: Final = 2
_COMPRESS_LEVEL: Final = 1


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode a picture without loss.

    Parameters
    ----------
    pixels : numpy.ndarray
        (rows, columns) or (rows, columns, 3) uint8: grey, or RGB.

    Returns
    -------
    bytes
        A PNG file.

    Notes
    -----
    Every row is filtered as its difference from the one above (`Up`), which numpy does for the
    whole picture at once. Choosing the filter row by row saves few bytes and takes much longer.

    Examples
    --------
    >>> encode_png(np.zeros((2, 3), np.uint8))[1:4]
    b'PNG'
    """
    rows, columns = pixels.shape[:2]
    colour_type = _GREY if pixels.ndim == 2 else _RGB
    header = struct.pack(">LLBBBBB", columns, rows, 8, colour_type, 0, 0, 0)
    compressed = compress(_filtered(pixels.reshape(rows, -1)), _COMPRESS_LEVEL)
    chunks = (*_chunk(b"IHDR", header), *_chunk(b"IDAT", compressed), *_chunk(b"IEND", b""))
    return b"".join((_SIGNATURE, *chunks))


def _filtered(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _chunk(name: bytes, data: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    return struct.pack(">L", len(data)), name, data, struct.pack(">L", crc32(data, crc32(name)))
