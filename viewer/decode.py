"""Open an instance and decode one frame of it at a time."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset

from viewer import codecs
from viewer.colour import apply_palette, palette_of, to_rgb, unpack_ybr_422
from viewer.errors import NoSuchFrame, UnsupportedPixels
from viewer.frames import (
    Fragment,
    Source,
    group_fragments,
    incomplete_pixels,
    read_fragments,
    read_range,
    scan_fragments,
)
from viewer.header import (
    FileHeader,
    PixelElement,
    inflate_file,
    integer,
    read_file_header,
    value_of,
)
from viewer.pixel_format import PixelFormat, pixel_format_of

StoredFrame = NDArray[Any]
"""Grey: (rows, columns) integers; colour and palette: (rows, columns, 3) uint8 RGB."""

_BITS_IN_BYTE: Final = 8


@dataclass(frozen=True, eq=False)
class Instance:
    """One stored object: its header, and its frames when asked for.

    Opening reads the header only. Nothing here keeps a file open or a decoded frame in memory.

    Parameters
    ----------
    path : Path
        The Part 10 file; must not change while in use.
    file_header : FileHeader
        From `viewer.header.read_file_header`.
    decoder : callable
        What decodes compressed frames.
    worked_out : dict
        What others worked out from the header and will need again; small, and gone with it.
    """

    path: Path
    file_header: FileHeader = field(repr=False)
    decoder: codecs.FrameDecoder = field(default=codecs.decode_frame, repr=False)
    worked_out: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def header(self) -> Dataset:
        """All elements before the pixel data."""
        return self.file_header.dataset

    @property
    def transfer_syntax_uid(self) -> str:
        """(0002,0010)."""
        return self.file_header.transfer_syntax_uid

    @property
    def number_of_frames(self) -> int:
        """Number of Frames (0028,0008); 1 when absent or impossible."""
        declared = self._declared_frames
        return declared if self._is_possible(declared) else 1

    @cached_property
    def _declared_frames(self) -> int:
        declared = integer(self.header, "NumberOfFrames")
        return 1 if declared is None else declared

    @cached_property
    def _pixel_format(self) -> PixelFormat:
        return pixel_format_of(self.header)

    def _is_possible(self, frames: int) -> bool:
        # no frame is smaller than one bit
        return 1 <= frames <= max(1, self.file_header.source_bytes * _BITS_IN_BYTE)

    def frame_format(self, frame_number: int) -> PixelFormat:
        """Say how a frame's pixels are laid out, or why it cannot be shown, without decoding it.

        A codestream's own header corrects bits, sign and colour.

        Parameters
        ----------
        frame_number : int
            1-based.

        Raises
        ------
        NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
            As `stored_frame`; only damage inside a codestream stays undiscovered.
        """
        element = self._pixel_element(frame_number)
        pixel_format = self._pixel_format
        if self.transfer_syntax_uid not in codecs.NATIVE_SYNTAXES:
            return self._described_frame(element, pixel_format, frame_number - 1)[1]
        end = frame_number * self._native_frame_bytes(element, pixel_format)
        if end > self._native_length(element):
            raise incomplete_pixels()
        return pixel_format

    def stored_frame(self, frame_number: int) -> StoredFrame:
        """Decode one frame.

        Parameters
        ----------
        frame_number : int
            1-based.

        Returns
        -------
        numpy.ndarray
            Grey: (rows, columns) uint8, int16, uint16, int32 or uint32 stored values, masked to
            Bits Stored and sign-extended. Colour and palette: (rows, columns, 3) uint8 RGB.
            May be read-only.

        Raises
        ------
        NoSuchFrame
            The number is outside 1 to `number_of_frames`.
        UnsupportedTransferSyntax
            There is no decoder.
        UnsupportedPixels
            The pixels are absent, incomplete, damaged, contradictory or not drawn.
        UnreadableFile
            The file cannot be read any more.

        Notes
        -----
        PS3.5 8.1.1 (bits of a sample), PS3.3 C.7.6.3.1.
        """
        element = self._pixel_element(frame_number)
        samples, described = self._samples(element, self._pixel_format, frame_number - 1)
        if described.samples_per_pixel > 1:
            photometric = described.photometric_interpretation
            return to_rgb(samples, described.bits_stored, photometric)
        stored = stored_values(samples, described)
        if described.is_palette:
            return apply_palette(stored, palette_of(self.header, is_signed=described.is_signed))
        return stored

    def encoded_frame(self, frame_number: int) -> tuple[bytes, str]:
        """Return one frame's bytes as they are stored.

        Returns
        -------
        bytes
            Native: the raw pixels, in the file's byte order. Encapsulated: the codestream.
        str
            Transfer syntax UID of these bytes; deflated objects give Explicit VR Little Endian.

        Raises
        ------
        NoSuchFrame, UnsupportedPixels, UnreadableFile
            As `stored_frame`.
        """
        element = self._pixel_element(frame_number)
        syntax = self.transfer_syntax_uid
        if element.length is None:
            return self._encapsulated_bytes(element, frame_number - 1), syntax
        if syntax == uid.DeflatedExplicitVRLittleEndian:
            syntax = uid.ExplicitVRLittleEndian
        native = self._native_bytes(element, self._pixel_format, frame_number - 1)
        return native, syntax

    def native_range(self, frame_number: int) -> tuple[int, int] | None:
        """Return where in the file the bytes lie that `encoded_frame` would return.

        Returns
        -------
        tuple of int or None
            Offset and length; None when they do not stand in the file as they are.

        Raises
        ------
        NoSuchFrame, UnsupportedPixels
            As `stored_frame`.
        """
        element = self._pixel_element(frame_number)
        is_in_file = self.transfer_syntax_uid != uid.DeflatedExplicitVRLittleEndian
        if element.length is None or not is_in_file:
            return None
        pixel_format = self._pixel_format
        length = self._native_frame_bytes(element, pixel_format)
        if frame_number * length > self._native_length(element):
            raise incomplete_pixels()
        if self._is_byte_swapped(element, pixel_format):
            return None
        return element.offset + (frame_number - 1) * length, length

    def _pixel_element(self, frame_number: int) -> PixelElement:
        element = self.file_header.pixel_element
        if element is None:
            raise _no_pixels(self.header)
        if element.keyword != "PixelData":
            raise UnsupportedPixels(
                "Floating point pixels are not drawn here. Open this on the PACS."
            )
        if not self._is_possible(self._declared_frames):
            raise UnsupportedPixels("The number of frames of this object is impossible.")
        if not 1 <= frame_number <= self.number_of_frames:
            raise NoSuchFrame(f"This object has {self.number_of_frames} frame(s).")
        return element

    def _samples(
        self, element: PixelElement, pixel_format: PixelFormat, frame_index: int
    ) -> tuple[NDArray[Any], PixelFormat]:
        if self.transfer_syntax_uid in codecs.NATIVE_SYNTAXES:
            native = self._native_bytes(element, pixel_format, frame_index)
            return self._native_samples(native, pixel_format), pixel_format
        encoded, described = self._described_frame(element, pixel_format, frame_index)
        return self.decoder(self.transfer_syntax_uid, encoded, described), described

    def _described_frame(
        self, element: PixelElement, pixel_format: PixelFormat, frame_index: int
    ) -> tuple[bytes, PixelFormat]:
        codec = codecs.codec_for(self.transfer_syntax_uid)
        if element.length is not None:
            raise UnsupportedPixels("The transfer syntax and the pixel data contradict each other.")
        encoded = self._encapsulated_bytes(element, frame_index)
        return encoded, codec.describe(encoded, pixel_format)

    def _native_bytes(
        self, element: PixelElement, pixel_format: PixelFormat, frame_index: int
    ) -> bytes:
        frame_bytes = self._native_frame_bytes(element, pixel_format)
        if (frame_index + 1) * frame_bytes > self._native_length(element):
            raise incomplete_pixels()
        if self._is_byte_swapped(element, pixel_format):
            return _read_swapped(self._source(), element, frame_bytes, frame_index)
        offset = element.offset + frame_index * frame_bytes
        return read_range(self._source(), offset, frame_bytes)

    def _native_frame_bytes(self, element: PixelElement, pixel_format: PixelFormat) -> int:
        if pixel_format.photometric_interpretation != "YBR_FULL_422":
            return pixel_format.native_bytes
        # some writers name the subsampled space and yet store every sample
        in_full = self.number_of_frames * pixel_format.native_bytes
        is_in_full = self._native_length(element) >= in_full
        return pixel_format.native_bytes if is_in_full else pixel_format.native_bytes * 2 // 3

    def _native_length(self, element: PixelElement) -> int:
        """Return how many bytes of native pixel data the element says and the file holds."""
        if element.length is None:
            raise UnsupportedPixels("The transfer syntax and the pixel data contradict each other.")
        return min(element.length, self.file_header.source_bytes - element.offset)

    def _source(self) -> Source:
        if self.transfer_syntax_uid == uid.DeflatedExplicitVRLittleEndian:
            return inflate_file(self.path)
        return self.path

    def _is_byte_swapped(self, element: PixelElement, pixel_format: PixelFormat) -> bool:
        is_big_endian = self.transfer_syntax_uid == uid.ExplicitVRBigEndian
        return is_big_endian and element.vr == "OW" and pixel_format.bits_allocated == 8

    def _native_samples(self, frame_bytes: bytes, pixel_format: PixelFormat) -> NDArray[Any]:
        order = ">" if self.transfer_syntax_uid == uid.ExplicitVRBigEndian else "<"
        samples = np.frombuffer(
            frame_bytes, np.dtype(f"{order}u{pixel_format.bits_allocated // _BITS_IN_BYTE}")
        )
        rows, columns = pixel_format.rows, pixel_format.columns
        if pixel_format.samples_per_pixel == 1:
            return samples.reshape(rows, columns)
        if len(frame_bytes) < pixel_format.native_bytes:
            return unpack_ybr_422(samples, rows, columns)
        if pixel_format.planar_configuration == 1:
            return samples.reshape(3, rows, columns).transpose(1, 2, 0)
        return samples.reshape(rows, columns, 3)

    def _encapsulated_bytes(self, element: PixelElement, frame_index: int) -> bytes:
        groups = self._fragment_groups
        if frame_index >= len(groups):
            raise incomplete_pixels()
        return read_fragments(self.path, groups[frame_index])

    @cached_property
    def _fragment_groups(self) -> tuple[tuple[Fragment, ...], ...]:
        element = self.file_header.pixel_element
        if element is None:
            return ()
        table = scan_fragments(self.path, element)
        offsets = value_of(self.header, "ExtendedOffsetTable")
        extended = np.frombuffer(offsets, "<u8").tolist() if _is_offset_table(offsets) else []
        return group_fragments(self.path, table, self.number_of_frames, extended)


def open_instance(path: Path, decoder: codecs.FrameDecoder = codecs.decode_frame) -> Instance:
    """Read an instance's header.

    Parameters
    ----------
    path : Path
        A DICOM Part 10 file.
    decoder : callable
        What decodes compressed frames.

    Returns
    -------
    Instance
        Without pixel data; those are read when asked for.

    Raises
    ------
    UnreadableFile
        When there is no such file, it is not DICOM, or its header is damaged.
    """
    return Instance(path, read_file_header(path), decoder)


def _no_pixels(header: Dataset) -> UnsupportedPixels:
    if value_of(header, "Rows") is None:
        return UnsupportedPixels("This object holds no picture.")
    return UnsupportedPixels(
        "The pixel data of this object are missing. Send it again from the source."
    )


def stored_values(samples: NDArray[Any], pixel_format: PixelFormat) -> StoredFrame:
    """Cut the stored values out of their containers.

    Parameters
    ----------
    samples : numpy.ndarray
        (rows, columns) integers, `bits_allocated` wide or as a codec gives them.
    pixel_format : PixelFormat
        Which bits hold the value, and its sign.

    Returns
    -------
    numpy.ndarray
        (rows, columns) in `pixel_format.stored_dtype`, machine byte order.

    Notes
    -----
    PS3.5 8.1.1: bits above High Bit and below the value may hold anything, an overlay for one.
    """
    width = pixel_format.bits_allocated
    kind = "i" if samples.dtype.kind == "i" else "u"
    unsigned = samples.astype(f"{kind}{width // _BITS_IN_BYTE}", copy=False).view(
        f"u{width // _BITS_IN_BYTE}"
    )
    high_bit, bits = pixel_format.high_bit, pixel_format.bits_stored
    if pixel_format.is_signed:
        values = _sign_extended(unsigned, width - 1 - high_bit, width - bits)
    else:
        values = _masked(unsigned, high_bit + 1 - bits, bits)
    return values.astype(pixel_format.stored_dtype, copy=False)


def _masked(unsigned: NDArray[Any], shift: int, bits: int) -> NDArray[Any]:
    if bits == unsigned.dtype.itemsize * _BITS_IN_BYTE:
        return unsigned
    if not shift and unsigned.size and int(unsigned.max()) >> bits == 0:
        return unsigned  # looking is several times cheaper than a copy
    masked: NDArray[Any] = np.bitwise_and(unsigned, ((1 << bits) - 1) << shift)
    if shift:
        np.right_shift(masked, shift, out=masked)
    return masked


def _sign_extended(unsigned: NDArray[Any], left: int, right: int) -> NDArray[Any]:
    signed = f"i{unsigned.dtype.itemsize}"
    if right == 0:
        return unsigned.view(signed)
    extended: NDArray[Any] = np.left_shift(unsigned, left).view(signed)
    np.right_shift(extended, right, out=extended)
    return extended


def _is_offset_table(value: object) -> bool:
    return isinstance(value, bytes) and len(value) % 8 == 0


def _read_swapped(
    source: Source, element: PixelElement, frame_bytes: int, frame_index: int
) -> bytes:
    """Read 8 bit samples that a big endian file holds in 16 bit words."""
    start = frame_index * frame_bytes
    first = start // 2 * 2
    last = -(-(start + frame_bytes) // 2) * 2
    words = np.frombuffer(read_range(source, element.offset + first, last - first), ">u2")
    swapped = words.astype("<u2").tobytes()
    return swapped[start - first : start - first + frame_bytes]
