"""The JSON API under /api/v1, made for our own pages and open to scripts."""

from dataclasses import asdict, replace
from datetime import date
from functools import partial
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue
from isal import isal_zlib

from dicom_node.index import InstanceRecord, StudyQuery, StudyRecord
from web import answers, live
from web.answers import InstanceAnswer
from web.context import WebContext, current
from web.display import frame_answer
from web.errors import BadParameter, NotFound, WrongContentType
from web.multipart import in_pieces
from web.series import placed_frames, series_answers
from web.studies import destination_chip, study_answer
from web.sync import sync_answer

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
    context = current()
    query = search_query(json_body())
    found = context.index.search_studies(replace(query, limit=query.limit + 1))
    return jsonify(
        studies=study_list(context, found[: query.limit]),
        is_more=len(found) > query.limit,
        counts=context.index.counts(),
        destinations=destination_list(context),
        now=context.now_text(),
    )


def json_body() -> dict[str, Any]:
    """Return the request's JSON object.

    Returns
    -------
    dict

    Raises
    ------
    WrongContentType
        The body is compressed or not `application/json`.
    BadParameter
        It is not a JSON object.
    """
    if request.mimetype != "application/json" or request.headers.get("Content-Encoding"):
        raise WrongContentType("Send the search as plain application/json.")
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise BadParameter("The body must be a JSON object.")
    return body


def search_query(body: dict[str, Any]) -> StudyQuery:
    """Return the query a search asks for.

    Parameters
    ----------
    body : dict
        `text`, `modality`, `study_date`: str; `limit`, `offset`: int; all optional.

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
    return query


def study_list(context: WebContext, studies: list[StudyRecord]) -> list[dict[str, Any]]:
    """Return studies as JSON with their words and states.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    studies : list of StudyRecord
        The studies.

    Returns
    -------
    list of dict
    """
    return [
        study_answer(
            study,
            context.ledger.study(study.study_instance_uid),
            now=context.clock(),
            quiet_after_s=context.settings.web.quiet_after_s,
            has_pacs=bool(context.settings.pacs),
        )
        for study in studies
    ]


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
    [answer] = study_list(context, [record])
    answer["series"] = series_answers(
        context.index.series(study),
        context.index.instances(study),
        partial(placed_frames, context),
    )
    return jsonify(study=answer, revision=live.revision(context), now=context.now_text())


@blueprint.get("/studies/<uid:study>/others")
def others(study: str) -> ResponseReturnValue:
    """Answer with the other studies of the same patient: one ID of one issuer."""
    context = current()
    record = context.index.study(study)
    if record is None:
        raise NotFound("This node does not hold that study.")
    return jsonify(studies=study_list(context, other_studies(context, record)))


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
    facts = frame_facts(context, record, frame_number, context.clock().date())
    return answers.of_instance(jsonify(facts), record)


def frame_facts(
    context: WebContext, record: InstanceRecord, frame_number: int, today: date
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

    Returns
    -------
    dict
        As `web.display.frame_answer`.
    """
    facts = frame_answer(context.open(record), frame_number, today)
    # an instance without a study or a series of its own is filed under UIDs made for it
    facts["study_instance_uid"] = record.study_instance_uid
    facts["series_instance_uid"] = record.series_instance_uid
    return facts


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
