"""Measurements, notes and key images of a study: read, stored and taken away one by one."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from web import answers
from web.context import WebContext, current
from web.errors import BadParameter, MeasuringOff, NotFound
from web.json_bodies import json_object
from web.mark_store import Mark, Point

blueprint = Blueprint("marks", __name__, url_prefix="/api/v1")

NUMBER_OF_POINTS: Final[Mapping[str, int]] = {
    "length": 2,
    "angle": 3,
    "cobb": 4,
    "ellipse": 2,
    "rectangle": 2,
    "probe": 1,
    "arrow": 2,
    "key": 0,
}
"""Kinds of marks and the points each has: ends, corners, or tail and tip."""
NOT_MEASURING: Final = frozenset(("arrow", "key"))
LONGEST_TEXT: Final = 200
FARTHEST: Final = 100_000.0
"""Largest coordinate of a point, pixels; marks may reach beyond the image."""
USER: Final = ""
"""Whose marks they are while there are no accounts: everybody's."""

_FIELDS: Final[Mapping[str, type]] = {
    "mark_id": str,
    "revision": int,
    "series_instance_uid": str,
    "sop_instance_uid": str,
    "frame_number": int,
    "digest": str,
    "kind": str,
    "points": list,
    "text": str,
}
_MARK_ID: Final = re.compile("[0-9a-f]{32}")
_DIGEST: Final = re.compile("[0-9a-f]{16,128}")
_UID: Final = re.compile("[0-9.]{1,64}")


@blueprint.get("/studies/<uid:study>/marks")
def marks_of_study(study: str) -> ResponseReturnValue:
    """Answer with the marks of a study, or 304 when the client has them."""
    context = known_study(study)
    found = context.marks.of_study(USER, study)
    measuring = context.settings.web.measurements
    answer = jsonify(
        revision=found.revision,
        marks=[asdict(mark) for mark in found.marks if measuring or mark.kind in NOT_MEASURING],
    )
    answer.headers["Cache-Control"] = answers.ASK_AGAIN
    answer.set_etag(f"{found.revision}-{measuring:d}")
    return answer.make_conditional(request)


@blueprint.post("/studies/<uid:study>/marks")
def save(study: str) -> ResponseReturnValue:
    """Store one mark, new or changed, and answer with it as stored."""
    context = known_study(study)
    mark = mark_of(json_object())
    check_allowed(context, mark.kind)
    record = context.record(study, mark.series_instance_uid, mark.sop_instance_uid)
    if mark.frame_number > max(1, record.number_of_frames):
        raise NotFound("That image has no such frame.")
    stored = context.marks.save(USER, study, mark, context.now_text())
    return jsonify(mark=asdict(stored))


@blueprint.post("/studies/<uid:study>/marks/delete")
def delete(study: str) -> ResponseReturnValue:
    """Take one mark away and answer with the revision of the list."""
    context = known_study(study)
    body = checked(json_object(), ("mark_id", "revision"))
    check_mark_id(body["mark_id"])
    known = {mark.mark_id: mark for mark in context.marks.of_study(USER, study).marks}
    if body["mark_id"] in known:
        check_allowed(context, known[body["mark_id"]].kind)
    revision = context.marks.delete(USER, study, body["mark_id"], body["revision"])
    return jsonify(revision=revision)


def known_study(study: str) -> WebContext:
    """Return the context, when the node holds a study.

    Parameters
    ----------
    study : str
        Its UID.

    Returns
    -------
    WebContext

    Raises
    ------
    NotFound
        This node does not hold it.
    """
    context = current()
    if context.index.study(study) is None:
        raise NotFound("This node does not hold that study.")
    return context


def check_allowed(context: WebContext, kind: str) -> None:
    """Refuse measuring where the site has switched it off.

    Parameters
    ----------
    context : WebContext
        Its settings.
    kind : str
        Kind of the mark.

    Raises
    ------
    MeasuringOff
        It is off, and the mark is a measurement.
    """
    if kind not in NOT_MEASURING and not context.settings.web.measurements:
        raise MeasuringOff("Measuring is switched off on this node (web.measurements).")


def mark_of(body: dict[str, Any]) -> Mark:
    """Return the mark a request describes.

    Parameters
    ----------
    body : dict
        The fields of `Mark` without `changed_at`, each one; points as [x, y].

    Returns
    -------
    Mark

    Raises
    ------
    BadParameter
        A field is missing, unknown, of the wrong type or out of range.
    """
    values = checked(body, _FIELDS)
    check_mark_id(values["mark_id"])
    if not _DIGEST.fullmatch(values["digest"]):
        raise BadParameter("digest must be that of the instance, in hexadecimal digits.")
    for name in ("series_instance_uid", "sop_instance_uid"):
        if not _UID.fullmatch(values[name]):
            raise BadParameter(f"{name} is not a UID.")
    if not 1 <= values["frame_number"] < 2**31:
        raise BadParameter("frame_number counts from 1.")
    check_text(values["text"])
    return Mark(**values | {"points": points_of(values["kind"], values["points"])})


def checked(body: dict[str, Any], names: Any) -> dict[str, Any]:
    """Return a body that has exactly some fields, each of its type.

    Parameters
    ----------
    body : dict
        The request's JSON object.
    names : iterable of str
        The fields.

    Returns
    -------
    dict

    Raises
    ------
    BadParameter
        One is missing, unknown or of another type.
    """
    if set(body) != set(names):
        raise BadParameter(f"The body must have {', '.join(names)}, and nothing else.")
    for name in names:
        if type(body[name]) is not _FIELDS[name]:
            raise BadParameter(f"{name} has the wrong type.")
    if not 0 <= body["revision"] < 2**53:
        raise BadParameter("revision is that of the mark as it was read, 0 for a new one.")
    return body


def check_mark_id(mark_id: str) -> None:
    """Refuse what is no identifier of a mark.

    Parameters
    ----------
    mark_id : str
        As received.

    Raises
    ------
    BadParameter
        It is not 32 hexadecimal digits.
    """
    if not _MARK_ID.fullmatch(mark_id):
        raise BadParameter("mark_id must be 32 hexadecimal digits.")


def check_text(text: str) -> None:
    """Refuse a text that is too long or not meant to be read.

    Parameters
    ----------
    text : str
        As received.

    Raises
    ------
    BadParameter
        It is longer than `LONGEST_TEXT`, or has control characters.
    """
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise BadParameter(f"A text has at most {LONGEST_TEXT} characters, all on one line.")


def points_of(kind: str, points: list[Any]) -> tuple[Point, ...]:
    """Return the points of a mark.

    Parameters
    ----------
    kind : str
        One of `NUMBER_OF_POINTS`.
    points : list
        Of [x, y].

    Returns
    -------
    tuple of Point

    Raises
    ------
    BadParameter
        The kind is not known, has another number of points, or one is not two finite numbers.
    """
    if kind not in NUMBER_OF_POINTS:
        raise BadParameter(f"kind must be one of {', '.join(NUMBER_OF_POINTS)}.")
    if len(points) != NUMBER_OF_POINTS[kind]:
        raise BadParameter(f"A mark of kind {kind} has {NUMBER_OF_POINTS[kind]} points.")
    return tuple(point_of(point) for point in points)


def point_of(point: Any) -> Point:
    """Return one point.

    Parameters
    ----------
    point : object
        As received.

    Returns
    -------
    Point

    Raises
    ------
    BadParameter
        It is not two finite numbers within `FARTHEST` pixels.
    """
    is_pair = type(point) is list and len(point) == 2
    if not is_pair or not all(type(value) in (int, float) for value in point):
        raise BadParameter("A point is two numbers, x and y.")
    if not all(abs(value) <= FARTHEST for value in point):  # NaN and infinity are not
        raise BadParameter("A point lies too far from the image.")
    return float(point[0]), float(point[1])
