"""A picture made smaller or larger."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from viewer.opencv import cv2
from viewer.picture import Picture, whole
from viewer.strips import STRIP_PIXELS, StripThreads, strips_of

_PLAIN_RATIO: Final = 5 / 4
"""Up to here, taking pixels from between two neighbours leaves no more of what is too fine."""
_LARGEST_DOUBLED: Final = 2**24
"""Pixels; a larger result would take four times its memory to be made at twice the size."""


def resized(picture: Picture, size: tuple[int, int], threads: StripThreads) -> Picture:
    """Return a picture in another size.

    Parameters
    ----------
    picture : Picture
    size : tuple of int
        Width and height.
    threads : StripThreads
        Who may help.

    Returns
    -------
    Picture
        The same where it has that size.

    Notes
    -----
    Along each side the mean of two pixels is taken as often as the side stays at least as long as
    wanted; that is done in strips, while the rows are in the cache. The rest, a ratio below 2, is
    interpolated between neighbours: at once up to 5/4, beyond that to twice the size, of which
    2 x 2 pixels are averaged.

    Of a pattern too fine for the result at most 0.6 of its contrast is left as another pattern,
    as a mean over each pixel's area leaves, and of one twice as coarse as the result can hold at
    least 0.73 is kept. No pixel is brighter or darker than those it stands for, so that edges get
    no halo.
    """
    rows, columns = picture.shape[:2]
    if size == (columns, rows):
        return picture
    block = _block(columns, size[0]), _block(rows, size[1])
    halved = _halved(picture, block, threads)
    per_pixel = size[0] * block[0] / columns, size[1] * block[1] / rows
    is_small = math.prod(size) <= _LARGEST_DOUBLED
    is_doubled = is_small and min(per_pixel) * _PLAIN_RATIO < 1
    if not is_doubled and not _would_copy(halved, per_pixel):
        return _interpolated(halved, per_pixel, size, 1, threads)
    return _interpolated(halved, (2 * per_pixel[0], 2 * per_pixel[1]), size, 2, threads)


def _block(length: int, wanted: int) -> int:
    """Return the largest power of two that goes into a length as often as is wanted, at least 1."""
    return 1 << max(0, (length // wanted).bit_length() - 1)


def _halved(picture: Picture, block: tuple[int, int], threads: StripThreads) -> NDArray[np.uint8]:
    """Average blocks of so many columns and rows, powers of two.

    Blocks at the right and below that are cut off have their last column or row repeated.
    """
    if block == (1, 1):
        return whole(picture, threads)
    rows, columns = picture.shape[:2]
    height, width = -(-rows // block[1]), -(-columns // block[0])
    made = np.empty((height, width, *picture.shape[2:]), np.uint8)

    def halve(lines: slice) -> None:
        part = picture[lines.start * block[1] : lines.stop * block[1]]
        lacking = (lines.stop - lines.start) * block[1] - len(part), -columns % block[0]
        made[lines] = _means(_extended(part, *lacking), block)

    threads.each(halve, strips_of(height, columns * block[1]))
    return made


def _extended(part: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.uint8]:
    if not rows and not columns:
        return part
    return np.asarray(cv2.copyMakeBorder(part, 0, rows, 0, columns, cv2.BORDER_REPLICATE), np.uint8)


def _means(picture: NDArray[np.uint8], block: tuple[int, int]) -> NDArray[np.uint8]:
    """Average whole blocks, by halves: larger steps take five times as long."""
    while block != (1, 1):
        step = min(block[0], 2), min(block[1], 2)
        size = picture.shape[1] // step[0], picture.shape[0] // step[1]
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        block = block[0] // step[0], block[1] // step[1]
    return picture


def _would_copy(picture: NDArray[np.uint8], per_pixel: tuple[float, float]) -> bool:
    """Tell whether OpenCV takes a ratio this near to 1 for none: the picture would be cut off."""
    rows, columns = picture.shape[:2]
    made = round(columns * per_pixel[0]), round(rows * per_pixel[1])
    return made == (columns, rows) and per_pixel != (1, 1)


def _interpolated(
    picture: NDArray[np.uint8],
    per_pixel: tuple[float, float],
    size: tuple[int, int],
    block: int,
    threads: StripThreads,
) -> NDArray[np.uint8]:
    """Make so many pixels of each along a row and a column, and average blocks of some, if any.

    `size` is that of the whole result; what is over is dropped. The lower half of a large picture
    is made upside down: seen from below it begins as the upper one does, with the same pixels.
    """
    wide, high = per_pixel

    def made(part: NDArray[np.uint8], rows: int) -> NDArray[np.uint8]:
        found = cv2.resize(part, None, fx=wide, fy=high, interpolation=cv2.INTER_LINEAR_EXACT)
        return _means(
            np.asarray(found, np.uint8)[: rows * block, : size[0] * block], (block, block)
        )

    def half(is_lower: bool) -> NDArray[np.uint8]:
        if not is_lower:
            return made(picture[:needed], middle)
        flipped = np.asarray(cv2.flip(picture[-needed:], 0), np.uint8)
        return np.asarray(cv2.flip(made(flipped, size[1] - middle), 0), np.uint8)

    middle = size[1] // 2
    needed = math.ceil((size[1] - middle) * block / high) + 1
    fits = math.isclose(len(picture) * high, size[1] * block)
    is_large = math.prod(size) * block * block >= 2 * STRIP_PIXELS
    if not fits or not is_large or _would_copy(picture[:needed], per_pixel):
        return made(picture, size[1])
    return np.concatenate(threads.each(half, (False, True)))
