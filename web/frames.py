"""Frames of an instance as WADO-RS gives them (PS3.18 section 8.7.3.3): as stored, or decoded."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from viewer.decode import Instance
from web.accept import ANY_SYNTAX, Accepted
from web.errors import BadParameter, NotAcceptable, NotFound
from web.multipart import Part, file_chunks

EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
_NATIVE_LITTLE: Final = ("1.2.840.10008.1.2", EXPLICIT_LITTLE, "1.2.840.10008.1.2.1.99")
OCTETS: Final = "application/octet-stream"
MEDIA_TYPES: Final = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}
"""Media type of a stored codestream (PS3.18 Tables 8.7.3-2 and 8.7.3-5)."""


@dataclass(frozen=True, slots=True)
class FrameSource:
    """How frames are given: the media type of a part, and what reads one by its number.

    `ranges` is the instance when its frames may stand in its file as they are given.
    """

    media_type: str
    content_type: str
    read: Callable[[int], bytes]
    ranges: Instance | None = None

    def part(self, frame_number: int, location: str) -> Part:
        """Return one frame as a part, read while it is sent where the file holds it so.

        Parameters
        ----------
        frame_number : int
            1-based.
        location : str
            Where it can be had alone.

        Returns
        -------
        Part

        Raises
        ------
        viewer.errors.ViewerError
            The frame does not exist or cannot be read.
        """
        found = self.ranges and self.ranges.native_range(frame_number)
        if self.ranges is not None and found:
            chunks = file_chunks(self.ranges.path, *found)
            return Part(self.content_type, location, chunks, found[1])
        body = self.read(frame_number)
        return Part(self.content_type, location, (body,), len(body))


def frame_numbers(frame_list: str, instance: Instance) -> list[int]:
    """Return the frames an address names.

    Parameters
    ----------
    frame_list : str
        1-based numbers parted by commas.
    instance : Instance
        Whose frames they are.

    Returns
    -------
    list of int

    Raises
    ------
    BadParameter
        It is no such list.
    NotFound
        The instance has not as many frames.
    """
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", frame_list):
        raise BadParameter("Frames are named by their numbers from 1, parted by commas.")
    numbers = [int(number) for number in frame_list.split(",")]
    if len(numbers) > instance.number_of_frames or 0 in numbers:
        raise BadParameter("Name each frame once; the first one has number 1.")
    if max(numbers) > instance.number_of_frames:
        raise NotFound(f"The instance has {instance.number_of_frames} frames.")
    return numbers


def choose(instance: Instance, forms: Sequence[Accepted]) -> FrameSource:
    """Return the first form the client accepts and this node can give.

    Parameters
    ----------
    instance : Instance
        The instance.
    forms : sequence of Accepted
        Best first.

    Returns
    -------
    FrameSource

    Raises
    ------
    NotAcceptable
        There is none.
    """
    for form in forms:
        source = _source(instance, form)
        if source is not None:
            return source
    raise NotAcceptable(
        "Frames are given as multipart/related with application/octet-stream, or as stored in "
        "the media type of their transfer syntax."
    )


def _source(instance: Instance, form: Accepted) -> FrameSource | None:
    stored = instance.transfer_syntax_uid
    if stored in _NATIVE_LITTLE:
        return (
            _as_stored(instance, OCTETS, EXPLICIT_LITTLE)
            if _takes(form, OCTETS, EXPLICIT_LITTLE)
            else None
        )
    media_type = MEDIA_TYPES.get(stored, OCTETS)
    if media_type != OCTETS and _takes(form, media_type, stored):
        return _as_stored(instance, media_type, stored)
    if form.takes_parts(OCTETS) and form.transfer_syntax_uid in (ANY_SYNTAX, stored):
        return _as_stored(instance, OCTETS, stored)
    if _takes(form, OCTETS, EXPLICIT_LITTLE):
        return FrameSource(
            OCTETS, f"{OCTETS}; transfer-syntax={EXPLICIT_LITTLE}", lambda n: decoded(instance, n)
        )
    return None


def _takes(form: Accepted, media_type: str, syntax: str) -> bool:
    return form.takes_parts(media_type) and form.transfer_syntax_uid in ("", ANY_SYNTAX, syntax)


def _as_stored(instance: Instance, media_type: str, syntax: str) -> FrameSource:
    return FrameSource(
        media_type,
        f"{media_type}; transfer-syntax={syntax}",
        lambda number: instance.encoded_frame(number)[0],
        instance,
    )


def decoded(instance: Instance, frame_number: int) -> bytes:
    """Return a frame decoded to little-endian values as wide as Bits Allocated; colour as RGB.

    Parameters
    ----------
    instance : Instance
        The instance.
    frame_number : int
        1-based.

    Returns
    -------
    bytes

    Raises
    ------
    NotAcceptable
        A palette, whose indices are only to be had as stored, or colours of more than 8 bits.
    viewer.errors.ViewerError
        The frame cannot be decoded.
    """
    if instance.header.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise NotAcceptable("Frames of palette colour are given as stored only.")
    frame = instance.stored_frame(frame_number)
    allocated = int(instance.header.get("BitsAllocated", 8)) // 8
    if frame.ndim == 3 and allocated > 1:
        raise NotAcceptable("Colours of more than 8 bits are given as stored only.")
    # signed values of 8 bits are decoded into wider ones
    width = allocated if frame.dtype.kind == "i" else max(allocated, frame.dtype.itemsize)
    return np.ascontiguousarray(frame, dtype=f"<{frame.dtype.kind}{width}").tobytes()
