"""Reconciliation: finding what came under a wrong or temporary identity, and setting it right.

Every step is a plain form. What is typed travels in the body of a POST, never in an address.
"""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from dicom_node.accepting import Accepting
from dicom_node.correction import CORRECTABLE, Correction, CorrectionState, Source, checked_values
from dicom_node.correction_desk import CorrectionDesk
from dicom_node.errors import BadCorrection, CorrectionRefused
from dicom_node.identity import ATTRIBUTES, Identity
from dicom_node.identity_decisions import decided_of
from dicom_node.kept_identity import Kept
from dicom_node.reconciling import confirm, places_it_may_be, places_words, take_back
from dicom_node.reissue import TITLE_WORDS, reissues_of
from dicom_node.reissuing import Reissuing
from dicom_node.study_query import StudyQuery
from web import pages, reconcile_answers, words
from web.candidates import ask_all, pacs_question, worklist_question
from web.context import WebContext, current
from web.errors import NotFound
from web.reconcile_answers import (
    LABELS,
    MEANINGS,
    acceptance_row,
    correction_row,
    other_identity_row,
    stored_identities,
)

blueprint = Blueprint("reconcile", __name__, url_prefix="/reconcile")

LONGEST_SEARCH: Final = 128
MOST_MERGED: Final = 20


@blueprint.route("", methods=["GET", "POST"])
def work() -> Response:
    """Show what is to be reconciled, what is found by a search, and what was decided."""
    context = current()
    text = request.form.get("text", "")[:LONGEST_SEARCH]
    waiting = reconcile_answers.work_list(context)
    found = context.index.search_studies(StudyQuery(text=text, limit=50)) if text.strip() else []
    return page(
        "reconcile.html",
        text=text,
        waiting=waiting[: reconcile_answers.MOST_LISTED],
        number_waiting=len(waiting),
        found=[
            reconcile_answers.study_row(study, reconcile_answers.findings(context, study))
            for study in found
        ],
        decided=decided_rows(context),
        accepted=[acceptance_row(one) for one in accepting_of(context).accepted()],
    )


def decided_rows(context: WebContext) -> list[dict[str, Any]]:
    """Return what was decided about corrections, the newest first."""
    found = context.corrections.decided(limit=50)
    steps = context.corrections.steps([one.correction_id for one in found])
    return [
        correction_row(one, [step for step in steps if step.correction_id == one.correction_id])
        for one in found
    ]


@blueprint.get("/studies/<uid:study>")
def one_study(study: str) -> Response:
    """Show one study: whose it is, and the form that corrects it."""
    return study_page(current(), study)


@blueprint.post("/studies/<uid:study>/candidates")
def candidates(study: str) -> Response:
    """Ask every PACS and the worklist for the same patient and time, and show it beside ours."""
    context = current()
    ours = received(context, study)
    questions = [pacs_question(context, pacs, study, ours) for pacs in context.settings.pacs]
    if context.settings.worklist.host:
        questions.append(worklist_question(context, study, ours))
    return study_page(context, study, answers=ask_all(context, questions))


def accepting_of(context: WebContext) -> Accepting:
    """Return what decides about other identities in a PACS."""
    return Accepting(context.settings.node.data, context.ledger, context.clock)


def study_page(
    context: WebContext, study: str, answers: Sequence[dict[str, Any]] = (), problem: str = ""
) -> Response:
    """Return the page of one study.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    study : str
        Its UID.
    answers : sequence of dict
        What each PACS said, when it was asked.
    problem : str
        Why the last decision was not taken, "" when nothing is wrong.

    Returns
    -------
    Response
    """
    shown = context.index.study(study)
    ours = received(context, study)
    assert shown is not None  # received it
    _, counts, unreadable = stored_identities(context.index.instances(study))
    active = context.corrections.active(study)
    accepting = accepting_of(context)
    others = accepting.open(study)
    said = {one.kept.destination for one in others}
    kept = [
        reconcile_answers.kept_words(one)
        for one in context.ledger.identity_differences(study)
        if one.state != Kept.ACCEPTED and one.destination not in said
    ]
    return page(
        "reconcile_study.html",
        study=reconcile_answers.study_row(shown, reconcile_answers.findings(context, shown)),
        uid=study,
        ours=asdict(ours),
        born=words.calendar_date(ours.patient_birth_date),
        identities=[
            (words.counted(count, "image"), reconcile_answers.side_by_side(ours, identity))
            for identity, count in counts.items()
        ],
        unreadable=unreadable,
        sent=places_words(places_it_may_be(context.ledger.deliveries(study))),
        problem=problem,
        reissues=reissues_of(context.ledger, study),
        problems=kept + reconcile_answers.held_words(context, study),
        others=[other_identity_row(one, active.of(ours) if active else ours) for one in others],
        accepted=[
            acceptance_row(one, is_still_so=is_so)
            for one, is_so in decided_of(context.ledger, [study])
        ],
        meanings=MEANINGS,
        form=request.form,
        active=active and correction_row(active, context.corrections.steps([active.correction_id])),
        answers=answers,
        has_pacs=bool(context.settings.pacs or context.settings.worklist.host),
    )


def received(context: WebContext, study: str) -> Identity:
    """Return the identity a study came with.

    Raises
    ------
    NotFound
        This node does not hold it.
    """
    record = context.index.study_as_received(study)
    if record is None:
        raise NotFound("This node does not hold that study.")
    return Identity.of(asdict(record))


@blueprint.post("/merge")
def merge() -> Response:
    """Show the chosen studies side by side, and ask whose they are."""
    context = current()
    studies = chosen(context)
    first = received(context, studies[0])
    rows = []
    for study in studies:
        ours = received(context, study)
        rows.append(
            {
                "uid": study,
                "identity": asdict(ours),
                "lines": reconcile_answers.side_by_side(first, ours),
                "born": words.calendar_date(ours.patient_birth_date),
            }
        )
    return page("reconcile_merge.html", rows=rows)


def chosen(context: WebContext) -> list[str]:
    """Return the studies a form names.

    Raises
    ------
    BadCorrection
        None, or too many.
    NotFound
        One is not held.
    """
    studies = list(dict.fromkeys(request.form.getlist("study")))
    if not 1 <= len(studies) <= MOST_MERGED:
        raise BadCorrection(f"Choose 1 to {MOST_MERGED} studies.")
    for study in studies:
        received(context, study)
    return studies


@blueprint.post("/preview")
def preview() -> ResponseReturnValue:
    """Keep a correction as a draft, and show it."""
    context = current()
    studies = chosen(context)
    wanted = {name: request.form[name] for name in CORRECTABLE if name in request.form}
    if len(studies) > 1:
        wanted = {name: text for name, text in wanted.items() if text.strip()}
        if not wanted.get("patient_name") or not wanted.get("patient_id"):
            raise BadCorrection("Give the name and the patient ID all these studies are to have.")
    source = Source.MERGE if len(studies) > 1 else Source.TYPED
    if request.form.get("source") == Source.CANDIDATE:
        source = Source.CANDIDATE
    drafts = [draft_of(context, study, wanted, source) for study in studies]
    if len(drafts) > 1:
        merge_id = secrets.token_hex(8)
        drafts = [replace(one, merge_id=merge_id) for one in drafts]
    with CorrectionDesk(context.settings.node.data) as desk:
        desk.draft(drafts, context.clock())
    return redirect(f"/reconcile/corrections/{drafts[0].correction_id}", code=303)


def draft_of(context: WebContext, study: str, wanted: dict[str, str], source: Source) -> Correction:
    """Return a correction of one study, its identities read from its files.

    Raises
    ------
    BadCorrection
        A value cannot be written, or nothing would change.
    CorrectionRefused
        A correction of it is in force.
    """
    if context.corrections.active(study) is not None:
        raise CorrectionRefused("A correction of this study is in force. Undo that one first.")
    identities, _, _ = stored_identities(context.index.instances(study))
    identities = identities or (received(context, study),)
    values = checked_values(identities, wanted, context.clock().date())
    return Correction(secrets.token_hex(8), study, values, identities, source)


@blueprint.get("/corrections/<correction_id>")
def show_correction(correction_id: str) -> Response:
    """Show a correction: before and after, where its images may be, and what can be decided."""
    context = current()
    return correction_page(context, group_of(context, correction_id))


def correction_page(
    context: WebContext, group: Sequence[Correction], problem: str = ""
) -> Response:
    """Return the page of a correction, or of all corrections of one merge.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    group : sequence of Correction
        One or several.
    problem : str
        Why the last decision was not taken, "" when nothing is wrong.

    Returns
    -------
    Response
    """
    first = group[0]
    ids = [one.correction_id for one in group]
    target = first.of(first.identities[0])
    reissuing = Reissuing(context.settings.node.data, context.ledger, context.clock)
    places = reissuing.places(first) if len(group) == 1 else []
    return page(
        "reconcile_correction.html",
        correction=correction_row(first, context.corrections.steps(ids)),
        is_merge=len(group) > 1,
        studies=[correction_study(context, one) for one in group],
        needs_retyping=any(one.is_of_the_patient for one in group),
        reissue_to=[] if first.state is CorrectionState.UNDONE else places,
        reissues=reissues_of(context.ledger, first.study_instance_uid),
        titles=TITLE_WORDS,
        patient_id=target.patient_id,
        destinations=", ".join(pacs.name for pacs in context.settings.pacs) or "no PACS is set up",
        problem=problem,
        form=request.form,
    )


def correction_study(context: WebContext, one: Correction) -> dict[str, Any]:
    """Return what a correction makes of one study."""
    record = context.index.study_as_received(one.study_instance_uid)
    count = record.number_of_study_related_instances if record else 0
    places = places_it_may_be(context.ledger.deliveries(one.study_instance_uid))
    return {
        "uid": one.study_instance_uid,
        "images": words.counted(count, "image"),
        "sent": places_words(places),
        "befores": [
            reconcile_answers.side_by_side(identity, one.of(identity))
            for identity in one.identities
        ],
    }


def group_of(context: WebContext, correction_id: str) -> list[Correction]:
    """Return a correction with all others of its merge.

    Raises
    ------
    NotFound
        There is none.
    """
    found = context.corrections.get(correction_id)
    if found is None:
        raise NotFound("There is no such correction. A preview is kept for one day.")
    return context.corrections.merged(found.merge_id) or [found]


@blueprint.post("/corrections/<correction_id>/confirm")
def confirm_correction(correction_id: str) -> ResponseReturnValue:
    """Put a previewed correction in force."""
    context = current()
    group = group_of(context, correction_id)
    try:
        check_still_covered(context, group)
        confirm(
            context.settings.node.data,
            group,
            context.ledger.deliveries,
            by=request.form.get("by", ""),
            reason=request.form.get("reason", ""),
            retyped_patient_id=request.form.get("retyped_patient_id", ""),
            now=context.clock(),
        )
    except (BadCorrection, CorrectionRefused) as error:
        return refused(context, group, error)
    return redirect(f"/reconcile/corrections/{correction_id}", code=303)


def check_still_covered(context: WebContext, group: Sequence[Correction]) -> None:
    """Refuse a correction when images came since its preview that name somebody else.

    Raises
    ------
    CorrectionRefused
    """
    for one in group:
        if one.state is not CorrectionState.DRAFT:
            continue
        identities, _, _ = stored_identities(context.index.instances(one.study_instance_uid))
        if not all(map(one.covers, identities)):
            raise CorrectionRefused(
                "Images came since this preview that name somebody else. Preview it again."
            )


@blueprint.post("/corrections/<correction_id>/undo")
def undo_correction(correction_id: str) -> ResponseReturnValue:
    """Take a correction back that nothing was sent with."""
    context = current()
    group = group_of(context, correction_id)
    try:
        take_back(
            context.settings.node.data,
            group,
            context.ledger.deliveries,
            by=request.form.get("by", ""),
            reason=request.form.get("reason", ""),
            now=context.clock(),
        )
    except (BadCorrection, CorrectionRefused) as error:
        return refused(context, group, error)
    return redirect(f"/reconcile/corrections/{correction_id}", code=303)


def refused(
    context: WebContext, group: Sequence[Correction], error: BadCorrection | CorrectionRefused
) -> ResponseReturnValue:
    """Show the page again with why the decision was not taken; what was typed stays."""
    answer = correction_page(context, group, problem=str(error))
    answer.status_code = 400 if isinstance(error, BadCorrection) else 409
    return answer


def page(template: str, **values: Any) -> Response:
    """Return one of the pages of reconciliation."""
    shared = pages.shared(current())
    text = render_template(
        template, page="reconcile", labels=LABELS, attributes=ATTRIBUTES, **(shared | values)
    )
    # without it browsers leave out of a form whose page it was on, and `web.security` refuses it
    return Response(text, headers={"Referrer-Policy": "same-origin"}, mimetype="text/html")
