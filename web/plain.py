"""The viewer without scripts, for any browser and for print: a page of each picture."""

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dicom_node.index import InstanceRecord, SeriesRecord
from viewer.errors import ViewerError
from web.board import current_board
from web.context import WebContext, current
from web.display import frame_answer
from web.display_order import ShownSeries, shown_series
from web.errors import BadParameter, NotFound
from web.pages import shared
from web.rendered import read_window
from web.series import placed_frames, warnings_of
from web.studies import series_title

blueprint = Blueprint("plain", __name__)

PICTURE_PX = 1024
SMALL_PX = 384
JUMP = 10


@dataclass(frozen=True, slots=True)
class Place:
    """One picture of a series in display order: an instance and a frame of it, from 1."""

    record: InstanceRecord
    frame_number: int


@blueprint.get("/studies/<uid:study>/plain")
def plain(study: str) -> ResponseReturnValue:
    """Show one picture of each series, or one picture large with links to the next."""
    context = current()
    record = context.index.study(study)
    if record is None:
        raise NotFound("This node does not hold that study. The PACS may.")
    [answer] = current_board().answers([record])
    wanted = request.args.get("series", "")
    all_series = context.index.series(study)
    if not wanted:
        overview = [overview_answer(context, one) for one in all_series]
        return render_template(
            "plain.html", page="plain", study=answer, series=overview, **shared(context)
        )
    found = next((one for one in all_series if one.series_instance_uid == wanted), None)
    if found is None:
        raise NotFound("This node does not hold that series.")
    return render_template(
        "plain_image.html",
        page="plain",
        study=answer,
        **image_answer(context, found),
        **shared(context),
    )


def overview_answer(context: WebContext, series: SeriesRecord) -> dict[str, Any]:
    """Return what the page of a study says of one series.

    Parameters
    ----------
    context : WebContext
        Opens the instances.
    series : SeriesRecord
        The series.

    Returns
    -------
    dict
        Its middle picture, how many there are, and what seems to be missing.
    """
    shown = shown_of(context, series)
    places = places_of(shown)
    middle = len(places) // 2
    return asdict(series) | {
        "title": series_title(series),
        "count": len(places),
        "warnings": warnings_of(shown),
        "number": middle + 1,
        "picture": picture_answer(context, places[middle], SMALL_PX, ""),
    }


def image_answer(context: WebContext, series: SeriesRecord) -> dict[str, Any]:
    """Return what the page of one picture says.

    Parameters
    ----------
    context : WebContext
        Opens the instances.
    series : SeriesRecord
        Its series; which picture and which window the address tells.

    Returns
    -------
    dict

    Raises
    ------
    BadParameter
        There is no picture of that number, or the window cannot be read.
    """
    shown = shown_of(context, series)
    places = places_of(shown)
    window = request.args.get("window", "")
    read_window(window)
    number = read_number(request.args.get("image", "1"), len(places))
    here = partial(link, series, window=window)
    steps = {"first": 1, "back": number - JUMP, "previous": number - 1}
    steps |= {"next": number + 1, "on": number + JUMP, "last": len(places)}
    picture = picture_answer(context, places[number - 1], PICTURE_PX, window)
    return {
        "series": asdict(series) | {"title": series_title(series), "warnings": warnings_of(shown)},
        "number": number,
        "count": len(places),
        "picture": picture,
        "links": {name: here(image=max(1, min(len(places), step))) for name, step in steps.items()},
        "windows": [
            {
                "name": preset["name"],
                "link": link(series, image=number, window=f"{preset['center']},{preset['width']}"),
                "is_chosen": window == f"{preset['center']},{preset['width']}",
            }
            for preset in (context.presets if picture["is_hounsfield"] else ())
        ],
        "own_window": link(series, image=number, window=""),
        "is_own_window": not window,
    }


def shown_of(context: WebContext, series: SeriesRecord) -> ShownSeries:
    """Return the instances of a series in display order; of several versions the first.

    Parameters
    ----------
    context : WebContext
        Opens the instances.
    series : SeriesRecord
        The series.

    Returns
    -------
    ShownSeries
    """
    records = context.index.instances(series.study_instance_uid, series.series_instance_uid)
    firsts = [record for record in records if record.version == 1]
    return shown_series(firsts, partial(placed_frames, context))


def places_of(shown: ShownSeries) -> list[Place]:
    """Return every picture of a series in display order.

    Parameters
    ----------
    shown : ShownSeries
        The series.

    Returns
    -------
    list of Place
    """
    return [
        Place(shown.instances[index], first + step)
        for stack in shown.stacks
        for index, first, count in stack.frames
        for step in range(count)
    ]


def picture_answer(context: WebContext, place: Place, side_px: int, window: str) -> dict[str, Any]:
    """Return a picture's address, and whose it is in words read from the same file.

    Parameters
    ----------
    context : WebContext
        Opens the instance.
    place : Place
        The picture.
    side_px : int
        Width and height it must fit into.
    window : str
        As in `window=center,width`; "" for the file's own.

    Returns
    -------
    dict
        `reason` instead of an address where it cannot be shown.
    """
    try:
        info = frame_answer(
            context.open(place.record),
            place.frame_number,
            context.clock().date(),
            context.corrections.active(place.record.study_instance_uid),
        )
    except ViewerError as error:
        return {"display": None, "reason": str(error), "is_hounsfield": False}
    reason = info["reason"]["message"] if info.get("reason") else ""
    uids = place.record
    at: dict[str, Any] = {
        "study": uids.study_instance_uid,
        "series": uids.series_instance_uid,
        "instance": uids.sop_instance_uid,
    }
    return {
        "display": info["display"],
        "reason": reason,
        "is_hounsfield": is_hounsfield(info),
        "orientation": info.get("orientation_letters") or {},
        "document": url_for("documents.document", **at) if reason else "",
        "address": url_for(
            "rendered.render",
            **at,
            frame_number=place.frame_number,
            viewport=f"{side_px},{side_px}",
            window=window or None,
        ),
    }


def is_hounsfield(info: dict[str, Any]) -> bool:
    """Tell whether a frame's values are HU, so that CT windows mean something.

    Parameters
    ----------
    info : dict
        As `viewer.frame_info.frame_info` returns it.

    Returns
    -------
    bool
    """
    rescale = info.get("modality") or {}
    return info["series"]["modality"] == "CT" and rescale.get("rescale_type", "") in (
        "",
        None,
        "HU",
    )


def link(series: SeriesRecord, *, image: int, window: str) -> str:
    """Return the address of a picture's page.

    Parameters
    ----------
    series : SeriesRecord
        Its series.
    image : int
        Its number, from 1.
    window : str
        "" for the file's own.

    Returns
    -------
    str
    """
    return url_for(
        "plain.plain",
        study=series.study_instance_uid,
        series=series.series_instance_uid,
        image=image,
        window=window or None,
    )


def read_number(text: str, count: int) -> int:
    """Return the number of a picture.

    Parameters
    ----------
    text : str
        As in the address.
    count : int
        How many there are.

    Returns
    -------
    int

    Raises
    ------
    BadParameter
        There is no such picture.
    """
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= count):
        raise BadParameter(f"image must be 1 to {count}.")
    return int(text[:9])
