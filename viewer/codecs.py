"""One table: transfer syntax UID to the decoder of one compressed frame."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from viewer.codestream import Codestream, parse_jpeg, parse_jpeg2000
from viewer.errors import UnsupportedPixels, UnsupportedTransferSyntax
from viewer.jpeg_lossless import repaired
from viewer.pixel_format import PixelFormat

Samples = NDArray[Any]
"""(rows, columns) or (rows, columns, 3), integers as the codec gives them."""

_YBR: Final = ("YBR_FULL", "YBR_FULL_422")


@dataclass(frozen=True, slots=True)
class Codec:
    """How one family of transfer syntaxes is described and decoded.

    Parameters
    ----------
    describe : callable
        (encoded, header's format) -> the format the decoded samples really have.
    decode : callable
        (encoded, described format) -> samples.
    """

    describe: Callable[[bytes, PixelFormat], PixelFormat]
    decode: Callable[[bytes, PixelFormat], Samples]


def codec_for(transfer_syntax_uid: str) -> Codec:
    """Return the codec of a compressed transfer syntax.

    Raises
    ------
    UnsupportedTransferSyntax
        When there is none.
    """
    codec = CODECS.get(transfer_syntax_uid)
    if codec is None:
        raise UnsupportedTransferSyntax(
            "This object is compressed in a way the viewer cannot decode. It is stored safely and"
            " goes to the PACS as it is; open it there."
        )
    return codec


FrameDecoder = Callable[[str, bytes, PixelFormat], Samples]
"""What decodes one compressed frame: `decode_frame`, or something that has it done elsewhere."""


def decode_frame(transfer_syntax_uid: str, encoded: bytes, described: PixelFormat) -> Samples:
    """Decode one compressed frame, here and now.

    Parameters
    ----------
    transfer_syntax_uid : str
        A key of `CODECS`.
    encoded : bytes
        The codestream.
    described : PixelFormat
        What the codec's `describe` returned for the same bytes.

    Returns
    -------
    numpy.ndarray
        (rows, columns) or (rows, columns, 3) integers.

    Raises
    ------
    UnsupportedPixels
        When the codestream is damaged or decodes to another shape than described.
    """
    codec = codec_for(transfer_syntax_uid)
    try:
        samples = codec.decode(encoded, described)
    except Exception as error:  # decode boundary: each codec raises its own types
        raise damaged_picture() from error
    if samples.shape != samples_shape(described):
        raise contradicting_picture()
    return samples


def samples_shape(described: PixelFormat) -> tuple[int, ...]:
    """Return the shape that decoded samples must have: (rows, columns) or (rows, columns, 3)."""
    shape = (described.rows, described.columns)
    return shape if described.samples_per_pixel == 1 else (*shape, 3)


def damaged_picture() -> UnsupportedPixels:
    """Return the error of a codestream that its decoder gave up on."""
    return UnsupportedPixels(
        "The compressed picture of this object is damaged or incomplete."
        " Send it again from the source."
    )


def contradicting_picture() -> UnsupportedPixels:
    """Return the error of a codestream of another size or kind than the header says."""
    return UnsupportedPixels(
        "The header of this object and its compressed picture contradict each other in size"
        " or kind, so it is not drawn. Send it again from the source."
    )


def _describe_jpeg(encoded: bytes, header: PixelFormat) -> PixelFormat:
    return _reconcile(header, parse_jpeg(encoded))


def _describe_jpeg2000(encoded: bytes, header: PixelFormat) -> PixelFormat:
    return _reconcile(header, parse_jpeg2000(encoded))


def _describe_rle(encoded: bytes, header: PixelFormat) -> PixelFormat:
    segments = int.from_bytes(encoded[:4], "little")
    if segments != header.samples_per_pixel * header.bits_allocated // 8:
        raise contradicting_picture()
    return header


def _reconcile(header: PixelFormat, codestream: Codestream) -> PixelFormat:
    """Let the codestream correct the header's bits, sign and colour; refuse other sizes."""
    size = (codestream.rows, codestream.columns, codestream.components)
    if size != (header.rows, header.columns, header.samples_per_pixel):
        raise contradicting_picture()
    if codestream.precision > header.bits_allocated:
        raise contradicting_picture()
    described = replace(header, photometric_interpretation=_photometric(header, codestream))
    if codestream.is_lossless_process:
        return described
    bits = codestream.precision
    if header.is_signed and not codestream.is_signed:
        bits = min(bits, header.bits_stored)
    is_signed = header.is_signed or codestream.is_signed
    return replace(described, bits_stored=bits, high_bit=bits - 1, is_signed=is_signed)


def _photometric(header: PixelFormat, codestream: Codestream) -> str:
    """Name the colour space of the samples before decoding; markers win over the header."""
    if header.samples_per_pixel == 1:
        return header.photometric_interpretation
    if codestream.is_ycbcr is None:
        return "YBR_FULL" if header.photometric_interpretation in _YBR else "RGB"
    return "YBR_FULL" if codestream.is_ycbcr else "RGB"


def _decode_jpeg(encoded: bytes, described: PixelFormat) -> Samples:
    if described.samples_per_pixel == 1:
        samples = _array(imagecodecs.jpeg8_decode(encoded))
        is_signed_word = described.is_signed and samples.dtype == np.uint16
        return repaired(samples, parse_jpeg(encoded).predictor) if is_signed_word else samples
    # naming one colour space for both sides keeps the samples as coded
    return _array(imagecodecs.jpeg8_decode(encoded, colorspace="RGB", outcolorspace="RGB"))


def _decode_jpegls(encoded: bytes, described: PixelFormat) -> Samples:
    return _array(imagecodecs.jpegls_decode(encoded))


def _decode_jpeg2000(encoded: bytes, described: PixelFormat) -> Samples:
    return _array(imagecodecs.jpeg2k_decode(encoded))


def _decode_htj2k(encoded: bytes, described: PixelFormat) -> Samples:
    # left to itself the codec gives planes where the codestream has no colour transform
    return _array(imagecodecs.htj2k_decode(encoded, planar=False))


def _decode_rle(encoded: bytes, described: PixelFormat) -> Samples:
    """Decode PS3.5 Annex G: one segment for each byte of each sample, always by plane."""
    dtype = np.dtype(f"<u{described.bits_allocated // 8}")
    raw = imagecodecs.dicomrle_decode(encoded, dtype, out=described.native_bytes)
    planes = np.frombuffer(raw, dtype)
    if described.samples_per_pixel == 1:
        return planes.reshape(described.rows, described.columns)
    return planes.reshape(3, described.rows, described.columns).transpose(1, 2, 0)


def _array(decoded: Any) -> Samples:
    return np.asarray(decoded)


_JPEG: Final = Codec(_describe_jpeg, _decode_jpeg)
_JPEG_LS: Final = Codec(_describe_jpeg, _decode_jpegls)
_JPEG_2000: Final = Codec(_describe_jpeg2000, _decode_jpeg2000)
_HTJ2K: Final = Codec(_describe_jpeg2000, _decode_htj2k)

CODECS: Final[Mapping[str, Codec]] = MappingProxyType(
    {
        uid.RLELossless: Codec(_describe_rle, _decode_rle),
        uid.JPEGBaseline8Bit: _JPEG,
        uid.JPEGExtended12Bit: _JPEG,
        "1.2.840.10008.1.2.4.53": _JPEG,  # spectral selection, retired
        "1.2.840.10008.1.2.4.55": _JPEG,  # full progression, retired
        uid.JPEGLossless: _JPEG,
        uid.JPEGLosslessSV1: _JPEG,
        uid.JPEGLSLossless: _JPEG_LS,
        uid.JPEGLSNearLossless: _JPEG_LS,
        uid.JPEG2000Lossless: _JPEG_2000,
        uid.JPEG2000: _JPEG_2000,
        uid.HTJ2KLossless: _HTJ2K,
        uid.HTJ2KLosslessRPCL: _HTJ2K,
        uid.HTJ2K: _HTJ2K,
    }
)
"""Every compressed transfer syntax that is drawn."""

NATIVE_SYNTAXES: Final = frozenset(
    (
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.DeflatedExplicitVRLittleEndian,
    )
)
"""Transfer syntaxes whose pixels are not compressed frame by frame."""
