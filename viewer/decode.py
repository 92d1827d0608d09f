"""Open an instance and decode one frame of it at a time."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset

from viewer import codecs
from viewer.browser_jpeg import browser_sees_ycbcr
from viewer.calibration import pixel_aspect_ratio
from viewer.colour import apply_palette, palette_of, to_rgb
from viewer.errors import NoSuchFrame, UnsupportedPixels, UnsupportedTransferSyntax
from viewer.families import VIDEO, Family, family_of, is_video
from viewer.frames import (
    Fragment,
    fragments_at,
    frame_starts,
    group_fragments,
    incomplete_pixels,
    read_fragments,
    scan_fragments,
)
from viewer.header import (
    FileHeader,
    PixelElement,
    inflate_file,
    integer,
    read_file_header,
    text,
    value_of,
)
from viewer.native_pixels import NativePixels, ReadRows
from viewer.pixel_format import PixelFormat, pixel_format_of
from viewer.shutters import frame_shutter
from viewer.strips import ALONE, StripThreads

StoredFrame = NDArray[Any]
"""Grey: (rows, columns) integers or floats; colour and palette: (rows, columns, 3) uint8 RGB."""

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
    threads : StripThreads
        Who helps to draw large frames.
    """

    path: Path
    file_header: FileHeader = field(repr=False)
    decoder: codecs.FrameDecoder = field(default=codecs.decode_frame, repr=False)
    worked_out: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    threads: StripThreads = field(default=ALONE, repr=False)

    @property
    def header(self) -> Dataset:
        """All elements before the pixel data."""
        return self.file_header.dataset

    @property
    def transfer_syntax_uid(self) -> str:
        """(0002,0010)."""
        return self.file_header.transfer_syntax_uid

    @property
    def family(self) -> Family | None:
        """The family of objects it belongs to that are not drawn; None when it is an image.

        Objects of some classes may or may not have pixels: with pixels, they are images.
        """
        family = family_of(text(self.header, "SOPClassUID"), self.transfer_syntax_uid)
        is_image = self.file_header.pixel_element is not None and family != VIDEO
        return None if is_image else family

    @property
    def pixel_keyword(self) -> str:
        """Which element holds the pixels; `PixelData` when there is none."""
        element = self.file_header.pixel_element
        return "PixelData" if element is None else element.keyword

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
        return pixel_format_of(self.header, self.pixel_keyword)

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
        self._native(element, pixel_format).require(frame_number - 1)
        return pixel_format

    def stored_frame(
        self, frame_number: int, decoder: codecs.FrameDecoder | None = None
    ) -> StoredFrame:
        """Decode one frame.

        Parameters
        ----------
        frame_number : int
            1-based.
        decoder : callable, optional
            What decodes it when it is compressed, in place of the instance's own decoder.

        Returns
        -------
        numpy.ndarray
            Grey: (rows, columns) uint8, int16, uint16, int32 or uint32 stored values, masked to
            Bits Stored and sign-extended; single bits are 0 and 1; float32 or float64 for floating
            point pixels, which may hold NaN and infinity. Colour and palette: (rows, columns, 3)
            uint8 RGB. May be read-only.

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
        samples, described = self._samples(
            element, self._pixel_format, frame_number - 1, decoder or self.decoder
        )
        if described.samples_per_pixel > 1:
            photometric = described.photometric_interpretation
            return to_rgb(samples, described.bits_stored, photometric)
        stored = stored_values(samples, described)
        if described.is_palette:
            return apply_palette(stored, palette_of(self.header, is_signed=described.is_signed))
        return stored

    @contextmanager
    def stored_rows(self, frame_number: int) -> Iterator[ReadRows]:
        """Give a function that returns rows of a grey frame's stored values.

        Uncompressed frames are read as far as they are asked for; others are decoded first.

        Raises
        ------
        NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
            As `stored_frame`; the function, too.
        """
        element, pixel_format = self._pixel_element(frame_number), self._pixel_format
        if self.transfer_syntax_uid not in codecs.NATIVE_SYNTAXES:
            frame = self.stored_frame(frame_number)
            yield lambda rows: frame[rows]
            return
        with self._native(element, pixel_format).open_rows(frame_number - 1) as read:
            yield lambda rows: stored_values(read(rows), pixel_format)

    def container_frame(self, frame_number: int) -> NDArray[Any]:
        """Return the containers that a grey or palette frame's stored values are cut from.

        Returns
        -------
        numpy.ndarray
            (rows, columns) unsigned, with whatever the unused bits hold. A codec that keeps
            stored bits only gives zeros there.

        Raises
        ------
        NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
            As `stored_frame`.
        """
        element = self._pixel_element(frame_number)
        pixel_format = pixel_format_of(self.header, element.keyword)
        samples, _ = self._samples(element, pixel_format, frame_number - 1, self.decoder)
        return samples.astype(f"u{samples.dtype.itemsize}", copy=False)

    def decoded_samples(self, frame_number: int) -> tuple[NDArray[Any], PixelFormat]:
        """Return one frame's samples as its decoder gives them, and how they are laid out.

        Returns
        -------
        numpy.ndarray
            (rows, columns) or (rows, columns, 3), in the colour space they were coded in.
        PixelFormat
            As the codestream corrects what the header says.

        Raises
        ------
        NoSuchFrame, UnsupportedTransferSyntax, UnsupportedPixels, UnreadableFile
            As `stored_frame`.
        """
        element = self._pixel_element(frame_number)
        return self._samples(element, self._pixel_format, frame_number - 1, self.decoder)

    def encoded_frame(self, frame_number: int) -> tuple[bytes, str]:
        """Return one frame's bytes as they are stored.

        Returns
        -------
        bytes
            Native: the raw pixels, in the file's byte order; single bits begin with the lowest bit
            of the first byte. Encapsulated: the codestream.
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
        native = self._native(element, self._pixel_format)
        return native.frame_bytes(frame_number - 1), syntax

    def browser_jpeg(self, frame_number: int) -> bytes | None:
        """Return a frame's codestream when any browser draws it as `viewer.render` would.

        Parameters
        ----------
        frame_number : int
            1-based.

        Returns
        -------
        bytes or None
            A whole baseline JPEG of 8 bit colour, not to be windowed, with square pixels and
            without a shutter. None for any other frame, which must be rendered.

        Raises
        ------
        NoSuchFrame, UnsupportedPixels, UnreadableFile
            As `stored_frame`; only damage inside the codestream stays undiscovered.
        """
        element = self._pixel_element(frame_number)
        if self.transfer_syntax_uid != uid.JPEGBaseline8Bit:
            return None
        encoded, described = self._described_frame(element, self._pixel_format, frame_number - 1)
        if described.samples_per_pixel != 3 or not self._is_shown_plainly(frame_number - 1):
            return None
        is_ycbcr = described.photometric_interpretation.startswith("YBR_FULL")
        return encoded if browser_sees_ycbcr(encoded) is is_ycbcr else None

    def _is_shown_plainly(self, frame_index: int) -> bool:
        height, width = pixel_aspect_ratio(self.header, frame_index)
        return height == width and frame_shutter(self.header, frame_index) is None

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
        return self._native(element, self._pixel_format).frame_range(frame_number - 1)

    def _pixel_element(self, frame_number: int) -> PixelElement:
        element = self.file_header.pixel_element
        if element is None:
            raise self._no_pixels()
        if is_video(self.transfer_syntax_uid):
            raise UnsupportedTransferSyntax(VIDEO.sentence)
        if not self._is_possible(self._declared_frames):
            raise UnsupportedPixels("The number of frames of this object is impossible.")
        if not 1 <= frame_number <= self.number_of_frames:
            raise NoSuchFrame(f"This object has {self.number_of_frames} frame(s).")
        return element

    def _no_pixels(self) -> UnsupportedPixels:
        if self.family is not None:
            return UnsupportedPixels(self.family.sentence)
        if value_of(self.header, "Rows") is None:
            return UnsupportedPixels("This object holds no picture.")
        return UnsupportedPixels(
            "The pixel data of this object are missing. Send it again from the source."
        )

    def _samples(
        self,
        element: PixelElement,
        pixel_format: PixelFormat,
        frame_index: int,
        decoder: codecs.FrameDecoder,
    ) -> tuple[NDArray[Any], PixelFormat]:
        if self.transfer_syntax_uid in codecs.NATIVE_SYNTAXES:
            return self._native(element, pixel_format).samples(frame_index), pixel_format
        encoded, described = self._described_frame(element, pixel_format, frame_index)
        return decoder(self.transfer_syntax_uid, encoded, described), described

    def _described_frame(
        self, element: PixelElement, pixel_format: PixelFormat, frame_index: int
    ) -> tuple[bytes, PixelFormat]:
        codec = codecs.codec_for(self.transfer_syntax_uid)
        if element.length is not None:
            raise UnsupportedPixels("The transfer syntax and the pixel data contradict each other.")
        encoded = self._encapsulated_bytes(element, frame_index)
        return encoded, codec.describe(encoded, pixel_format)

    def _native(self, element: PixelElement, pixel_format: PixelFormat) -> NativePixels:
        is_deflated = self.transfer_syntax_uid == uid.DeflatedExplicitVRLittleEndian
        return NativePixels(
            source=inflate_file(self.path) if is_deflated else self.path,
            source_bytes=self.file_header.source_bytes,
            element=element,
            pixel_format=pixel_format,
            number_of_frames=self.number_of_frames,
            is_big_endian=self.transfer_syntax_uid == uid.ExplicitVRBigEndian,
        )

    def _encapsulated_bytes(self, element: PixelElement, frame_index: int) -> bytes:
        fragments: Sequence[Fragment] = ()
        if self.number_of_frames > 1:
            fragments = fragments_at(self.path, self._frame_starts, frame_index)
        if not fragments and frame_index < len(self._fragment_groups):
            fragments = self._fragment_groups[frame_index]
        if not fragments:
            raise incomplete_pixels()
        return read_fragments(self.path, fragments)

    @property
    def _extended_offsets(self) -> list[int]:
        offsets = value_of(self.header, "ExtendedOffsetTable")
        return np.frombuffer(offsets, "<u8").tolist() if _is_offset_table(offsets) else []

    @cached_property
    def _frame_starts(self) -> tuple[int, ...]:
        element = self.file_header.pixel_element
        if element is None:
            return ()
        return frame_starts(self.path, element, self.number_of_frames, self._extended_offsets)

    @cached_property
    def _fragment_groups(self) -> tuple[tuple[Fragment, ...], ...]:
        element = self.file_header.pixel_element
        if element is None:
            return ()
        table = scan_fragments(self.path, element)
        return group_fragments(self.path, table, self.number_of_frames, self._extended_offsets)


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
    if pixel_format.is_float:
        return samples.astype(pixel_format.stored_dtype, copy=False)
    width = pixel_format.container_bytes * _BITS_IN_BYTE
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
