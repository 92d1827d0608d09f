"""A picture with known grey levels, to see what a display makes of them."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

GreyPicture = NDArray[np.uint8]

SMALLEST_PX: Final = 320
LARGEST_PX: Final = 4096
STEPS: Final = 11
"""Patches from black to white, 0 to 100 % in steps of 10 %."""
_BACKGROUND: Final = 128
_FAINT: Final = 0.05
_WHITE: Final = 255


def pattern(width: int, height: int) -> GreyPicture:
    """Draw the pattern.

    On a grey ground: a frame at the outermost pixels, a row of patches from black to white, a
    black patch with a square of 5 % in it and a white one with a square of 95 %, a ramp of all
    256 levels, and in the corners and the middle lines one and two pixels wide.

    Parameters
    ----------
    width, height : int
        Pixels; kept between `SMALLEST_PX` and `LARGEST_PX`.

    Returns
    -------
    numpy.ndarray
        (height, width) uint8, 0 = black.

    Notes
    -----
    The 5 % and 95 % patches are those of SMPTE RP 133. The levels are what is sent to the
    display (PS3.14 calls them P-Values only on a calibrated one).
    """
    width, height = (min(max(side, SMALLEST_PX), LARGEST_PX) for side in (width, height))
    picture = np.full((height, width), _BACKGROUND, np.uint8)
    picture[[0, -1], :] = picture[:, [0, -1]] = _WHITE
    _draw_steps(picture[height * 3 // 10 : height * 4 // 10, width // 10 : width * 9 // 10])
    _draw_faint(picture[height * 45 // 100 : height * 65 // 100, width // 10 : width * 9 // 10])
    _draw_ramp(picture[height * 7 // 10 : height * 8 // 10, width // 10 : width * 9 // 10])
    side = min(width, height) // 8
    for top in (4, (height - side) // 2, height - side - 4):
        for left in (4, width - side - 4):
            _draw_lines(picture[top : top + side, left : left + side])
    return picture


def _draw_steps(area: GreyPicture) -> None:
    for step, part in enumerate(np.array_split(np.arange(area.shape[1]), STEPS)):
        area[:, part] = round(step * _WHITE / (STEPS - 1))


def _draw_faint(area: GreyPicture) -> None:
    """Draw black with a little less black in it, and white with a little less white."""
    faint = round(_FAINT * _WHITE)
    rows, half = area.shape[0], area.shape[1] // 2
    inner = slice(rows // 3, rows * 2 // 3)
    for left, level, square in ((0, 0, faint), (half, _WHITE, _WHITE - faint)):
        area[:, left : left + half] = level
        middle = left + half // 2
        area[inner, middle - rows // 6 : middle + rows // 6] = square


def _draw_ramp(area: GreyPicture) -> None:
    area[:] = np.arange(area.shape[1]) * 256 // area.shape[1]


def _draw_lines(area: GreyPicture) -> None:
    """Draw lines of one and of two pixels, upright in the upper half and level in the lower."""
    half, middle = area.shape[0] // 2, area.shape[1] // 2
    across, down = np.arange(area.shape[1]), np.arange(area.shape[0] - half)
    area[:half, :middle] = (across[:middle] % 2 * _WHITE)[np.newaxis]
    area[:half, middle:] = (across[middle:] // 2 % 2 * _WHITE)[np.newaxis]
    area[half:, :middle] = (down % 2 * _WHITE)[:, np.newaxis]
    area[half:, middle:] = (down // 2 % 2 * _WHITE)[:, np.newaxis]
