"""Undo a known encoder mistake in 16 bit lossless JPEG of signed pixels.

Predictors 5 to 7 take differences and halves of neighbouring samples, which the standard does on
unsigned numbers. Some encoders did it on signed ones. Any correct decoder then draws moiré.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

AFFECTED_PREDICTORS: Final = (5, 6, 7)
"""Selection values (ISO/IEC 10918-1 H.1.2.1) that give other results on signed numbers."""

_ROUGH: Final = 1000.0
_Samples = NDArray[np.uint16]
_Wide = NDArray[np.int32]


def repaired(samples: _Samples, predictor: int) -> _Samples:
    """Return the picture the encoder meant.

    Parameters
    ----------
    samples : numpy.ndarray
        (rows, columns) uint16, two's complement, as a correct decoder gives them.
    predictor : int
        Selection value of the scan.

    Returns
    -------
    numpy.ndarray
        The samples themselves when they are smooth or when signed prediction does not make them
        far smoother; the repaired ones otherwise.
    """
    if predictor not in AFFECTED_PREDICTORS or _roughness(samples) < _ROUGH:
        return samples
    candidate = _decode_signed(samples, predictor)
    return candidate if _roughness(candidate) < _roughness(samples) / 4 else samples


def _roughness(samples: _Samples) -> float:
    """Mean step between vertical neighbours, in signed values."""
    steps = np.abs(np.diff(samples.view(np.int16).astype(np.int32), axis=0))
    return float(steps.mean()) if steps.size else 0.0


def _decode_signed(samples: _Samples, predictor: int) -> _Samples:
    """Take the coded differences back out and decode them with signed prediction.

    A sample needs its left, upper and upper left neighbour, so all samples of one antidiagonal
    are decoded at once. First row and column are predicted from one neighbour: they are right.
    """
    unsigned = samples.astype(np.int32)
    predicted = _predict(predictor, unsigned[1:, :-1], unsigned[:-1, 1:], unsigned[:-1, :-1])
    differences = unsigned[1:, 1:] - predicted
    decoded = samples.view(np.int16).astype(np.int32)
    rows, columns = samples.shape
    for diagonal in range(2, rows + columns - 1):
        row = np.arange(max(1, diagonal - columns + 1), min(rows, diagonal))
        column = diagonal - row
        prediction = _predict(
            predictor,
            decoded[row, column - 1],
            decoded[row - 1, column],
            decoded[row - 1, column - 1],
        )
        value = prediction + differences[row - 1, column - 1]
        decoded[row, column] = (value + 0x8000 & 0xFFFF) - 0x8000
    return decoded.astype(np.int16).view(np.uint16)


def _predict(predictor: int, left: _Wide, above: _Wide, corner: _Wide) -> _Wide:
    if predictor == 5:
        return left + (above - corner >> 1)
    if predictor == 6:
        return above + (left - corner >> 1)
    return left + above >> 1
