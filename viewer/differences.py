"""Values of 16 bits as differences of neighbours: the same values, which pack into fewer bytes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def differences(values: NDArray[Any]) -> bytes:
    """Return each value's difference to the one on its left, of a first one to the one above.

    A difference is taken modulo 65,536 as a signed number d, written as 2d, or as -2d - 1 when it
    is negative, so that small ones are small. The lower bytes of all come first, then the upper.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns) of int16 or uint16.

    Returns
    -------
    bytes
        Two for each value.

    Examples
    --------
    >>> import numpy as np
    >>> differences(np.array([[3, 5], [2, 2]], np.uint16)).hex()
    '0604010000000000'
    """
    plain = np.ascontiguousarray(values).view(np.uint16)
    found = plain.copy()
    found[:, 1:] -= plain[:, :-1]
    found[1:, 0] -= plain[:-1, 0]
    signed = found.view(np.int16)
    folded = ((signed << 1) ^ (signed >> 15)).view(np.uint16)
    lower, upper = (folded & 0xFF).astype(np.uint8), (folded >> 8).astype(np.uint8)
    return lower.tobytes() + upper.tobytes()
