"""The brain of the phantom head: folds, nuclei, fluid, and a haemorrhage."""

import numpy as np

from sample_data.head_tissues import NOWHERE, HeadPoint, Tissues
from sample_data.shapes import Array, edge, ellipsoid, paint, union


def paint_brain(
    canvas: Array, point: HeadPoint, skin_depth: Array, cavity_depth: Array, tissues: Tissues
) -> None:
    """Paint everything inside the skull.

    Parameters
    ----------
    canvas : NDArray
        (rows, columns) float32, changed in place.
    point : HeadPoint
        The plane.
    skin_depth, cavity_depth : NDArray
        Depth below the skin and inside the skull, mm.
    tissues : Tissues
        Values to paint with.
    """
    cavity = edge(cavity_depth)
    paint(canvas, tissues.csf, cavity)
    tissue_depth = cavity_depth - 1.3 - 0.5 * point.coarse
    paint(canvas, tissues.white, edge(tissue_depth))
    below_vault = np.clip((16 - point.z) / 8, 0, 1)
    from_vault = np.maximum(skin_depth - 14, 0)
    reach = tissue_depth * below_vault + np.minimum(from_vault, 60) * (1 - below_vault)
    _paint_cortex(canvas, point, tissue_depth, reach, tissues)
    _paint_deep_grey(canvas, point, tissues, cavity)
    _paint_posterior_fossa(canvas, point, cavity_depth, tissues)
    _paint_middle(canvas, point, cavity_depth, tissues)
    _paint_cisterns(canvas, point, cavity, tissues)
    _paint_ventricles(canvas, point, cavity_depth, tissues)


def _paint_cortex(
    canvas: Array, point: HeadPoint, depth: Array, from_surface: Array, tissues: Tissues
) -> None:
    """Paint gyri: grey matter under the surface and along the folds, fluid in the folds."""
    inside = edge(depth)
    from_middle = np.minimum(from_surface, point.side + 2 + np.abs(point.z - 62) * 0.5)
    fold = np.abs(point.folds) * 7.5
    reach = np.clip(1 - from_middle / 20, 0, 1)
    grey_width = 4.2 * np.clip(reach * 2.2, 0, 1)
    ribbon = np.maximum(edge(3.6 - from_middle, 1.4), edge(grey_width - fold, 1.6) * (reach > 0))
    paint(canvas, tissues.grey, ribbon * inside)
    sulcus = edge(2.1 * reach - 0.35 - fold, 1.0) * (reach > 0)
    paint(canvas, tissues.csf, sulcus * inside * 0.9)


def _paint_deep_grey(canvas: Array, point: HeadPoint, tissues: Tissues, cavity: Array) -> None:
    nuclei = [
        point.blob((13.5, -24, 40), (6, 12, 11), 0.6),
        point.blob((11, 6, 34), (9.5, 15, 11), 0.6),
        point.blob((26, -6, 32), (7.5, 19, 11), 0.6),
    ]
    for nucleus in nuclei:
        paint(canvas, tissues.deep_grey, edge(nucleus, 1.6), cavity)
    insula = point.rod((38, -24, 30), (40, 12, 32), 4.0, 0.6)
    paint(canvas, tissues.grey, edge(insula, 1.6), cavity)
    cleft = point.rod((40, -28, 22), (44, 14, 34), 9.0)
    if cleft is NOWHERE:
        return
    fissure = np.minimum(
        cleft,
        1.3 - np.abs(point.side - 42.5 - 0.06 * point.y - 1.2 * point.folds),
    )
    paint(canvas, tissues.csf, edge(fissure, 1.2), cavity)


def _paint_posterior_fossa(
    canvas: Array, point: HeadPoint, cavity_depth: Array, tissues: Tissues
) -> None:
    """Paint cerebellum with its folia, brain stem, and the tent above them."""
    if not point.reaches(-10, 40):
        return
    roof = 24 - 0.32 * np.maximum(point.side - 6, 0) - 0.12 * np.abs(point.y - 36)
    behind = edge(point.y - 6 - 0.1 * point.side, 3.0)
    fossa = edge(roof - point.z, 1.5) * behind * edge(cavity_depth - 1.5)
    paint(canvas, tissues.white + 0.5 * (tissues.grey - tissues.white), fossa)
    waves = point.z * 0.5 + cavity_depth * 0.9 + 1.5 * point.coarse + 0.7 * point.fine
    folia = edge(0.5 - np.abs(np.sin(waves)), 0.9) * edge(24 - cavity_depth, 8)
    paint(canvas, tissues.grey, fossa * folia)
    paint(canvas, tissues.csf, fossa * edge(0.16 - np.abs(np.sin(waves)), 0.2) * folia * 0.35)
    tent = edge(0.9 - np.abs(roof - point.z) * 0.5, 0.8) * behind * edge(cavity_depth)
    paint(canvas, tissues.falx, tent * edge(point.side - 12, 6) * 0.4)
    stem = union(
        point.blob((0, 7, -3), (16, 11, 15)),
        point.blob((0, 15, -24), (9, 8, 20)),
        point.blob((8, 7, 15), (9, 10, 11)),
        point.blob((0, 14, 16), (10, 8, 10)),
    )
    around = (
        edge(stem + 2.4 + 0.9 * point.coarse, 1.5)
        * edge(cavity_depth - 0.5)
        * edge(28 - point.y, 3)
    )
    paint(canvas, tissues.csf, around * edge(24 - point.z, 4))
    paint(canvas, tissues.white + 0.4 * (tissues.grey - tissues.white), edge(stem, 1.2))


def _paint_middle(canvas: Array, point: HeadPoint, cavity_depth: Array, tissues: Tissues) -> None:
    """Paint the fissure between the hemispheres with the falx in it."""
    callosum = ellipsoid(point.side, point.y, point.z, (0, 2, 34), (30, 44, 24))
    open_part = edge(-callosum, 2.0) * edge(cavity_depth) * edge(point.z - 24, 4)
    paint(canvas, tissues.grey, edge(4.2 - point.side, 1.6) * open_part)
    width = 1.5 + 0.7 * point.folds
    paint(canvas, tissues.csf, edge(width - point.side, 0.9) * open_part)
    deep = edge(cavity_depth - 26, 8) * edge(-40 - point.y, 6)
    paint(canvas, tissues.falx, edge(0.75 - point.side, 0.8) * open_part * (1 - deep))
    sinus = point.blob((0, 88, 40), (4.5, 4, 60))
    paint(canvas, tissues.falx * 1.02, edge(sinus, 1.2) * edge(cavity_depth + 1))


def _paint_cisterns(canvas: Array, point: HeadPoint, cavity: Array, tissues: Tissues) -> None:
    cisterns = [
        point.blob((0, -12, 15), (11, 7, 6), 0.8),
        point.rod((6, -14, 15), (24, -20, 17), 1.8, 0.8),
        point.blob((0, 26, 19), (4, 3, 4), 0.8),
        point.rod((3, 25, 19), (17, 17, 17), 1.4, 0.8),
    ]
    for cistern in cisterns:
        paint(canvas, tissues.csf, edge(cistern, 1.2), cavity)


def _paint_ventricles(
    canvas: Array, point: HeadPoint, cavity_depth: Array, tissues: Tissues
) -> None:
    paired = [
        point.rod((4.5, -16, 40), (13, -36, 43), 4.2, 0.5),
        point.rod((5.5, -14, 47), (13, 16, 51), 5.0, 0.5),
        point.rod((13, 16, 50), (24, 32, 40), 6.0, 0.5),
        point.rod((24, 32, 38), (22, 54, 33), 4.2, 0.5),
        point.rod((26, 30, 34), (33, -4, 12), 2.2, 0.5),
    ]
    single = [point.blob((0, 2, 28), (2.0, 14, 10)), point.blob((0, 30, 0), (7.5, 5.5, 9))]
    inside = edge(cavity_depth)
    beside_septum = edge(point.side - 0.7)
    for depth in paired:
        paint(canvas, tissues.csf, edge(depth, 1.1), beside_septum * inside)
    for depth in single:
        paint(canvas, tissues.csf, edge(depth, 1.1), inside)
    plexus = point.blob((22, 33, 39), (2.4, 3.6, 2.6), 0.4)
    paint(canvas, tissues.falx * 1.6, edge(plexus, 1.5), inside)


def paint_bleed(canvas: Array, point: HeadPoint, cavity_depth: Array, tissues: Tissues) -> None:
    """Paint a haemorrhage in the right basal ganglia with a rim of oedema.

    Parameters
    ----------
    canvas : NDArray
        (rows, columns) float32, changed in place.
    point : HeadPoint
        The plane.
    cavity_depth : NDArray
        Depth inside the skull, mm.
    tissues : Tissues
        Values to paint with.
    """
    if not point.reaches(36, 24):
        return
    depth = ellipsoid(point.x, point.y, point.z, (-29, -4, 36), (15, 21, 16))
    depth = depth + 2.2 * point.coarse + 1.0 * point.folds
    inside = edge(cavity_depth - 3)
    paint(canvas, tissues.oedema, edge(depth + 6.5 + point.folds, 5.0) * inside)
    clot = tissues.blood * (1 + 0.05 * point.folds + 0.04 * point.fine)
    paint(canvas, clot.astype(np.float32), edge(depth, 1.6) * inside)
