"""The pages: studies board, viewer, return to the PACS. Light HTML that works without scripts."""

from typing import Any, Final

from flask import Blueprint, Response, current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from dicom_node.index import StudyRecord
from dicom_node.study_query import StudyQuery
from dicom_node.trouble import troubles
from web import api, live
from web.assets import EXTENSION, Assets
from web.board import current_board
from web.context import WebContext, current
from web.errors import NotFound
from web.first_picture import first_picture
from web.mode import mode_answer
from web.opened_study import OpenedStudy, opened_study
from web.preview import preview_address
from web.security import LOCAL_HOSTS, holding_pictures
from web.sync import STATES, blank_rows, sync_answer
from web.wall import remember, wall_of
from web.words import counted

blueprint = Blueprint("pages", __name__)

FIRST_PAGE: Final = 100
_SEEN_FIRST: Final = ("css/lifeboat.css", "css/components.css", "css/viewer.css")
"""The styles of the first picture and its words: they stand in the page."""
_BEGIN: Final = "js/begin.js"
"""Begins all other scripts of the viewer when that picture was seen."""
LONGEST_LIST: Final = 200_000
"""Characters of a study's list that stand in its page; a longer one is asked for apart."""
TEXTS: Final = (
    "patient_name",
    "patient_id",
    "issuer_of_patient_id",
    "patient_birth_date",
    "patient_sex",
    "accession_number",
    "study_id",
    "study_date",
    "study_time",
    "study_description",
    "referring_physician_name",
    "first_received_at",
    "last_received_at",
)
MODALITIES: Final = ("CR", "CT", "DX", "MG", "MR", "NM", "OT", "PT", "RF", "US", "XA")


@blueprint.get("/")
def board() -> Response:
    """Show the studies, newest first."""
    context, beside = current(), current_board()
    wall = wall_of(context.settings.web, request)
    theatre = wall.theatre
    is_hidden = wall.is_wall and not theatre
    query = StudyQuery(limit=FIRST_PAGE)
    found = [] if is_hidden else api.find(context, beside, query, theatre)[:FIRST_PAGE]
    held = context.index.counts()
    page = render_template(
        "board.html",
        page="board",
        studies=beside.answers(found),
        blank=blank_row(),
        held=held["instances"],
        is_hidden=is_hidden,
        theatre=theatre,
        theatre_list=beside.theatre_answer(theatre),
        tally=(
            f"This node holds {counted(held['studies'], 'study')}, "
            f"{counted(held['instances'], 'image')}."
        ),
        destinations=api.destination_list(context),
        modalities=MODALITIES,
        **shared(context),
    )
    return remember(make_response(page), wall, request)


@blueprint.get("/studies/<uid:study>")
def viewer(study: str) -> ResponseReturnValue:
    """Show the viewer of one study; without scripts, one picture of each series."""
    context = current()
    if context.index.study(study) is not None:
        context.opened.note(study, context.clock())  # moves the revision
    revision = live.revision(context)  # first: what comes in between is then told as a change
    record = context.index.study(study)
    if record is None:
        raise NotFound("This node does not hold that study. The PACS may.")
    [answer] = current_board().answers([record])
    opened = opened_study(context, study)
    assets: Assets = current_app.extensions[EXTENSION]
    styles, begin = assets.in_page(*_SEEN_FIRST), assets.in_page(_BEGIN)
    page = render_template(
        "viewer.html",
        page="viewer",
        styles=styles.text,
        begin=begin.text,
        study=answer,
        listed=_listed(api.study_text(context, answer, opened, revision).text),
        first=first_picture(context, opened.opening),
        opening=_opening_address(context, opened),
        presets=context.presets,
        measurements=context.settings.web.measurements,
        **shared(context),
    )
    # it shows whose a picture is as of now: no browser may bring it back later
    policy = holding_pictures(styles.source, begin.source)
    return Response(page, headers=policy | {"Cache-Control": "no-store"})


def _listed(text: str) -> Markup:
    """Return the list of a study as it may stand in a page, "" when it had better come later."""
    # no "<", so that no text of a patient ends the element that it stands in
    return Markup(text.replace("<", "\\u003c") if len(text) <= LONGEST_LIST else "")


def _opening_address(context: WebContext, opened: OpenedStudy) -> str:
    """Return the address of the picture the viewer asks for first, "" when there is none."""
    if opened.opening is None:
        return ""
    record = opened.opening.record
    correction = context.corrections.active(record.study_instance_uid)
    return preview_address(record, opened.opening.frame_number, api.id_of(correction))


@blueprint.get("/sync")
def sync() -> Response:
    """Show how far the return to the PACS has come, and take orders by plain forms."""
    context = current()
    page = render_template(
        "sync.html",
        page="sync",
        sync=sync_answer(context),
        states=STATES,
        blank=blank_rows(),
        **shared(context),
    )
    # with no-referrer a browser names no origin when it sends a form, so that it is refused
    return Response(page, headers={"Referrer-Policy": "same-origin"})


def shared(context: WebContext) -> dict[str, Any]:
    """Return what every page is given.

    Parameters
    ----------
    context : WebContext
        Settings and readers.

    Returns
    -------
    dict
    """
    settings = context.settings
    wall = wall_of(settings.web, request)
    return {
        "is_wall": wall.is_wall,
        "idle_s": settings.web.idle_theatre_s if wall.is_wall else settings.web.idle_s,
        "node_name": settings.node.name,
        "troubles": troubles(settings),
        "mode": mode_answer(context),
        "now": context.now_text(),
        "quiet_after_s": settings.web.quiet_after_s,
        "ae_title": settings.dicom.ae_title,
        "dicom_host": settings.dicom.host,
        "dicom_port": settings.dicom.port,
        "dicom_is_local": settings.dicom.host in LOCAL_HOSTS,
    }


def blank_row() -> dict[str, Any]:
    """Return an empty study; the script fills copies of its row.

    Returns
    -------
    dict
    """
    empty = StudyRecord(
        study_instance_uid="",
        modalities_in_study=(),
        number_of_study_related_series=0,
        number_of_study_related_instances=0,
        number_of_conflicts=0,
        number_of_damaged_instances=0,
        has_patient_conflict=False,
        **dict.fromkeys(TEXTS, ""),
    )
    [row] = current_board().answers([empty])
    return row


def render_error(error: dict[str, str]) -> str:
    """Return the page that tells what went wrong.

    Parameters
    ----------
    error : dict
        `code`, `message` and, for a fault of ours, `id`.

    Returns
    -------
    str
    """
    context = current()
    return render_template(
        "error.html",
        page="error",
        error=error,
        node_name=context.settings.node.name,
        mode=mode_answer(context),
    )
