"""Colours come out as the standard's equations say."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import convert_color_space

from viewer.colour import (
    apply_palette,
    apply_supplemental_palette,
    expand_segments,
    palette_of,
    supplemental_palette_of,
    to_eight_bits,
    to_rgb,
    unpack_ybr_422,
    ybr_full_to_rgb,
)
from viewer.decode import open_instance
from viewer.errors import UnsupportedPixels
from viewer.frame_info import frame_info
from viewer.pixel_format import PixelFormat
from viewer.render import render_frame


def palette_dataset(
    table: NDArray[Any], *, first: int = 0, bits: int = 16, keyword: str = ""
) -> Dataset:
    ds = Dataset()
    ds.set_original_encoding(False, True)
    for channel in ("Red", "Green", "Blue"):
        setattr(
            ds, f"{channel}PaletteColorLookupTableDescriptor", [len(table) % 65536, first, bits]
        )
        setattr(ds, f"{keyword}{channel}PaletteColorLookupTableData", table.tobytes())
    return ds


def test_every_ybr_colour_converts_as_pydicom_does() -> None:
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    ybr = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 52, 3)
    expected = convert_color_space(ybr, "YBR_FULL", "RGB")
    assert np.abs(ybr_full_to_rgb(ybr).astype(int) - expected).max() <= 1
    assert (ybr_full_to_rgb(ybr) == expected).mean() > 0.9999


def test_grey_stays_grey() -> None:
    ybr = np.full((1, 256, 3), 128, np.uint8)
    ybr[0, :, 0] = np.arange(256)
    assert (ybr_full_to_rgb(ybr) == ybr[..., :1]).all()


def test_subsampled_pixels_share_their_chroma() -> None:
    packed = np.array([1, 2, 9, 8, 3, 4, 7, 6], dtype=np.uint8)
    expected = [[[1, 9, 8], [2, 9, 8], [3, 7, 6], [4, 7, 6]]]
    assert unpack_ybr_422(packed, 1, 4).tolist() == expected


def test_subsampled_rows_of_odd_length_are_refused() -> None:
    with pytest.raises(UnsupportedPixels, match="odd"):
        unpack_ybr_422(np.zeros(6, np.uint8), 1, 3)


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [(0xABCD, 16, 0xAB), (0xFFF, 12, 0xFF), (255, 8, 255), (1, 1, 255)],
)
def test_the_highest_bits_are_kept(value: int, bits: int, expected: int) -> None:
    assert to_eight_bits(np.array([value], np.uint16), bits).tolist() == [expected]


@pytest.mark.parametrize("name", ["RGB", "YBR_RCT", "YBR_ICT"])
def test_decoded_colour_spaces_pass_through(name: str) -> None:
    rgb = np.array([[[1, 2, 3]]], dtype=np.uint8)
    assert to_rgb(rgb, 8, name).tolist() == rgb.tolist()


@pytest.mark.parametrize(
    ("table", "bits"),
    [
        (np.array([0, 128, 255], np.uint8), 8),
        (np.array([0, 128, 255], "<u2"), 8),
        (np.array([0, 128, 255], "<u2"), 16),
        (np.array([0, 0x8000, 0xFFFF], "<u2"), 16),
    ],
)
def test_palettes_of_any_entry_size_give_8_bits(table: NDArray[Any], bits: int) -> None:
    palette = palette_of(palette_dataset(table, bits=bits), is_signed=False)
    assert palette.rgb[:, 0].tolist() == [0, 128, 255]


def test_the_first_mapped_value_is_honoured_and_both_ends_clamp() -> None:
    ds = palette_dataset(np.array([10, 20, 30], np.uint8), first=100, bits=8)
    indices = np.array([[0, 100, 101, 102, 65535]], np.uint16)
    rgb = apply_palette(indices, palette_of(ds, is_signed=False))
    assert rgb[0, :, 1].tolist() == [10, 10, 20, 30, 30]


def test_the_first_mapped_value_is_signed_like_the_pixels() -> None:
    ds = palette_dataset(np.array([10, 20], np.uint8), bits=8)
    for channel in ("Red", "Green", "Blue"):
        setattr(ds, f"{channel}PaletteColorLookupTableDescriptor", [2, 0xFFFF, 8])
    assert palette_of(ds, is_signed=True).first == -1


def test_segments_expand_as_in_the_standard() -> None:
    # discrete 0 1, linear to 5 in four steps, copy of both
    segments = [0, 2, 0, 1, 1, 4, 5, 2, 2, 0, 0]
    once = [0, 1, 2, 3, 4, 5]
    assert expand_segments(segments).tolist() == once + once


def test_segmented_palettes_are_read() -> None:
    ds = palette_dataset(np.array([0, 1, 0, 1, 3, 90], "<u2"), keyword="Segmented")
    for channel in ("Red", "Green", "Blue"):
        setattr(ds, f"{channel}PaletteColorLookupTableDescriptor", [4, 0, 16])
    assert palette_of(ds, is_signed=False).rgb[:, 0].tolist() == [0, 30, 60, 90]


@pytest.mark.parametrize(
    "segments",
    [[1, 4, 9], [0, 5, 1], [7, 1, 1], [2, 1, 0], [2, 1, 99, 0], [0, 1, 1, *[1, 65535, 9] * 2]],
)
def test_damaged_segments_are_refused(segments: list[int]) -> None:
    with pytest.raises(UnsupportedPixels, match="palette"):
        expand_segments(segments)


@pytest.mark.parametrize(
    "damage",
    [
        {"RedPaletteColorLookupTableDescriptor": None},
        {"RedPaletteColorLookupTableDescriptor": [0, 0, 16]},
        {"RedPaletteColorLookupTableDescriptor": [3, 0, 12]},
        {"RedPaletteColorLookupTableDescriptor": [2, 0, 16]},
        {"RedPaletteColorLookupTableData": b""},
        {"BluePaletteColorLookupTableData": b"\0\0"},
    ],
)
def test_damaged_palettes_are_refused(damage: dict[str, Any]) -> None:
    ds = palette_dataset(np.array([0, 128, 255], "<u2"))
    for keyword, value in damage.items():
        setattr(ds, keyword, value)
    with pytest.raises(UnsupportedPixels, match="palette"):
        palette_of(ds, is_signed=False)


@pytest.mark.parametrize("is_segmented", [False, True])
def test_entries_packed_in_big_endian_words_are_read_low_byte_first(is_segmented: bool) -> None:
    words = np.array([[10, 20], [30, 40]], np.uint8).view("<u2").astype(">u2").reshape(-1)
    ds = palette_dataset(words, bits=8)
    for channel in ("Red", "Green", "Blue"):
        setattr(ds, f"{channel}PaletteColorLookupTableDescriptor", [4, 0, 8])
        if is_segmented:
            delattr(ds, f"{channel}PaletteColorLookupTableData")
            segments = np.array([0, 4, 10, 20, 30, 40], np.uint8).view("<u2").astype(">u2")
            setattr(ds, f"Segmented{channel}PaletteColorLookupTableData", segments.tobytes())
    ds.set_original_encoding(False, False)
    assert palette_of(ds, is_signed=False).rgb[:, 0].tolist() == [10, 20, 30, 40]


def supplemental(presentation: str, **elements: Any) -> Dataset:
    ds = palette_dataset(np.array([0xFFFF, 0x8000, 0x4000], "<u2"), first=100, bits=16)
    ds.PixelPresentation = presentation
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


GREY = PixelFormat(1, 6, 1, 16, 16, 15, False, "MONOCHROME2", 0)


def test_values_from_the_first_mapped_on_are_coloured_and_those_below_stay_grey() -> None:
    palette = supplemental_palette_of(supplemental("COLOR"), 0, GREY)
    assert palette is not None
    stored = np.array([[0, 99, 100, 101, 102, 60000]], np.uint16)
    grey = np.array([[3, 7, 0, 0, 0, 0]], np.uint8)
    rgb = apply_supplemental_palette(grey, stored, palette)
    assert rgb.tolist() == [[[3] * 3, [7] * 3, [255] * 3, [128] * 3, [64] * 3, [64] * 3]]
    rgb = apply_supplemental_palette(grey, stored, palette, (101, 60000))
    assert rgb[0, :, 0].tolist() == [3, 7, 255, 0, 0, 0]


def test_only_frames_that_are_said_to_be_coloured_are() -> None:
    assert supplemental_palette_of(supplemental("MONOCHROME"), 0, GREY) is None
    frame_type = Dataset()
    frame_type.PixelPresentation = "COLOR"
    group = Dataset()
    group.MRImageFrameTypeSequence = [frame_type]
    mixed = supplemental("MIXED", PerFrameFunctionalGroupsSequence=[Dataset(), group])
    assert supplemental_palette_of(mixed, 0, GREY) is None
    assert supplemental_palette_of(mixed, 1, GREY) is not None


def test_a_damaged_supplemental_palette_leaves_the_frame_grey() -> None:
    ds = supplemental("COLOR", RedPaletteColorLookupTableData=b"")
    assert supplemental_palette_of(ds, 0, GREY) is None


def test_a_real_perfusion_map_is_coloured_above_its_grey_range(
    testdata: Callable[[str], Path], reference_window: Callable[..., NDArray[np.int64]]
) -> None:
    path = testdata("eCT_Supplemental.dcm")
    ds = pydicom.dcmread(path)
    channels = ("Red", "Green", "Blue")
    tables = [ds[f"{name}PaletteColorLookupTableData"].value for name in channels]
    colours = np.stack([np.frombuffer(table, "<u2") >> 8 for table in tables], axis=1)
    stored = ds.pixel_array[1].astype(np.int64)
    voi = ds.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0]
    grey = reference_window(stored - 1024.0, voi.WindowCenter, voi.WindowWidth, "LINEAR")
    coloured = colours[np.clip(stored - 1024, 0, 99)]
    expected = np.where((stored >= 1024)[..., np.newaxis], coloured, grey[..., np.newaxis])
    instance = open_instance(path)
    encoded = render_frame(instance, 2, media_type="image/png")
    shown = np.asarray(Image.open(io.BytesIO(encoded)))
    assert (stored >= 1024).any()
    assert np.array_equal(shown, expected)
    palette = frame_info(instance, 2)["supplemental_palette"]
    assert palette["first"] == 1024
    assert bytes.fromhex(palette["rgb"]) == colours.astype(np.uint8).tobytes()
