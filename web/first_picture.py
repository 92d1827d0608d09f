"""What the page of a study holds of the frame seen first: its preview, and whose it is."""

import logging
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from viewer.errors import ViewerError
from web import api
from web.context import WebContext
from web.opened_study import Opening
from web.preview import Preview, preview_of

LARGEST_JPEG_BYTES: Final = 512 * 1024
"""A page waits for all that stands in it; a larger picture comes by itself."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FirstPicture:
    """A preview as it stands in a page; what is said around it is made from its own `info`.

    `digest` is the instance's, `correction_id` that of the correction in force, "" for none.
    """

    info: dict[str, Any]
    jpeg: bytes
    digest: str
    correction_id: str
    opening: Opening

    @property
    def address(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/jpeg;base64,{b64encode(self.jpeg).decode('ascii')}"

    @property
    def place(self) -> str:
        """Where in its series it lies, in words."""
        what = "Frame" if self.opening.has_frames else "Image"
        return f"{what} {self.opening.index + 1} of {self.opening.length}"

    @property
    def answer(self) -> dict[str, Any]:
        """What the scripts take as the answer that they would have asked for."""
        return {"digest": self.digest, "correction_id": self.correction_id, "info": self.info}


def first_picture(context: WebContext, opening: Opening | None) -> FirstPicture | None:
    """Return the first picture of a study, if a page need not wait for it.

    Parameters
    ----------
    context : WebContext
        Opens the instance and keeps what was rendered.
    opening : Opening, optional
        The frame that is seen first.

    Returns
    -------
    FirstPicture or None
        None when there is none, when it cannot be shown or is too large for a page, and when it has
        to be decoded first.
    """
    made = None if opening is None else _preview_at_hand(context, opening)
    if opening is None or made is None or not made.jpeg:
        return None
    if len(made.jpeg) > LARGEST_JPEG_BYTES:
        return None
    correction_id = api.id_of(context.corrections.active(opening.record.study_instance_uid))
    if correction_id != ((made.info.get("correction") or {}).get("correction_id", "")):
        return None  # it was corrected meanwhile
    return FirstPicture(made.info, made.jpeg, opening.record.digest, correction_id, opening)


def _preview_at_hand(context: WebContext, opening: Opening) -> Preview | None:
    record, frame_number = opening.record, opening.frame_number
    try:
        if not context.frames.is_at_hand(record, frame_number):
            return None
        correction = context.corrections.active(record.study_instance_uid)
        return preview_of(context, record, frame_number, context.clock().date(), correction)
    except ViewerError:
        return None  # asked for by itself it says what is wrong
    except Exception:  # noqa: BLE001 - one picture must not take the page of the whole study down
        _log.exception("first_picture_failed")
        return None
