"""Read what a compressed picture says of itself, before any decoder sees it.

Only marker segments are walked: nothing is allocated by a size that the bytes claim.
"""

import struct
from dataclasses import dataclass
from typing import Final

from viewer.errors import UnsupportedPixels

MAX_TILES: Final = 4096
"""JPEG 2000 pictures of more tiles than this are refused."""

_SOI: Final = b"\xff\xd8"
_END_OF_IMAGE: Final = b"\xff\xd9"
_J2K_START: Final = b"\xff\x4f\xff\x51"
_JP2_START: Final = b"\x00\x00\x00\x0cjP  "
_JP2_HEADER_BYTES: Final = 65536
_TAIL_BYTES: Final = 4096
_SOS: Final = 0xDA
_COD: Final = 0x52
_SOT: Final = 0x90
_APP0: Final = 0xE0
_APP14: Final = 0xEE
_NO_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD9)))
# SOF0-SOF15 without DHT (C4), JPG (C8) and DAC (CC); F7 is JPEG-LS's SOF55
_START_OF_FRAME: Final = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_LOSSLESS_FRAME: Final = frozenset((0xC3, 0xC7, 0xCB, 0xCF, 0xF7))

_LOSSLESS_HUFFMAN: Final = 0xC3

CODESTREAM_STARTS: Final = (_SOI + b"\xff", _J2K_START, _JP2_START)
"""First bytes of a JPEG, JPEG-LS or JPEG 2000 picture."""


@dataclass(frozen=True, slots=True)
class Codestream:
    """A compressed picture's own description.

    Parameters
    ----------
    rows, columns, components : int
        Size.
    precision : int
        Bits of one sample.
    is_signed : bool
        Samples are signed (JPEG 2000 only).
    is_lossless_process : bool
        JPEG lossless or JPEG-LS: sample bits are the stored bits, nothing is rounded.
    is_ycbcr : bool or None
        What its markers say of three components; None when they say nothing.
    predictor : int
        Selection value of a lossless JPEG's first scan, 0 for others.
    """

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool = False
    is_lossless_process: bool = False
    is_ycbcr: bool | None = None
    predictor: int = 0


@dataclass(slots=True)
class _JpegMarkers:
    frame: bytes = b""
    frame_marker: int = 0
    is_jfif: bool = False
    adobe_transform: int | None = None
    predictor: int = 0


def parse_jpeg(data: bytes) -> Codestream:
    """Describe a JPEG or JPEG-LS codestream (ISO/IEC 10918-1 B.2, 14495-1 C.2).

    Raises
    ------
    UnsupportedPixels
        When it is damaged, or has no end marker, that is: it is incomplete.
    """
    if not data.startswith(_SOI):
        raise _damaged()
    _require_end(data)
    markers = _walk_markers(data)
    if len(markers.frame) < 6:
        raise _damaged()
    precision, rows, columns, components = struct.unpack_from(">BHHB", markers.frame)
    return Codestream(
        rows=rows,
        columns=columns,
        components=components,
        precision=precision,
        is_lossless_process=markers.frame_marker in _LOSSLESS_FRAME,
        is_ycbcr=_jpeg_colour(markers) if components == 3 else None,
        predictor=markers.predictor,
    )


def _walk_markers(data: bytes) -> _JpegMarkers:
    found = _JpegMarkers()
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise _damaged()
        marker = data[position + 1]
        if marker == 0xFF or marker in _NO_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        _note_segment(found, marker, data[position + 4 : position + 2 + length])
        if marker == _SOS:
            return found
        position += 2 + max(length, 2)
    raise _damaged()


def _note_segment(found: _JpegMarkers, marker: int, segment: bytes) -> None:
    if marker in _START_OF_FRAME:
        found.frame, found.frame_marker = segment, marker
    elif marker == _APP0 and segment.startswith(b"JFIF\0"):
        found.is_jfif = True
    elif marker == _APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
        found.adobe_transform = segment[11]
    elif marker == _SOS and found.frame_marker == _LOSSLESS_HUFFMAN:
        selection = 1 + 2 * segment[0] if segment else 0
        found.predictor = segment[selection] if selection < len(segment) else 0


def _jpeg_colour(markers: _JpegMarkers) -> bool | None:
    """Decide RGB or YCbCr: Adobe's word, then component names, subsampling, JFIF.

    Subsampled second components can only be chroma. For lossless processes JFIF says nothing.
    """
    if markers.adobe_transform is not None:
        return markers.adobe_transform != 0
    names = markers.frame[6::3][:3]
    if names == b"RGB":
        return False
    sampling = markers.frame[7::3][:3]
    if len(set(sampling)) > 1:
        return True
    if markers.is_jfif and markers.frame_marker not in _LOSSLESS_FRAME:
        return True
    return None


def parse_jpeg2000(data: bytes) -> Codestream:
    """Describe a JPEG 2000 or HTJ2K codestream, bare or in a JP2 box (ISO/IEC 15444-1 A.5.1).

    Raises
    ------
    UnsupportedPixels
        When it is damaged, incomplete, split in too many tiles, or its components differ.
    """
    limit = _JP2_HEADER_BYTES if data.startswith(_JP2_START) else len(_J2K_START)
    start = data.find(_J2K_START, 0, limit)
    if start < 0 or len(data) < start + 45:
        raise _damaged()
    _require_end(data)
    x1, y1, x0, y0, tile_x, tile_y, tile_x0, tile_y0, components = struct.unpack_from(
        ">8IH", data, start + 8
    )
    if tile_x == 0 or tile_y == 0 or x1 <= x0 or y1 <= y0:
        raise _damaged()
    if -(-(x1 - tile_x0) // tile_x) * -(-(y1 - tile_y0) // tile_y) > MAX_TILES:
        raise UnsupportedPixels("This JPEG 2000 picture has more tiles than the viewer accepts.")
    depths = data[start + 42 : start + 42 + 3 * components]
    if len(set(depths[0::3])) != 1 or set(depths[1::3]) | set(depths[2::3]) != {1}:
        raise UnsupportedPixels("The components of this JPEG 2000 picture differ in kind.")
    return Codestream(
        rows=y1 - y0,
        columns=x1 - x0,
        components=components,
        precision=(depths[0] & 0x7F) + 1,
        is_signed=bool(depths[0] & 0x80),
        is_ycbcr=_jpeg2000_colour(data, start),
    )


def _jpeg2000_colour(data: bytes, start: int) -> bool | None:
    """Return False when the codestream has its own colour transform: decoders then give RGB."""
    position = start + 4 + int.from_bytes(data[start + 4 : start + 6], "big")
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == _COD:
            return False if data[position + 8 : position + 9] == b"\1" else None
        if marker == _SOT:
            break
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


def _require_end(data: bytes) -> None:
    if data.rfind(_END_OF_IMAGE, max(0, len(data) - _TAIL_BYTES)) < 0:
        raise UnsupportedPixels(
            "The pixel data of this object are incomplete: the compressed picture has no end."
            " Send it again from the source."
        )


def _damaged() -> UnsupportedPixels:
    return UnsupportedPixels(
        "The compressed picture of this object is damaged. Send it again from the source."
    )
