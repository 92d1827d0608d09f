"""Frames of an instance as WADO-RS gives them (PS3.18 section 8.7.3.3): as stored, or decoded."""

import re
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
class FrameForm:
    """How frames are given: the media type of a part, with its transfer syntax; decoded or not."""

    media_type: str
    transfer_syntax_uid: str
    is_decoded: bool = False

    def part(self, instance: Instance, frame_number: int, location: str) -> Part:
        """Return one frame as a part, read while it is sent where the file holds it so.

        Parameters
        ----------
        instance : Instance
            Whose frame it is; of the transfer syntax this form was chosen for.
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
        content_type = f"{self.media_type}; transfer-syntax={self.transfer_syntax_uid}"
        if self.is_decoded:
            body = decoded(instance, frame_number)
        elif found := instance.native_range(frame_number):
            return Part(content_type, location, file_chunks(instance.path, *found), found[1])
        else:
            body, _ = instance.encoded_frame(frame_number)
        return Part(content_type, location, (body,), len(body))


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


def choose(stored: str, forms: tuple[Accepted, ...]) -> FrameForm:
    """Return the first form the client accepts and this node can give.

    Parameters
    ----------
    stored : str
        Transfer syntax of the instance.
    forms : tuple of Accepted
        Best first.

    Returns
    -------
    FrameForm

    Raises
    ------
    NotAcceptable
        There is none.
    """
    for accepted in forms:
        form = _form(stored, accepted)
        if form is not None:
            return form
    raise NotAcceptable(
        "Frames are given as multipart/related with application/octet-stream, or as stored in "
        "the media type of their transfer syntax."
    )


def _form(stored: str, accepted: Accepted) -> FrameForm | None:
    takes_plain = _takes(accepted, OCTETS, EXPLICIT_LITTLE)
    if stored in _NATIVE_LITTLE:
        return FrameForm(OCTETS, EXPLICIT_LITTLE) if takes_plain else None
    media_type = MEDIA_TYPES.get(stored, OCTETS)
    if media_type != OCTETS and _takes(accepted, media_type, stored):
        return FrameForm(media_type, stored)
    if accepted.takes_parts(OCTETS) and accepted.transfer_syntax_uid in (ANY_SYNTAX, stored):
        return FrameForm(OCTETS, stored)
    return FrameForm(OCTETS, EXPLICIT_LITTLE, is_decoded=True) if takes_plain else None


def _takes(form: Accepted, media_type: str, syntax: str) -> bool:
    return form.takes_parts(media_type) and form.transfer_syntax_uid in ("", ANY_SYNTAX, syntax)


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
