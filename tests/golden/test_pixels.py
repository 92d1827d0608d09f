"""Rules 12, 15, 25 and 30: what lies over pixels, floating point and single bits.

Not collected by its name: it holds once the viewer draws these. Then rename it `test_pixels.py`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.golden import decoding, graphics, reference
from tests.golden.files import find
from tests.golden.generated import image, ramp, save, write
from tests.golden.pictures import difference, rendered
from viewer.decode import open_instance

PIXELS = ramp(np.uint16, 0, 1000, 48, 60)
WINDOW = {"WindowCenter": 500, "WindowWidth": 1001}
GREY = reference.windowed(PIXELS.astype(np.float64), 500, 1001).astype(np.int64)


def save_float(path: Path, values: NDArray[Any], **elements: Any) -> Path:
    ds = image(values, **elements)
    for keyword in ("BitsStored", "HighBit", "PixelRepresentation"):
        delattr(ds, keyword)
    is_double = values.dtype.itemsize == 8
    keyword = "DoubleFloatPixelData" if is_double else "FloatPixelData"
    setattr(ds, keyword, values.astype(values.dtype.newbyteorder("<")).tobytes())
    save(ds, path, ExplicitVRLittleEndian)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [("0.25", "0.5"), ("10", "300"), ("-3.5", "1")])
def test_rule_30_floating_point_pixels(
    tmp_path: Path, dtype: Any, function: str, center: str, width: str
) -> None:
    values = np.linspace(-200, 200, 48 * 60).astype(dtype).reshape(48, 60)
    path = save_float(
        tmp_path / "a.dcm", values, WindowCenter=center, WindowWidth=width, VOILUTFunction=function
    )
    expected = reference.windowed(values.astype(np.float64), float(center), float(width), function)
    assert np.array_equal(rendered(open_instance(path)), expected)


def test_rule_30_padding_of_floating_point_pixels(tmp_path: Path) -> None:
    values = np.linspace(0, 1, 48 * 60).astype(np.float32).reshape(48, 60)
    values[:5] = -9999
    path = save_float(
        tmp_path / "a.dcm",
        values,
        FloatPixelPaddingValue=-9999.0,
        PhotometricInterpretation="MONOCHROME2",
        PresentationLUTShape="INVERSE",
        WindowCenter="0.5",
        WindowWidth="1",
        VOILUTFunction="LINEAR_EXACT",
    )
    expected = 255 - reference.windowed(values.astype(np.float64), 0.5, 1, "LINEAR_EXACT")
    expected[:5] = 0
    assert np.array_equal(rendered(open_instance(path)), expected)


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (7, 5), (1, 3)])
def test_rule_30_single_bits_run_on_from_frame_to_frame(
    tmp_path: Path, rows: int, columns: int
) -> None:
    """PS3.5 8.1.1: the first pixel is the lowest bit of the first byte, frames follow unpadded."""
    frames = np.random.default_rng(3).integers(0, 2, (3, rows, columns)).astype(np.uint8)
    ds = image(
        frames[0], BitsAllocated=1, BitsStored=1, HighBit=0, NumberOfFrames=3, PixelRepresentation=0
    )
    packed = np.packbits(frames.reshape(-1), bitorder="little").tobytes()
    ds.add_new("PixelData", "OB", packed + b"\0" * (len(packed) % 2))
    save(ds, tmp_path / "a.dcm", ExplicitVRLittleEndian)
    instance = open_instance(tmp_path / "a.dcm")
    for number, frame in enumerate(frames, 1):
        assert np.array_equal(rendered(instance, number), frame * 255), number


def test_rule_30_a_real_segmentation() -> None:
    path = find("liver.dcm")
    ds = decoding.read(path)
    bits = np.unpackbits(np.frombuffer(ds.PixelData, "u1"), bitorder="little")
    size = ds.Rows * ds.Columns
    for frame in (1, int(ds.NumberOfFrames)):
        plane = bits[(frame - 1) * size : frame * size].reshape(ds.Rows, ds.Columns)
        assert np.array_equal(rendered(open_instance(path), frame), plane * 255)


@pytest.mark.parametrize("frame", [1, 15])
def test_rule_30_a_dose_is_scaled_to_its_units(frame: int) -> None:
    """PS3.3 C.8.8.3.4: 32 bit values times Dose Grid Scaling."""
    assert difference(find("rtdose.dcm"), frame) == 0


def add_overlay(
    ds: Dataset, plane: NDArray[Any], origin: tuple[int, int], group: int = 0x6000
) -> None:
    ds.add_new((group, 0x10), "US", plane.shape[-2])
    ds.add_new((group, 0x11), "US", plane.shape[-1])
    ds.add_new((group, 0x40), "CS", "G")
    ds.add_new((group, 0x50), "SS", list(origin))
    ds.add_new((group, 0x100), "US", 1)
    ds.add_new((group, 0x102), "US", 0)
    packed = np.packbits(plane.reshape(-1).astype(np.uint8), bitorder="little").tobytes()
    ds.add_new((group, 0x3000), "OW", packed + b"\0" * (len(packed) % 2))


def with_overlays(path: Path, *overlays: tuple[NDArray[Any], tuple[int, int], int]) -> Dataset:
    ds = image(PIXELS, **WINDOW)
    for plane, origin, group in overlays:
        add_overlay(ds, plane, origin, group)
    ds.add_new("PixelData", "OW", PIXELS.astype("<u2").tobytes())
    save(ds, path, ExplicitVRLittleEndian)
    return ds


def blocks(rows: int, columns: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[0:rows, 0:columns]
    return (y // 4 + x // 4) % 5 == 0


def assert_drawn(picture: NDArray[np.int64], mask: graphics.Mask, grey: NDArray[np.int64]) -> None:
    """White where an overlay draws, untouched two pixels off; its outline between is free."""
    assert (picture[mask] == 255).all()
    far = ~graphics.near(mask, 2)
    assert far.any()
    assert np.array_equal(picture[far], grey[far])


@pytest.mark.parametrize("origin", [(1, 1), (10, 20), (-3, -7), (40, 50)])
@pytest.mark.parametrize("size", [(48, 60), (20, 13)])
def test_rule_15_overlays_lie_where_their_origin_says(
    tmp_path: Path, origin: tuple[int, int], size: tuple[int, int]
) -> None:
    path = tmp_path / "a.dcm"
    ds = with_overlays(path, (blocks(*size), origin, 0x6000))
    mask = graphics.overlay_mask(ds, 0x6000, 1)
    assert mask.any()
    instance = open_instance(path)
    assert np.array_equal(rendered(instance), GREY)
    assert_drawn(rendered(instance, annotation=True), mask, GREY)


def test_rule_15_all_sixteen_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    dot = np.ones((1, 1), dtype=bool)
    places = [(3 * n + 1, 3 * n + 2) for n in range(16)]
    with_overlays(path, *((dot, place, 0x6000 + 2 * n) for n, place in enumerate(places)))
    picture = rendered(open_instance(path), annotation=True)
    assert all(picture[row - 1, column - 1] == 255 for row, column in places)


def test_rule_15_an_overlay_in_the_bits_above_the_pixels(tmp_path: Path) -> None:
    """PS3.3 C.9.2, retired: Overlay Bit Position says which bit of the pixel's word."""
    mask = blocks(48, 60)
    ds = image(PIXELS, BitsStored=12, HighBit=11, **WINDOW)
    add_overlay(ds, mask, (1, 1))
    del ds[0x6000, 0x3000]
    ds[0x6000, 0x100].value, ds[0x6000, 0x102].value = 16, 13
    words = PIXELS | mask.astype(np.uint16) << 13
    ds.add_new("PixelData", "OW", words.astype("<u2").tobytes())
    save(ds, tmp_path / "a.dcm", ExplicitVRLittleEndian)
    instance = open_instance(tmp_path / "a.dcm")
    assert np.array_equal(rendered(instance), GREY)
    assert_drawn(rendered(instance, annotation=True), mask, GREY)


def test_rule_15_planes_of_frames(tmp_path: Path) -> None:
    """PS3.3 C.9.3: two planes, from frame 2 on."""
    planes = np.stack([blocks(24, 60), ~blocks(24, 60)])
    ds = image(PIXELS, **WINDOW, Rows=16, NumberOfFrames=3)
    add_overlay(ds, planes[:, :16], (1, 1))
    ds.add_new((0x6000, 0x15), "IS", 2)
    ds.add_new((0x6000, 0x51), "US", 2)
    ds.add_new("PixelData", "OW", PIXELS.astype("<u2").tobytes())
    save(ds, tmp_path / "a.dcm", ExplicitVRLittleEndian)
    instance = open_instance(tmp_path / "a.dcm")
    for frame in (1, 2, 3):
        mask = graphics.overlay_mask(ds, 0x6000, frame)
        assert mask.any() == (frame > 1)
        picture = rendered(instance, frame, annotation=True)
        assert (picture[mask] == 255).all()


SHUTTERS: dict[str, dict[str, Any]] = {
    "rectangle": {
        "ShutterShape": "RECTANGULAR",
        "ShutterLeftVerticalEdge": 11,
        "ShutterRightVerticalEdge": 50,
        "ShutterUpperHorizontalEdge": 6,
        "ShutterLowerHorizontalEdge": 40,
    },
    "circle": {
        "ShutterShape": "CIRCULAR",
        "CenterOfCircularShutter": [24, 30],
        "RadiusOfCircularShutter": 17,
    },
    "polygon": {
        "ShutterShape": "POLYGONAL",
        "VerticesOfThePolygonalShutter": [3, 30, 25, 57, 45, 40, 30, 28, 44, 6],
    },
}
SHUTTERS["all of them"] = {
    **SHUTTERS["rectangle"],
    **SHUTTERS["circle"],
    **SHUTTERS["polygon"],
    "ShutterShape": ["RECTANGULAR", "CIRCULAR", "POLYGONAL"],
}


@pytest.mark.parametrize("name", SHUTTERS)
@pytest.mark.parametrize(("value", "level"), [(None, 0), (0, 0), (0xFFFF, 255)])
def test_rule_25_a_shutter_closes_what_lies_outside(
    tmp_path: Path, name: str, value: int | None, level: int
) -> None:
    given = {} if value is None else {"ShutterPresentationValue": value}
    path = write(tmp_path / "a.dcm", PIXELS, **WINDOW, **SHUTTERS[name], **given)
    seen, closed = graphics.shutter_masks(decoding.read(path))
    picture = rendered(open_instance(path))
    assert seen.any()
    assert np.array_equal(picture[seen], GREY[seen])
    assert (picture[closed] == level).all()


def test_rule_12_a_supplemental_palette_colours_the_higher_values() -> None:
    path = find("eCT_Supplemental.dcm")
    ds = decoding.read(path)
    for frame in (1, int(ds.NumberOfFrames)):
        stored = decoding.samples(path, ds, frame)
        grey = reference.grey_picture(ds, frame, stored)
        expected = graphics.supplemental(ds, stored, grey)
        assert np.array_equal(rendered(open_instance(path), frame), expected)
