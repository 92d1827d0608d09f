"""Lines and cross-hairs between frames lie where the patient's points are, or are not drawn."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer.geometry import slice_normal
from viewer.planes import (
    FramePlane,
    distance_mm,
    find_in_stack,
    localizer_line,
    patient_point,
    pixel_of,
)

AXIAL = FramePlane((1.0, 0, 0, 0, 1.0, 0), (-100.0, -100.0, 20.0), 1.0, 0.5, 200, 400, "1.2")
SAGITTAL = FramePlane((0, 1.0, 0, 0, 0, -1.0), (30.0, -100.0, 120.0), 2.0, 1.0, 100, 200, "1.2")


def test_an_axial_frame_is_a_level_line_on_a_sagittal_one() -> None:
    line = localizer_line(SAGITTAL, AXIAL)
    assert line is not None
    (x0, y0), (x1, y1) = sorted(line)
    assert (x0, x1) == pytest.approx((-0.5, 199.5))
    assert (y0, y1) == pytest.approx((50, 50))  # (120 - 20) mm down in rows of 2 mm


def test_a_sagittal_frame_is_an_upright_line_on_an_axial_one() -> None:
    line = localizer_line(AXIAL, SAGITTAL)
    assert line is not None
    assert [x for x, _ in line] == pytest.approx([260, 260])  # 130 mm in columns of 0.5 mm


@pytest.mark.parametrize(
    "other",
    [
        replace(SAGITTAL, frame_of_reference_uid="1.3"),
        replace(SAGITTAL, frame_of_reference_uid=""),
        replace(AXIAL, image_position_patient=(0, 0, 50.0)),
        replace(SAGITTAL, image_position_patient=(130.0, 0, 0)),
        replace(SAGITTAL, image_orientation_patient=(1.0,) * 6),
    ],
)
def test_no_line_without_a_common_space_or_a_meeting(other: FramePlane) -> None:
    assert localizer_line(AXIAL, other) is None


def test_two_unknown_spaces_are_not_one() -> None:
    nowhere = [replace(plane, frame_of_reference_uid="") for plane in (AXIAL, SAGITTAL)]
    assert localizer_line(nowhere[0], nowhere[1]) is None
    assert find_in_stack(nowhere[0], (1, 1), nowhere, 100) is None


angles = st.floats(-math.pi, math.pi)
places = st.tuples(*[st.floats(-200, 200)] * 3)


@st.composite
def planes(draw: st.DrawFn) -> FramePlane:
    turn, tilt, roll = draw(angles), draw(angles), draw(angles)
    row = (math.cos(turn), math.sin(turn), 0.0)
    up = (-math.sin(turn) * math.cos(tilt), math.cos(turn) * math.cos(tilt), math.sin(tilt))
    first = tuple(math.cos(roll) * r + math.sin(roll) * u for r, u in zip(row, up, strict=True))
    second = tuple(math.cos(roll) * u - math.sin(roll) * r for r, u in zip(row, up, strict=True))
    spacing = st.floats(0.1, 5)
    return FramePlane(
        (*first, *second),
        draw(places),
        draw(spacing),
        draw(spacing),
        draw(st.integers(1, 600)),
        draw(st.integers(1, 600)),
        "1.2",
    )


@given(planes(), st.floats(-50, 700), st.floats(-50, 700))
def test_a_pixel_is_found_again_from_its_place_in_the_patient(
    plane: FramePlane, x: float, y: float
) -> None:
    point = patient_point(plane, (x, y))
    assert pixel_of(plane, point) == pytest.approx((x, y), abs=1e-6)
    assert distance_mm(plane, point) == pytest.approx(0, abs=1e-6)


@given(planes(), planes())
def test_a_localizer_line_lies_in_both_planes_and_on_the_frame(
    target: FramePlane, other: FramePlane
) -> None:
    line = localizer_line(target, other)
    if line is None:
        return
    for x, y in line:
        assert -0.5 - 1e-6 <= x <= target.columns - 0.5 + 1e-6
        assert -0.5 - 1e-6 <= y <= target.rows - 0.5 + 1e-6
        point = patient_point(target, (x, y))
        assert distance_mm(target, point) == pytest.approx(0, abs=1e-6)
        assert distance_mm(other, point) == pytest.approx(0, abs=1e-6)


@given(planes(), planes())
def test_a_frame_that_is_cut_has_a_line(target: FramePlane, other: FramePlane) -> None:
    corners = [
        distance_mm(other, patient_point(target, (x, y)))
        for x in (0, target.columns - 1)
        for y in (0, target.rows - 1)
    ]
    normals = (
        slice_normal(target.image_orientation_patient),
        slice_normal(other.image_orientation_patient),
    )
    assert normals[0] is not None
    assert normals[1] is not None
    cosine = sum(a * b for a, b in zip(*normals, strict=True))
    if min(corners) < -1e-6 and max(corners) > 1e-6 and abs(cosine) < 0.99:
        assert localizer_line(target, other) is not None


def stack_of(plane: FramePlane, count: int, step: float) -> list[FramePlane]:
    normal = slice_normal(plane.image_orientation_patient)
    assert normal is not None
    return [
        replace(
            plane,
            image_position_patient=tuple(
                p + n * step * at for p, n in zip(plane.image_position_patient, normal, strict=True)
            ),
        )
        for at in range(count)
    ]


@given(planes(), planes(), st.integers(0, 19))
def test_a_cross_hair_jumps_to_the_nearest_frame_and_back(
    source: FramePlane, target: FramePlane, at: int
) -> None:
    stack = stack_of(target, 20, 3.0)
    point = patient_point(stack[at], (10.0, 7.0))
    pixel = pixel_of(source, point)
    moved = replace(
        source,
        image_position_patient=tuple(
            p + q - r
            for p, q, r in zip(
                source.image_position_patient, point, patient_point(source, pixel), strict=True
            )
        ),
    )
    found = find_in_stack(moved, pixel, stack, 3.0)
    assert found is not None
    assert found.index == at
    assert found.pixel == pytest.approx((10.0, 7.0), abs=1e-6)
    assert found.distance_mm == pytest.approx(0, abs=1e-6)
    back = find_in_stack(stack[at], found.pixel, [moved], 3.0)
    assert back is not None
    assert back.pixel == pytest.approx(pixel, abs=1e-6)


def test_a_point_beyond_the_stack_is_not_shown_as_its_last_slice() -> None:
    stack = stack_of(AXIAL, 5, 3.0)  # up to 32 mm
    at_28_mm, at_90_mm = (0.0, 46.0), (0.0, 15.0)
    found = find_in_stack(SAGITTAL, at_28_mm, stack, 3.0)
    assert found is not None
    assert (found.index, found.distance_mm) == (3, pytest.approx(1.0))
    assert find_in_stack(SAGITTAL, at_90_mm, stack, 3.0) is None


def test_a_point_beside_the_pixels_is_told() -> None:
    found = find_in_stack(SAGITTAL, (500.0, 50.0), [AXIAL], 3.0)
    assert found is not None
    assert not found.is_inside
