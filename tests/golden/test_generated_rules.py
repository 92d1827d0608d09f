"""Rules that no real file at hand exercises: generated objects against the formulas."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.golden.generated import dataset, enhanced, lut_item, ramp, write
from tests.golden.pictures import expected, rendered
from viewer.decode import open_instance
from viewer.frame_info import frame_info

SIGNED = ramp(np.int16, -32768, 32767)
UNSIGNED = ramp(np.uint16, 0, 65535)
TWELVE = ramp(np.uint16, 0, 4095)
BYTES = ramp(np.uint8, 0, 255)
TWELVE_BITS = {"BitsStored": 12, "HighBit": 11}
WIDE = {"WindowCenter": 2048, "WindowWidth": 4096}


def assert_equal(path: Path, frame: int = 1, voi: Any = None) -> None:
    ours = rendered(open_instance(path), frame, voi)
    theirs = expected(path, frame, voi)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() == 0


def garbage_around(values: np.ndarray, bits: int, high: int) -> np.ndarray:
    """Words whose other bits hold noise, an embedded overlay for one."""
    noise = np.random.default_rng(3).integers(0, 65536, values.shape)
    mask = (2**bits - 1) << (high + 1 - bits)
    placed = (values.astype(np.int64) << (high + 1 - bits)) & mask
    return (placed | (noise & ~mask)).astype(np.uint16)


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize(
    ("bits", "high"), [(1, 0), (8, 7), (10, 9), (12, 11), (12, 15), (12, 13), (15, 14), (16, 15)]
)
def test_rule_1_only_the_stored_bits_count(tmp_path: Path, bits: int, high: int, sign: int) -> None:
    low = -(2 ** (bits - 1)) if sign else 0
    values = ramp(np.int64, low, low + 2**bits - 1)
    path = write(
        tmp_path / "a.dcm",
        garbage_around(values, bits, high),
        BitsStored=bits,
        HighBit=high,
        PixelRepresentation=sign,
        WindowCenter=low + 2 ** (bits - 1),
        WindowWidth=2**bits,
    )
    assert np.array_equal(open_instance(path).stored_frame(1), values)
    assert_equal(path)


@pytest.mark.parametrize(
    ("pixels", "elements"),
    [
        (ramp(np.uint8, 0, 127), {"BitsStored": 7, "HighBit": 6, "WindowCenter": 64}),
        (ramp(np.int8, -128, 127), {"WindowCenter": 0}),
        (ramp(np.uint32, 0, 2**32 - 1), {"WindowCenter": 2**31, "WindowWidth": 2**32}),
        (ramp(np.int32, -(2**31), 2**31 - 1), {"WindowCenter": 0, "WindowWidth": 2**32}),
        (ramp(np.uint32, 0, 2**20 - 1), {"BitsStored": 20, "HighBit": 19, "WindowCenter": 2**19}),
    ],
)
def test_rule_1_other_word_lengths(tmp_path: Path, pixels: Any, elements: Any) -> None:
    assert_equal(write(tmp_path / "a.dcm", pixels, **{"WindowWidth": 200} | elements))


@pytest.mark.parametrize("slope", ["1", "0.5", "-1", "1.7E-3", "3", "2.44140625E-4", None])
@pytest.mark.parametrize("intercept", ["-1024", "0", "33.3", None])
def test_rule_2_slope_and_intercept(tmp_path: Path, slope: Any, intercept: Any) -> None:
    rescale = {"RescaleSlope": slope, "RescaleIntercept": intercept}
    given = {keyword: value for keyword, value in rescale.items() if value is not None}
    path = write(tmp_path / "a.dcm", SIGNED, WindowCenter=40, WindowWidth=400, **given)
    assert_equal(path)


def test_rule_2_a_table_overrides_slope_and_intercept(tmp_path: Path) -> None:
    table = lut_item([4096, 0, 16], (np.arange(4096) ** 2 // 256).tolist())
    table.ModalityLUTType = "OD"
    path = write(
        tmp_path / "a.dcm",
        TWELVE,
        **TWELVE_BITS,
        ModalityLUTSequence=Sequence([table]),
        RescaleSlope=7,
        RescaleIntercept=-3,
        WindowCenter=32768,
        WindowWidth=65536,
    )
    assert_equal(path)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID", None])
@pytest.mark.parametrize("width", ["1", "2", "0.3", "400", "4096", "100000"])
@pytest.mark.parametrize("center", ["40", "-600.5", "40000"])
def test_rules_3_4_5_every_function(
    tmp_path: Path, function: str | None, width: str, center: str
) -> None:
    window = {"WindowCenter": center, "WindowWidth": width}
    if function is not None:
        window["VOILUTFunction"] = function
    assert_equal(write(tmp_path / "a.dcm", SIGNED, **window))


@pytest.mark.parametrize(
    ("descriptor", "data", "vr"),
    [
        ([4096, 0, 12], np.arange(4096)[::-1].tolist(), "US"),
        ([256, 100, 8], bytes(range(256)), "OW"),
        ([255, 100, 8], bytes(range(255)) + b"\0", "OW"),
        ([256, 100, 8], np.arange(256, dtype="<u2").tobytes(), "OW"),
        ([256, 100, 8], np.frombuffer(bytes(range(256)), "<u2").tolist(), "US"),
        ([0, 0, 16], np.arange(65536, dtype="<u2").tobytes(), "OW"),
        ([1024, 1500, 10], np.arange(1024).tolist(), "US"),
        ([1, 7, 8], [200], "US"),
        ([300, 60000, 16], list(range(0, 60000, 200)), "US"),
    ],
)
def test_rules_6_8_voi_tables(tmp_path: Path, descriptor: Any, data: Any, vr: str) -> None:
    path = write(
        tmp_path / "a.dcm",
        TWELVE,
        **TWELVE_BITS,
        VOILUTSequence=Sequence([lut_item(descriptor, data, vr)]),
    )
    assert_equal(path)


@pytest.mark.parametrize("first", [-1000, 64536])
def test_rule_8_the_first_value_mapped_is_signed_like_the_input(tmp_path: Path, first: int) -> None:
    path = write(
        tmp_path / "a.dcm",
        ramp(np.int16, -2048, 2047),
        BitsStored=12,
        HighBit=11,
        VOILUTSequence=Sequence([lut_item([2000, first, 12], list(range(0, 4000, 2)))]),
    )
    assert len(np.unique(rendered(open_instance(path)))) > 200
    assert_equal(path)


@pytest.mark.parametrize("first", [-1000, 64536])
def test_rule_8_modality_tables_too(tmp_path: Path, first: int) -> None:
    table = lut_item([2000, first, 16], list(range(0, 4000, 2)))
    path = write(
        tmp_path / "a.dcm",
        ramp(np.int16, -2048, 2047),
        ModalityLUTSequence=Sequence([table]),
        WindowCenter=2000,
        WindowWidth=4000,
    )
    assert_equal(path)


def test_rules_6_8_a_voi_table_over_negative_modality_values(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.dcm",
        TWELVE,
        **TWELVE_BITS,
        RescaleSlope=1,
        RescaleIntercept=-1024,
        VOILUTSequence=Sequence([lut_item([4096, -1024, 12], list(range(4096)))]),
    )
    assert_equal(path)


def test_rule_7_windows_are_alternatives(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.dcm",
        SIGNED,
        WindowCenter=["40", "500", "9"],
        WindowWidth=["400", "2000"],
        WindowCenterWidthExplanation=["BRAIN", "BONE"],
    )
    offered = frame_info(open_instance(path), 1)["windows"]
    assert [(w["center"], w["width"], w["explanation"]) for w in offered] == [
        (40, 400, "BRAIN"),
        (500, 2000, "BONE"),
    ]
    assert_equal(path)
    assert_equal(path, voi=("window", (500.0, 2000.0, "LINEAR")))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
@pytest.mark.parametrize("function", ["LINEAR", "SIGMOID"])
def test_rule_9_polarity_comes_after_the_window(
    tmp_path: Path, photometric: str, shape: str | None, function: str
) -> None:
    given = {} if shape is None else {"PresentationLUTShape": shape}
    path = write(
        tmp_path / "a.dcm",
        TWELVE,
        **TWELVE_BITS,
        PhotometricInterpretation=photometric,
        WindowCenter=1000,
        WindowWidth=1501,
        VOILUTFunction=function,
        **given,
    )
    assert_equal(path)
    corner = int(rendered(open_instance(path))[0, 0])
    is_bright = shape == "INVERSE" or (shape is None and photometric == "MONOCHROME1")
    assert (corner > 127) is is_bright


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("value", "limit"), [(0, None), (4095, None), (0, 200), (200, 0), (4000, 4095), (70, 65535)]
)
def test_rule_10_padding_is_black(
    tmp_path: Path, photometric: str, value: int, limit: int | None
) -> None:
    given = {} if limit is None else {"PixelPaddingRangeLimit": limit}
    path = write(
        tmp_path / "a.dcm",
        TWELVE,
        **TWELVE_BITS,
        **WIDE,
        PhotometricInterpretation=photometric,
        PixelPaddingValue=value,
        **given,
    )
    assert_equal(path)


@pytest.mark.parametrize(("value", "limit"), [(-2000, None), (-2000, -1900), (-1900, -2000)])
def test_rule_10_padding_is_in_stored_values(tmp_path: Path, value: int, limit: int | None) -> None:
    given = {} if limit is None else {"PixelPaddingRangeLimit": limit}
    path = write(
        tmp_path / "a.dcm",
        ramp(np.int16, -2048, 2047),
        RescaleSlope=-1,
        RescaleIntercept=1000,
        PixelPaddingValue=value,
        WindowCenter=1000,
        WindowWidth=5000,
        **given,
    )
    assert_equal(path)


def palette(descriptor: list[int], tables: list[bytes], is_segmented: bool = False) -> Dataset:
    ds = Dataset()
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", descriptor)
        kind = "Segmented" if is_segmented else ""
        setattr(ds, f"{kind}{name}PaletteColorLookupTableData", table)
    return ds


def colour_tables(count: int, dtype: str) -> list[bytes]:
    top = np.iinfo(np.dtype(dtype)).max
    ends = [(0, top), (top, 0), (top // 3, top // 2)]
    return [np.linspace(*pair, count).round().astype(dtype).tobytes() for pair in ends]


@pytest.mark.parametrize(
    ("descriptor", "tables", "pixels"),
    [
        ([256, 0, 8], colour_tables(256, "u1"), BYTES),
        ([256, 0, 16], colour_tables(256, "<u2"), BYTES),
        ([200, 30, 16], colour_tables(200, "<u2"), BYTES),
        ([100, 30, 8], colour_tables(100, "u1"), BYTES),
        ([0, 0, 16], colour_tables(65536, "<u2"), UNSIGNED),
        ([4096, 0, 16], colour_tables(4096, "<u2"), UNSIGNED),
    ],
)
def test_rule_11_palettes(tmp_path: Path, descriptor: Any, tables: Any, pixels: Any) -> None:
    elements = {element.keyword: element.value for element in palette(descriptor, tables)}
    path = write(tmp_path / "a.dcm", pixels, PhotometricInterpretation="PALETTE COLOR", **elements)
    assert_equal(path)


SEGMENTS = [
    # 10 given values, a rise over 100, a fall over 90, then the rise and the fall once more
    [0, 10, *range(0, 20, 2), 1, 100, 250, 1, 90, 3, 2, 2, 12, 0, 0, 2, 77, 78],
    [0, 1, 255, 1, 199, 0, 0, 1, 40, 1, 191, 255],
    [0, 2, 0, 255, 1, 390, 7],
]


@pytest.mark.parametrize("segments", SEGMENTS)
def test_rule_11_segmented_palettes(tmp_path: Path, segments: list[int]) -> None:
    table = (np.array(segments, dtype="<u2")).tobytes()
    elements = palette([392, 0, 16], [table] * 3, is_segmented=True)
    path = write(
        tmp_path / "a.dcm",
        ramp(np.uint16, 0, 391),
        PhotometricInterpretation="PALETTE COLOR",
        **{element.keyword: element.value for element in elements},
    )
    assert_equal(path)


def test_rule_13_every_kind_of_ybr_value(tmp_path: Path) -> None:
    luminance, blue, red = np.mgrid[0:256:15, 0:256:3, 0:256:3]
    ybr = np.stack([luminance, blue, red], axis=-1).reshape(-1, 86, 3).astype(np.uint8)
    assert_equal(write(tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL"))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_rule_14_by_plane_and_by_pixel_are_the_same_picture(tmp_path: Path, bits: int) -> None:
    dtype = np.uint8 if bits == 8 else np.uint16
    rgb = np.random.default_rng(bits).integers(0, 2**bits, (33, 20, 3)).astype(dtype)
    depth = {"BitsStored": bits, "HighBit": bits - 1}
    by_pixel = write(tmp_path / "a.dcm", rgb, **depth)
    planes = np.ascontiguousarray(np.moveaxis(rgb, 2, 0)).reshape(rgb.shape)
    by_plane = write(tmp_path / "b.dcm", planes, **depth, PlanarConfiguration=1)
    assert_equal(by_pixel)
    assert_equal(by_plane)
    assert np.array_equal(rendered(open_instance(by_pixel)), rendered(open_instance(by_plane)))


def frame_of(slope: float, center: float) -> Dataset:
    return dataset(
        PixelValueTransformationSequence=Sequence(
            [dataset(RescaleSlope=slope, RescaleIntercept=-slope * 10, RescaleType="HU")]
        ),
        FrameVOILUTSequence=Sequence([dataset(WindowCenter=center, WindowWidth=300)]),
    )


@pytest.mark.parametrize("frame", [1, 2, 3])
def test_rule_16_frames_have_their_own_slope_and_window(tmp_path: Path, frame: int) -> None:
    one = ramp(np.uint16, 0, 1000, rows=16, columns=16)
    groups = [frame_of(0.5, 100), frame_of(2, 700), frame_of(1, 333.5)]
    pixels = np.concatenate([one, one[::-1], one.T])
    path = write(tmp_path / "a.dcm", pixels, **enhanced(groups, Rows=16))
    assert_equal(path, frame)


def test_rule_16_shared_groups_hold_for_every_frame(tmp_path: Path) -> None:
    one = ramp(np.uint16, 0, 1000, rows=16, columns=16)
    groups = enhanced([Dataset(), Dataset()], frame_of(0.25, 60), Rows=16)
    path = write(tmp_path / "a.dcm", np.concatenate([one, one.T]), **groups)
    assert_equal(path, 2)


@pytest.mark.parametrize(
    "elements",
    [
        {"PixelAspectRatio": ["4", "3"]},
        {"PixelAspectRatio": ["1", "2"]},
        {"PixelSpacing": ["0.5", "1.0"]},
        {"ImagerPixelSpacing": ["0.3", "0.2"]},
        {"PixelSpacing": ["1", "1"], "PixelAspectRatio": ["9", "1"]},
    ],
)
def test_rule_17_pixels_that_are_not_square_stretch_the_picture(
    tmp_path: Path, elements: dict[str, Any]
) -> None:
    path = write(tmp_path / "a.dcm", TWELVE, **TWELVE_BITS, **WIDE, **elements)
    ours, theirs = rendered(open_instance(path)), expected(path)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1
