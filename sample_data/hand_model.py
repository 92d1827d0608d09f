"""A left hand made of formulas, as an X-ray beam sees it: bones, flesh and the lead marker.

Coordinates in mm about the wrist joint: x towards the thumb, y towards the finger tips, z towards
the back of the hand. Nothing in it is anyone's anatomy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sample_data.shapes import Array

COMPACT_PER_MM = 0.105
SPONGY_PER_MM = 0.036
FLESH_PER_MM = 0.017
LEAD = 3.0

Point3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Bone:
    """A bone as a rod, thin in the middle and wide at its ends.

    Attributes
    ----------
    start, end : tuple of float
        Ends of its axis (x, y, z), mm.
    widths : tuple of float
        Half width at the start, in the middle and at the end, mm.
    cortex : float
        Thickness of the compact bone in the middle, mm.
    roundness : float
        How far an end bulges beyond the axis, as a share of its half width.
    depth : float
        Extent along the beam as a share of the width.
    hollow : float
        How much of the spongy bone is missing in the middle, 0 to 1.
    is_fused : bool
        Part of a bone already drawn: adds outline, not thickness.
    """

    start: Point3
    end: Point3
    widths: tuple[float, float, float]
    cortex: float = 1.5
    roundness: float = 0.5
    depth: float = 1.0
    hollow: float = 0.75
    is_fused: bool = False


@dataclass(frozen=True, slots=True)
class Flesh:
    """A piece of soft tissue as a rod whose radius changes from start to end; mm."""

    start: Point3
    end: Point3
    radii: tuple[float, float]
    thickness: float


@dataclass(frozen=True, slots=True)
class _Finger:
    base: tuple[float, float]
    knuckle: tuple[float, float]
    degrees: float
    lengths: tuple[float, ...]
    scale: float
    lift: float


_FINGERS = (
    _Finger((14, 41), (24, 99), 6, (36, 20, 14), 1.00, 4),
    _Finger((3, 42), (4, 100), 0.5, (40, 25, 15), 1.03, 6),
    _Finger((-9, 40), (-16, 91), -6, (37, 23, 15), 0.95, 4),
    _Finger((-19, 36), (-34, 81), -14, (29, 16, 13), 0.84, 0),
)
_THUMB = _Finger((30, 28), (53, 60), 34, (28, 19), 1.1, -10)
_KNUCKLE_GAP_MM = 9.4
_JOINT_GAP_MM = 7.0


def bones() -> list[Bone]:
    """Return all bones of the hand with the ends of the forearm."""
    found = [*_carpals(), *_forearm()]
    for finger in (*_FINGERS, _THUMB):
        found.extend(_ray(finger))
    return found


def flesh() -> list[Flesh]:
    """Return the soft tissue: fingers, palm, ball of the thumb, wrist and forearm."""
    parts = [
        Flesh((-4, -130, 0), (-1, 0, 0), (32, 27), 44),
        Flesh((0, -5, 0), (2, 40, 0), (27, 33), 36),
        Flesh((14, 18, -8), (44, 58, -8), (16, 14), 28),
        Flesh((24, 60, 0), (40, 66, -4), (13, 7), 12),
        Flesh((-14, 10, 0), (-26, 70, 0), (14, 13), 26),
    ]
    for finger in (*_FINGERS, _THUMB):
        parts.extend(_finger_flesh(finger))
    return parts


def _ray(finger: _Finger) -> Iterator[Bone]:
    """Return metacarpal and phalanges of one finger."""
    size = finger.scale
    start = (*finger.base, finger.lift * 0.4)
    end = (*finger.knuckle, finger.lift)
    yield Bone(start, end, (7.0 * size, 4.1 * size, 7.6 * size), 1.9 * size)
    widths = ((7.6, 4.4, 5.6), (6.6, 3.6, 4.8), (5.2, 2.5, 3.7))[-len(finger.lengths) :]
    for (begin, stop), (first, middle, last) in zip(_phalanges(finger), widths, strict=True):
        yield Bone(begin, stop, (first * size, middle * size, last * size), 1.4 * size)
    tuft = replace(_tip(begin, stop, size), is_fused=True)
    yield tuft


def _tip(begin: Point3, stop: Point3, size: float) -> Bone:
    """Return the broad end of the last phalanx."""
    width = 4.3 * size
    ends = _between(begin, stop, 0.9), _between(begin, stop, 1.06)
    return Bone(*ends, (width * 0.8, width, width), 0.6, roundness=0.4)


def _between(start: Point3, end: Point3, share: float) -> Point3:
    x, y, z = (first + share * (last - first) for first, last in zip(start, end, strict=True))
    return x, y, z


def _phalanges(
    finger: _Finger,
) -> Iterator[tuple[Point3, Point3]]:
    along = np.deg2rad(finger.degrees)
    step = np.array([np.sin(along), np.cos(along)])
    at = np.array(finger.knuckle) + step * (_KNUCKLE_GAP_MM * finger.scale)
    for length in finger.lengths:
        stop = at + step * length
        yield (*at.tolist(), finger.lift), (*stop.tolist(), finger.lift)
        at = stop + step * (_JOINT_GAP_MM * finger.scale)


def _finger_flesh(finger: _Finger) -> Iterator[Flesh]:
    size = finger.scale
    *_, (_, tip) = _phalanges(finger)
    knuckle = (*finger.knuckle, finger.lift)
    yield Flesh((*finger.base, 0), knuckle, (13 * size, 11.5 * size), 27 * size)
    yield Flesh(knuckle, tip, (10.6 * size, 8.0 * size), 17 * size)


def _carpals() -> list[Bone]:
    """Return the eight bones of the wrist; short rods with thin cortex."""
    shapes = [
        ((11, 6.5, 0), (20.5, 16, -3), (7.0, 6.0, 6.2)),
        ((-1.5, 7, 0), (0, 11, 0), (6.8, 7.2, 6.2)),
        ((-15, 11, 0), (-11, 17, 0), (5.6, 6.6, 6.0)),
        ((-16, 13, -9), (-15, 15, -9), (4.2, 4.6, 4.2)),
        ((24, 25.5, -6), (29, 21, -6), (6.2, 6.4, 5.6)),
        ((13.5, 26, 1), (14, 31.5, 2), (5.6, 5.4, 5.8)),
        ((2, 20, 2), (3, 31.5, 3), (6.4, 6.6, 7.4)),
        ((-8, 22, 1), (-13, 31, 1), (4.0, 6.2, 7.6)),
    ]
    return [Bone(*shape, cortex=1.2, roundness=0.75, hollow=0.1) for shape in shapes]


def _forearm() -> list[Bone]:
    return [
        Bone((8, -130, 0), (6, -8, 0), (7.5, 7.2, 14.6), 2.6, roundness=0.32, depth=0.62),
        Bone((10, -22, 0), (17.4, -4.5, -1), (6.0, 5.4, 3.8), 1.0, depth=0.8, is_fused=True),
        Bone((-18, -130, 0), (-17.5, -9, 3), (6.0, 5.6, 7.4), 2.2, depth=0.8),
        Bone((-20, -16, 3), (-23, -4, 4), (3.0, 2.6, 2.0), 0.9, is_fused=True),
    ]


@dataclass(frozen=True, slots=True)
class View:
    """How the hand lies on the detector.

    Attributes
    ----------
    turn_degrees : float
        Rotation about the long axis; 0 is the palm flat on the detector.
    tilt_degrees : float
        Rotation in the plane of the detector.
    """

    turn_degrees: float
    tilt_degrees: float

    def place(self, point: Point3) -> Point3:
        """Return a point of the hand in the system of the detector, mm."""
        turn, tilt = np.deg2rad(self.turn_degrees), np.deg2rad(self.tilt_degrees)
        x, y, z = point
        across = x * np.cos(turn) + z * np.sin(turn)
        height = z * np.cos(turn) - x * np.sin(turn)
        return (
            float(across * np.cos(tilt) + y * np.sin(tilt)),
            float(y * np.cos(tilt) - across * np.sin(tilt)),
            float(height),
        )

    def place_bone(self, bone: Bone) -> Bone:
        """Return a bone in the system of the detector."""
        return replace(bone, start=self.place(bone.start), end=self.place(bone.end))

    def place_flesh(self, part: Flesh) -> Flesh:
        """Return a piece of soft tissue in the system of the detector."""
        return replace(part, start=self.place(part.start), end=self.place(part.end))


@dataclass(frozen=True, slots=True)
class _Along:
    """Where pixels lie relative to an axis: share of its length, distances beside and beyond."""

    share: Array
    beside: Array
    beyond: Array


def _along(x: Array, y: Array, start: tuple[float, ...], end: tuple[float, ...]) -> _Along:
    axis = np.array([end[0] - start[0], end[1] - start[1]], np.float32)
    length = np.float32(max(float(np.hypot(*axis)), 1e-3))
    unit = axis / length
    dx, dy = x - np.float32(start[0]), y - np.float32(start[1])
    position = dx * unit[0] + dy * unit[1]
    share = np.clip(position / length, 0, 1)
    return _Along(share, np.abs(dx * unit[1] - dy * unit[0]), np.abs(position - share * length))


def bone_absorption(bone: Bone, x: Array, y: Array, grain: Array) -> Array:
    """Return what a bone adds to the absorption of the beam.

    Parameters
    ----------
    bone : Bone
        In the system of the detector.
    x, y : NDArray
        (rows, columns) float32, mm.
    grain : NDArray
        (rows, columns) float32, noise for the spongy bone, standard deviation 1.

    Returns
    -------
    NDArray
        (rows, columns) float32, in units of ln.
    """
    where = _along(x, y, bone.start, bone.end)
    at_start = np.exp(-((where.share / 0.24) ** 2))
    at_end = np.exp(-(((1 - where.share) / 0.24) ** 2))
    first, middle, last = bone.widths
    width = middle + (first - middle) * at_start + (last - middle) * at_end
    cortex = bone.cortex * (1 - 0.66 * np.maximum(at_start, at_end))
    outer = _chord(where, width, bone.roundness)
    inner = _chord(where, width - cortex, bone.roundness)
    marrow = 1 - bone.hollow * (1 - np.maximum(at_start, at_end))
    spongy = SPONGY_PER_MM * marrow * (1 + 0.12 * grain)
    total = COMPACT_PER_MM * (outer - inner) + spongy * inner
    return np.asarray(total * bone.depth, dtype=np.float32)


def _chord(where: _Along, width: Array, roundness: float) -> Array:
    """Return the length of the beam inside a rod of that half width, mm."""
    cap = width * np.float32(roundness)
    square = 1 - (where.beside / width) ** 2 - (where.beyond / cap) ** 2
    return np.asarray(2 * width * np.sqrt(np.maximum(square, 0)), dtype=np.float32)


def flesh_thickness(parts: list[Flesh], x: Array, y: Array) -> Array:
    """Return how much soft tissue the beam crosses, melted together without seams.

    Parameters
    ----------
    parts : list of Flesh
        In the system of the detector.
    x, y : NDArray
        (rows, columns) float32, mm.

    Returns
    -------
    NDArray
        (rows, columns) float32, mm.
    """
    total = np.zeros_like(x)
    for part in parts:
        where = _along(x, y, part.start, part.end)
        radius = part.radii[0] + (part.radii[1] - part.radii[0]) * where.share
        inside = 1 - (where.beside**2 + where.beyond**2) / radius**2
        total += (part.thickness * np.sqrt(np.maximum(inside, 0))) ** 4
    return np.asarray(total**0.25, dtype=np.float32)


def marker_mask(
    x: Array, y: Array, corner: tuple[float, float], height: float
) -> NDArray[np.bool_]:
    """Return where the lead letter L lies.

    Parameters
    ----------
    x, y : NDArray
        (rows, columns) float32, mm.
    corner : tuple of float
        Lower left corner of the letter, mm.
    height : float
        Of the letter, mm.

    Returns
    -------
    NDArray
        (rows, columns) bool.
    """
    stroke = height / 6
    right, up = x - np.float32(corner[0]), y - np.float32(corner[1])
    upright = (right >= 0) & (right <= stroke) & (up >= 0) & (up <= height)
    foot = (right >= 0) & (right <= height * 0.62) & (up >= 0) & (up <= stroke)
    return np.asarray(upright | foot)
