"""What a head is painted from: tissues, textures, and the points of one plane."""

from dataclasses import dataclass

import numpy as np

from sample_data.shapes import Array, band_noise, capsule, ellipsoid, enlarge, sample_volume

TEXTURE_SPACING_MM = 2.0
TEXTURE_SIZE = (96, 96, 96)
MARGIN_MM = 8.0
NOWHERE = np.full((1, 1), -99, np.float32)
"""Depth of a shape that the plane does not touch."""


@dataclass(frozen=True, slots=True)
class Tissues:
    """The value each tissue is painted with: HU for CT, signal for MR."""

    air: float
    skin: float
    fat: float
    muscle: float
    compact_bone: float
    spongy_bone: float
    csf: float
    grey: float
    white: float
    deep_grey: float
    falx: float
    vitreous: float
    lens: float
    blood: float
    oedema: float


@dataclass(frozen=True, slots=True)
class Textures:
    """Repeating noise volumes, sampled every `TEXTURE_SPACING_MM`.

    Attributes
    ----------
    folds : NDArray
        Its zero crossings are the sulci.
    fine : NDArray
        For folia, air cells and spongy bone.
    coarse : NDArray
        For everything that should not look drawn with compasses.
    """

    folds: Array
    fine: Array
    coarse: Array


def make_textures(random: np.random.Generator) -> Textures:
    """Make the noise of one head.

    Parameters
    ----------
    random : Generator
        Where the randomness comes from.

    Returns
    -------
    Textures
        Volumes of `TEXTURE_SIZE`.
    """
    step = (TEXTURE_SPACING_MM,) * 3
    return Textures(
        folds=band_noise(random, TEXTURE_SIZE, step, (17.0, 30.0)),
        fine=band_noise(random, TEXTURE_SIZE, step, (5.0, 9.0)),
        coarse=band_noise(random, TEXTURE_SIZE, step, (30.0, 90.0)),
    )


@dataclass(frozen=True, slots=True)
class HeadPoint:
    """Coordinates of the pixels of one plane, and what most shapes need of them.

    Attributes
    ----------
    x, y, z : NDArray
        (rows, columns) float32, mm.
    side : NDArray
        Distance from the middle, the same for left and right, mm.
    fine, coarse, folds : NDArray
        The textures there.
    """

    x: Array
    y: Array
    z: Array
    side: Array
    fine: Array
    coarse: Array
    folds: Array

    def reaches(self, z: float, half_height: float) -> bool:
        """Whether the plane comes near enough to a shape to be touched by it."""
        reach = half_height + MARGIN_MM
        return bool(self.z.min() - reach < z < self.z.max() + reach)

    def blob(
        self, centre: tuple[float, ...], radii: tuple[float, ...], rough: float = 0.0
    ) -> Array:
        """Depth inside an ellipsoid that exists on both sides, its surface `rough` mm uneven."""
        if not self.reaches(centre[2], radii[2]):
            return NOWHERE
        depth = ellipsoid(self.side, self.y, self.z, centre, radii)
        return depth + rough * self.coarse if rough else depth

    def rod(
        self,
        start: tuple[float, ...],
        end: tuple[float, ...],
        radius: float,
        rough: float = 0.0,
    ) -> Array:
        """Depth inside a capsule that exists on both sides, its surface `rough` mm uneven."""
        middle, half = (start[2] + end[2]) / 2, abs(start[2] - end[2]) / 2
        if not self.reaches(middle, half + radius):
            return NOWHERE
        depth = capsule(self.side, self.y, self.z, start, end, radius)
        return depth + rough * self.coarse if rough else depth


def points_of_plane(x: Array, y: Array, z: Array, textures: Textures, shift_mm: float) -> HeadPoint:
    """Return the points of a plane.

    Parameters
    ----------
    x, y, z : NDArray
        (rows, columns) float32, mm; rows and columns even.
    textures : Textures
        From `make_textures`.
    shift_mm : float
        How far the middle of the brain is pushed to the left.

    Returns
    -------
    HeadPoint
        Coordinates and textures.
    """
    every_second = (x[::2, ::2], y[::2, ::2], z[::2, ::2])
    fine, coarse, folds = (
        enlarge(sample_volume(volume, TEXTURE_SPACING_MM, *every_second))
        for volume in (textures.fine, textures.coarse, textures.folds)
    )
    push = np.exp(-(((y + 4) / 34) ** 2) - ((z - 36) / 22) ** 2)
    middle = shift_mm * push * np.clip(1 - np.abs(x) / 66, 0, 1)
    side = np.abs(x - middle + 0.6 * coarse)
    return HeadPoint(x, y, z, side.astype(np.float32), fine, coarse, folds)
