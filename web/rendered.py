"""Pictures of instances (PS3.18 sections 8.3.5, 10.4.1.1.3-4): /rendered and /thumbnail."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from dicom_node.index import InstanceRecord
from viewer.render import MediaType, render_frame, thumbnail
from viewer.windowing import VoiLutFunction, Window
from web import answers
from web.accept import Accepted
from web.answers import InstanceAnswer
from web.context import WebContext, current
from web.dicomweb import accept_header, records_of
from web.display_order import representative
from web.errors import BadParameter, NotAcceptable

blueprint = Blueprint("rendered", __name__, url_prefix="/dicom-web")

MEDIA_TYPES: Final[tuple[MediaType, ...]] = ("image/jpeg", "image/png")
LARGEST_VIEWPORT_PX: Final = 16384
THUMBNAIL_PX: Final = 160
LARGEST_THUMBNAIL_PX: Final = 512
DEFAULT_QUALITY: Final = 90
VARY: Final = (("Vary", "Accept"),)
_FUNCTIONS: Final[dict[str, VoiLutFunction]] = {
    "linear": "LINEAR",
    "linear-exact": "LINEAR_EXACT",
    "sigmoid": "SIGMOID",
}
_STUDY: Final = "/studies/<uid:study>"
_SERIES: Final = f"{_STUDY}/series/<uid:series>"
_INSTANCE: Final = f"{_SERIES}/instances/<uid:instance>"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a frame is to be rendered; `viewport` is (width, height) in pixels."""

    media_type: MediaType
    window: Window | None
    viewport: tuple[int, int] | None
    quality: int
    overlays: bool = False

    @property
    def variant(self) -> str:
        """What distinguishes answers at one address."""
        return self.media_type.removeprefix("image/")


@blueprint.get(f"{_INSTANCE}/rendered")
@blueprint.get(f"{_INSTANCE}/frames/<int:frame_number>/rendered")
def render(study: str, series: str, instance: str, frame_number: int = 1) -> ResponseReturnValue:
    """Render one frame; of an instance with many, the first."""
    context = current()
    record = context.record(study, series, instance)
    how = rendering_of(request.args, accept_header())
    unchanged = answers.held(record, (how.variant,), VARY)
    return unchanged or answers.given(picture(context, record, frame_number, how))


def picture(
    context: WebContext, record: InstanceRecord, frame_number: int, how: Rendering
) -> InstanceAnswer:
    """Return a rendered frame.

    Parameters
    ----------
    context : WebContext
        Opens the instance and keeps what was rendered.
    record : InstanceRecord
        The instance.
    frame_number : int
        1-based.
    how : Rendering
        Media type, window, size and quality.

    Returns
    -------
    InstanceAnswer
    """
    body = context.kept(
        ("rendered", record.digest, frame_number, how),
        lambda: (
            _as_stored(context, record, frame_number, how)
            or _drawn(context, record, frame_number, how)
        ),
    )
    named = ("X-Frame", f"{record.sop_instance_uid}#{frame_number}")
    return InstanceAnswer(record, how.media_type, (body,), len(body), how.variant, (*VARY, named))


def _as_stored(
    context: WebContext, record: InstanceRecord, frame_number: int, how: Rendering
) -> bytes | None:
    """Return the frame's own JPEG where a browser draws it as we would: nothing is lost again."""
    is_whole = how.viewport is None or (
        how.viewport[0] >= (record.columns or 0) and how.viewport[1] >= (record.rows or 0)
    )
    is_plain = how.media_type == "image/jpeg" and how.quality == DEFAULT_QUALITY
    if not (is_whole and is_plain) or how.overlays:
        return None
    instance = context.open(record)
    jpeg = instance.browser_jpeg(frame_number)
    if jpeg is not None:
        instance.stored_frame(frame_number)  # a browser would draw half of a damaged one
    return jpeg


def _drawn(context: WebContext, record: InstanceRecord, frame_number: int, how: Rendering) -> bytes:
    return render_frame(
        context.open(record),
        frame_number,
        window=how.window,
        viewport=how.viewport,
        media_type=how.media_type,
        quality=how.quality,
        annotation=how.overlays,
    )


def rendering_of(parameters: Mapping[str, str], forms: Sequence[Accepted]) -> Rendering:
    """Return what a request asks for.

    Parameters
    ----------
    parameters : mapping
        Of the address.
    forms : sequence of Accepted
        What the client accepts, best first.

    Returns
    -------
    Rendering

    Raises
    ------
    BadParameter
        A parameter makes no sense.
    NotAcceptable
        Only media types are accepted that are not made here.
    """
    return Rendering(
        media_type=chosen_media_type(forms),
        window=read_window(parameters.get("window", "")),
        viewport=read_viewport(parameters.get("viewport", "")),
        quality=read_quality(parameters.get("quality", str(DEFAULT_QUALITY))),
        overlays=read_switch(parameters.get("overlays", ""), "overlays"),
    )


def chosen_media_type(forms: Sequence[Accepted]) -> MediaType:
    """Return the picture's media type by what the client accepts; JPEG when it takes both.

    Parameters
    ----------
    forms : sequence of Accepted
        Best first.

    Returns
    -------
    str

    Raises
    ------
    NotAcceptable
        Neither is accepted.
    """
    for form in forms:
        for media_type in MEDIA_TYPES:
            if form.takes(media_type):
                return media_type
    raise NotAcceptable("Pictures are made as image/jpeg and image/png.")


def read_window(text: str) -> Window | None:
    """Return the window of a `window=center,width[,function]` parameter.

    Parameters
    ----------
    text : str
        The value; "" for the instance's own window.

    Returns
    -------
    Window or None

    Raises
    ------
    BadParameter
        It is of another form, not finite, or too narrow for its function (PS3.3 C.11.2.1.2).
    """
    if not text:
        return None
    parts = text.split(",")
    name = parts[2].lower().replace("_", "-") if len(parts) == 3 else "linear"
    center, width = _number(parts[0]), _number(parts[1] if len(parts) > 1 else "")
    if len(parts) > 3 or name not in _FUNCTIONS or center is None or width is None:
        raise BadParameter(
            "window is center,width or center,width,function with linear, linear-exact or sigmoid."
        )
    if width <= 0 or (name == "linear" and width < 1):
        raise BadParameter("The window's width must be 1 or more (linear), or more than 0.")
    return Window(center, width, _FUNCTIONS[name], None)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) and abs(value) <= 1e9 else None


def read_viewport(text: str) -> tuple[int, int] | None:
    """Return the size of a `viewport=width,height` parameter.

    Parameters
    ----------
    text : str
        The value; "" for the frame's own size. A source region may be named only as empty.

    Returns
    -------
    tuple of int or None
        Width and height in pixels.

    Raises
    ------
    BadParameter
        It is of another form or out of range.
    """
    if not text:
        return None
    match = re.fullmatch(r"([0-9]{1,6}),([0-9]{1,6}),{0,4}", text)
    if match is None:
        raise BadParameter("viewport is width,height in whole pixels; a region cannot be cut out.")
    width, height = int(match[1]), int(match[2])
    if not (0 < width <= LARGEST_VIEWPORT_PX and 0 < height <= LARGEST_VIEWPORT_PX):
        raise BadParameter(f"The viewport's sides must be 1 to {LARGEST_VIEWPORT_PX} pixels.")
    return width, height


def read_quality(text: str) -> int:
    """Return the JPEG quality of a `quality=` parameter.

    Parameters
    ----------
    text : str
        The value.

    Returns
    -------
    int
        1 to 100.

    Raises
    ------
    BadParameter
        It is out of range.
    """
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 100:
        raise BadParameter("quality must be a whole number from 1 to 100.")
    return int(text)


def read_switch(text: str, name: str) -> bool:
    """Return the value of a parameter that is on or off.

    Parameters
    ----------
    text : str
        The value; "" for off.
    name : str
        What the parameter is called.

    Returns
    -------
    bool

    Raises
    ------
    BadParameter
        It is neither true nor false.
    """
    if text not in ("", "true", "false"):
        raise BadParameter(f"{name} is true or false.")
    return text == "true"


@blueprint.get(f"{_STUDY}/thumbnail")
@blueprint.get(f"{_SERIES}/thumbnail")
@blueprint.get(f"{_INSTANCE}/thumbnail")
@blueprint.get(f"{_INSTANCE}/frames/<int:frame_number>/thumbnail")
def small_picture(
    study: str, series: str = "", instance: str = "", frame_number: int = 0
) -> ResponseReturnValue:
    """Answer with a small picture of an instance, or of the middle one of a series or study."""
    context = current()
    record = representative(records_of(context, study, series, instance))
    number = frame_number or (record.number_of_frames + 1) // 2
    if not any(form.takes("image/jpeg") for form in accept_header()):
        raise NotAcceptable("Thumbnails are made as image/jpeg.")
    viewport = read_viewport(request.args.get("viewport", ""))
    size = min(max(viewport or (THUMBNAIL_PX,)), LARGEST_THUMBNAIL_PX)
    unchanged = answers.held(record, ("",))
    if unchanged is not None:
        return unchanged
    body = context.kept(
        ("thumbnail", record.digest, number, size),
        lambda: thumbnail(context.open(record), number, size),
    )
    return answers.given(InstanceAnswer(record, "image/jpeg", (body,), len(body)))
