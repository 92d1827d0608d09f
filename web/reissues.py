"""Sending a study under new UIDs where a PACS has a wrong identity, and taking that back."""

from flask import Blueprint, redirect, request
from flask.typing import ResponseReturnValue

from dicom_node.errors import BadCorrection, BadSettings, CorrectionRefused
from dicom_node.reissuing import Reissuing
from web import reconcile
from web.context import WebContext, current

blueprint = Blueprint("reissues", __name__, url_prefix="/reconcile/corrections")


def _reissuing(context: WebContext) -> Reissuing:
    return Reissuing(context.settings.node.data, context.ledger, context.clock)


@blueprint.post("/<correction_id>/reissue")
def order(correction_id: str) -> ResponseReturnValue:
    """Order a reissue with this correction; one that is only previewed comes into force by it."""
    context, form = current(), request.form
    group = reconcile.group_of(context, correction_id)
    reissuing = _reissuing(context)
    try:
        if len(group) != 1:
            raise CorrectionRefused("Reissue the studies of a merge one by one.")
        reconcile.check_still_covered(context, group)
        reissuing.order(
            reissuing.preview(group[0], form.get("destination", "")),
            form.get("title", ""),
            by=form.get("by", ""),
            reason=form.get("reason", ""),
            retyped_patient_id=form.get("retyped_patient_id", ""),
        )
    except BadSettings as error:
        return reconcile.refused(context, group, BadCorrection(str(error)))
    except (BadCorrection, CorrectionRefused) as error:
        return reconcile.refused(context, group, error)
    return redirect(f"/reconcile/corrections/{correction_id}", code=303)


@blueprint.post("/<correction_id>/undo-reissue")
def undo(correction_id: str) -> ResponseReturnValue:
    """Take a reissue back, as long as nothing was sent."""
    context, form = current(), request.form
    group = reconcile.group_of(context, correction_id)
    try:
        _reissuing(context).undo(
            group[0].study_instance_uid,
            form.get("destination", ""),
            by=form.get("by", ""),
            reason=form.get("reason", ""),
        )
    except BadSettings as error:
        return reconcile.refused(context, group, BadCorrection(str(error)))
    except CorrectionRefused as error:
        return reconcile.refused(context, group, error)
    return redirect(f"/reconcile/corrections/{correction_id}", code=303)
