"""How one frame's pixels are laid out, as the header says, and whether that can be drawn."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import DTypeLike
from pydicom.dataset import Dataset

from viewer.errors import UnsupportedPixels
from viewer.header import integer, text

MAX_PIXELS: Final = 2**28
"""Frames of more pixels than this are refused before anything is allocated."""

GREY_PHOTOMETRICS: Final = ("MONOCHROME1", "MONOCHROME2")
PALETTE_PHOTOMETRIC: Final = "PALETTE COLOR"
COLOUR_PHOTOMETRICS: Final = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")

_DTYPES: Final[dict[tuple[int, bool], DTypeLike]] = {
    (8, False): np.uint8,
    (8, True): np.int16,
    (16, False): np.uint16,
    (16, True): np.int16,
    (32, False): np.uint32,
    (32, True): np.int32,
}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """Image Pixel module (PS3.3 C.7.6.3) of one frame, checked.

    Parameters
    ----------
    rows, columns : int
        (0028,0010), (0028,0011).
    samples_per_pixel : int
        (0028,0002), 1 or 3.
    bits_allocated, bits_stored, high_bit : int
        (0028,0100), (0028,0101), (0028,0102).
    is_signed : bool
        Pixel Representation (0028,0103) is 1.
    photometric_interpretation : str
        (0028,0004).
    planar_configuration : int
        (0028,0006), 0 = by pixel, 1 = by plane.
    """

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    photometric_interpretation: str
    planar_configuration: int

    @property
    def is_grey(self) -> bool:
        """Whether the frame goes through the grey pipeline."""
        return self.photometric_interpretation in GREY_PHOTOMETRICS

    @property
    def is_palette(self) -> bool:
        """Whether the frame holds indices into a palette."""
        return self.photometric_interpretation == PALETTE_PHOTOMETRIC

    @property
    def native_bytes(self) -> int:
        """Bytes of one uncompressed frame (YBR_FULL_422 counted as unsampled)."""
        samples = self.rows * self.columns * self.samples_per_pixel
        return samples * self.bits_allocated // 8

    @property
    def stored_dtype(self) -> np.dtype[np.generic]:
        """Type of the stored values of a grey or palette frame."""
        return np.dtype(_DTYPES[self.bits_allocated, self.is_signed])

    @property
    def stored_domain(self) -> tuple[int, int]:
        """Lowest and highest stored value that Bits Stored and the sign allow."""
        if self.is_signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1


def pixel_format_of(header: Dataset) -> PixelFormat:
    """Read and check the Image Pixel module.

    Raises
    ------
    UnsupportedPixels
        When a needed value is missing, contradicts another, or is of a kind not drawn.
    """
    bits_allocated = _needed(header, "BitsAllocated")
    bits_stored = _or_default(integer(header, "BitsStored"), bits_allocated)
    found = PixelFormat(
        rows=_needed(header, "Rows"),
        columns=_needed(header, "Columns"),
        samples_per_pixel=_or_default(integer(header, "SamplesPerPixel"), 1),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=_or_default(integer(header, "HighBit"), bits_stored - 1),
        is_signed=integer(header, "PixelRepresentation") == 1,
        photometric_interpretation=text(header, "PhotometricInterpretation").upper(),
        planar_configuration=_or_default(integer(header, "PlanarConfiguration"), 0),
    )
    _check_size(found)
    _check_bits(found)
    _check_photometric(found)
    return found


def _or_default(value: int | None, default: int) -> int:
    return default if value is None else value


def _needed(header: Dataset, keyword: str) -> int:
    value = integer(header, keyword)
    if value is None:
        raise UnsupportedPixels(
            f"This object does not say its {keyword}, so its pixels cannot be drawn."
        )
    return value


def _check_size(found: PixelFormat) -> None:
    if found.rows < 1 or found.columns < 1:
        raise UnsupportedPixels("This object says its picture has no rows or no columns.")
    if found.rows * found.columns > MAX_PIXELS:
        raise UnsupportedPixels(
            f"This picture of {found.columns} x {found.rows} pixels is beyond the viewer's limit."
            " Open it on the PACS."
        )


def _check_bits(found: PixelFormat) -> None:
    if found.bits_allocated not in (8, 16, 32):
        raise UnsupportedPixels(
            f"Pixels of {found.bits_allocated} bits are not drawn here. Open this on the PACS."
        )
    if not 1 <= found.bits_stored <= found.bits_allocated:
        raise UnsupportedPixels("Bits Stored and Bits Allocated of this object contradict.")
    if not found.bits_stored - 1 <= found.high_bit < found.bits_allocated:
        raise UnsupportedPixels("High Bit and Bits Stored of this object contradict.")


def _check_photometric(found: PixelFormat) -> None:
    expected = 1 if found.is_grey or found.is_palette else 3
    known = expected == 1 or found.photometric_interpretation in COLOUR_PHOTOMETRICS
    if not known:
        raise UnsupportedPixels(
            "The photometric interpretation of this object is missing or not drawn here."
            " Open this on the PACS."
        )
    if found.samples_per_pixel != expected:
        raise UnsupportedPixels(
            "Samples per Pixel and photometric interpretation of this object contradict."
        )
