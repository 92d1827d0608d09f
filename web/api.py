"""The JSON API under /api/v1, made for our own pages and open to scripts."""

from dataclasses import asdict, dataclass, replace
from datetime import date
from hashlib import sha256
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from flask.json import dumps
from flask.typing import ResponseReturnValue

from dicom_node.correction import Correction
from dicom_node.index import InstanceRecord, StudyRecord
from dicom_node.study_query import StudyQuery
from web import answers, live
from web.board import Board, current_board, listed_query, operations_of
from web.context import WebContext, current
from web.display import frame_answer
from web.errors import BadParameter, NotFound
from web.json_bodies import json_object
from web.opened_study import OpenedStudy, opened_study
from web.pixel_values import VARY, pixel_answer, pixel_form
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
TAG_DIGITS: Final = 32
LONGEST_TEXT: Final = 128
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
        theatre_list=board.theatre_answer(theatre),
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
    revision = live.revision(context)  # first: what comes in between is then told as a change
    record = context.index.study(study)
    if record is None:
        raise NotFound("This node does not hold that study.")
    [answer] = current_board().answers([record])
    opened = opened_study(context, study)
    told = study_text(context, answer, opened, revision)
    given = Response(told.text, mimetype="application/json")
    given.set_etag(told.tag)
    return given.make_conditional(request)


@dataclass(frozen=True, slots=True)
class StudyText:
    """A study with its series as JSON in ASCII, and a tag that others of it have too."""

    text: str
    tag: str


def study_text(
    context: WebContext, answer: dict[str, Any], opened: OpenedStudy, revision: str
) -> StudyText:
    """Return a study with its series as JSON.

    Parameters
    ----------
    context : WebContext
        Knows its correction, and the time.
    answer : dict
        The study as the board tells it.
    opened : OpenedStudy
        Its series.
    revision : str
        What was known before the study was read.

    Returns
    -------
    StudyText
        Its tag is that of all that is said of the study, whenever it was asked.
    """
    more = {
        "correction_id": id_of(context.corrections.active(answer["study_instance_uid"])),
        "opens_at": opened.series_index,
    }
    listed = f'{dumps(answer | more)[:-1]}, "series": {opened.series.decode("ascii")}}}'
    tag = sha256(listed.encode("ascii")).hexdigest()[:TAG_DIGITS]
    rest = dumps({"tag": tag, "revision": revision, "now": context.now_text()})
    return StudyText(f'{{"study": {listed}, {rest[1:]}', tag)


@blueprint.get("/studies/<uid:study>/others")
def others(study: str) -> ResponseReturnValue:
    """Answer with the other studies of the same patient: one ID of one issuer."""
    context = current()
    record = context.index.study(study)
    if record is None:
        raise NotFound("This node does not hold that study.")
    return jsonify(studies=current_board().answers(other_studies(context, record)))


def other_studies(context: WebContext, study: StudyRecord) -> list[StudyRecord]:
    """Return the other studies of a study's patient, newest first.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    study : StudyRecord
        The study.

    Returns
    -------
    list of StudyRecord
        None without a patient ID: nobody is found by having none.
    """
    if not study.patient_id.strip():
        return []
    # "?" stands for any character of an ID that might be read as a wildcard; equal ones are kept
    pattern = study.patient_id.replace("*", "?")
    query = StudyQuery(patient_id=pattern, limit=LARGEST_PAGE)
    return [
        one
        for one in context.index.search_studies(query)
        if one.study_instance_uid != study.study_instance_uid
        and (one.patient_id, one.issuer_of_patient_id)
        == (study.patient_id, study.issuer_of_patient_id)
    ]


@blueprint.get(f"{_INSTANCE}/frames/<int:frame_number>/info")
def info(study: str, series: str, instance: str, frame_number: int) -> ResponseReturnValue:
    """Answer with everything a browser needs to show one frame, and whose it is."""
    context = current()
    record = context.record(study, series, instance)
    correction = asked_correction(context, study)
    today = context.clock().date()
    facts = frame_facts(context, record, frame_number, today, correction)
    return answers.of_instance(jsonify(facts), record, variant=id_of(correction))


def asked_correction(context: WebContext, study_instance_uid: str) -> Correction | None:
    """Return the correction in force for a study.

    Parameters
    ----------
    context : WebContext
        Reads the corrections.
    study_instance_uid : str

    Returns
    -------
    Correction or None

    Raises
    ------
    NotFound
        The client names a version and another correction than this: what it keeps for long would
        be the wrong identity.
    """
    correction = context.corrections.active(study_instance_uid)
    if request.args.get("v") and request.args.get("correction", "") != id_of(correction):
        raise NotFound("The identity of this study was corrected meanwhile. Open it again.")
    return correction


def id_of(correction: Correction | None) -> str:
    """Return the id of a correction, "" for none."""
    return "" if correction is None else correction.correction_id


def frame_facts(
    context: WebContext,
    record: InstanceRecord,
    frame_number: int,
    today: date,
    correction: Correction | None,
) -> dict[str, Any]:
    """Return everything a browser needs to show one frame, and whose it is.

    Parameters
    ----------
    context : WebContext
        Opens the instance.
    record : InstanceRecord
        The instance.
    frame_number : int
        1-based.
    today : date
        The day ages are counted on.
    correction : Correction, optional
        The one in force for its study.

    Returns
    -------
    dict
        As `web.display.frame_answer`.
    """
    facts = frame_answer(context.open(record), frame_number, today, correction)
    # an instance without a study or a series of its own is filed under UIDs made for it
    facts["study_instance_uid"] = record.study_instance_uid
    facts["series_instance_uid"] = record.series_instance_uid
    return facts


@blueprint.get(f"{_INSTANCE}/frames/<int:frame_number>/pixels")
def pixels(study: str, series: str, instance: str, frame_number: int) -> ResponseReturnValue:
    """Answer with the stored values of one frame, little-endian, or its RGB bytes.

    With `reduce=k` blocks of k x k grey pixels are made one; with `packing=differences` values of
    16 bits may come as `viewer.differences` makes them, and `X-Packing` says so.
    """
    context = current()
    record = context.record(study, series, instance)
    takes_gzip = request.accept_encodings.quality("gzip") > 0
    form = pixel_form(request.args, takes_gzip=takes_gzip)
    unchanged = answers.held(record, form.variants, VARY)
    return unchanged or answers.given(pixel_answer(context, record, frame_number, form))


@blueprint.get("/sync")
def sync() -> Response:
    """Answer with the state of the return to the PACS, what happened, and what was refused."""
    return jsonify(sync_answer(current()))
