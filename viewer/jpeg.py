"""Write pictures as JPEG; large ones in strips, joined where decoders start anew anyway."""

from collections.abc import Iterator, Sequence
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from viewer.picture import Picture
from viewer.strips import ALONE, StripThreads, strips_of

_FRAME: Final = 0xC0
_SCAN: Final = 0xDA
_BLOCK: Final = 8
_END: Final = b"\xff\xd9"


def encode_jpeg(picture: Picture, quality: int, threads: StripThreads = ALONE) -> bytes:
    """Encode a picture as baseline JPEG.

    Parameters
    ----------
    picture : Picture
    quality : int
        1 to 100.
    threads : StripThreads
        Who may help.

    Returns
    -------
    bytes
        With its colours at full resolution.

    Notes
    -----
    A restart marker makes a decoder forget the blocks before (ISO/IEC 10918-1 F.1.1.5). So strips
    encoded as pictures of their own, with markers between them, are the bytes that the library
    writes of the whole with such markers; decoded, they are the levels it gives without them.
    """
    strips = strips_of(*picture.shape[:2])
    encoded = threads.each(lambda rows: _encoded(picture[rows], quality), strips)
    if len(strips) == 1:
        return encoded[0]
    blocks = -(-picture.shape[1] // _BLOCK) * (strips[0].stop // _BLOCK)
    return _joined(encoded, picture.shape[0], blocks)


def _encoded(pixels: NDArray[np.uint8], quality: int) -> bytes:
    # the bytes Pillow would write, by the same library; but other threads go on meanwhile
    whole = np.ascontiguousarray(pixels)
    if whole.ndim == 2:
        return bytes(imagecodecs.jpeg8_encode(whole, level=quality))
    return bytes(
        imagecodecs.jpeg8_encode(whole, level=quality, colorspace="RGB", subsampling="444")
    )


def _joined(encoded: Sequence[bytes], rows: int, interval: int) -> bytes:
    """Join strips of `interval` blocks each (the last may have fewer) to a picture of `rows`."""
    first = encoded[0]
    places = dict(_segments(first))
    frame, scan = places[_FRAME], places[_SCAN]
    begin = scan + 2 + int.from_bytes(first[scan + 2 : scan + 4], "big")
    pieces = [first[: frame + 5], rows.to_bytes(2, "big"), first[frame + 7 : scan]]
    pieces += [b"\xff\xdd\x00\x04", interval.to_bytes(2, "big"), first[scan:begin]]
    for number, strip in enumerate(encoded):
        if number:
            pieces.append(bytes((0xFF, 0xD0 + (number - 1) % 8)))
        pieces.append(strip[begin : -len(_END)])
    return b"".join((*pieces, _END))


def _segments(jpeg: bytes) -> Iterator[tuple[int, int]]:
    """Yield the code and place of each marker up to that of the scan."""
    place, code = 2, 0
    while code != _SCAN:
        code = jpeg[place + 1]
        yield code, place
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
