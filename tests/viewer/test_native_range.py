"""Where an uncompressed frame stands in its file, for whoever sends it as it is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from viewer.decode import open_instance
from viewer.errors import NoSuchFrame, UnsupportedPixels

Write = Callable[..., Path]
PIXELS = np.arange(8 * 6, dtype=np.uint16).reshape(8, 6)


def test_a_native_frame_stands_in_the_file_where_it_is_said_to(write: Write) -> None:
    path = write(PIXELS, Rows=4, NumberOfFrames=2)
    instance = open_instance(path)
    for frame_number in (1, 2):
        offset, length = instance.native_range(frame_number) or (0, 0)
        expected = PIXELS[4 * frame_number - 4 : 4 * frame_number].tobytes()
        assert path.read_bytes()[offset : offset + length] == expected
        assert instance.encoded_frame(frame_number)[0] == expected
    with pytest.raises(NoSuchFrame):
        instance.native_range(3)


def test_a_frame_that_is_cut_off_stands_nowhere(write: Write) -> None:
    path = write(PIXELS)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(UnsupportedPixels):
        open_instance(path).native_range(1)


def test_a_frame_that_is_not_stored_as_it_is_given_stands_nowhere(write: Write) -> None:
    path = write(PIXELS, frames=[b"\xff\xd8\xff\xd9"], transfer_syntax_uid="1.2.840.10008.1.2.4.70")
    assert open_instance(path).native_range(1) is None


def test_bits_beyond_the_value_are_cut_off_where_there_are_any(write: Write) -> None:
    clean, dirty = PIXELS.copy(), PIXELS | 0xF000
    for number, pixels in enumerate((clean, dirty)):
        path = write(pixels, BitsStored=12, HighBit=11, name=f"{number}.dcm")
        assert np.array_equal(open_instance(path).stored_frame(1), PIXELS)
