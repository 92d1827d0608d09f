"""Which JPEG codestreams every browser draws as they are meant."""

from collections.abc import Iterator
from typing import Final

_BASELINE: Final = 0xC0
_SCAN: Final = 0xDA
_JFIF, _EXIF_OR_XMP, _COLOUR_PROFILE, _ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_OTHER_FRAMES: Final = frozenset(range(0xC1, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_LENGTH: Final = frozenset((0x01, *range(0xD0, 0xD9)))


def browser_sees_ycbcr(encoded: bytes) -> bool | None:
    """Tell how a browser reads the three components of a baseline JPEG.

    Parameters
    ----------
    encoded : bytes
        A JPEG codestream that was found whole before.

    Returns
    -------
    bool or None
        True for YCbCr, False for RGB; None when it is no 8 bit baseline picture of three
        components, or carries a colour profile or an orientation that a browser would apply.

    Notes
    -----
    Browsers decode with libjpeg: JFIF comes first, then Adobe's word, then the names of the
    components; what nothing tells is YCbCr.
    """
    segments = list(_segments(encoded))
    markers = {marker for marker, _ in segments}
    frames = [segment for marker, segment in segments if marker == _BASELINE]
    is_changed_by_browser = markers & {_EXIF_OR_XMP, _COLOUR_PROFILE}
    if len(frames) != 1 or markers & _OTHER_FRAMES or is_changed_by_browser:
        return None
    [frame] = frames
    if len(frame) < 15 or frame[0] != 8 or frame[5] != 3:
        return None
    if any(marker == _JFIF and segment.startswith(b"JFIF\0") for marker, segment in segments):
        return True
    adobe = [part for marker, part in segments if marker == _ADOBE and part.startswith(b"Adobe")]
    if adobe and len(adobe[-1]) >= 12:
        return adobe[-1][11] != 0
    return frame[6::3][:3] != b"RGB"


def _segments(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment before the first scan."""
    position = 2
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF or marker in _NO_LENGTH:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == _SCAN:
            return
        length = int.from_bytes(encoded[position + 2 : position + 4], "big")
        yield marker, encoded[position + 4 : position + 2 + length]
        position += 2 + max(length, 2)
