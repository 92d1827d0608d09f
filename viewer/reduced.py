"""Stored values of a frame at fewer rows and columns: enough to look at where it is drawn small."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from viewer.decode import Instance
from viewer.errors import UnsupportedPixels
from viewer.frame_facts import facts_of


def reduced_frame(instance: Instance, frame_number: int, step: int) -> NDArray[Any]:
    """Return a grey frame with blocks of its pixels made one. They serve to look, never to measure.

    Parameters
    ----------
    instance : Instance
        From `viewer.decode.open_instance`.
    frame_number : int
        1-based.
    step : int
        Side of a block, in pixels; blocks at the right and at the bottom may be smaller.

    Returns
    -------
    numpy.ndarray
        (ceil(rows / step), ceil(columns / step)), of the type of the stored values: the mean of a
        block, rounded half up; one of its values where a mean would mean nothing, as of a
        palette's numbers and of fractions. Padding counts only where a block holds nothing else.

    Raises
    ------
    UnsupportedPixels
        The frame has colours.
    NoSuchFrame, UnsupportedTransferSyntax, UnreadableFile
        As `Instance.stored_frame`.
    """
    facts = facts_of(instance, frame_number)
    if not facts.pixel_format.is_grey:
        raise UnsupportedPixels("This frame has colours; only grey values are reduced.")
    stored = instance.stored_frame(frame_number)
    if facts.supplemental_palette is not None or stored.dtype.kind == "f":
        return picks(stored, step)
    if facts.pixel_padding is not None:
        return means_without_padding(stored, step, facts.pixel_padding)
    return means(stored, step)


def picks(stored: NDArray[Any], step: int) -> NDArray[Any]:
    """Return one value of each block, the one in its middle.

    Parameters
    ----------
    stored : numpy.ndarray
        (rows, columns).
    step : int
        Side of a block.

    Returns
    -------
    numpy.ndarray
    """
    rows, columns = (
        np.minimum(np.arange(0, length, step) + step // 2, length - 1) for length in stored.shape
    )
    return stored[np.ix_(rows, columns)]


def means(stored: NDArray[Any], step: int) -> NDArray[Any]:
    """Return the mean of each block, rounded half up.

    Parameters
    ----------
    stored : numpy.ndarray
        (rows, columns) of whole numbers.
    step : int
        Side of a block.

    Returns
    -------
    numpy.ndarray
    """
    heights, widths = (
        np.diff(np.arange(0, length, step), append=length) for length in stored.shape
    )
    found: NDArray[Any] = np.floor(_sums(stored, step) / np.outer(heights, widths) + 0.5)
    return found.astype(stored.dtype)


def means_without_padding(
    stored: NDArray[Any], step: int, padding: tuple[float, float]
) -> NDArray[Any]:
    """Return the mean of those values of each block that are no padding, rounded half up.

    Parameters
    ----------
    stored : numpy.ndarray
        (rows, columns) of whole numbers.
    step : int
        Side of a block.
    padding : tuple of float
        Smallest and largest value of the background (PS3.3 C.7.5.1.1.2).

    Returns
    -------
    numpy.ndarray
        Padding where a block is nothing else, and only there.
    """
    low, high = padding
    is_padding = (stored >= low) & (stored <= high)
    sums = _sums(np.where(is_padding, 0, stored), step)
    counts = _sums(~is_padding, step)
    found = np.floor(sums / np.maximum(counts, 1) + 0.5)
    # of values on both sides of the padding
    found[(found >= low) & (found <= high)] = np.floor(high) + 1
    background = stored[::step, ::step]
    return np.where(counts > 0, found, background).astype(stored.dtype)


def _sums(values: NDArray[Any], step: int) -> NDArray[np.int64]:
    firsts = [np.arange(0, length, step) for length in values.shape]
    down = np.add.reduceat(values, firsts[0], axis=0, dtype=np.int64)
    across: NDArray[np.int64] = np.add.reduceat(down, firsts[1], axis=1)
    return across
