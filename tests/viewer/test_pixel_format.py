"""The Image Pixel module is read with its defaults, and its domain follows from its bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from viewer.errors import UnsupportedPixels
from viewer.pixel_format import PixelFormat, pixel_format_of


@pytest.mark.parametrize(
    ("bits_allocated", "bits_stored", "is_signed", "dtype", "domain"),
    [
        (8, 8, False, "uint8", (0, 255)),
        (8, 8, True, "int16", (-128, 127)),
        (16, 12, False, "uint16", (0, 4095)),
        (16, 12, True, "int16", (-2048, 2047)),
        (16, 16, True, "int16", (-32768, 32767)),
        (32, 32, False, "uint32", (0, 2**32 - 1)),
        (32, 32, True, "int32", (-(2**31), 2**31 - 1)),
    ],
)
def test_type_and_domain_follow_the_bits(
    bits_allocated: int, bits_stored: int, is_signed: bool, dtype: str, domain: tuple[int, int]
) -> None:
    layout = PixelFormat(
        1, 1, 1, bits_allocated, bits_stored, bits_stored - 1, is_signed, "MONOCHROME2", 0
    )
    assert layout.stored_dtype.name == dtype
    assert layout.stored_domain == domain


def test_absent_details_get_the_usual_values(grey_dataset: Callable[..., Dataset]) -> None:
    ds = grey_dataset(np.zeros((3, 5), np.uint16))
    for keyword in ("BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation"):
        delattr(ds, keyword)
    layout = pixel_format_of(ds)
    assert (layout.bits_stored, layout.high_bit, layout.samples_per_pixel) == (16, 15, 1)
    assert not layout.is_signed
    assert layout.native_bytes == 30


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated"])
def test_what_cannot_be_guessed_is_asked_for_by_name(
    grey_dataset: Callable[..., Dataset], keyword: str
) -> None:
    ds = grey_dataset(np.zeros((3, 5), np.uint16))
    delattr(ds, keyword)
    with pytest.raises(UnsupportedPixels, match=keyword):
        pixel_format_of(ds)


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_photometric_interpretation_is_refused(
    grey_dataset: Callable[..., Dataset], value: Any
) -> None:
    ds = grey_dataset(np.zeros((3, 5), np.uint16))
    ds.PhotometricInterpretation = value
    with pytest.raises(UnsupportedPixels, match="photometric"):
        pixel_format_of(ds)
