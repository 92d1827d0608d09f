"""Frames of a series parted into stacks that may be scrolled through, each in its order.

A stack holds frames of one plane, matrix, frame of reference, echo and b-value. Where several
frames lie at one place, they are parted further by what tells them apart: image type, phase,
acquisition. Localizers are stacks of their own. Nothing here depends on the order in which frames
arrived, except for frames that are alike in everything.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from viewer.geometry import Vector, slice_normal

SAME_PLACE_MM: Final = 0.01
"""Frames closer than this along the normal lie at one place."""
SAME_ANGLE: Final = 0.01
"""Cosines that differ by less, about half a degree, are one orientation."""
MOST_ANGLES: Final = 32
"""A series at more angles is a rotation and stays one stack, in the order of its numbers."""
_PLANES: Final = 3
"""With at most so many angles, frames at an angle of their own are no rotation but a pilot."""
_FEW: Final = 4
"""Parts that hold this many frames each on average are parts, not splinters."""
_LOCALIZER_TYPES: Final = frozenset(("LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW"))
_IN_PLANE_MM: Final = 1.0
_TURNING: Final = (0.0,) * 6


@dataclass(frozen=True, slots=True)
class FramePlace:
    """What decides the stack of a frame and its place in it.

    Parameters
    ----------
    image_orientation_patient : tuple of float
        (0020,0037), () when absent.
    image_position_patient : tuple of float
        (0020,0032) in mm, () when absent.
    frame_of_reference_uid : str
        (0020,0052), '' when absent.
    rows, columns : int or None
        The matrix.
    pixel_spacing : tuple of float
        (0028,0030) in mm, () when absent.
    image_type : tuple of str
        (0008,0008), or the Frame Type of a frame.
    echo : str
        Whatever is the same for all frames of one echo, '' when there is none.
    diffusion_b_value : float or None
        (0018,9087) in s/mm².
    temporal_position : int or None
        (0020,0100), or the Temporal Position Index of a frame.
    trigger_time : float or None
        (0018,1060) in ms after the R wave.
    acquisition_number : int or None
        (0020,0012).
    acquisition_time : str
        (0008,0032), '' when absent.
    instance_number : int or None
        (0020,0013).
    dimension_index : tuple of float
        (0020,9157) of a frame, () when absent.
    frame_number : int
        1-based, within its instance.
    run : str
        Names the instance whose frames stay together as they are stored (a cine run); '' else.
    """

    image_orientation_patient: tuple[float, ...] = ()
    image_position_patient: tuple[float, ...] = ()
    frame_of_reference_uid: str = ""
    rows: int | None = None
    columns: int | None = None
    pixel_spacing: tuple[float, ...] = ()
    image_type: tuple[str, ...] = ()
    echo: str = ""
    diffusion_b_value: float | None = None
    temporal_position: int | None = None
    trigger_time: float | None = None
    acquisition_number: int | None = None
    acquisition_time: str = ""
    instance_number: int | None = None
    dimension_index: tuple[float, ...] = ()
    frame_number: int = 1
    run: str = ""


@dataclass(frozen=True, slots=True)
class StackKind:
    """What all frames of a stack have in common.

    Parameters
    ----------
    is_localizer : bool
        By Image Type.
    image_orientation_patient : tuple of float
        Rounded; () for frames without a place, six zeros for a rotation.
    parted_by : tuple of (str, object)
        What told frames at one place apart, for example ``("acquisition", 2)``; `repeat` counts.
    """

    is_localizer: bool = False
    run: str = ""
    image_orientation_patient: tuple[float, ...] = ()
    frame_of_reference_uid: str = ""
    rows: int | None = None
    columns: int | None = None
    echo: str = ""
    diffusion_b_value: float | None = None
    parted_by: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames in the order in which they are scrolled through.

    Parameters
    ----------
    frames : tuple of int
        Indices into the frames that were given.
    positions : tuple of float
        Place of each along the common normal in mm, rising; () when they have none in common.
    kind : StackKind
    """

    frames: tuple[int, ...]
    positions: tuple[float, ...]
    kind: StackKind


def stacks_of(frames: Sequence[FramePlace]) -> list[Stack]:
    """Part the frames of a series into stacks.

    Parameters
    ----------
    frames : sequence of FramePlace
        In the order of receipt.

    Returns
    -------
    list of Stack
        Every frame is in exactly one. Frames with a place come first, then those without, then
        localizers; within these by the lowest instance number.

    Notes
    -----
    Time grows with ``n log n``; 10,000 frames take well under a second.
    """
    angles = common_orientations([frame.image_orientation_patient for frame in frames])
    parts: dict[StackKind, list[int]] = {}
    for index, frame in enumerate(frames):
        parts.setdefault(_kind(frame, angles), []).append(index)
    stacks = [
        _ordered(frames, members, kind)
        for whole, indices in parts.items()
        for kind, members in _volumes(frames, indices, whole)
    ]
    return sorted(stacks, key=lambda stack: _rank(frames, stack))


def common_orientations(
    orientations: Sequence[tuple[float, ...]],
) -> dict[tuple[float, ...], tuple[float, ...]]:
    """Find which orientations are one and the same but for rounding.

    Parameters
    ----------
    orientations : sequence of tuple of float
        (0020,0037) of each frame, () when absent.

    Returns
    -------
    dict
        From each usable orientation to the one that stands for it; to six zeros where there are
        nearly as many angles as frames, or more than `MOST_ANGLES`.
    """
    found: dict[tuple[float, ...], tuple[float, ...]] = {}
    standing: list[tuple[float, ...]] = []
    for one in sorted(set(orientations)):
        if slice_normal(one) is None:
            continue
        same = next((other for other in standing if _is_same_angle(one, other)), None)
        if same is None:
            standing.append(one)
            if len(standing) > MOST_ANGLES:
                return {one: _TURNING for one in orientations if slice_normal(one) is not None}
        found[one] = same or one
    usable = sum(one in found for one in orientations)
    is_rotation = len(standing) > max(_PLANES, usable // 2)
    return dict.fromkeys(found, _TURNING) if is_rotation else found


def _is_same_angle(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(abs(a - b) <= SAME_ANGLE for a, b in zip(one, other, strict=True))


def _kind(frame: FramePlace, angles: dict[tuple[float, ...], tuple[float, ...]]) -> StackKind:
    is_localizer = not _LOCALIZER_TYPES.isdisjoint(frame.image_type)
    angle = angles.get(frame.image_orientation_patient)
    if angle is None or len(frame.image_position_patient) != 3 or frame.run:
        return StackKind(is_localizer=is_localizer, run=frame.run)
    return StackKind(
        is_localizer,
        "",
        angle,
        frame.frame_of_reference_uid,
        frame.rows,
        frame.columns,
        frame.echo,
        frame.diffusion_b_value,
    )


def _ordered(frames: Sequence[FramePlace], members: Sequence[int], kind: StackKind) -> Stack:
    positions = _positions(frames, members, kind)
    if positions is None:
        in_order = sorted(members, key=lambda index: _by_number(frames[index]))
        return Stack(tuple(in_order), (), kind)
    places = sorted(
        zip(levels(positions), positions, members, strict=True),
        key=lambda place: (place[0], *_by_time(frames[place[2]])),
    )
    return Stack(tuple(index for _, _, index in places), tuple(at for _, at, _ in places), kind)


def _positions(
    frames: Sequence[FramePlace], members: Sequence[int], kind: StackKind
) -> list[float] | None:
    normal = slice_normal(kind.image_orientation_patient)
    if normal is None:
        return None
    return [_dot(normal, frames[index].image_position_patient) for index in members]


def _dot(one: Vector, other: Sequence[float]) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def levels(positions: Sequence[float]) -> list[int]:
    """Count places from the lowest on; frames at one place get one number.

    Parameters
    ----------
    positions : sequence of float
        mm, in any order.

    Returns
    -------
    list of int
        One for each position.
    """
    order = sorted(range(len(positions)), key=positions.__getitem__)
    found = [0] * len(positions)
    level = 0
    for before, index in pairwise(order):
        level += positions[index] - positions[before] > SAME_PLACE_MM
        found[index] = level
    return found


def _by_number(frame: FramePlace) -> tuple[float, str, tuple[float, ...], int]:
    return (
        _or_last(frame.instance_number),
        frame.acquisition_time,
        frame.dimension_index,
        frame.frame_number,
    )


def _by_time(frame: FramePlace) -> tuple[str, float, float, float, tuple[float, ...], int]:
    return (
        frame.acquisition_time,
        _or_last(frame.temporal_position),
        _or_last(frame.trigger_time),
        _or_last(frame.instance_number),
        frame.dimension_index,
        frame.frame_number,
    )


def _or_last(number: float | None) -> float:
    return math.inf if number is None else number


def _rank(frames: Sequence[FramePlace], stack: Stack) -> tuple[object, ...]:
    lowest = min(_by_number(frames[index]) for index in stack.frames)
    has_no_place = not stack.kind.image_orientation_patient
    return stack.kind.is_localizer, has_no_place, lowest, repr(stack.kind)


_TRAITS: Final[tuple[tuple[str, Callable[[FramePlace], object]], ...]] = (
    ("image type", lambda frame: frame.image_type),
    ("pixel spacing", lambda frame: frame.pixel_spacing),
    ("phase", lambda frame: frame.temporal_position),
    ("trigger time", lambda frame: frame.trigger_time),
    ("acquisition", lambda frame: frame.acquisition_number),
)
"""What may tell frames at one place apart, the surest first."""
_IN_PLANE: Final = "place in the plane"
_LASTING: Final = frozenset(("image type", "pixel spacing", "acquisition", _IN_PLANE))
"""Traits that stay for many frames, also where only some of these lie at one place."""


def _volumes(
    frames: Sequence[FramePlace], members: list[int], kind: StackKind
) -> Iterator[tuple[StackKind, list[int]]]:
    """Part frames until each place holds one, as far as the headers tell how."""
    positions = _positions(frames, members, kind)
    if positions is None:
        yield kind, members
        return
    level_of = dict(zip(members, levels(positions), strict=True))
    split = _split_by_trait(frames, members, level_of, kind)
    if split is None:
        yield from _repeats(frames, members, level_of, kind)
        return
    name, parts = split
    for value, part in parts.items():
        part_kind = replace(kind, parted_by=(*kind.parted_by, (name, value)))
        yield from _volumes(frames, part, part_kind)


def _split_by_trait(
    frames: Sequence[FramePlace], members: list[int], level_of: dict[int, int], kind: StackKind
) -> tuple[str, dict[object, list[int]]] | None:
    counts = Counter(level_of.values())
    before = len(members) - len(counts)
    if before == 0:
        return None
    is_over_time = len(counts) == 1  # frames of one place stay together, in the order of time
    traits = _TRAITS[:2] if is_over_time else _TRAITS
    most = 0 if is_over_time else max(counts.values())
    for name, trait in (*traits, (_IN_PLANE, _in_plane(kind))):
        parts: dict[object, list[int]] = {}
        for index in members:
            parts.setdefault(trait(frames[index]), []).append(index)
        lasts = name in _LASTING and len(members) >= _FEW * len(parts)
        after = sum(len(part) - len({level_of[n] for n in part}) for part in parts.values())
        if len(parts) > 1 and (len(parts) <= most or lasts) and after < before:
            return name, parts
    return None


def _in_plane(kind: StackKind) -> Callable[[FramePlace], object]:
    """Return what tells frames side by side apart, such as both knees of one series."""
    row, column = kind.image_orientation_patient[:3], kind.image_orientation_patient[3:]

    def place(frame: FramePlace) -> tuple[int, int]:
        right = sum(a * b for a, b in zip(row, frame.image_position_patient, strict=True))
        down = sum(a * b for a, b in zip(column, frame.image_position_patient, strict=True))
        return round(right / _IN_PLANE_MM), round(down / _IN_PLANE_MM)

    return place


def _repeats(
    frames: Sequence[FramePlace], members: list[int], level_of: dict[int, int], kind: StackKind
) -> Iterator[tuple[StackKind, list[int]]]:
    """Part frames into rounds in time where every place was imaged equally often."""
    by_level: dict[int, list[int]] = {}
    for index in sorted(members, key=lambda index: _by_time(frames[index])):
        by_level.setdefault(level_of[index], []).append(index)
    often = {len(at_one_place) for at_one_place in by_level.values()}
    if len(by_level) == 1 or len(often) > 1 or often == {1}:
        yield kind, members
        return
    for number, part in enumerate(zip(*by_level.values(), strict=True), start=1):
        yield replace(kind, parted_by=(*kind.parted_by, ("repeat", number))), list(part)
