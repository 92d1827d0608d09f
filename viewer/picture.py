"""Display values, there already or drawn row by row when they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from viewer.strips import StripThreads, strips_of


@dataclass(frozen=True, slots=True)
class DrawnLater:
    """A picture that is not in memory; its rows are had as those of an array.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns).
    draw : callable
        Takes a slice of rows, and writes them into an array; threads may call it at once.
    """

    shape: tuple[int, int]
    draw: Callable[[slice, NDArray[np.uint8]], None]

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]:
        """Draw some rows."""
        begin, end, _ = rows.indices(self.shape[0])
        drawn = np.empty((end - begin, self.shape[1]), np.uint8)
        self.draw(rows, drawn)
        return drawn


Picture = NDArray[np.uint8] | DrawnLater
"""(rows, columns) or (rows, columns, 3) uint8: grey, or RGB."""


def whole(picture: Picture, threads: StripThreads) -> NDArray[np.uint8]:
    """Return all rows of a picture, drawn by whoever may help."""
    if not isinstance(picture, DrawnLater):
        return picture
    drawn = np.empty(picture.shape, np.uint8)
    threads.each(lambda rows: picture.draw(rows, drawn[rows]), strips_of(*picture.shape))
    return drawn
