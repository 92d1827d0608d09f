"""Soft-edged shapes and noise, the brushes of the phantoms. All lengths in mm."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Point = Sequence[float]


def edge(depth: Array, softness_mm: float = 0.8) -> Array:
    """Turn a depth into a mask with a soft edge.

    Parameters
    ----------
    depth : NDArray
        float32, mm, positive inside.
    softness_mm : float
        Width of the transition.

    Returns
    -------
    NDArray
        float32, 0 outside to 1 inside, one half where the depth is 0.
    """
    mask: Array = np.clip(depth / np.float32(softness_mm) + np.float32(0.5), 0, 1)
    return mask


def paint(canvas: Array, value: float | Array, mask: Array, within: Array | None = None) -> None:
    """Lay a value over a canvas where a mask is set.

    Parameters
    ----------
    canvas : NDArray
        float32, changed in place.
    value : float or NDArray
        What to lay over it.
    mask : NDArray
        float32, 0 keeps the canvas, 1 replaces it.
    within : NDArray, optional
        A second mask; nothing outside of it is changed.
    """
    if not mask.any():
        return
    both = mask if within is None else mask * within
    canvas += (value - canvas) * both


def ellipsoid(x: Array, y: Array, z: Array, centre: Point, radii: Point) -> Array:
    """Return the depth inside an ellipsoid, exact on its axes and near enough elsewhere.

    Parameters
    ----------
    x, y, z : NDArray
        Coordinates, broadcast together.
    centre, radii : sequence of 3 float
        Of the ellipsoid.

    Returns
    -------
    NDArray
        float32, mm, positive inside.
    """
    scaled = [
        (axis - np.float32(middle)) / np.float32(radius)
        for axis, middle, radius in zip((x, y, z), centre, radii, strict=True)
    ]
    radius = np.sqrt(scaled[0] ** 2 + scaled[1] ** 2 + scaled[2] ** 2)
    depth: Array = (1 - radius) * np.float32(min(radii))
    return depth


def capsule(x: Array, y: Array, z: Array, start: Point, end: Point, radius: float) -> Array:
    """Return the depth inside a rod with round ends.

    Parameters
    ----------
    x, y, z : NDArray
        Coordinates, broadcast together.
    start, end : sequence of 3 float
        Ends of its axis.
    radius : float
        Of the rod.

    Returns
    -------
    NDArray
        float32, mm, positive inside.
    """
    axis = np.subtract(end, start).astype(np.float32)
    dx, dy, dz = x - np.float32(start[0]), y - np.float32(start[1]), z - np.float32(start[2])
    along = np.clip((dx * axis[0] + dy * axis[1] + dz * axis[2]) / np.dot(axis, axis), 0, 1)
    squares = (dx - along * axis[0]) ** 2 + (dy - along * axis[1]) ** 2
    depth: Array = np.float32(radius) - np.sqrt(squares + (dz - along * axis[2]) ** 2)
    return depth


def union(*depths: Array) -> Array:
    """Return the depth inside any of several shapes.

    Parameters
    ----------
    depths : NDArray
        float32, mm, broadcast together.

    Returns
    -------
    NDArray
        float32, mm, positive inside.
    """
    return reduce(np.maximum, depths)


def band_noise(
    random: np.random.Generator,
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    wavelengths_mm: tuple[float, float],
) -> Array:
    """Return smooth noise that repeats at the borders, with structures of a chosen size.

    Parameters
    ----------
    random : Generator
        Where the randomness comes from.
    shape, spacing_mm : sequence
        Number and distance of the samples along each axis.
    wavelengths_mm : tuple of float
        Shortest and longest wavelength it contains.

    Returns
    -------
    NDArray
        `shape` float32, mean 0, standard deviation 1.
    """
    white = random.standard_normal(tuple(shape), dtype=np.float32)
    axes = [np.fft.fftfreq(count, step) for count, step in zip(shape, spacing_mm, strict=True)]
    axes[-1] = np.fft.rfftfreq(shape[-1], spacing_mm[-1])
    frequency = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij", sparse=True)))
    shortest, longest = wavelengths_mm
    keep = (frequency <= 1 / shortest) & (frequency >= 1 / longest)
    noise = np.fft.irfftn(np.fft.rfftn(white) * keep, s=tuple(shape), axes=range(len(shape)))
    scaled: Array = (noise / noise.std()).astype(np.float32)
    return scaled


def sample_volume(volume: Array, spacing_mm: float, x: Array, y: Array, z: Array) -> Array:
    """Read a repeating volume at any point, linearly interpolated.

    Parameters
    ----------
    volume : NDArray
        (depth, height, width) float32.
    spacing_mm : float
        Between its samples.
    x, y, z : NDArray
        Where to read, along width, height and depth; broadcast together.

    Returns
    -------
    NDArray
        float32.
    """
    position = [np.asarray(axis / np.float32(spacing_mm)) for axis in (z, y, x)]
    lower = [np.floor(axis) for axis in position]
    weight = [at - low for at, low in zip(position, lower, strict=True)]
    first = [low.astype(np.intp) % size for low, size in zip(lower, volume.shape, strict=True)]
    second = [(low + 1) % size for low, size in zip(first, volume.shape, strict=True)]
    planes = [
        _bilinear(volume, at_z, (first[1], second[1]), (first[2], second[2]), weight[1:])
        for at_z in (first[0], second[0])
    ]
    return np.asarray(planes[0] + (planes[1] - planes[0]) * weight[0], dtype=np.float32)


def _bilinear(
    volume: Array,
    z: NDArray[np.intp],
    y: tuple[NDArray[np.intp], NDArray[np.intp]],
    x: tuple[NDArray[np.intp], NDArray[np.intp]],
    weight: Sequence[Array],
) -> Array:
    top = volume[z, y[0], x[0]] * (1 - weight[1]) + volume[z, y[0], x[1]] * weight[1]
    bottom = volume[z, y[1], x[0]] * (1 - weight[1]) + volume[z, y[1], x[1]] * weight[1]
    return np.asarray(top + (bottom - top) * weight[0], dtype=np.float32)


def enlarge(image: Array) -> Array:
    """Double an image in both directions, linearly interpolated.

    Parameters
    ----------
    image : NDArray
        (rows, columns) float32.

    Returns
    -------
    NDArray
        (2 rows, 2 columns) float32.
    """
    return _double_rows(_double_rows(image).T).T


def _double_rows(image: Array) -> Array:
    doubled = np.empty((2 * image.shape[0], image.shape[1]), np.float32)
    doubled[0], doubled[-1] = image[0], image[-1]
    doubled[1:-1:2] = image[:-1] * 0.75 + image[1:] * 0.25
    doubled[2::2] = image[1:] * 0.75 + image[:-1] * 0.25
    return doubled
