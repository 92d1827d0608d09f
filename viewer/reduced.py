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
        block, rounded half up; one of its values where a mean would mean nothing, as of padding,
        of a palette's numbers and of fractions.

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
    is_exact = facts.pixel_padding is not None or facts.supplemental_palette is not None
    if is_exact or stored.dtype.kind == "f":
        return picks(stored, step)
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
    firsts = [np.arange(0, length, step) for length in stored.shape]
    ends = [
        np.append(first[1:], length) for first, length in zip(firsts, stored.shape, strict=True)
    ]
    heights, widths = (end - first for first, end in zip(firsts, ends, strict=True))
    sums = np.add.reduceat(stored, firsts[0], axis=0, dtype=np.int64)
    sums = np.add.reduceat(sums, firsts[1], axis=1)
    return np.floor(sums / np.outer(heights, widths) + 0.5).astype(stored.dtype)
