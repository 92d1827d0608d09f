"""Display shutters: which part of a picture is to be seen."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from viewer.calibration import pixel_aspect_ratio
from viewer.header import functional_group, integer, numbers, texts

MAX_VERTICES: Final = 128
"""Polygons of more vertices than this are left out."""

_LARGEST_COORDINATE: Final = 1e6
_LARGEST_P_VALUE: Final = 0xFFFF
_TOLERANCE: Final = 1e-9
_WHITE: Final = 255

Opening = NDArray[np.bool_]
"""(rows, columns), True where the picture is to be seen."""
_Picture = TypeVar("_Picture", bound=NDArray[np.uint8])
_Span = tuple[float, float]
_Edge = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Edges as columns and rows, 1-based; a pixel on an edge is seen."""

    left: float
    right: float
    upper: float
    lower: float


@dataclass(frozen=True, slots=True)
class Circle:
    """Centre as row and column, 1-based; the radius is counted in columns."""

    row: float
    column: float
    radius: float


@dataclass(frozen=True, slots=True)
class Shutter:
    """Shapes that are applied together: only what lies inside all of them is seen.

    Parameters
    ----------
    rectangle : Rectangle or None
        (0018,1602) to (0018,1608).
    circle : Circle or None
        (0018,1610), (0018,1612).
    polygon : tuple of tuple of float
        Vertices (0018,1620) as row and column, 1-based, closed from last to first; () when absent.
    is_bitmap_left_out : bool
        A bitmap shutter is asked for, which is not applied.
    grey : int
        What is drawn outside, 0 = black to 255, from Shutter Presentation Value (0018,1622);
        black when absent.
    """

    rectangle: Rectangle | None
    circle: Circle | None
    polygon: tuple[tuple[float, float], ...]
    is_bitmap_left_out: bool
    grey: int


def shutter_of(dataset: Dataset) -> Shutter | None:
    """Read a Display Shutter module.

    Parameters
    ----------
    dataset : pydicom.Dataset
        An instance's header, a functional group's item or a presentation state.

    Returns
    -------
    Shutter or None
        None when there is none. Shapes that are not fully told are left out: rather too much is
        shown than too little.

    Notes
    -----
    PS3.3 C.7.6.11: rows and columns are counted from 1, 1 = the upper left pixel.
    """
    if "ShutterShape" not in dataset:
        return None
    shapes = {shape.upper() for shape in texts(dataset, "ShutterShape")}
    shutter = Shutter(
        rectangle=_rectangle(dataset) if "RECTANGULAR" in shapes else None,
        circle=_circle(dataset) if "CIRCULAR" in shapes else None,
        polygon=_polygon(dataset) if "POLYGONAL" in shapes else (),
        is_bitmap_left_out="BITMAP" in shapes,
        grey=_grey(dataset),
    )
    is_there = shutter.rectangle or shutter.circle or shutter.polygon or shutter.is_bitmap_left_out
    return shutter if is_there else None


def _rectangle(dataset: Dataset) -> Rectangle | None:
    left, right = _numbers(dataset, "ShutterLeftVerticalEdge", "ShutterRightVerticalEdge")
    upper, lower = _numbers(dataset, "ShutterUpperHorizontalEdge", "ShutterLowerHorizontalEdge")
    if left is None or right is None or upper is None or lower is None:
        return None
    return Rectangle(left, right, upper, lower) if left <= right and upper <= lower else None


def _circle(dataset: Dataset) -> Circle | None:
    center, radius = (
        numbers(dataset, "CenterOfCircularShutter"),
        numbers(dataset, "RadiusOfCircularShutter"),
    )
    if len(center) != 2 or len(radius) != 1 or not _are_sane((*center, *radius)) or radius[0] <= 0:
        return None
    return Circle(*center, *radius)


def _polygon(dataset: Dataset) -> tuple[tuple[float, float], ...]:
    values = numbers(dataset, "VerticesOfThePolygonalShutter")
    is_whole = len(values) % 2 == 0 and 6 <= len(values) <= 2 * MAX_VERTICES
    if not is_whole or not _are_sane(values):
        return ()
    return tuple(zip(values[::2], values[1::2], strict=True))


def _numbers(dataset: Dataset, *keywords: str) -> list[float | None]:
    found = (numbers(dataset, keyword)[:1] for keyword in keywords)
    return [values[0] if values and _are_sane(values) else None for values in found]


def _are_sane(values: tuple[float, ...]) -> bool:
    return all(abs(value) <= _LARGEST_COORDINATE for value in values)


def _grey(dataset: Dataset) -> int:
    value = integer(dataset, "ShutterPresentationValue") or 0
    share = min(max(value, 0), _LARGEST_P_VALUE) / _LARGEST_P_VALUE
    return math.floor(share * _WHITE + 0.5)


def frame_shutter(header: Dataset, frame_index: int) -> Shutter | None:
    """Return the shutter of one frame: its functional group's, or the instance's own.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    frame_index : int
        0-based.

    Notes
    -----
    PS3.3 C.8.19.6.11 (Frame Display Shutter).
    """
    group = functional_group(header, frame_index, "FrameDisplayShutterSequence")
    return shutter_of(header if group is None else group)


def opening(
    shutter: Shutter, rows: int, columns: int, aspect: tuple[float, float] = (1.0, 1.0)
) -> Opening | None:
    """Return which pixels are seen.

    Parameters
    ----------
    shutter : Shutter
        From `shutter_of`.
    rows, columns : int
        Size of the frame.
    aspect : tuple of float
        A pixel's height and width: a circle is one on the screen, so it spans fewer rows than
        columns where pixels are taller than wide.

    Returns
    -------
    numpy.ndarray or None
        (rows, columns) bool: a pixel is seen when its centre lies inside or on the edge of all
        shapes. None when nothing would be seen, which is taken for nonsense.
    """
    seen = np.ones((rows, columns), np.bool_)
    if shutter.rectangle is not None:
        _close_outside(seen, [_rectangle_spans(shutter.rectangle, row + 1) for row in range(rows)])
    if shutter.circle is not None:
        height = aspect[0] / aspect[1]
        spans = [_circle_spans(shutter.circle, row + 1, height) for row in range(rows)]
        _close_outside(seen, spans)
    if shutter.polygon:
        ends = zip(shutter.polygon, shutter.polygon[1:] + shutter.polygon[:1], strict=True)
        edges = [(min(one, other), max(one, other)) for one, other in ends]  # the upper end first
        _close_outside(seen, [_polygon_spans(edges, row + 1) for row in range(rows)])
    return seen if seen.any() else None


def _close_outside(seen: Opening, spans: list[list[_Span]]) -> None:
    """Keep only pixels whose column, 1-based, lies in one of its row's spans, ends included."""
    for row, row_spans in zip(seen, spans, strict=True):
        kept = 0
        for first, last in sorted(row_spans):
            begin = max(0, math.ceil(first - _TOLERANCE) - 1)
            if begin > kept:
                row[kept:begin] = False
            kept = max(kept, math.floor(last + _TOLERANCE))
        row[kept:] = False


def _rectangle_spans(rectangle: Rectangle, row: int) -> list[_Span]:
    is_inside = rectangle.upper <= row <= rectangle.lower
    return [(rectangle.left, rectangle.right)] if is_inside else []


def _circle_spans(circle: Circle, row: int, height: float) -> list[_Span]:
    square = circle.radius**2 - ((row - circle.row) * height) ** 2
    if square < -_TOLERANCE:
        return []
    half = math.sqrt(max(0.0, square))
    return [(circle.column - half, circle.column + half)]


def _polygon_spans(edges: list[_Edge], row: int) -> list[_Span]:
    """Return where a row runs inside a polygon, its edges included.

    Counting an edge's upper end in one list and its lower end in the other makes every vertex
    belong to the polygon; horizontal edges do by themselves.
    """
    spans: list[_Span] = []
    uppers, lowers = [], []
    for (top, upper_x), (bottom, lower_x) in edges:
        if not top <= row <= bottom:
            continue
        if top == bottom:
            spans.append((min(upper_x, lower_x), max(upper_x, lower_x)))
            continue
        crossing = upper_x + (row - top) * (lower_x - upper_x) / (bottom - top)
        if row < bottom:
            uppers.append(crossing)
        if row > top:
            lowers.append(crossing)
    for crossings in (sorted(uppers), sorted(lowers)):
        spans += zip(crossings[::2], crossings[1::2], strict=True)
    return spans


def apply_shutter(
    pixels: _Picture, shutter: Shutter, aspect: tuple[float, float] = (1.0, 1.0)
) -> _Picture:
    """Cover what lies outside a shutter. Stored values are never touched.

    Parameters
    ----------
    pixels : numpy.ndarray
        (rows, columns) or (rows, columns, 3) uint8 display values, already inverted where asked
        for; not changed.
    shutter : Shutter
        From `frame_shutter` or a presentation state.
    aspect : tuple of float
        A pixel's height and width.

    Returns
    -------
    numpy.ndarray
        As `pixels`.
    """
    seen = opening(shutter, pixels.shape[0], pixels.shape[1], aspect)
    if seen is None:
        return pixels
    covered = pixels.copy()
    is_closed = np.logical_not(seen, out=seen)
    where = is_closed if pixels.ndim == 2 else is_closed[..., np.newaxis]
    np.copyto(covered, shutter.grey, where=where)
    return covered


def shutter_info(header: Dataset, frame_index: int, rows: int, columns: int) -> Any:
    """Describe the shutter of one frame in JSON-able values.

    Parameters
    ----------
    header : pydicom.Dataset
        The instance's header.
    frame_index : int
        0-based.
    rows, columns : int
        Size of the frame.

    Returns
    -------
    dict or None
        The fields of `Shutter`, with `aspect`, a pixel's height divided by its width, which
        stretches the circle; None when there is no shutter, or it would cover everything.
    """
    shutter = frame_shutter(header, frame_index)
    if shutter is None:
        return None
    aspect = pixel_aspect_ratio(header, frame_index)
    if opening(shutter, rows, columns, aspect) is None:
        return None
    return asdict(shutter) | {"aspect": aspect[0] / aspect[1]}
