"""Planes of frames in the patient: where one cuts another, and where its points lie in others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from viewer.geometry import Vector, slice_normal

_PARALLEL: Final = 0.05
"""Planes at less than about three degrees to each other are parallel: their line means nothing."""
_TINY: Final = 1e-12
Pixel = tuple[float, float]
"""(x, y) in pixels of the stored frame: x along a row from the left, y down; (0, 0) is the centre
of the first pixel."""


@dataclass(frozen=True, slots=True)
class FramePlane:
    """The rectangle a frame covers in the patient.

    Parameters
    ----------
    image_orientation_patient : tuple of float
        (0020,0037), two perpendicular unit vectors.
    image_position_patient : tuple of float
        (0020,0032) in mm, centre of the first pixel.
    row_spacing, column_spacing : float
        mm between rows, between columns.
    rows, columns : int
        The matrix.
    frame_of_reference_uid : str
        (0020,0052); '' is like no other, not even another ''.
    """

    image_orientation_patient: tuple[float, ...]
    image_position_patient: tuple[float, ...]
    row_spacing: float
    column_spacing: float
    rows: int
    columns: int
    frame_of_reference_uid: str


@dataclass(frozen=True, slots=True)
class FoundPixel:
    """Where a point of the patient lies in a stack.

    Parameters
    ----------
    index : int
        Of the frame that is nearest.
    pixel : (float, float)
        The point's foot on that frame, (x, y); it may lie outside the matrix.
    distance_mm : float
        From the point to the frame, along the normal.
    is_inside : bool
        Whether the foot lies on the frame's pixels.
    """

    index: int
    pixel: Pixel
    distance_mm: float
    is_inside: bool


def patient_point(plane: FramePlane, pixel: Pixel) -> Vector:
    """Return where a pixel lies in the patient in mm.

    Notes
    -----
    PS3.3 equation C.7.6.2.1-1.
    """
    right = pixel[0] * plane.column_spacing
    down = pixel[1] * plane.row_spacing
    cosines, origin = plane.image_orientation_patient, plane.image_position_patient
    return (
        origin[0] + cosines[0] * right + cosines[3] * down,
        origin[1] + cosines[1] * right + cosines[4] * down,
        origin[2] + cosines[2] * right + cosines[5] * down,
    )


def pixel_of(plane: FramePlane, point: Sequence[float]) -> Pixel:
    """Return the foot of a point of the patient on a frame, (x, y) in pixels."""
    offset = _minus(point, plane.image_position_patient)
    right = _dot(plane.image_orientation_patient[:3], offset)
    down = _dot(plane.image_orientation_patient[3:], offset)
    return right / plane.column_spacing, down / plane.row_spacing


def distance_mm(plane: FramePlane, point: Sequence[float]) -> float:
    """Return how far a point lies from a frame's plane along its normal, signed."""
    normal = slice_normal(plane.image_orientation_patient)
    if normal is None:
        return math.inf
    return _dot(normal, _minus(point, plane.image_position_patient))


def share_space(one: FramePlane, other: FramePlane) -> bool:
    """Tell whether places in two frames may be compared at all: one Frame of Reference UID."""
    return bool(one.frame_of_reference_uid) and (
        one.frame_of_reference_uid == other.frame_of_reference_uid
    )


def localizer_line(target: FramePlane, other: FramePlane) -> tuple[Pixel, Pixel] | None:
    """Return the line in which another frame cuts a frame.

    Parameters
    ----------
    target : FramePlane
        The frame the line is drawn on.
    other : FramePlane
        The frame whose place is shown.

    Returns
    -------
    tuple of two (float, float), or None
        Both ends in pixels of the target, clipped to its rectangle (its outer pixels' edges). The
        other frame's plane is taken as endless. None when the frames do not share a frame of
        reference, are parallel, or do not meet on the target.
    """
    normal = slice_normal(other.image_orientation_patient)
    if normal is None or not share_space(target, other):
        return None
    # the signed distance from the other plane is linear in the target's pixels: a x + b y + c
    a = _dot(normal, target.image_orientation_patient[:3]) * target.column_spacing
    b = _dot(normal, target.image_orientation_patient[3:]) * target.row_spacing
    c = distance_mm(other, target.image_position_patient)
    if math.hypot(a / target.column_spacing, b / target.row_spacing) < _PARALLEL:
        return None
    return _clipped(a, b, c, target.columns, target.rows)


def _clipped(a: float, b: float, c: float, columns: int, rows: int) -> tuple[Pixel, Pixel] | None:
    """Clip the line a x + b y + c = 0 to a rectangle of pixels, edges half a pixel outside."""
    size = a * a + b * b
    x, y = -a * c / size, -b * c / size  # the foot of (0, 0) on the line
    along = (-b, a)
    first, last = -math.inf, math.inf
    for start, step, low, high in (
        (x, along[0], -0.5, columns - 0.5),
        (y, along[1], -0.5, rows - 0.5),
    ):
        if abs(step) < _TINY:
            if not low <= start <= high:
                return None
            continue
        ends = sorted(((low - start) / step, (high - start) / step))
        first, last = max(first, ends[0]), min(last, ends[1])
    if first >= last:
        return None
    return (x + first * along[0], y + first * along[1]), (x + last * along[0], y + last * along[1])


def find_in_stack(
    source: FramePlane, pixel: Pixel, stack: Sequence[FramePlane], slice_spacing_mm: float
) -> FoundPixel | None:
    """Find the frame and pixel of a stack that show a point of another frame.

    Parameters
    ----------
    source : FramePlane
        The frame the point is chosen on.
    pixel : (float, float)
        (x, y) in it.
    stack : sequence of FramePlane
        The frames to look in.
    slice_spacing_mm : float
        The usual step of the stack, or the slice thickness of a single frame.

    Returns
    -------
    FoundPixel or None
        None when no frame shares the source's frame of reference or the nearest one is farther
        away than the spacing: then the stack does not show the point.
    """
    point = patient_point(source, pixel)
    distances = [
        (abs(distance_mm(plane, point)), index)
        for index, plane in enumerate(stack)
        if share_space(source, plane)
    ]
    if not distances:
        return None
    distance, index = min(distances)
    if distance > slice_spacing_mm:
        return None
    x, y = pixel_of(stack[index], point)
    is_inside = -0.5 <= x <= stack[index].columns - 0.5 and -0.5 <= y <= stack[index].rows - 0.5
    return FoundPixel(index, (x, y), distance, is_inside)


def _minus(one: Sequence[float], other: Sequence[float]) -> Vector:
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
