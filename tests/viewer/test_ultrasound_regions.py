"""On ultrasound a length is a length only within one scale; a spectrum has none."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from viewer.decode import open_instance
from viewer.ultrasound_regions import (
    Measurement,
    UltrasoundRegion,
    measure,
    region_at,
    ultrasound_regions,
)

CM, SECONDS, HERTZ, CM_PER_S = 3, 4, 5, 7


def region(**values: object) -> Dataset:
    ds = Dataset()
    known = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "RegionFlags": 0,
        "RegionLocationMinX0": 0,
        "RegionLocationMinY0": 0,
        "RegionLocationMaxX1": 99,
        "RegionLocationMaxY1": 99,
        "PhysicalUnitsXDirection": CM,
        "PhysicalUnitsYDirection": CM,
        "PhysicalDeltaX": 0.05,
        "PhysicalDeltaY": 0.05,
    }
    for keyword, value in (known | values).items():
        setattr(ds, keyword, value)
    return ds


def regions(*items: Dataset) -> list[UltrasoundRegion]:
    header = Dataset()
    header.SequenceOfUltrasoundRegions = Sequence(items)
    return ultrasound_regions(header)


RIGHT = {"RegionLocationMinX0": 200, "RegionLocationMaxX1": 299}
M_MODE = {
    "RegionSpatialFormat": 2,
    "PhysicalUnitsXDirection": SECONDS,
    "PhysicalDeltaX": 0.01,
}
DOPPLER = M_MODE | {
    "RegionSpatialFormat": 3,
    "RegionDataType": 3,
    "PhysicalUnitsYDirection": CM_PER_S,
    "PhysicalDeltaY": -2.0,
    "ReferencePixelX0": 0,
    "ReferencePixelY0": 50,
}


def test_a_length_within_one_picture_is_in_mm() -> None:
    found = measure(regions(region()), (10, 10), (40, 50))
    assert found == Measurement("length", pytest.approx(25.0), 15.0, 20.0, "mm", "mm")


def test_unequal_steps_count_each_in_its_direction() -> None:
    found = measure(regions(region(PhysicalDeltaY=0.1)), (0, 0), (30, 40))
    assert found.length == pytest.approx(math.hypot(15, 40))


@pytest.mark.parametrize("other", [{"PhysicalDeltaX": 0.06}, M_MODE, DOPPLER])
def test_ends_in_regions_of_different_scale_are_pixels(other: dict[str, object]) -> None:
    found = measure(regions(region(), region(**(RIGHT | other))), (10, 10), (210, 10))
    assert (found.kind, found.length, found.unit_x) == ("pixels", 200, "px")
    assert found.reason


def test_ends_in_two_pictures_of_one_scale_are_a_length() -> None:
    found = measure(regions(region(), region(**RIGHT)), (10, 10), (210, 10))
    assert (found.kind, found.length) == ("length", pytest.approx(100.0))


@pytest.mark.parametrize("b", [(150, 10), (-5, 10), (10, 101)])
def test_an_end_outside_every_region_is_pixels(b: tuple[float, float]) -> None:
    assert measure(regions(region(), region(**RIGHT)), (10, 10), b).kind == "pixels"
    assert measure([], (10, 10), b).kind == "pixels"


def test_m_mode_has_time_and_depth_and_no_length() -> None:
    found = measure(regions(region(**M_MODE)), (10, 10), (60, 30))
    assert found == Measurement("time and depth", 0.0, 0.5, pytest.approx(10.0), "s", "mm")


def test_doppler_has_time_and_velocity_from_its_baseline() -> None:
    shifted = DOPPLER | {"RegionLocationMinY0": 200, "RegionLocationMaxY1": 299}
    found = measure(regions(region(**shifted)), (10, 210), (60, 260))
    assert found.kind == "time and velocity"
    assert (found.difference_x, found.difference_y) == (pytest.approx(0.5), 100.0)
    assert found.values_y == (80.0, -20.0)  # the baseline is 50 rows below the region's top
    assert found.length == 0.0


def test_doppler_without_a_baseline_has_only_the_difference() -> None:
    bare = {key: value for key, value in DOPPLER.items() if not key.startswith("Reference")}
    found = measure(regions(region(**bare)), (10, 10), (60, 60))
    assert (found.difference_y, found.values_y) == (100.0, ())


def test_doppler_in_hertz_is_a_frequency() -> None:
    found = measure(
        regions(region(**(DOPPLER | {"PhysicalUnitsYDirection": HERTZ}))), (0, 0), (0, 9)
    )
    assert (found.kind, found.unit_y) == ("time and frequency", "Hz")


@pytest.mark.parametrize(
    "broken",
    [
        {"PhysicalDeltaX": 0.0},
        {"PhysicalUnitsXDirection": 0},
        {"PhysicalUnitsXDirection": 77},
        {"RegionSpatialFormat": 5},
        {"RegionSpatialFormat": 99},
        {"PhysicalDeltaY": float("nan")},
    ],
)
def test_a_region_without_usable_units_is_pixels(broken: dict[str, object]) -> None:
    assert measure(regions(region(**broken)), (10, 10), (20, 20)).kind == "pixels"


@pytest.mark.parametrize(
    "broken",
    [
        {"RegionLocationMaxX1": 0, "RegionLocationMinX0": 9},
        {"RegionLocationMinX0": None},
    ],
)
def test_a_region_without_bounds_is_left_out(broken: dict[str, object]) -> None:
    assert regions(region(**broken)) == []


def test_where_regions_overlap_priority_counts_then_the_smaller_one() -> None:
    wide = region(RegionLocationMaxX1=400, RegionLocationMaxY1=400, PhysicalDeltaX=1.0)
    small_low = region(RegionFlags=1, PhysicalDeltaX=2.0)
    small = region(PhysicalDeltaX=3.0)
    found = regions(small_low, wide, small)
    assert region_at(found, (50, 50)) == found[2]
    assert region_at(found[:2], (50, 50)) == found[1]
    assert region_at(found, (300, 300)) == found[1]
    assert region_at(found, (500, 1)) is None


@given(*[st.floats(-20, 420)] * 4)
def test_measuring_is_the_same_from_either_end(ax: float, ay: float, bx: float, by: float) -> None:
    found = regions(region(), region(**(RIGHT | DOPPLER)), region(**(RIGHT | M_MODE)))
    one, other = measure(found, (ax, ay), (bx, by)), measure(found, (bx, by), (ax, ay))
    assert (one.kind, one.length, one.difference_x) == (
        other.kind,
        other.length,
        other.difference_x,
    )


def test_a_real_picture_with_a_trace_below_it(testdata: Callable[[str], Path]) -> None:
    found = ultrasound_regions(open_instance(testdata("examples_palette.dcm")).header)
    picture, trace = found
    assert (picture.spatial_format, picture.unit_x) == ("2d", "cm")
    assert (trace.spatial_format, trace.unit_x) == ("waveform", "s")
    middle = ((picture.min_x + picture.max_x) / 2, (picture.min_y + picture.max_y) / 2)
    inside = measure(found, middle, (middle[0] + 10, middle[1]))
    assert inside.length == pytest.approx(100 * picture.delta_x)
    on_trace = ((trace.min_x + trace.max_x) / 2, (trace.min_y + trace.max_y) / 2)
    assert measure(found, middle, on_trace).kind == "pixels"
