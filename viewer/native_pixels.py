"""Uncompressed pixel data: where one frame's bytes lie, and the samples they hold."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from viewer.colour import unpack_ybr_422
from viewer.errors import UnsupportedPixels
from viewer.frames import ReadRange, Source, incomplete_pixels, open_ranges, read_range
from viewer.header import PixelElement
from viewer.pixel_format import PixelFormat

ReadRows = Callable[[slice], NDArray[Any]]
"""Returns the rows of a frame that a slice of neighbours names; threads may call it at once."""

_BITS_IN_BYTE: Final = 8


@dataclass(frozen=True, slots=True)
class NativePixels:
    """The uncompressed pixel data of one object.

    Parameters
    ----------
    source : Path or bytes
        What is read: the file, or the inflated data set.
    source_bytes : int
        Its size.
    element : PixelElement
        Where the value lies.
    pixel_format : PixelFormat
        Of every frame.
    number_of_frames : int
        (0028,0008).
    is_big_endian : bool
        Byte order of the transfer syntax.
    """

    source: Source
    source_bytes: int
    element: PixelElement
    pixel_format: PixelFormat
    number_of_frames: int
    is_big_endian: bool

    def require(self, frame_index: int) -> None:
        """Check that the value holds all of a frame.

        Raises
        ------
        UnsupportedPixels
            When it does not.
        """
        if self._has_unclear_order:
            raise UnsupportedPixels(
                "Pixels of 32 bits in big endian words are not drawn here, because two orders of"
                " their words are in use. Open this on the PACS."
            )
        if (frame_index + 1) * self._frame_bits > self._length * _BITS_IN_BYTE:
            raise incomplete_pixels()

    def frame_bytes(self, frame_index: int) -> bytes:
        """Return one frame as stored, in the file's byte order.

        Single bits are moved so that the frame begins with the lowest bit of the first byte.

        Raises
        ------
        UnsupportedPixels, UnreadableFile
            The frame is cut off, or the file cannot be read any more.
        """
        self.require(frame_index)
        begin = frame_index * self._frame_bits
        end = begin + self._frame_bits
        if begin % _BITS_IN_BYTE == 0:
            return self._read(begin // _BITS_IN_BYTE, -(-end // _BITS_IN_BYTE))
        return np.packbits(self._bits(frame_index), bitorder="little").tobytes()

    def frame_range(self, frame_index: int) -> tuple[int, int] | None:
        """Return where in the source the bytes lie that `frame_bytes` returns.

        Returns
        -------
        tuple of int or None
            Offset and length; None when they do not stand there as they are.

        Raises
        ------
        UnsupportedPixels
            The frame is cut off.
        """
        self.require(frame_index)
        begin, bits = frame_index * self._frame_bits, self._frame_bits
        if self._is_in_words or begin % _BITS_IN_BYTE or bits % _BITS_IN_BYTE:
            return None
        return self.element.offset + begin // _BITS_IN_BYTE, bits // _BITS_IN_BYTE

    def samples(self, frame_index: int) -> NDArray[Any]:
        """Return one frame's samples.

        Returns
        -------
        numpy.ndarray
            (rows, columns) or (rows, columns, 3) in the containers of Bits Allocated; single bits
            as uint8. Read-only.

        Raises
        ------
        UnsupportedPixels, UnreadableFile
            As `frame_bytes`.

        Notes
        -----
        PS3.5 8.1.1, PS3.3 C.7.6.3.1.3.
        """
        layout = self.pixel_format
        rows, columns = layout.rows, layout.columns
        if layout.bits_allocated == 1:
            self.require(frame_index)
            return self._bits(frame_index).reshape(rows, columns)
        samples = np.frombuffer(self.frame_bytes(frame_index), self._dtype)
        if layout.samples_per_pixel == 1:
            return samples.reshape(rows, columns)
        if samples.nbytes < layout.native_bytes:
            return unpack_ybr_422(samples, rows, columns)
        if layout.planar_configuration == 1:
            return samples.reshape(3, rows, columns).transpose(1, 2, 0)
        return samples.reshape(rows, columns, 3)

    @contextmanager
    def open_rows(self, frame_index: int) -> Iterator[ReadRows]:
        """Give a function that returns rows of what `samples` returns, reading no others.

        What does not stand in the source row by row, sample by sample, is read at once.

        Raises
        ------
        UnsupportedPixels, UnreadableFile
            As `frame_bytes`; the function, too.
        """
        layout = self.pixel_format
        place = self.frame_range(frame_index)
        if place is None or layout.samples_per_pixel > 1 or layout.bits_allocated == 1:
            samples = self.samples(frame_index)
            yield lambda rows: samples[rows]
            return
        with open_ranges(self.source) as read:
            yield partial(self._rows, read, place[0])

    def _rows(self, read: ReadRange, offset: int, rows: slice) -> NDArray[Any]:
        columns, dtype = self.pixel_format.columns, self._dtype
        row_bytes = columns * dtype.itemsize
        begin, end, _ = rows.indices(self.pixel_format.rows)
        body = read(offset + begin * row_bytes, (end - begin) * row_bytes)
        return np.frombuffer(body, dtype).reshape(-1, columns)

    @property
    def _dtype(self) -> np.dtype[Any]:
        layout = self.pixel_format
        order, kind = ">" if self.is_big_endian else "<", "f" if layout.is_float else "u"
        return np.dtype(f"{order}{kind}{layout.container_bytes}")

    @property
    def _is_in_words(self) -> bool:
        """Tell whether bytes are swapped: small samples in big endian words of 16 bits."""
        is_small = self.pixel_format.bits_allocated <= _BITS_IN_BYTE
        return self.is_big_endian and is_small and self.element.vr == "OW"

    @property
    def _has_unclear_order(self) -> bool:
        """Tell whether values lie in two words of 16 bits each, which some writers swap, too."""
        is_long = self.pixel_format.bits_allocated == 32 and not self.pixel_format.is_float
        return self.is_big_endian and is_long and self.element.vr == "OW"

    @property
    def _frame_bits(self) -> int:
        layout = self.pixel_format
        if layout.photometric_interpretation != "YBR_FULL_422":
            return layout.native_bits
        # some writers name the subsampled space and yet store every sample
        in_full = self.number_of_frames * layout.native_bits
        # by what the element says: a value that was cut off is not another layout
        is_in_full = (self.element.length or 0) * _BITS_IN_BYTE >= in_full
        return layout.native_bits if is_in_full else layout.native_bits * 2 // 3

    @property
    def _length(self) -> int:
        """How many bytes of native pixel data the element says and the source holds."""
        if self.element.length is None:
            raise UnsupportedPixels("The transfer syntax and the pixel data contradict each other.")
        return min(self.element.length, self.source_bytes - self.element.offset)

    def _bits(self, frame_index: int) -> NDArray[np.uint8]:
        """Unpack single bits, the lowest of a byte first; a frame may begin inside a byte."""
        begin = frame_index * self._frame_bits
        end = begin + self._frame_bits
        first = begin // _BITS_IN_BYTE
        packed = np.frombuffer(self._read(first, -(-end // _BITS_IN_BYTE)), np.uint8)
        bits = np.unpackbits(packed, bitorder="little")
        return bits[begin - first * _BITS_IN_BYTE : end - first * _BITS_IN_BYTE]

    def _read(self, begin: int, end: int) -> bytes:
        """Read bytes of the value; those a big endian file holds in 16 bit words in their order."""
        if not self._is_in_words:
            return read_range(self.source, self.element.offset + begin, end - begin)
        first, last = begin // 2 * 2, -(-end // 2) * 2
        words = read_range(self.source, self.element.offset + first, last - first)
        swapped = np.frombuffer(words, ">u2").astype("<u2").tobytes()
        return swapped[begin - first : end - first]
