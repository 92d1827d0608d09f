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

_FLOAT_BITS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}

_DTYPES: Final[dict[tuple[int, bool], DTypeLike]] = {
    (1, False): np.uint8,
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
    is_float : bool
        Float Pixel Data (7FE0,0008) or Double Float Pixel Data (7FE0,0009).
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
    is_float: bool = False

    @property
    def is_grey(self) -> bool:
        """Whether the frame goes through the grey pipeline."""
        return self.photometric_interpretation in GREY_PHOTOMETRICS

    @property
    def is_palette(self) -> bool:
        """Whether the frame holds indices into a palette."""
        return self.photometric_interpretation == PALETTE_PHOTOMETRIC

    @property
    def native_bits(self) -> int:
        """Bits of one uncompressed frame (YBR_FULL_422 counted as unsampled)."""
        return self.rows * self.columns * self.samples_per_pixel * self.bits_allocated

    @property
    def native_bytes(self) -> int:
        """Whole bytes of one uncompressed frame."""
        return -(-self.native_bits // 8)

    @property
    def container_bytes(self) -> int:
        """Bytes of one decoded sample; single bits take a byte each."""
        return max(1, self.bits_allocated // 8)

    @property
    def stored_dtype(self) -> np.dtype[np.generic]:
        """Type of the stored values of a grey or palette frame."""
        if self.is_float:
            return np.dtype(f"f{self.container_bytes}")
        return np.dtype(_DTYPES[self.bits_allocated, self.is_signed])

    @property
    def stored_domain(self) -> tuple[float, float]:
        """Lowest and highest stored value, whole numbers as Bits Stored and the sign allow."""
        if self.is_float:
            limits = np.finfo(np.float32 if self.bits_allocated == 32 else np.float64)
            return float(limits.min), float(limits.max)
        if self.is_signed:
            return -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        return 0, (1 << self.bits_stored) - 1


def pixel_format_of(header: Dataset, keyword: str = "PixelData") -> PixelFormat:
    """Read and check the Image Pixel module.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    keyword : str
        Which element holds the pixels: `PixelData`, `FloatPixelData` or `DoubleFloatPixelData`.

    Raises
    ------
    UnsupportedPixels
        When a needed value is missing, contradicts another, or is of a kind not drawn.

    Notes
    -----
    PS3.3 C.7.6.3, C.7.6.24 and C.7.6.25: floating point pixels have neither Bits Stored nor a
    sign of their own. Single bits (PS3.5 8.1.1) are never signed.
    """
    bits_allocated = _needed(header, "BitsAllocated")
    is_float = keyword in _FLOAT_BITS
    bits_stored = bits_allocated if is_float else integer(header, "BitsStored")
    bits_stored = _or_default(bits_stored, bits_allocated)
    high_bit = bits_stored - 1 if is_float else integer(header, "HighBit")
    is_signed = bits_allocated > 1 and integer(header, "PixelRepresentation") == 1
    found = PixelFormat(
        rows=_needed(header, "Rows"),
        columns=_needed(header, "Columns"),
        samples_per_pixel=_or_default(integer(header, "SamplesPerPixel"), 1),
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=_or_default(high_bit, bits_stored - 1),
        is_signed=is_float or is_signed,
        photometric_interpretation=text(header, "PhotometricInterpretation").upper(),
        planar_configuration=_or_default(integer(header, "PlanarConfiguration"), 0),
        is_float=is_float,
    )
    _check_size(found)
    _check_bits(found, _FLOAT_BITS.get(keyword))
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


def _check_bits(found: PixelFormat, float_bits: int | None) -> None:
    if found.bits_allocated not in ((1, 8, 16, 32) if float_bits is None else (float_bits,)):
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
    if not found.is_grey and (found.is_float or found.bits_allocated == 1):
        raise UnsupportedPixels(
            "Single bits and floating point pixels are drawn as grey only. Open this on the PACS."
        )
    if found.samples_per_pixel != expected:
        raise UnsupportedPixels(
            "Samples per Pixel and photometric interpretation of this object contradict."
        )
