"""What lies over a picture, by PS3.3 in plain Python: overlays, shutters, a palette's colours."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from tests.golden import reference

Mask = NDArray[np.bool_]


def overlay_mask(ds: Dataset, group: int, frame: int) -> Mask:
    """PS3.3 C.9.2: bits from the lowest of each byte on, placed by a 1-based origin."""
    rows, columns = int(ds[group, 0x10].value), int(ds[group, 0x11].value)
    origin = ds[group, 0x50].value
    bits = np.unpackbits(np.frombuffer(ds[group, 0x3000].value, "u1"), bitorder="little")
    first = int(ds[group, 0x51].value) if (group, 0x51) in ds else 1
    planes = int(ds[group, 0x15].value) if (group, 0x15) in ds else None
    index = 0 if planes is None else frame - first
    mask = np.zeros((int(ds.Rows), int(ds.Columns)), dtype=bool)
    if planes is not None and not 0 <= index < planes:
        return mask
    plane = bits[index * rows * columns : (index + 1) * rows * columns].reshape(rows, columns)
    for row, column in np.argwhere(plane):
        y, x = row + origin[0] - 1, column + origin[1] - 1
        if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1]:
            mask[y, x] = True
    return mask


def near(mask: Mask, distance: int) -> Mask:
    """Pixels at most so many rows and columns from one that is set."""
    out = np.zeros_like(mask)
    rows, columns = mask.shape
    for y, x in np.argwhere(mask):
        out[
            max(0, y - distance) : min(rows, y + distance + 1),
            max(0, x - distance) : min(columns, x + distance + 1),
        ] = True
    return out


def is_inside_shutter(ds: Dataset, row: float, column: float) -> bool:
    """PS3.3 C.7.6.11: inside every shape that is named; rows and columns from 1."""
    shapes = ds.ShutterShape if not isinstance(ds.ShutterShape, str) else [ds.ShutterShape]
    return all(_IS_INSIDE[shape](ds, row, column) for shape in shapes)


def _in_rectangle(ds: Dataset, row: float, column: float) -> bool:
    is_between = ds.ShutterLeftVerticalEdge <= column <= ds.ShutterRightVerticalEdge
    upper, lower = ds.ShutterUpperHorizontalEdge, ds.ShutterLowerHorizontalEdge
    return bool(is_between and upper <= row <= lower)


def _in_circle(ds: Dataset, row: float, column: float) -> bool:
    y, x = ds.CenterOfCircularShutter
    return bool((row - y) ** 2 + (column - x) ** 2 <= ds.RadiusOfCircularShutter**2)


def _in_polygon(ds: Dataset, row: float, column: float) -> bool:
    """Count the edges to the right of a point."""
    flat = list(ds.VerticesOfThePolygonalShutter)
    vertices = list(zip(flat[::2], flat[1::2], strict=True))
    is_inside = False
    for (y0, x0), (y1, x1) in zip(vertices, vertices[1:] + vertices[:1], strict=True):
        crosses = (y0 > row) != (y1 > row)
        if crosses and column < x0 + (row - y0) * (x1 - x0) / (y1 - y0):
            is_inside = not is_inside
    return is_inside


_IS_INSIDE = {"RECTANGULAR": _in_rectangle, "CIRCULAR": _in_circle, "POLYGONAL": _in_polygon}


def shutter_masks(ds: Dataset) -> tuple[Mask, Mask]:
    """Return what is surely seen and surely closed; within a pixel of an edge is neither."""
    shape = int(ds.Rows), int(ds.Columns)
    inside = np.array(
        [[is_inside_shutter(ds, y + 1, x + 1) for x in range(shape[1])] for y in range(shape[0])]
    )
    return ~near(~inside, 1), ~near(inside, 1)


def supplemental(ds: Dataset, stored: NDArray[np.int64], grey: reference.Grey) -> reference.Grey:
    """PS3.3 C.7.6.19: from the first value mapped on the palette's colours, grey below it."""
    channels = [reference.palette_channel(ds, name) for name in ("Red", "Green", "Blue")]
    colours = reference.palette_picture(ds, stored)
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=2)
    is_coloured = stored >= channels[0].first
    rgb[is_coloured] = colours[is_coloured]
    return rgb
