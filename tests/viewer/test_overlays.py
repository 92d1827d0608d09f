"""Overlay planes lie where the object says, and show on white and on black."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, RLELossless

from viewer.decode import Instance, open_instance
from viewer.overlays import draw_overlays, overlay_info, overlay_plane, overlays_of, placed
from viewer.render import render_frame

Write = Callable[..., Path]


def add_overlay(ds: Dataset, bits: NDArray[Any], group: int = 0x6000, **more: Any) -> None:
    """Add a plane (rows, columns) or planes (frames, rows, columns) to a data set."""
    values = {
        "origin": (0x0050, "SS", [1, 1]),
        "kind": (0x0040, "CS", "G"),
        "allocated": (0x0100, "US", 1),
        "position": (0x0102, "US", 0),
        "label": (0x1500, "LO", None),
        "description": (0x0022, "LO", None),
        "frames": (0x0015, "IS", None),
        "first": (0x0051, "US", None),
        "rows": (0x0010, "US", bits.shape[-2]),
        "columns": (0x0011, "US", bits.shape[-1]),
    }
    for name, (element, vr, default) in values.items():
        value = more.get(name, default)
        if value is not None:
            ds.add_new((group, element), vr, value)
    packed = np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little").tobytes()
    data = more.get("data", packed + b"\0" * (len(packed) % 2))
    if data is not None:
        ds.add_new((group, 0x3000), "OW", data)


@pytest.fixture
def save(tmp_path: Path, grey_dataset: Any) -> Callable[..., Instance]:
    def save_file(pixels: NDArray[Any], *overlays: dict[str, Any], **elements: Any) -> Instance:
        ds = grey_dataset(pixels)
        for keyword, value in elements.items():
            setattr(ds, keyword, value)
        for overlay in overlays:
            add_overlay(ds, **overlay)
        ds.save_as(tmp_path / "overlay.dcm", enforce_file_format=True)
        return open_instance(tmp_path / "overlay.dcm")

    return save_file


def plane_of(instance: Instance, frame_number: int = 1, index: int = 0) -> Any:
    overlay = overlays_of(instance.header)[index]
    plane = overlay_plane(instance, overlay, frame_number)
    return None if plane is None else plane.astype(int).tolist()


def test_bits_are_read_lowest_first(save: Callable[..., Instance]) -> None:
    bits = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]])
    instance = save(np.zeros((3, 3), np.uint8), {"bits": bits, "data": bytes([0x19, 0x01])})
    assert plane_of(instance) == bits.tolist()


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ([1, 1], [[1, 2, 0, 0], [3, 4, 0, 0], [0, 0, 0, 0]]),
        ([2, 3], [[0, 0, 0, 0], [0, 0, 1, 2], [0, 0, 3, 4]]),
        ([3, 4], [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]),
        ([0, 0], [[4, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ([0, 2], [[0, 3, 4, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ([-1, 1], [[0] * 4] * 3),
        ([1, 5], [[0] * 4] * 3),
        ([-32768, 32767], [[0] * 4] * 3),
    ],
)
def test_origins_count_from_one_and_may_lie_outside(
    save: Callable[..., Instance], origin: list[int], expected: list[list[int]]
) -> None:
    for value in (1, 2, 3, 4):
        bits = np.array([[1, 2], [3, 4]]) == value
        instance = save(np.zeros((3, 4), np.uint8), {"bits": bits, "origin": origin})
        assert plane_of(instance) == (np.array(expected) == value).astype(int).tolist()


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(-7, 9),
    st.integers(-7, 9),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_a_placed_pixel_is_where_its_origin_puts_it(
    height: int, width: int, row: int, column: int, rows: int, columns: int
) -> None:
    bits = np.ones((height, width), np.bool_)
    plane = placed(bits, (row, column), rows, columns)
    for y in range(rows):
        for x in range(columns):
            is_covered = row - 1 <= y < row - 1 + height and column - 1 <= x < column - 1 + width
            assert plane[y, x] == is_covered


def test_planes_of_a_cine_overlay_belong_to_consecutive_frames(
    save: Callable[..., Instance],
) -> None:
    bits = np.array([[[1, 0, 1]], [[0, 1, 1]]])  # the second begins at the fourth bit
    pixels = np.zeros((1, 3), np.uint8)
    instance = save(
        pixels, {"bits": bits, "frames": 2, "first": 2}, NumberOfFrames=4, PixelData=bytes(12)
    )
    assert [plane_of(instance, n) for n in (1, 2, 3, 4)] == [None, [[1, 0, 1]], [[0, 1, 1]], None]
    assert [overlay_info(instance.header, n)[0]["is_on_frame"] for n in (1, 2, 4)] == [
        False,
        True,
        False,
    ]


def test_a_plain_overlay_belongs_to_every_frame(save: Callable[..., Instance]) -> None:
    pixels = np.zeros((1, 3), np.uint8)
    bits = np.array([[1, 0, 1]])
    instance = save(pixels, {"bits": bits}, NumberOfFrames=2, PixelData=bytes(6))
    assert plane_of(instance, 1) == plane_of(instance, 2) == [[1, 0, 1]]


def test_big_endian_words_are_read_in_their_order(tmp_path: Path, grey_dataset: Any) -> None:
    bits = np.random.default_rng(3).integers(0, 2, (5, 7))
    ds = grey_dataset(np.zeros((5, 7), np.uint16))
    add_overlay(ds, bits)
    little = ds[0x6000, 0x3000].value
    ds[0x6000, 0x3000].value = np.frombuffer(little, "<u2").astype(">u2").tobytes()
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    ds.PixelData = bytes(70)
    ds.save_as(tmp_path / "big.dcm", enforce_file_format=True)
    assert plane_of(open_instance(tmp_path / "big.dcm")) == bits.tolist()


@pytest.mark.parametrize("is_compressed", [False, True])
def test_embedded_overlays_are_read_and_kept_out_of_the_values(
    tmp_path: Path,
    grey_dataset: Any,
    encoders: dict[str, Callable[[NDArray[Any]], bytes]],
    is_compressed: bool,
) -> None:
    values = np.array([[0, 1, 4095], [7, 8, 9]], np.uint16)
    drawn = np.array([[1, 0, 1], [0, 1, 1]], np.uint16)
    containers = values | drawn << 14 | np.uint16(1) << 12
    ds = grey_dataset(containers)
    ds.BitsStored, ds.HighBit = 12, 11
    add_overlay(ds, drawn, allocated=16, position=14, data=None)
    add_overlay(ds, drawn, 0x6002, allocated=16, position=3, data=None)  # a bit of the value
    add_overlay(ds, drawn, 0x6004, allocated=16, position=16, data=None)
    if is_compressed:
        ds.file_meta.TransferSyntaxUID = RLELossless
        ds.PixelData = pydicom.encaps.encapsulate([encoders[RLELossless](containers)])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    ds.save_as(tmp_path / "embedded.dcm", enforce_file_format=True)
    instance = open_instance(tmp_path / "embedded.dcm")
    assert np.array_equal(instance.stored_frame(1), values)
    assert plane_of(instance) == drawn.tolist()
    assert plane_of(instance, index=1) is None
    assert plane_of(instance, index=2) is None
    assert overlay_info(instance.header, 1)[0]["is_embedded"]


@pytest.mark.parametrize(
    "damage",
    [
        {"data": b"\1\0"},
        {"rows": 0},
        {"rows": 65535, "columns": 65535},
        {"data": None},
        {"data": None, "allocated": 16, "position": None},
        {"frames": 5},
        {"frames": 2_000_000_000},
    ],
)
def test_damaged_overlays_are_left_out(
    save: Callable[..., Instance], damage: dict[str, Any]
) -> None:
    good = {"bits": np.ones((4, 5)), "group": 0x6002, "label": "KEPT"}
    instance = save(np.zeros((4, 5), np.uint8), {"bits": np.ones((4, 5))} | damage, good)
    assert [overlay.label for overlay in overlays_of(instance.header)] == ["KEPT"]


def test_all_sixteen_groups_are_described(save: Callable[..., Instance]) -> None:
    groups = range(0x6000, 0x6020, 2)
    overlays = [{"bits": np.ones((1, 2)), "group": g, "label": f"L{g:X}"} for g in groups]
    overlays[1] |= {"kind": "R", "description": "Region", "origin": [-3, 5]}
    instance = save(np.zeros((1, 2), np.uint8), *overlays)
    info = overlay_info(instance.header, 1)
    assert [one["label"] for one in info] == [f"L{g:X}" for g in groups]
    assert info[1] == {
        "group": "6002",
        "overlay_type": "R",
        "label": "L6002",
        "description": "Region",
        "rows": 1,
        "columns": 2,
        "origin": [-3, 5],
        "is_embedded": False,
        "is_on_frame": True,
    }


@pytest.mark.parametrize("ground", [0, 255, 128])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_an_overlay_is_white_with_a_black_edge(ground: int, channels: tuple[int, ...]) -> None:
    pixels = np.full((5, 6, *channels), ground, np.uint8)
    plane = np.zeros((5, 6), np.bool_)
    plane[1, 1:3] = True
    drawn = draw_overlays(pixels, [plane])
    g = ground
    expected = [
        [0, 0, 0, 0, g, g],
        [0, 255, 255, 0, g, g],
        [0, 0, 0, 0, g, g],
        [g] * 6,
        [g] * 6,
    ]
    assert drawn.reshape(5, 6, -1)[..., 0].tolist() == expected
    assert (pixels == ground).all()


def test_overlays_are_drawn_only_when_asked_for(save: Callable[..., Instance]) -> None:
    bits = np.zeros((4, 5), np.uint8)
    bits[0, 0] = 1
    instance = save(np.full((4, 5), 128, np.uint8), {"bits": bits})
    plain = np.asarray(Image.open(io.BytesIO(render_frame(instance, 1, media_type="image/png"))))
    assert (plain == 128).all()
    encoded = render_frame(instance, 1, media_type="image/png", annotation=True)
    drawn = np.asarray(Image.open(io.BytesIO(encoded)))
    assert drawn[:2, :3].tolist() == [[255, 0, 128], [0, 0, 128]]


@pytest.mark.parametrize("name", ["examples_overlay.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm"])
def test_real_overlays_equal_pydicoms(testdata: Callable[[str], Path], name: str) -> None:
    path = testdata(name)
    ds = pydicom.dcmread(path)
    theirs = ds.overlay_array(0x6000)
    plane = np.asarray(plane_of(open_instance(path)))
    assert theirs.any()
    rows, columns = min(len(theirs), ds.Rows), min(theirs.shape[1], ds.Columns)
    assert np.array_equal(plane[:rows, :columns], theirs[:rows, :columns])


def test_a_real_embedded_overlay_is_the_bit_it_names(corpus: Path) -> None:
    path = corpus / "voi-lut-overlay" / "dcm4che__ovly_p01.dcm"
    raw = np.frombuffer(pydicom.dcmread(path).PixelData, "<u2").reshape(512, 512)
    instance = open_instance(path)
    for index, bit in ((0, 15), (1, 14)):
        assert np.array_equal(plane_of(instance, index=index), raw >> bit & 1)
    assert np.array_equal(instance.stored_frame(1), raw & 0x0FFF)
    assert struct.calcsize("H") == 2
