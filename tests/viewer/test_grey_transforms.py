"""The header's windows, tables, polarity and padding are read as the standard pairs them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from viewer.decode import open_instance
from viewer.errors import UnsupportedPixels
from viewer.grey_transforms import (
    grey_transforms_of,
    initial_voi,
    is_inverted,
    modality_lut_of,
    pixel_padding_of,
    voi_luts_of,
    windows_of,
)
from viewer.pixel_format import PixelFormat
from viewer.windowing import (
    AUTOMATIC,
    ModalityLut,
    VoiLut,
    Window,
    display_values,
    modality_values,
)

SIGNED = PixelFormat(4, 4, 1, 16, 16, 15, True, "MONOCHROME2", 0)
UNSIGNED = PixelFormat(4, 4, 1, 16, 12, 11, False, "MONOCHROME2", 0)
BYTES = PixelFormat(4, 4, 1, 8, 8, 7, False, "MONOCHROME2", 0)


def dataset(**elements: Any) -> Dataset:
    ds = Dataset()
    ds.set_original_encoding(False, True)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def lut_item(descriptor: list[int], data: Any, vr: str = "US", **elements: Any) -> Dataset:
    item = dataset(**elements)
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", vr, data)
    return item


def no_pixels() -> NDArray[Any]:
    raise AssertionError("the pixels were not needed")


def test_windows_are_paired_with_their_explanations() -> None:
    ds = dataset(
        WindowCenter=[40, 500, 7],
        WindowWidth=[400, 2000],
        WindowCenterWidthExplanation=["BRAIN"],
        VOILUTFunction="LINEAR_EXACT",
    )
    assert windows_of(ds, 0) == (
        Window(40, 400, "LINEAR_EXACT", "BRAIN"),
        Window(500, 2000, "LINEAR_EXACT", None),
    )


@pytest.mark.parametrize("width", [0, -100])
def test_windows_without_a_positive_width_are_left_out(width: int) -> None:
    ds = dataset(WindowCenter=[40, 50], WindowWidth=[width, 10])
    assert windows_of(ds, 0) == (Window(50, 10),)


def test_an_unknown_function_is_linear() -> None:
    ds = dataset(WindowCenter=40, WindowWidth=80, VOILUTFunction="CUBIC")
    assert windows_of(ds, 0)[0].function == "LINEAR"


def test_frames_have_their_own_windows_and_slopes() -> None:
    def group(number: int) -> Dataset:
        return dataset(
            FrameVOILUTSequence=Sequence([dataset(WindowCenter=number, WindowWidth=10)]),
            PixelValueTransformationSequence=Sequence(
                [dataset(RescaleSlope=number, RescaleIntercept=-1, RescaleType="US")]
            ),
        )

    ds = dataset(
        WindowCenter=99,
        WindowWidth=99,
        RescaleSlope=99,
        PerFrameFunctionalGroupsSequence=Sequence([group(1), group(2)]),
        VOILUTSequence=Sequence([lut_item([2, 0, 8], [0, 255])]),
    )
    transforms = grey_transforms_of(ds, 1, UNSIGNED)
    assert transforms.windows == (Window(2, 10),)
    assert transforms.modality == ModalityLut(2, -1, "US")
    assert initial_voi(transforms, UNSIGNED, no_pixels).voi == Window(2, 10)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({}, ModalityLut()),
        ({"RescaleSlope": 2, "RescaleIntercept": -1024}, ModalityLut(2, -1024)),
        ({"RescaleIntercept": -5}, ModalityLut(1, -5)),
        ({"RescaleSlope": 0, "RescaleIntercept": -5, "RescaleType": "HU"}, ModalityLut()),
        ({"RescaleSlope": "1e40"}, ModalityLut()),
    ],
)
def test_slope_and_intercept_have_safe_defaults(
    elements: dict[str, Any], expected: ModalityLut
) -> None:
    assert modality_lut_of(dataset(**elements), 0, SIGNED) == expected


def test_modality_lut_sequence_overrides_the_slope() -> None:
    item = lut_item([3, 0xFFFF, 16], [7, 8, 9], ModalityLUTType="OD")
    ds = dataset(RescaleSlope=2, ModalityLUTSequence=Sequence([item]))
    expected = ModalityLut(rescale_type="OD", first=-1, values=(7, 8, 9))
    assert modality_lut_of(ds, 0, SIGNED) == expected


@pytest.mark.parametrize("descriptor", [[4, 0, 16], [0, 0, 16]])
def test_a_damaged_modality_lut_is_refused(descriptor: list[int]) -> None:
    ds = dataset(ModalityLUTSequence=Sequence([lut_item(descriptor, [7, 8, 9])]))
    with pytest.raises(UnsupportedPixels, match="modality lookup table"):
        modality_lut_of(ds, 0, SIGNED)


@pytest.mark.parametrize(
    ("descriptor", "data", "vr", "expected"),
    [
        ([3, 5, 12], [0, 9, 4095], "US", VoiLut(5, 12, (0, 9, 4095))),
        ([3, 5, 12], b"\0\0\t\0\xff\x0f", "OW", VoiLut(5, 12, (0, 9, 4095))),
        ([3, 5, 8], b"\1\2\3\0", "OW", VoiLut(5, 8, (1, 2, 3))),
        ([4, 5, 8], [0x0201, 0x0403], "US", VoiLut(5, 8, (1, 2, 3, 4))),
        ([2, 5, 8], [1, 4095], "US", VoiLut(5, 12, (1, 4095))),
    ],
)
def test_lut_entries_are_read_in_every_spelling(
    descriptor: list[int], data: Any, vr: str, expected: VoiLut
) -> None:
    ds = dataset(VOILUTSequence=Sequence([lut_item(descriptor, data, vr)]))
    assert voi_luts_of(ds, False) == (expected,)


def test_an_entry_count_of_zero_means_65536() -> None:
    table = np.arange(65536, dtype="<u2").tobytes()
    ds = dataset(VOILUTSequence=Sequence([lut_item([0, 0, 16], table, "OW")]))
    assert len(voi_luts_of(ds, False)[0].values) == 65536


def test_damaged_voi_luts_are_left_out() -> None:
    good = lut_item([2, 0, 8], [0, 255], LUTExplanation="NORMAL")
    ds = dataset(VOILUTSequence=Sequence([lut_item([9, 0, 8], [0]), dataset(), good]))
    assert voi_luts_of(ds, False) == (VoiLut(0, 8, (0, 255), "NORMAL"),)


@pytest.mark.parametrize(("is_signed", "first"), [(True, -2), (False, 65534)])
def test_the_first_mapped_value_is_signed_like_the_input(is_signed: bool, first: int) -> None:
    ds = dataset(VOILUTSequence=Sequence([lut_item([2, 65534, 8], [0, 255])]))
    assert voi_luts_of(ds, is_signed)[0].first == first


@pytest.mark.parametrize(
    ("photometric", "shape", "expected"),
    [
        ("MONOCHROME1", None, True),
        ("MONOCHROME2", None, False),
        ("MONOCHROME1", "IDENTITY", False),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "LIN OD", True),
    ],
)
def test_presentation_lut_shape_decides_polarity_before_the_photometric_interpretation(
    photometric: str, shape: str | None, expected: bool
) -> None:
    layout = PixelFormat(4, 4, 1, 16, 12, 11, False, photometric, 0)
    assert is_inverted(dataset(PresentationLUTShape=shape), layout) is expected


@pytest.mark.parametrize(
    ("value", "limit", "layout", "expected"),
    [
        (None, None, SIGNED, None),
        (-2000, None, SIGNED, (-2000, -2000)),
        (63536, None, SIGNED, (-2000, -2000)),
        (10, 5, UNSIGNED, (5, 10)),
        (5, 10, UNSIGNED, (5, 10)),
        (-1, None, UNSIGNED, (65535, 65535)),
    ],
)
def test_padding_is_a_range_of_stored_values(
    value: int | None, limit: int | None, layout: PixelFormat, expected: tuple[int, int] | None
) -> None:
    ds = dataset()
    for keyword, number in (("PixelPaddingValue", value), ("PixelPaddingRangeLimit", limit)):
        if number is not None:
            ds.add_new(keyword, "SS" if number < 0 else "US", number)
    assert pixel_padding_of(ds, layout) == expected


def test_a_voi_lut_comes_before_a_window() -> None:
    ds = dataset(
        WindowCenter=1,
        WindowWidth=2,
        VOILUTSequence=Sequence([lut_item([2, 0, 8], [0, 255])]),
    )
    chosen = initial_voi(grey_transforms_of(ds, 0, UNSIGNED), UNSIGNED, no_pixels)
    assert chosen.voi == VoiLut(0, 8, (0, 255))
    assert chosen.index == 0


def test_8_bit_values_without_a_window_are_shown_as_they_are() -> None:
    chosen = initial_voi(grey_transforms_of(dataset(), 0, BYTES), BYTES, no_pixels)
    assert chosen.index is None
    values = np.arange(256, dtype=np.float64)
    assert display_values(values, chosen.voi).tolist() == list(range(256))


def test_deeper_values_without_a_window_get_one_from_the_pixels() -> None:
    stored = np.linspace(0, 1000, 10_000).astype(np.uint16).reshape(100, 100)
    transforms = grey_transforms_of(dataset(WindowCenter=1, WindowWidth=0), 0, UNSIGNED)
    chosen = initial_voi(transforms, UNSIGNED, lambda: stored)
    assert isinstance(chosen.voi, Window)
    assert chosen.voi.explanation == AUTOMATIC
    assert chosen.voi.center == pytest.approx(500, abs=2)


@pytest.mark.parametrize("name", ["mlut_18.dcm", "vlut_04.dcm", "CT_small.dcm", "MR_small.dcm"])
def test_real_tables_and_windows_give_what_pydicom_gives(
    testdata: Callable[[str], Path], name: str
) -> None:
    path = testdata(name)
    ds = pydicom.dcmread(path)
    instance = open_instance(path)
    stored = instance.stored_frame(1)
    layout = instance.frame_format(1)
    transforms = grey_transforms_of(instance.header, 0, layout)
    expected = apply_modality_lut(ds.pixel_array, ds)
    x = modality_values(stored, transforms.modality)
    assert np.array_equal(x, expected)
    if transforms.voi_luts:
        voi = transforms.voi_luts[0]
        table = apply_voi_lut(expected, ds, prefer_lut=True)
        levels = np.floor(table.astype(np.float64) * 255 / (2**voi.bits - 1) + 0.5)
        assert np.array_equal(display_values(x, voi), levels)


def test_8_bit_entries_in_big_endian_words_are_read_low_byte_first() -> None:
    item = lut_item([4, 0, 8], bytes([20, 10, 40, 30]), "OW")
    ds = dataset(VOILUTSequence=Sequence([item]))
    ds.set_original_encoding(False, False)
    assert voi_luts_of(ds, False)[0].values == (10, 20, 30, 40)
