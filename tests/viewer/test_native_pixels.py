"""Single bits and floating point values come out of uncompressed pixels as they were stored."""

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from viewer.decode import Instance, open_instance
from viewer.errors import UnsupportedPixels
from viewer.frame_info import frame_info
from viewer.frames import Source
from viewer.grey_transforms import modality_lut_of, windows_of
from viewer.header import PixelElement
from viewer.native_pixels import NativePixels
from viewer.pixel_format import PixelFormat
from viewer.render import grey_frame

Write = Callable[..., Path]
NAN, INFINITY = math.nan, math.inf


def bits_of(source: Source, rows: int, columns: int, frames: int) -> NativePixels:
    layout = PixelFormat(rows, columns, 1, 1, 1, 0, False, "MONOCHROME2", 0)
    element = PixelElement("PixelData", "OB", 0, len(bytes(source)))
    return NativePixels(source, len(bytes(source)), element, layout, frames, False)


def test_bits_are_read_lowest_first_and_frames_begin_inside_bytes(write: Write) -> None:
    # 3 frames of 3 x 3 = 27 bits: 100110001 011000000 111111110, lowest bit of a byte first
    packed = bytes([0b00011001, 0b00001101, 0b11111100, 0b00000011])
    path = write(
        np.zeros((3, 3), np.uint8),
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        NumberOfFrames=3,
        PixelData=packed,
    )
    instance = open_instance(path)
    frames = [instance.stored_frame(n).tolist() for n in (1, 2, 3)]
    assert frames == [
        [[1, 0, 0], [1, 1, 0], [0, 0, 1]],
        [[0, 1, 1], [0, 0, 0], [0, 0, 0]],
        [[1, 1, 1], [1, 1, 1], [1, 1, 0]],
    ]
    assert instance.stored_frame(1).dtype == np.uint8
    assert instance.encoded_frame(2) == (bytes([0b00000110, 0]), ExplicitVRLittleEndian)
    assert grey_frame(instance, 1).tolist()[0] == [255, 0, 0]


def test_bits_that_are_cut_off_are_incomplete(write: Write) -> None:
    path = write(
        np.zeros((3, 3), np.uint8),
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        NumberOfFrames=2,
        PixelData=b"\1\2",
    )
    instance = open_instance(path)
    assert instance.stored_frame(1).tolist()[0] == [1, 0, 0]
    with pytest.raises(UnsupportedPixels, match="incomplete"):
        instance.stored_frame(2)
    with pytest.raises(UnsupportedPixels, match="incomplete"):
        instance.encoded_frame(2)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_any_packed_frames_unpack_to_what_was_packed(
    rows: int, columns: int, frames: int, seed: int
) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (frames, rows, columns), dtype=np.uint8)
    pixels = bits_of(np.packbits(bits, bitorder="little").tobytes(), rows, columns, frames)
    for n in range(frames):
        assert np.array_equal(pixels.samples(n), bits[n])
        again = bits_of(pixels.frame_bytes(n), rows, columns, 1)
        assert np.array_equal(again.samples(0), bits[n])


def test_bits_of_big_endian_words_are_unswapped(testdata: Callable[[str], Path]) -> None:
    little = open_instance(testdata("liver_1frame.dcm")).stored_frame(1)
    big = open_instance(testdata("liver_expb_1frame.dcm")).stored_frame(1)
    assert little.any()
    assert np.array_equal(little, big)


@pytest.fixture
def write_floats(tmp_path: Path, grey_dataset: Any) -> Callable[..., Instance]:
    def write_file(
        pixels: NDArray[Any], syntax: str = ExplicitVRLittleEndian, **elements: Any
    ) -> Instance:
        ds: Dataset = grey_dataset(np.zeros(pixels.shape, np.uint32))
        for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(ds, keyword)
        is_double = pixels.dtype.itemsize == 8
        ds.BitsAllocated = 64 if is_double else 32
        ds.file_meta.TransferSyntaxUID = syntax
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        value = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
        setattr(ds, "DoubleFloatPixelData" if is_double else "FloatPixelData", value)
        for keyword, element in elements.items():
            setattr(ds, keyword, element)
        ds.save_as(tmp_path / "float.dcm", enforce_file_format=True)
        return open_instance(tmp_path / "float.dcm")

    return write_file


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_floating_point_values_are_kept_to_the_last_bit(
    write_floats: Callable[..., Instance], dtype: Any, syntax: str
) -> None:
    limits = np.finfo(dtype)
    pixels = np.array([[0.1, -0.0, 3.5e-5], [limits.max, limits.tiny, -7]], dtype)
    frame = write_floats(pixels, syntax).stored_frame(1)
    assert frame.dtype == np.dtype(dtype)
    assert frame.tobytes() == pixels.tobytes()


def test_the_second_float_frame_is_the_second(write_floats: Callable[..., Instance]) -> None:
    pixels = np.array([[1.5, 2.5], [3.5, 4.5]], np.float32)
    both = pixels.tobytes() + (pixels * 2).tobytes()
    instance = write_floats(pixels, NumberOfFrames=2, FloatPixelData=both)
    assert np.array_equal(instance.stored_frame(2), pixels * 2)
    assert instance.encoded_frame(2)[0] == (pixels * 2).tobytes()


@pytest.mark.parametrize(
    "elements",
    [{"BitsAllocated": 64}, {"PhotometricInterpretation": "PALETTE COLOR"}, {"SamplesPerPixel": 3}],
)
def test_contradictory_float_headers_are_refused(
    write_floats: Callable[..., Instance], elements: dict[str, Any]
) -> None:
    instance = write_floats(np.zeros((2, 2), np.float32), **elements)
    with pytest.raises(UnsupportedPixels):
        instance.stored_frame(1)


def test_a_window_over_floats_is_the_formula(
    write_floats: Callable[..., Instance], reference_window: Callable[..., NDArray[np.int64]]
) -> None:
    pixels = np.linspace(-0.5, 1.5, 60, dtype=np.float32).reshape(6, 10)
    instance = write_floats(pixels, WindowCenter=0.5, WindowWidth=0.8, VOILUTFunction="SIGMOID")
    expected = reference_window(pixels.astype(np.float64), 0.5, 0.8, "SIGMOID")
    assert np.array_equal(grey_frame(instance, 1), expected)


@pytest.mark.parametrize("is_inverted", [False, True])
def test_values_that_are_no_numbers_are_background(
    write_floats: Callable[..., Instance], is_inverted: bool
) -> None:
    pixels = np.array([[NAN, INFINITY, -INFINITY, 0, 0.01, 3.4e38, -3.4e38]], np.float32)
    window = {"WindowCenter": 0.005, "WindowWidth": 0.01, "VOILUTFunction": "LINEAR_EXACT"}
    photometric = "MONOCHROME1" if is_inverted else "MONOCHROME2"
    instance = write_floats(pixels, PhotometricInterpretation=photometric, **window)
    seen = [255, 0, 0, 255] if is_inverted else [0, 255, 255, 0]
    assert grey_frame(instance, 1).tolist() == [[0, 0, 0, *seen]]


def test_the_automatic_window_of_floats_leaves_out_what_is_no_number_and_padding(
    write_floats: Callable[..., Instance],
) -> None:
    values = np.linspace(0.001, 0.002, 101)
    pixels = np.concatenate([values, [NAN, INFINITY, -1.0, -0.5]]).reshape(5, 21)
    instance = write_floats(
        pixels, DoubleFloatPixelPaddingValue=-1.0, DoubleFloatPixelPaddingRangeLimit=-0.5
    )
    initial = frame_info(instance, 1)["initial"]
    assert initial["function"] == "LINEAR_EXACT"
    assert initial["center"] == pytest.approx(0.0015)
    assert initial["width"] == pytest.approx(0.00098)
    shown = grey_frame(instance, 1).reshape(-1)
    assert shown[[0, 50, 100]].tolist() == [0, 128, 255]
    assert shown[101:].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("value", [5.0, NAN])
def test_floats_that_are_all_the_same_are_drawn(
    write_floats: Callable[..., Instance], value: float
) -> None:
    instance = write_floats(np.full((2, 2), value, np.float32))
    assert grey_frame(instance, 1).tolist() == [[0, 0], [0, 0]]


def test_floats_are_described_with_their_type_and_range(
    write_floats: Callable[..., Instance],
) -> None:
    instance = write_floats(np.array([[0.5, NAN, 2]], np.float32))
    assert frame_info(instance, 1)["pixels"] == {
        "dtype": "float32",
        "min": float(np.finfo(np.float32).min),
        "max": float(np.finfo(np.float32).max),
        "smallest_image_pixel_value": 0.5,
        "largest_image_pixel_value": 2.0,
    }


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6))
def test_any_bit_pattern_is_drawn_without_complaint(
    write_floats: Callable[..., Instance], raw: list[int]
) -> None:
    pixels = np.frombuffer(struct.pack("<6Q", *raw), np.float64).reshape(2, 3)
    instance = write_floats(np.zeros((2, 3)), DoubleFloatPixelData=pixels.tobytes())
    shown = grey_frame(instance, 1)
    assert not shown[~np.isfinite(pixels)].any()


def test_dose_grid_scaling_is_the_scale_of_a_dose() -> None:
    ds = Dataset()
    ds.DoseGridScaling, ds.DoseUnits = "0.0001", "GY"
    layout = PixelFormat(1, 1, 1, 32, 32, 31, False, "MONOCHROME2", 0)
    modality = modality_lut_of(ds, 0, layout)
    assert (modality.slope, modality.intercept, modality.rescale_type) == (0.0001, 0.0, "GY")
    ds.DoseGridScaling = "0"
    assert modality_lut_of(ds, 0, layout).slope == 1.0


def test_segmentations_are_shown_from_zero_to_their_highest_value() -> None:
    ds = Dataset()
    ds.SegmentationType, ds.MaximumFractionalValue = "FRACTIONAL", 200
    [window] = windows_of(ds, 0)
    assert (window.center, window.width) == (100.5, 201)
    labels = Dataset()
    labels.SegmentationType = "LABELMAP"
    labels.SegmentSequence = [Dataset(), Dataset()]
    labels.SegmentSequence[0].SegmentNumber = 7
    [window] = windows_of(labels, 0)
    assert (window.center, window.width) == (4.0, 8)


def test_long_words_of_big_endian_are_refused_not_guessed(testdata: Callable[[str], Path]) -> None:
    """PS3.5 6.2: writers put the two words of 16 bits in either order, and one of them is wrong."""
    instance = open_instance(testdata("rtdose_expb.dcm"))
    with pytest.raises(UnsupportedPixels, match="two orders"):
        instance.stored_frame(1)
    with pytest.raises(UnsupportedPixels, match="two orders"):
        instance.frame_format(1)


def test_a_subsampled_name_and_a_cut_value_are_not_another_layout(write: Write) -> None:
    """All samples stored under YBR_FULL_422, the file a little short: cut off, not subsampled."""
    rgb = np.full((8, 8, 3), 128, np.uint8)
    path = write(rgb, PhotometricInterpretation="YBR_FULL_422")
    assert open_instance(path).stored_frame(1).shape == (8, 8, 3)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(UnsupportedPixels, match="incomplete"):
        open_instance(path).stored_frame(1)
