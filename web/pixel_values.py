"""Stored values of frames on their way to a browser: whole or reduced, and packed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from dicom_node.index import InstanceRecord
from viewer.differences import differences
from viewer.reduced import reduced_frame
from web.answers import InstanceAnswer
from web.context import WebContext
from web.errors import BadParameter
from web.multipart import in_pieces

OCTETS: Final = "application/octet-stream"
WORTH_COMPRESSING_BYTES: Final = 16384
GZIP: Final = "gzip"
GZIP_WINDOW_BITS: Final = 31
"""Of zlib: the largest window, and gzip's head around it."""
VARY: Final = (("Vary", "Accept-Encoding"),)
DIFFERENCES: Final = "differences"
LARGEST_STEP: Final = 64


@dataclass(frozen=True, slots=True)
class PixelForm:
    """In which form values are given.

    `step` is the side of the blocks of pixels that are made one, 1 for every value;
    `takes_differences` says that the client can undo `viewer.differences`.
    """

    step: int = 1
    takes_differences: bool = False
    takes_gzip: bool = False

    @property
    def variants(self) -> tuple[str, ...]:
        """What may distinguish the answer from others to the same frame."""
        size = "" if self.step == 1 else f"reduced{self.step}"
        encodings = ("", GZIP, f"{DIFFERENCES}-{GZIP}") if self.takes_gzip else ("",)
        return tuple("-".join(filter(None, (size, one))) for one in encodings)


@dataclass(frozen=True, slots=True)
class PixelBody:
    """Bytes as they are sent, and what was done to them; "" for nothing."""

    content: bytes
    encoding: str
    packing: str


def pixel_form(parameters: Mapping[str, str], *, takes_gzip: bool) -> PixelForm:
    """Return the form that a request asks for.

    Parameters
    ----------
    parameters : mapping
        Of the address: `reduce`, `packing`.
    takes_gzip : bool
        Whether the client does.

    Returns
    -------
    PixelForm

    Raises
    ------
    BadParameter
        One of them makes no sense.
    """
    step, packing = parameters.get("reduce", "1"), parameters.get("packing", "")
    if not (re.fullmatch("[0-9]{1,2}", step) and 1 <= int(step) <= LARGEST_STEP):
        raise BadParameter(f"reduce must be a whole number from 1 to {LARGEST_STEP}.")
    if packing not in ("", DIFFERENCES):
        raise BadParameter(f"packing can only be {DIFFERENCES}.")
    return PixelForm(int(step), packing == DIFFERENCES, takes_gzip)


def pixel_answer(
    context: WebContext, record: InstanceRecord, frame_number: int, form: PixelForm
) -> InstanceAnswer:
    """Return the stored values of one frame, little-endian, or its RGB bytes.

    Parameters
    ----------
    context : WebContext
        Reads the frame and keeps what was packed.
    record : InstanceRecord
        The instance.
    frame_number : int
        1-based.
    form : PixelForm
        How they are wanted.

    Returns
    -------
    InstanceAnswer
        With `X-Packing` when they are differences, `X-Reduced` when they are not all.
    """
    body = context.kept(
        ("pixels", record.digest, frame_number, form),
        lambda: packed(_values(context, record, frame_number, form.step), form),
    )
    said = {
        "X-Frame": f"{record.sop_instance_uid}#{frame_number}",
        "X-Reduced": str(form.step) if form.step > 1 else "",
        "X-Packing": body.packing,
        "Content-Encoding": body.encoding,
    }
    headers = (*VARY, *((name, value) for name, value in said.items() if value))
    size = "" if form.step == 1 else f"reduced{form.step}"
    variant = "-".join(filter(None, (size, body.packing, body.encoding)))
    return InstanceAnswer(
        record, OCTETS, in_pieces(body.content), len(body.content), variant, headers
    )


def _values(
    context: WebContext, record: InstanceRecord, frame_number: int, step: int
) -> NDArray[Any]:
    instance = context.open(record)
    if step > 1:
        return reduced_frame(instance, frame_number, step)
    return instance.stored_frame(frame_number)


def packed(values: NDArray[Any], form: PixelForm) -> PixelBody:
    """Return values as they are sent: in gzip, lightly, where that saves a fifth or more.

    Parameters
    ----------
    values : numpy.ndarray
        (rows, columns), or (rows, columns, 3).
    form : PixelForm
        What the client takes.

    Returns
    -------
    PixelBody
    """
    if not form.takes_gzip or values.nbytes < WORTH_COMPRESSING_BYTES:
        return PixelBody(_plain(values), "", "")
    is_wide = values.ndim == 2 and values.dtype in (np.int16, np.uint16)
    if form.takes_differences and is_wide:
        return PixelBody(_smaller(differences(values)), GZIP, DIFFERENCES)
    body = _plain(values)
    smaller = _smaller(body)
    return (
        PixelBody(smaller, GZIP, "") if len(smaller) < 0.8 * len(body) else PixelBody(body, "", "")
    )


def _plain(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()


def _smaller(body: bytes) -> bytes:
    return isal_zlib.compress(body, 1, wbits=GZIP_WINDOW_BITS)
