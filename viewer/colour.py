"""Colour samples, palette indices and coloured grey values to 8 bit RGB."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from viewer.errors import UnsupportedPixels
from viewer.header import functional_group, numbers, text, value_of
from viewer.pixel_format import PixelFormat

RgbFrame = NDArray[np.uint8]
"""(rows, columns, 3), red, green, blue, 0-255."""

_CHANNELS: Final = ("Red", "Green", "Blue")
_MAX_PALETTE_ENTRIES: Final = 65536
_FRAME_TYPES: Final = (
    "CTImageFrameTypeSequence",
    "MRImageFrameTypeSequence",
    "PETFrameTypeSequence",
    "XAXRFFrameCharacteristicsSequence",
    "CommonCTMRImageDescriptionSequence",
)


@dataclass(frozen=True, slots=True)
class Palette:
    """A palette color lookup table.

    Parameters
    ----------
    first : int
        Stored value that the first entry belongs to.
    rgb : numpy.ndarray
        (entries, 3) uint8.
    """

    first: int
    rgb: NDArray[np.uint8]


def to_eight_bits(samples: NDArray[Any], bits_stored: int) -> NDArray[np.uint8]:
    """Keep the eight highest of `bits_stored` bits.

    Parameters
    ----------
    samples : numpy.ndarray
        Unsigned integers of any shape.
    bits_stored : int
        (0028,0101).
    """
    if bits_stored > 8:
        samples = samples >> (bits_stored - 8)
    elif bits_stored < 8:
        samples = samples.astype(np.uint16) * 255 // ((1 << bits_stored) - 1)
    return np.ascontiguousarray(samples, dtype=np.uint8)


def ybr_full_to_rgb(ybr: NDArray[np.uint8]) -> RgbFrame:
    """Convert full-range YCbCr to RGB, rounding half up.

    Parameters
    ----------
    ybr : numpy.ndarray
        (rows, columns, 3) uint8: luminance, blue and red difference.

    Notes
    -----
    PS3.3 C.7.6.3.1.2, the inverse of the YBR_FULL equations (ITU-R BT.601).
    """
    luminance = ybr[..., 0].astype(np.float32) + np.float32(0.5)
    blue_difference = ybr[..., 1].astype(np.float32) - np.float32(128)
    red_difference = ybr[..., 2].astype(np.float32) - np.float32(128)
    rgb = np.empty(ybr.shape, np.uint8)
    _store(rgb[..., 0], luminance + np.float32(1.402) * red_difference)
    _store(
        rgb[..., 1],
        luminance
        - np.float32(0.114 * 1.772 / 0.587) * blue_difference
        - np.float32(0.299 * 1.402 / 0.587) * red_difference,
    )
    _store(rgb[..., 2], luminance + np.float32(1.772) * blue_difference)
    return rgb


def _store(channel: NDArray[np.uint8], values: NDArray[np.float32]) -> None:
    np.clip(values, 0, 255, out=values)
    np.copyto(channel, values, casting="unsafe")


def unpack_ybr_422(packed: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    """Give each pixel of native YBR_FULL_422 its chroma samples.

    Parameters
    ----------
    packed : numpy.ndarray
        (rows * columns * 2,) uint8: Y1, Y2, Cb, Cr for each pair of pixels in a row.

    Returns
    -------
    numpy.ndarray
        (rows, columns, 3) uint8 YBR_FULL.

    Notes
    -----
    PS3.3 C.7.6.3.1.2; the number of columns must be even.
    """
    if columns % 2:
        raise UnsupportedPixels("Subsampled colour with an odd number of columns is not drawn.")
    quads = packed.reshape(rows, columns // 2, 4)
    ybr = np.empty((rows, columns // 2, 2, 3), np.uint8)
    ybr[..., 0] = quads[..., :2]
    ybr[..., 1:] = quads[:, :, np.newaxis, 2:]
    return ybr.reshape(rows, columns, 3)


def to_rgb(samples: NDArray[Any], bits_stored: int, photometric_interpretation: str) -> RgbFrame:
    """Convert colour samples to 8 bit RGB.

    Parameters
    ----------
    samples : numpy.ndarray
        (rows, columns, 3) unsigned integers.
    bits_stored : int
        (0028,0101).
    photometric_interpretation : str
        (0028,0004) of these samples: `YBR_FULL` is converted, all else is RGB.
    """
    eight_bits = to_eight_bits(samples, bits_stored)
    if photometric_interpretation.startswith("YBR_FULL"):
        return ybr_full_to_rgb(eight_bits)
    return eight_bits


def palette_of(header: Dataset, *, is_signed: bool) -> Palette:
    """Read the palette color lookup tables, plain or segmented.

    Parameters
    ----------
    header : pydicom.Dataset
        With (0028,1101) to (0028,1103) and their data.
    is_signed : bool
        Pixel Representation: the first mapped value then is signed too.

    Raises
    ------
    UnsupportedPixels
        When a table is missing, empty, or shorter than it says.

    Notes
    -----
    PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.2.
    """
    tables = []
    first = 0
    for channel in _CHANNELS:
        entries, first, bits = _descriptor(header, channel)
        tables.append(_entries(header, channel, entries, bits))
    if len({len(table) for table in tables}) != 1:
        raise _bad_palette()
    if is_signed and first > 0x7FFF:
        first -= 0x10000
    return Palette(first, _palette_bytes(np.stack(tables, axis=1), bits))


def _descriptor(header: Dataset, channel: str) -> tuple[int, int, int]:
    values = numbers(header, f"{channel}PaletteColorLookupTableDescriptor")
    if len(values) != 3 or values[2] not in (8, 16):
        raise _bad_palette()
    entries, first, bits = (int(value) for value in values)
    return (entries & 0xFFFF) or _MAX_PALETTE_ENTRIES, first, bits


def _entries(header: Dataset, channel: str, entries: int, bits: int) -> NDArray[np.uint16]:
    plain = value_of(header, f"{channel}PaletteColorLookupTableData")
    if isinstance(plain, bytes) and plain:
        is_packed = bits == 8 and len(plain) < 2 * entries
        table = _words(header, plain, 8 if is_packed else 16)
    else:
        segmented = value_of(header, f"Segmented{channel}PaletteColorLookupTableData")
        if not isinstance(segmented, bytes):
            raise _bad_palette()
        table = expand_segments(_words(header, segmented, bits).tolist())
    if len(table) < entries:
        raise _bad_palette()
    return table[:entries]


def _words(header: Dataset, data: bytes, bits: int) -> NDArray[np.uint16]:
    """Read entries from 16 bit words, or two 8 bit entries from each, the low byte first."""
    is_little_endian = header.original_encoding[1] is not False
    if bits == 8 and is_little_endian:
        return np.frombuffer(data, np.uint8).astype(np.uint16)
    whole = data[: len(data) // 2 * 2]
    words = np.frombuffer(whole, "<u2" if is_little_endian else ">u2").astype(np.uint16)
    return words.astype("<u2").view(np.uint8).astype(np.uint16) if bits == 8 else words


def _palette_bytes(table: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    """Scale 16 bit entries to 8; some writers put 8 bit entries into 16 bit tables."""
    if bits == 16 and int(table.max()) > 0xFF:
        return (table >> 8).astype(np.uint8)
    return table.astype(np.uint8)


def expand_segments(segments: Sequence[int]) -> NDArray[np.uint16]:
    """Expand segmented palette data.

    Parameters
    ----------
    segments : sequence of int
        Opcode, length and values of each segment.

    Returns
    -------
    numpy.ndarray
        (entries,) uint16.

    Raises
    ------
    UnsupportedPixels
        When a segment is cut off, unknown, or the table grows past 65,536 entries.

    Notes
    -----
    PS3.3 C.7.9.2: 0 = discrete, 1 = linear, 2 = indirect (copy earlier segments).
    """
    expanded: list[int] = []
    position = 0
    while position + 1 < len(segments):
        opcode, length = segments[position : position + 2]
        if opcode == 2:
            start = _indirect_start(segments, position)
            for _ in range(length):
                start = _expand_one(segments, start, expanded)
            position += 4
        else:
            position = _expand_one(segments, position, expanded)
    return np.asarray(expanded, dtype=np.uint16)


def _indirect_start(segments: Sequence[int], position: int) -> int:
    if position + 3 >= len(segments):
        raise _bad_palette()
    return segments[position + 2] | segments[position + 3] << 16


def _expand_one(segments: Sequence[int], position: int, expanded: list[int]) -> int:
    """Append one discrete or linear segment and return where the next begins."""
    if position + 1 >= len(segments):
        raise _bad_palette()
    opcode, length = segments[position : position + 2]
    needed = {0: length, 1: 1}.get(opcode)
    values = segments[position + 2 : position + 2 + (needed or 0)]
    if needed is None or len(values) < needed or len(expanded) + length > _MAX_PALETTE_ENTRIES:
        raise _bad_palette()
    if opcode == 0:
        expanded.extend(values)
    elif length:
        if not expanded:
            raise _bad_palette()
        ramp = np.linspace(expanded[-1], values[0], length + 1)[1:]
        expanded.extend(np.floor(ramp + 0.5).astype(int).tolist())
    return position + 2 + needed


def apply_palette(indices: NDArray[Any], palette: Palette) -> RgbFrame:
    """Look colours up.

    Parameters
    ----------
    indices : numpy.ndarray
        (rows, columns) stored values.
    palette : Palette
        Values outside it take its first or last colour.
    """
    places = indices.astype(np.int64) - palette.first
    np.clip(places, 0, len(palette.rgb) - 1, out=places)
    return palette.rgb[places]


def supplemental_palette_of(
    header: Dataset, frame_index: int, pixel_format: PixelFormat
) -> Palette | None:
    """Read the palette that colours the higher values of a grey frame.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    frame_index : int
        0-based.
    pixel_format : PixelFormat
        Of this frame.

    Returns
    -------
    Palette or None
        Stored values from `first` on have its colours, those beyond its end the last one. None
        when the frame is not said to be coloured, or the palette is damaged: it then stays grey.

    Notes
    -----
    PS3.3 C.7.6.19, C.7.6.3.1.5, C.8.16.2.1.1.1 (Pixel Presentation (0008,9205) COLOR).
    """
    is_possible = pixel_format.photometric_interpretation == "MONOCHROME2"
    if not is_possible or "RedPaletteColorLookupTableDescriptor" not in header:
        return None
    groups = (functional_group(header, frame_index, keyword) for keyword in _FRAME_TYPES)
    named = [text(group, "PixelPresentation") for group in groups if group is not None]
    presentation = next(filter(None, named), "") or text(header, "PixelPresentation")
    if presentation != "COLOR":
        return None
    try:
        return palette_of(header, is_signed=pixel_format.is_signed)
    except UnsupportedPixels:
        return None


def apply_supplemental_palette(
    grey: NDArray[np.uint8],
    stored: NDArray[Any],
    palette: Palette,
    padding: tuple[float, float] | None = None,
) -> RgbFrame:
    """Colour the higher values of a grey frame.

    Parameters
    ----------
    grey : numpy.ndarray
        (rows, columns) display values; kept below the palette's first value.
    stored : numpy.ndarray
        (rows, columns) stored values.
    palette : Palette
        From `supplemental_palette_of`.
    padding : tuple of float, optional
        Stored values that are background: kept as they are in `grey`.
    """
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=2)
    is_coloured = stored >= palette.first
    if padding is not None:
        is_coloured &= (stored < padding[0]) | (stored > padding[1])
    rgb[is_coloured] = apply_palette(stored[is_coloured], palette)
    return rgb


def _bad_palette() -> UnsupportedPixels:
    return UnsupportedPixels(
        "The colour palette of this object is missing or damaged, so it is not drawn."
        " Send it again from the source."
    )
