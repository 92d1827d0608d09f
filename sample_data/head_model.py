"""A head made of formulas: which tissue lies at which point.

Coordinates are those of the patient (PS3.3 C.7.6.2.1.1) in mm about the middle of the skull base:
x to the left, y to the back, z to the crown. Nothing in it is anyone's anatomy.
"""

import numpy as np
from numpy.typing import NDArray

from sample_data.brain_model import paint_bleed, paint_brain
from sample_data.head_tissues import NOWHERE, HeadPoint, Textures, Tissues, points_of_plane
from sample_data.shapes import Array, capsule, edge, ellipsoid, paint, union


def paint_head(
    x: Array, y: Array, z: Array, textures: Textures, tissues: Tissues, *, has_bleed: bool
) -> Array:
    """Paint one plane through the head.

    Parameters
    ----------
    x, y, z : NDArray
        (rows, columns) float32, mm, coordinates of each pixel.
    textures : Textures
        From `make_textures`.
    tissues : Tissues
        Values to paint with.
    has_bleed : bool
        Whether there is a haemorrhage in the right basal ganglia that pushes the middle over.

    Returns
    -------
    NDArray
        (rows, columns) float32, in the unit of `tissues`.
    """
    picture = np.full(x.shape, tissues.air, np.float32)
    window = _window(x, y, z)
    if window is not None:
        point = points_of_plane(
            x[window], y[window], z[window], textures, 4.5 if has_bleed else 0.0
        )
        picture[window] = _paint_window(point, tissues, has_bleed=has_bleed)
    return picture


def _window(x: Array, y: Array, z: Array) -> tuple[slice, slice] | None:
    """Return the rows and columns the head can reach, of even size; None when it reaches none."""
    step = 4
    at = (slice(None, None, step), slice(None, None, step))
    up = np.maximum(z[at] - 28, 0)
    square = (x[at] / 88) ** 2 + ((y[at] + 4) / 110) ** 2 + (up / 88) ** 2
    rows, columns = np.nonzero(square < 1)
    if len(rows) == 0:
        return None
    return _span(rows, step, x.shape[0]), _span(columns, step, x.shape[1])


def _span(indices: NDArray[np.intp], step: int, size: int) -> slice:
    first = max(int(indices.min()) * step - step, 0)
    return slice(first, min((int(indices.max()) + 2) * step, size // 2 * 2))


def _paint_window(point: HeadPoint, tissues: Tissues, *, has_bleed: bool) -> Array:
    canvas = np.full(point.x.shape, tissues.air, np.float32)
    skin_depth = _depth_below_skin(point)
    cavity_depth = _depth_in_cavity(point, skin_depth)
    _paint_soft_tissue(canvas, point, skin_depth, tissues)
    _paint_face(canvas, point, tissues)
    _paint_skull(canvas, point, skin_depth, cavity_depth, tissues)
    paint_brain(canvas, point, skin_depth, cavity_depth, tissues)
    if has_bleed:
        paint_bleed(canvas, point, cavity_depth, tissues)
    _paint_sinuses(canvas, point, skin_depth, tissues)
    return canvas


def _depth_below_skin(point: HeadPoint) -> Array:
    """Depth along the ray to the middle of the head; the neck side is a tapering cylinder."""
    up = np.maximum(point.z - 28, 0)
    down = np.maximum(8 - point.z, 0)
    behind = np.clip((point.y + 20) / 90, -1, 1)
    half_width = 77 + 4.0 * behind - 0.16 * down
    half_length = 97 - 0.10 * down - 0.25 * down * (point.y > 20)
    y = point.y - 2
    radius = np.sqrt((point.x / half_width) ** 2 + (y / half_length) ** 2 + (up / 82) ** 2)
    distance = np.sqrt(point.x**2 + y**2 + up**2)
    outline = distance * (1 / np.maximum(radius, 1e-3) - 1) + 0.7 * point.coarse
    nose = capsule(point.x, point.y, point.z, (0, -88, 2), (0, -103, -32), 9.0)
    ear = capsule(np.abs(point.x), point.y, point.z, (69, 16, -22), (78, 31, 12), 4.5)
    return union(outline, nose, ear).astype(np.float32)


def _depth_in_cavity(point: HeadPoint, skin_depth: Array) -> Array:
    """Depth inside the skull: the vault, and below its floor the middle and posterior fossae."""
    forehead = np.clip((-point.y - 60) / 25, 0, 1)
    side_wall = np.clip((point.side - 40) / 30, 0, 1) * np.clip((50 - point.z) / 40, 0, 1)
    scalp = 5.0 + 5.0 * side_wall * np.clip((40 - point.y) / 40, 0, 1)
    bone = 6.5 + 1.2 * point.coarse + 3.0 * forehead * np.clip((45 - point.z) / 30, 0, 1)
    behind = np.clip((point.y - 5) / 25, 0, 1)
    floor = np.where(point.y < -28, 14 + 0.1 * (point.side - 30), 10 - 18 * behind)
    vault = np.minimum(skin_depth - scalp - bone, (point.z - floor - 2.5 * point.coarse) * 2)
    middle = point.blob((38, -14, 4), (25, 27, 19))
    posterior = ellipsoid(point.side, point.y, point.z, (0, 38, 2), (56, 50, 37))
    squama = scalp + bone + 0.25 * np.maximum(-4 - point.z, 0)
    posterior = np.minimum(posterior, skin_depth - squama)
    stem = ellipsoid(point.side, point.y, point.z, (0, 14, -10), (15, 17, 34))
    return union(vault, middle, posterior, stem).astype(np.float32)


def _paint_soft_tissue(
    canvas: Array, point: HeadPoint, skin_depth: Array, tissues: Tissues
) -> None:
    paint(canvas, tissues.skin, edge(skin_depth))
    paint(canvas, tissues.fat, edge(skin_depth - 2.0, 1.0))
    below = np.clip((22 - point.z) / 20, 0, 1) * (2.0 + 2.0 * point.coarse)
    muscle = edge(skin_depth - 7.5 - below, 1.5)
    paint(canvas, tissues.muscle, muscle)
    planes = edge(1.1 - np.abs(point.folds) * 6 + 0.6 * point.coarse, 1.0) * muscle
    paint(canvas, tissues.fat, planes * 0.8 * edge(30 - point.z, 10))


def _paint_skull(
    canvas: Array, point: HeadPoint, skin_depth: Array, cavity_depth: Array, tissues: Tissues
) -> None:
    """Paint two tables of compact bone with spongy bone between them, thicker at the base."""
    base = np.clip((14 - point.z) / 10, 0, 1)
    thickness = 6.5 + 1.2 * point.coarse + 1.5 * base
    outside = np.minimum(-cavity_depth, skin_depth - 2.5)
    shell = np.minimum(outside, thickness - outside)
    inside = edge(outside, 1.0) * edge(thickness + cavity_depth, 1.0) * edge(skin_depth - 3)
    _paint_bone(canvas, point, shell, inside, tissues)
    _paint_sutures(canvas, point, inside)
    for depth in _base_bones(point):
        if depth is not NOWHERE:
            _paint_bone(canvas, point, depth, edge(depth) * edge(-cavity_depth + 1), tissues)


def _paint_bone(
    canvas: Array, point: HeadPoint, depth_of_table: Array, mask: Array, tissues: Tissues
) -> None:
    spongy = edge(depth_of_table - 1.9 + 0.3 * point.fine, 1.2)
    value = (
        tissues.compact_bone * (1 + 0.06 * point.coarse)
        + (tissues.spongy_bone * (1 + 0.35 * point.fine) - tissues.compact_bone) * spongy
    )
    paint(canvas, value.astype(np.float32), mask)


def _paint_sutures(canvas: Array, point: HeadPoint, bone: Array) -> None:
    """Paint the coronal and lambdoid sutures, toothed gaps in the vault."""
    teeth = 2.2 * point.fine
    coronal = point.y + 30 - 0.4 * (point.z - 60) + teeth
    lambdoid = point.y - 72 + 0.7 * (point.z - 30) - 0.2 * point.side + teeth
    vault = edge(point.z - 22, 4)
    for line in (coronal, lambdoid):
        paint(canvas, canvas * 0.35, edge(0.9 - np.abs(line), 0.8) * bone * vault)


def _base_bones(point: HeadPoint) -> list[Array]:
    """Petrous ridges, mastoids, clivus, sphenoid wings, cheek bones and jaw joints."""
    return [
        point.rod((14, 6, -4), (58, 30, 1), 8.5, 0.8),
        point.blob((60, 36, -16), (13, 17, 24), 0.8),
        point.blob((0, -8, -14), (13, 9, 22), 0.8),
        point.rod((20, -32, 8), (56, -40, 12), 3.2, 0.8),
        point.rod((58, -48, -14), (54, -66, -16), 5.0, 0.8),
        point.rod((66, -10, -18), (62, -48, -16), 2.6),
        point.blob((53, 4, -26), (7, 5, 12)),
    ]


def _paint_face(canvas: Array, point: HeadPoint, tissues: Tissues) -> None:
    if not point.reaches(-2, 25):
        return
    orbit = point.blob((33, -66, -2), (21, 27, 19))
    globe = point.blob((33, -76, -2), (12.2, 12.2, 12.2))
    wall = edge(orbit + 2.6, 1.0) * edge(-orbit, 1.0) * edge(80 + point.y, 6)
    paint(canvas, tissues.compact_bone * 0.75, wall)
    paint(canvas, tissues.fat, edge(orbit))
    muscles = [
        point.rod((21, -72, -2), (15, -42, 0), 2.4),
        point.rod((45, -72, -2), (18, -41, 0), 2.4),
        point.rod((33, -68, 9), (17, -42, 2), 2.2),
        point.rod((33, -68, -13), (17, -42, -2), 2.2),
        point.rod((31, -64, -2), (14, -38, 1), 2.4),
    ]
    for muscle in muscles:
        paint(canvas, tissues.muscle, edge(muscle) * edge(orbit))
    paint(canvas, tissues.muscle * 1.1, edge(globe + 0.8))
    paint(canvas, tissues.vitreous, edge(globe - 0.8))
    paint(canvas, tissues.lens, edge(point.blob((33, -84.5, -2), (4.6, 2.2, 4.6))))


def _paint_sinuses(canvas: Array, point: HeadPoint, skin_depth: Array, tissues: Tissues) -> None:
    """Paint the air-filled rooms, each behind a thin wall of bone."""
    rooms = [
        point.blob((31, -62, -36), (15, 17, 15), 1.2),
        point.blob((9, -26, -12), (9.5, 13, 10), 1.2),
        point.blob((11, -86, 20), (13, 4.5, 12), 1.2),
    ]
    for room in rooms:
        paint(canvas, tissues.compact_bone * 0.7, edge(room + 1.8, 1.0), edge(skin_depth - 3))
        paint(canvas, tissues.air, edge(room, 1.0), edge(skin_depth - 4))
    cells = point.blob((6, -58, -8), (9, 25, 14), 0.8)
    _paint_cells(canvas, point, cells, tissues, share=0.9)
    _paint_cells(canvas, point, point.blob((58, 34, -14), (10, 13, 18), 0.8), tissues, share=0.1)
    nose = point.blob((6.5, -66, -34), (7.5, 30, 15))
    paint(canvas, tissues.air, edge(nose), edge(skin_depth - 2))
    conchae = point.rod((11, -84, -36), (11, -44, -38), 3.6)
    paint(canvas, tissues.muscle * 0.8, edge(conchae))
    canal = point.rod((50, 14, -6), (77, 13, -8), 2.8)
    paint(canvas, tissues.air, edge(canal))


def _paint_cells(
    canvas: Array, point: HeadPoint, depth: Array, tissues: Tissues, *, share: float
) -> None:
    """Paint a honeycomb of air: walls where the noise crosses zero."""
    if depth is NOWHERE:
        return
    room = edge(depth)
    walls = edge(0.55 - 1.8 * np.abs(point.fine + 0.2 - share * 0.2), 0.5)
    paint(canvas, tissues.air, room)
    paint(canvas, tissues.compact_bone * (0.75 - 0.45 * share), room * walls)
