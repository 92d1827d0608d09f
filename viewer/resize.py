"""A picture made smaller or larger, in strips."""

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from PIL import Image

from viewer.picture import Picture, whole
from viewer.strips import StripThreads, strips_of

_REDUCING_GAP: Final = 1.1
_SMALLEST_STRIP_PIXELS: Final = 2**18
_Box = tuple[int, int, int, int]


def resized(picture: Picture, size: tuple[int, int], threads: StripThreads) -> Picture:
    """Return a picture in another size.

    Parameters
    ----------
    picture : Picture
    size : tuple of int
        Width and height.
    threads : StripThreads
        Who may help.

    Notes
    -----
    Whole blocks of pixels are averaged first, down to `_REDUCING_GAP` times the size, in half the
    time that the filter takes. Of a pattern too fine for the picture no more is left near its
    limit, of the finest 0.36 instead of 0.26. Then Pillow goes along the rows and after that along
    the columns. Each is done in strips that no pixel crosses, so that they are what the whole
    would be.
    """
    rows, columns = picture.shape[:2]
    if size == (columns, rows):
        return picture
    if size[0] >= columns and size[1] >= rows:
        image = Image.fromarray(whole(picture, threads))
        sampled = _sampled(image, (columns, rows), size, Image.Resampling.BILINEAR, threads)
        return np.asarray(sampled)
    block = (_block(columns, size[0]), _block(rows, size[1]))
    covered = (columns / block[0], rows / block[1])
    reduced = _reduced(picture, block, threads)
    return np.asarray(_sampled(reduced, covered, size, Image.Resampling.HAMMING, threads))


def _block(length: int, wanted: int) -> int:
    return max(1, int(length / wanted / _REDUCING_GAP))


def _reduced(picture: Picture, block: tuple[int, int], threads: StripThreads) -> Image.Image:
    """Average blocks of so many columns and rows; those at the right and below may be smaller."""
    if block == (1, 1):
        return Image.fromarray(whole(picture, threads))
    rows, columns = picture.shape[:2]
    size = (-(-columns // block[0]), -(-rows // block[1]))
    made = Image.new("L" if len(picture.shape) == 2 else "RGB", size)

    def reduce(lines: slice) -> None:
        part = picture[lines.start * block[1] : lines.stop * block[1]]
        made.paste(Image.fromarray(part).reduce(block), (0, lines.start))

    threads.each(reduce, strips_of(size[1], columns * block[1]))
    return made


def _sampled(
    image: Image.Image,
    covered: tuple[float, float],
    size: tuple[int, int],
    resample: Image.Resampling,
    threads: StripThreads,
) -> Image.Image:
    """Return the upper left part of a picture, `covered` wide and high, in another size."""

    def widen(box: _Box) -> Image.Image:
        height = box[3] - box[1]
        part = _cropped(image, (0, box[1], image.width, box[3]))
        return part.resize((size[0], height), resample, (0, 0, covered[0], height))

    def heighten(box: _Box) -> Image.Image:
        width = box[2] - box[0]
        part = _cropped(wide, (box[0], 0, box[2], wide.height))
        return part.resize((width, size[1]), resample, (0, 0, width, covered[1]))

    wide = _in_strips(widen, image.mode, (size[0], image.height), "rows", threads)
    return _in_strips(heighten, image.mode, size, "columns", threads)


def _cropped(image: Image.Image, box: _Box) -> Image.Image:
    return image if box == (0, 0, *image.size) else image.crop(box)


def _in_strips(
    make: Callable[[_Box], Image.Image],
    mode: str,
    size: tuple[int, int],
    along: Literal["rows", "columns"],
    threads: StripThreads,
) -> Image.Image:
    """Make a picture of strips of rows or columns; `make` gets the place of each."""
    length, across = (size[1], size[0]) if along == "rows" else size
    share = length * across // threads.processors
    strips = strips_of(length, across, max(share, _SMALLEST_STRIP_PIXELS))
    if len(strips) == 1:
        return make((0, 0, *size))
    made = Image.new(mode, size)

    def fill(strip: slice) -> None:
        begin, end = strip.start, strip.stop
        box = (0, begin, size[0], end) if along == "rows" else (begin, 0, end, size[1])
        made.paste(make(box), box)

    threads.each(fill, strips)
    return made
