"""Pictures to print: each with its identity, its window and a scale, on a page without scripts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from dicom_node.index import InstanceRecord
from viewer.errors import ViewerError
from web import words
from web.context import WebContext, current
from web.display import frame_answer
from web.display_order import representative, shown_series
from web.documents import instance_address, may_hold_document, whole_number
from web.errors import BadParameter, NotFound
from web.pages import shared
from web.rendered import read_window
from web.series import placed_frames
from web.studies import study_words

blueprint = Blueprint("print_page", __name__)

ON_A_PAGE: Final = 24
"""Pictures of a contact sheet on one page."""
MOST_PICTURES: Final = 16
"""Pictures that an address may name one by one."""
MOST_COLUMNS: Final = 4

WIDTH: Final = 300
"""A picture's width in the units of its drawing; scale and picture grow and shrink together."""

_PICTURE: Final = re.compile(r"([0-9.]{1,64})/([0-9.]{1,64})/([0-9]{1,7})(?:/([0-9a-zA-Z.,_+-]*))?")
_SHARPNESS: Final = {1: 1600, 2: 1100, 3: 800, 4: 600}
"""Largest side of a picture in pixels, by the number of columns."""
_SCALES_MM: Final = (200, 100, 50, 20, 10, 5, 2, 1)
_STRANGEST_PIXEL: Final = 10
_MODES: Final = frozenset(("detector", "patient", "calibrated"))
"""Origins of a pixel's size that a scale bar may be drawn from."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture to print: an instance, its frame (1-based), and the `window` parameter or ""."""

    record: InstanceRecord
    frame_number: int
    window: str = ""


@blueprint.get("/studies/<uid:study>/print")
def print_page(study: str) -> ResponseReturnValue:
    """Show pictures to print: those named, a whole series, or one of each series of the study."""
    context = current()
    found = context.index.study(study)
    if found is None:
        raise NotFound("This node does not hold that study. The PACS may.")
    series = request.args.get("series", "")
    wanted = wanted_pictures(context, study, series)
    pages = max(1, -(-len(wanted) // ON_A_PAGE))
    page = whole_number("page", 1, pages)
    shown = wanted[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]
    columns = whole_number("columns", columns_for(len(shown)), MOST_COLUMNS)
    return render_template(
        "print.html",
        page="print",
        **shared(context),
        study=study,
        series=series,
        display=study_words(found, context.clock().date()),
        pictures=[picture_answer(context, one, columns) for one in shown],
        columns=columns,
        most_columns=MOST_COLUMNS,
        page_number=page,
        pages=pages,
        first=(page - 1) * ON_A_PAGE + 1,
        total=len(wanted),
        named=request.args.getlist("picture"),
        printed=words.moment(context.now_text()),
    )


def wanted_pictures(context: WebContext, study: str, series: str) -> list[Wanted]:
    """Return the pictures an address asks for.

    Parameters
    ----------
    context : WebContext
        Finds instances.
    study, series : str
        UIDs; `series` "" for none.

    Returns
    -------
    list of Wanted
        Never empty.

    Raises
    ------
    NotFound
        The node does not hold what is named.
    BadParameter
        A picture is named in another form.
    """
    if named := request.args.getlist("picture"):
        if len(named) > MOST_PICTURES:
            raise BadParameter(f"At most {MOST_PICTURES} pictures can be named.")
        return [named_picture(context, study, one) for one in named]
    if series:
        return whole_series(context, context.index.instances(study, series))
    return one_of_each(context.index.instances(study))


def named_picture(context: WebContext, study: str, named: str) -> Wanted:
    """Return a picture named as `series/instance/frame` or `series/instance/frame/window`.

    Parameters
    ----------
    context : WebContext
        Finds the instance.
    study : str
        Study Instance UID.
    named : str
        The parameter; its window is as for `/rendered`.

    Returns
    -------
    Wanted

    Raises
    ------
    BadParameter
        It has another form.
    NotFound
        The node does not hold it.
    """
    match = _PICTURE.fullmatch(named)
    if match is None:
        raise BadParameter("picture is series/instance/frame or series/instance/frame/window.")
    read_window(match[4] or "")
    return Wanted(context.record(study, match[1], match[2]), int(match[3]), match[4] or "")


def whole_series(context: WebContext, records: Sequence[InstanceRecord]) -> list[Wanted]:
    """Return every frame of a series in display order.

    Parameters
    ----------
    context : WebContext
        Reads the places of frames.
    records : sequence of InstanceRecord
        The series; of several versions of one UID, the first is printed.

    Returns
    -------
    list of Wanted

    Raises
    ------
    NotFound
        There is none.
    """
    first = [record for record in records if record.version == 1]
    if not first:
        raise NotFound("This node does not hold that series.")
    shown = shown_series(first, lambda record: placed_frames(context, record))
    return [
        Wanted(shown.instances[index], frame_number)
        for stack in shown.stacks
        for index, start, count in stack.frames
        for frame_number in range(start, start + count)
    ]


def one_of_each(records: Sequence[InstanceRecord]) -> list[Wanted]:
    """Return one picture of each series: the middle one.

    Parameters
    ----------
    records : sequence of InstanceRecord
        Of a study.

    Returns
    -------
    list of Wanted
    """
    members: dict[str, list[InstanceRecord]] = {}
    for record in records:
        if record.version == 1:
            members.setdefault(record.series_instance_uid, []).append(record)
    middle = [representative(one) for one in members.values()]
    return [Wanted(one, (max(1, one.number_of_frames) + 1) // 2) for one in middle]


def columns_for(pictures: int) -> int:
    """Return how many pictures stand side by side when nobody says.

    Parameters
    ----------
    pictures : int
        On the page.

    Returns
    -------
    int
    """
    return 1 if pictures <= 1 else 2 if pictures <= 6 else 4


def picture_answer(context: WebContext, wanted: Wanted, columns: int) -> dict[str, Any]:
    """Return what is printed of one picture; identity and facts from the object itself.

    Parameters
    ----------
    context : WebContext
        Opens the instance.
    wanted : Wanted
        The picture.
    columns : int
        Pictures side by side.

    Returns
    -------
    dict
        `display` (None when the object cannot be read), `reason` why there is no picture or "",
        `source` of the picture, its drawn `width` and `height`, `window`, `letters`, `scale` and
        `document`.
    """
    record = wanted.record
    address = instance_address(record)
    try:
        info = frame_answer(
            context.open(record),
            wanted.frame_number,
            context.clock().date(),
            context.corrections.active(record.study_instance_uid),
        )
    except ViewerError as error:
        return {"display": None, "reason": str(error), "document": ""}
    reason = info["reason"]["message"] if info["reason"] else ""
    size = _SHARPNESS[columns]
    window = f"&window={wanted.window}" if wanted.window else ""
    return {
        "display": info["display"],
        "reason": reason,
        "document": f"{address}/document" if reason and may_hold_document(record) else "",
        "source": (
            f"/dicom-web{address}/frames/{wanted.frame_number}/rendered"
            f"?viewport={size},{size}&quality=95{window}"
        ),
        "number": number_words(info),
        "window": window_words(info, wanted.window),
        "letters": info["orientation_letters"],
        "scale": scale_bar(info),
        "width": WIDTH,
        "height": round(WIDTH * shape_of(info), 2),
        "spacing": info["pixel_spacing"]["unit_words"],
        "is_uncalibrated": info["pixel_spacing"]["origin"] not in _MODES,
    }


def number_words(info: dict[str, Any]) -> str:
    """Return which image of its series it is: "Image 12, frame 3 of 40".

    Parameters
    ----------
    info : dict
        As `viewer.frame_info.frame_info` returns it.

    Returns
    -------
    str
    """
    number = info["instance_number"]
    image = "Image without number" if number is None else f"Image {number}"
    if info["number_of_frames"] > 1:
        return f"{image}, frame {info['frame_number']} of {info['number_of_frames']}"
    return image


def window_words(info: dict[str, Any], window: str) -> str:
    """Return the window a picture is printed with.

    Parameters
    ----------
    info : dict
        As `viewer.frame_info.frame_info` returns it.
    window : str
        The parameter; "" for the instance's own.

    Returns
    -------
    str
        "Colour" for a colour picture.
    """
    if info["kind"] != "grey":
        return "Colour" if info["kind"] == "colour" else ""
    chosen = read_window(window)
    if chosen is not None:
        return f"W {chosen.width:g} L {chosen.center:g}"
    initial = info["initial"]
    if initial["kind"] != "window":
        return "Window: table of the file"
    return f"W {initial['width']:g} L {initial['center']:g}"


def shape_of(info: dict[str, Any]) -> float:
    """Return how high a picture is for each unit of its width.

    Parameters
    ----------
    info : dict
        As `viewer.frame_info.frame_info` returns it.

    Returns
    -------
    float
    """
    rows, columns = info["rows"] or 1, info["columns"] or 1
    spacing, aspect = info["pixel_spacing"], info["pixel_aspect_ratio"]
    tall = aspect[0] / aspect[1]
    if spacing["row"] and spacing["column"]:
        tall = spacing["row"] / spacing["column"]
    is_plausible = 1 / _STRANGEST_PIXEL < tall < _STRANGEST_PIXEL
    return float(rows / columns * (tall if is_plausible else 1.0))


def scale_bar(info: dict[str, Any]) -> dict[str, float] | None:
    """Return the longest round length that fits a third of the picture's width.

    Parameters
    ----------
    info : dict
        As `viewer.frame_info.frame_info` returns it.

    Returns
    -------
    dict or None
        `mm`, and `share` of the picture's width; None when the size of a pixel is not known.
    """
    spacing = info["pixel_spacing"]
    is_known = spacing["row"] and spacing["column"] and spacing["origin"] in _MODES
    if not is_known or not info["columns"] or not info["rows"]:
        return None
    if not 1 / _STRANGEST_PIXEL < spacing["row"] / spacing["column"] < _STRANGEST_PIXEL:
        return None  # such a picture is drawn with square pixels
    width_mm = spacing["column"] * info["columns"]
    mm = next((mm for mm in _SCALES_MM if mm <= width_mm / 3), None)
    return None if mm is None else {"mm": mm, "share": mm / width_mm}
