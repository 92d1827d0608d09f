"""The JSON API under /api/v1, made for our own pages and open to scripts."""

from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue
from isal import isal_zlib

from dicom_node.index import InstanceRecord, StudyQuery, StudyRecord
from web import answers, live
from web.answers import InstanceAnswer
from web.board import Board, current_board, listed_query, operations_of
from web.context import WebContext, current
from web.display import frame_answer
from web.errors import BadParameter, NotFound
from web.json_bodies import json_object
from web.multipart import in_pieces
from web.series import placed_frames, series_answers
from web.studies import destination_chip
from web.sync import sync_answer
from web.theatre_list import same_id
from web.wall import is_enough, wall_of

blueprint = Blueprint("api", __name__, url_prefix="/api/v1")

SEARCHABLE: Final[dict[str, type]] = {
    "text": str,
    "modality": str,
    "study_date": str,
    "limit": int,
    "offset": int,
}
"""What a search may hold, each key optional."""
LARGEST_PAGE: Final = 500
LONGEST_TEXT: Final = 128
WORTH_COMPRESSING_BYTES: Final = 16384
GZIP: Final = "gzip"
GZIP_WINDOW_BITS: Final = 31
"""Of zlib: the largest window, and gzip's head around it."""
OCTETS: Final = "application/octet-stream"
VARY: Final = (("Vary", "Accept-Encoding"),)
_INSTANCE: Final = "/studies/<uid:study>/series/<uid:series>/instances/<uid:instance>"


@blueprint.post("/studies/search")
def search() -> Response:
    """Find studies, newest first; what is looked for travels in the body, never in an address."""
    context, board = current(), current_board()
    body = json_object()
    theatre = read_theatre(body)
    wall = wall_of(context.settings.web, request)
    query = search_query(body)
    is_hidden = wall.is_wall and not (theatre or query.text.strip() or query.patient_id)
    found = [] if is_hidden else find(context, board, query, theatre)
    return jsonify(
        studies=board.answers(found[: query.limit]),
        is_more=len(found) > query.limit,
        is_hidden=is_hidden,
        theatre_list=board.theatre_answer(theatre, found),
        counts=context.index.counts(),
        destinations=destination_list(context),
        now=context.now_text(),
    )


def find(context: WebContext, board: Board, query: StudyQuery, theatre: str) -> list[StudyRecord]:
    """Search studies; those of a theatre list in the order of their operations.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    board : Board
        Holds the theatre list.
    query : StudyQuery
        What to look for.
    theatre : str
        Name of a theatre, `*` for all of the list, "" for everybody.

    Returns
    -------
    list of StudyRecord
        One more than the query's limit where there are more.
    """
    asked = replace(query, limit=query.limit + 1)
    if not theatre:
        return context.index.search_studies(asked)
    operations = operations_of(board.theatre_file.current(), theatre)
    order = {same_id(one.patient_id): place for place, one in reversed([*enumerate(operations)])}
    found = context.index.search_studies(listed_query(asked, operations)) if operations else []
    return sorted(found, key=lambda study: order.get(same_id(study.patient_id), len(order)))


def read_theatre(body: dict[str, Any]) -> str:
    """Take the theatre out of a search.

    Parameters
    ----------
    body : dict
        The search.

    Returns
    -------
    str

    Raises
    ------
    BadParameter
        It is no text.
    """
    theatre = body.pop("theatre", "")
    if not isinstance(theatre, str):
        raise BadParameter("theatre has the wrong type in the search.")
    return theatre


def search_query(body: dict[str, Any]) -> StudyQuery:
    """Return the query a search asks for.

    Parameters
    ----------
    body : dict
        `text`, `modality`, `study_date`: str; `limit`, `offset`: int; all optional. A text of fewer
        than three letters must be a whole Patient ID.

    Returns
    -------
    StudyQuery

    Raises
    ------
    BadParameter
        An unknown key, a wrong type or a number out of range.
    """
    for key, value in body.items():
        if key not in SEARCHABLE:
            raise BadParameter(f"A search has only {', '.join(SEARCHABLE)}.")
        if type(value) is not SEARCHABLE[key]:
            raise BadParameter(f"{key} has the wrong type in the search.")
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise BadParameter(f"{key} is longer than {LONGEST_TEXT} characters.")
    query = StudyQuery(**body)
    if not (1 <= query.limit <= LARGEST_PAGE and 0 <= query.offset < 10**9):
        raise BadParameter(f"limit must be 1 to {LARGEST_PAGE} and offset not negative.")
    answers.check_date_range(query.study_date, "study_date")
    return query if is_enough(query.text) else exactly(query)


def exactly(query: StudyQuery) -> StudyQuery:
    """Return a query whose text is too short to be looked for anywhere: it must be a Patient ID.

    Parameters
    ----------
    query : StudyQuery
        Any query.

    Returns
    -------
    StudyQuery
    """
    text = query.text.strip()
    # a list of two, so that no ID is taken for a pattern
    return replace(query, text="", patient_id=f"{text}\\{text}") if text else query


def destination_list(context: WebContext) -> list[dict[str, Any]]:
    """Return where studies are returned to, each with its state in words.

    Parameters
    ----------
    context : WebContext
        Settings and readers.

    Returns
    -------
    list of dict
    """
    return [
        asdict(place) | {"destination": place.name} | asdict(destination_chip(place))
        for place in context.ledger.destinations()
    ]


@blueprint.get("/studies/<uid:study>")
def study(study: str) -> ResponseReturnValue:
    """Answer with one study, its series and their instances in display order."""
    context = current()
    record = context.index.study(study)
    if record is None:
        raise NotFound("This node does not hold that study.")
    [answer] = current_board().answers([record])
    answer["series"] = series_answers(
        context.index.series(study),
        context.index.instances(study),
        partial(placed_frames, context),
    )
    return jsonify(study=answer, revision=live.revision(context), now=context.now_text())


@blueprint.get(f"{_INSTANCE}/frames/<int:frame_number>/info")
def info(study: str, series: str, instance: str, frame_number: int) -> ResponseReturnValue:
    """Answer with everything a browser needs to show one frame, and whose it is."""
    context = current()
    record = context.record(study, series, instance)
    facts = frame_answer(context.open(record), frame_number, context.clock().date())
    # an instance without a study or a series of its own is filed under UIDs made for it
    facts["study_instance_uid"] = record.study_instance_uid
    facts["series_instance_uid"] = record.series_instance_uid
    return answers.of_instance(jsonify(facts), record)


@blueprint.get(f"{_INSTANCE}/frames/<int:frame_number>/pixels")
def pixels(study: str, series: str, instance: str, frame_number: int) -> ResponseReturnValue:
    """Answer with the stored values of one frame, little-endian, or its RGB bytes."""
    context = current()
    record = context.record(study, series, instance)
    is_packed = request.accept_encodings.quality("gzip") > 0
    unchanged = answers.held(record, ("", GZIP) if is_packed else ("",), VARY)
    return unchanged or answers.given(
        pixel_answer(context, record, frame_number, is_packed=is_packed)
    )


def pixel_answer(
    context: WebContext, record: InstanceRecord, frame_number: int, *, is_packed: bool
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
    is_packed : bool
        Whether the client takes gzip.

    Returns
    -------
    InstanceAnswer
    """
    body, encoding = context.kept(
        ("pixels", record.digest, frame_number, is_packed),
        lambda: packed(context.pixel_bytes(record, frame_number), is_packed=is_packed),
    )
    named = ("X-Frame", f"{record.sop_instance_uid}#{frame_number}")
    encoded = (("Content-Encoding", encoding),) if encoding else ()
    return InstanceAnswer(
        record, OCTETS, in_pieces(body), len(body), encoding, (*VARY, named, *encoded)
    )


def packed(body: bytes, *, is_packed: bool) -> tuple[bytes, str]:
    """Return a body and its content encoding: gzip, lightly, where it saves a fifth or more.

    Parameters
    ----------
    body : bytes
        The plain body.
    is_packed : bool
        Whether the client takes gzip.

    Returns
    -------
    tuple of bytes and str
        The encoding is "" for a plain body.
    """
    if not is_packed or len(body) < WORTH_COMPRESSING_BYTES:
        return body, ""
    smaller = isal_zlib.compress(body, 1, wbits=GZIP_WINDOW_BITS)
    return (smaller, GZIP) if len(smaller) < 0.8 * len(body) else (body, "")


@blueprint.get("/sync")
def sync() -> Response:
    """Answer with the state of the return to the PACS, what happened, and what was refused."""
    return jsonify(sync_answer(current()))
