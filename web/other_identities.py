"""What a person decides about the other identity a PACS keeps a study under: accept it, or undo."""

from typing import Final

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from dicom_node.accepting import Accepting, OtherIdentity
from dicom_node.errors import BadSettings
from web import reconcile
from web.context import WebContext, current

blueprint = Blueprint("other_identities", __name__, url_prefix="/reconcile/studies")

_NOTHING: Final = "there is nothing to decide there any more: look at the study once more"


@blueprint.post("/<uid:study>/accept")
def accept(study: str) -> ResponseReturnValue:
    """Accept the other identity that the form showed."""
    context, form = current(), request.form
    accepting = reconcile.accepting_of(context)
    try:
        chosen = _chosen(accepting, study, form.get("destination", ""))
        accepting.accept(
            chosen,
            form.get("code", ""),
            form.get("meaning", ""),
            by=form.get("by", ""),
            reason=form.get("reason", ""),
            retyped_patient_id=form.get("retyped_patient_id", ""),
        )
    except BadSettings as error:
        return _refused(context, study, error)
    return redirect(f"/reconcile/studies/{study}", code=303)


@blueprint.post("/<uid:study>/undo-accept")
def undo_accept(study: str) -> ResponseReturnValue:
    """Take an acceptance back."""
    context, form = current(), request.form
    accepting = reconcile.accepting_of(context)
    try:
        found = {one.destination: one for one in accepting.decided(study)}
        chosen = found.get(form.get("destination", ""))
        if chosen is None:
            raise BadSettings(_NOTHING)
        accepting.undo(chosen, by=form.get("by", ""), reason=form.get("reason", ""))
    except BadSettings as error:
        return _refused(context, study, error)
    return redirect(f"/reconcile/studies/{study}", code=303)


def _chosen(accepting: Accepting, study: str, destination: str) -> OtherIdentity:
    found = {one.kept.destination: one for one in accepting.open(study)}
    if destination not in found:
        raise BadSettings(_NOTHING)
    return found[destination]


def _refused(context: WebContext, study: str, error: BadSettings) -> ResponseReturnValue:
    """Show the study again with why nothing was decided."""
    words = str(error)
    answer = reconcile.study_page(context, study, problem=f"Nothing decided: {words}.")
    answer.status_code = 400
    return answer
