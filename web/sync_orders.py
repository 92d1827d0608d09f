"""What a person orders delivery to do, the report to take away, and the signature below it."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dicom_node.closing import Closings
from dicom_node.delivery_report import Report, Scope, open_report
from dicom_node.errors import BadSettings
from dicom_node.report_files import csv_pieces, json_pieces
from dicom_node.report_page import STYLE_HASH, page_pieces
from dicom_node.sync_order import OrderKind, SyncOrders
from web.context import WebContext, current
from web.errors import BadParameter, NotFound

blueprint = Blueprint("sync_orders", __name__, url_prefix="/sync")

_TYPES: Final = {"html": "text/html", "csv": "text/csv", "json": "application/json"}
_LONGEST_UID: Final = 64
_OF_THE_PAGE: Final = {
    kind.value: kind for kind in (OrderKind.PAUSE, OrderKind.START, OrderKind.RETRY)
}
"""What is ordered here; what else there is has a page of its own, and conditions."""
_POLICY: Final = f"default-src 'none'; style-src {STYLE_HASH}; frame-ancestors 'none'"
"""The report has a style of its own, so that it can be kept as one file."""


@blueprint.post("/orders")
def order() -> ResponseReturnValue:
    """Take an order from a form of the page: pause, start or retry."""
    context, form = current(), request.form
    try:
        SyncOrders(context.settings.node.data, context.clock).give(
            _OF_THE_PAGE[form.get("kind", "")],
            by=form.get("by", ""),
            reason=form.get("reason", ""),
            destination=form.get("destination", ""),
            study_instance_uid=form.get("study_instance_uid", "")[:_LONGEST_UID],
            known=[place.name for place in context.ledger.destinations()],
        )
    except BadSettings as error:
        raise BadParameter(_sentence(error)) from error
    except KeyError as error:
        raise BadParameter("The order is pause, start or retry.") from error
    return redirect(url_for("pages.sync"), 303)


@blueprint.post("/closings")
def closing() -> ResponseReturnValue:
    """Take the signature that an outage is over; refused while anything of it is open."""
    context, form = current(), request.form
    try:
        scope = Scope(outage=form.get("outage", "") or "last")
        with open_report(context.settings, scope, context.clock) as report:
            for _ in report.studies():
                pass
            Closings(context.settings.node.data, context.clock).sign(report, form.get("by", ""))
    except BadSettings as error:
        raise BadParameter(_sentence(error)) from error
    return redirect(url_for("pages.sync"), 303)


@blueprint.get("/report")
def report() -> ResponseReturnValue:
    """Answer with the report on everything, an outage or a study; CSV and JSON as a download."""
    context = current()
    form = request.args.get("format", "html")
    if form not in _TYPES:
        raise BadParameter("format is html, csv or json.")
    scope = Scope(request.args.get("study", ""), request.args.get("outage", ""))
    pieces = _pieces(context, scope, form)
    try:
        first = next(pieces)  # whatever cannot be found is said before anything is sent
    except BadSettings as error:
        raise NotFound(_sentence(error)) from error
    answer = Response(chain([first], pieces), mimetype=_TYPES[form])
    answer.headers["Content-Security-Policy"] = _POLICY
    if form != "html":
        moment = context.clock().strftime("%Y%m%d-%H%M")
        name = f"return-to-pacs-{moment}.{form}"
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _pieces(context: WebContext, scope: Scope, form: str) -> Iterator[str]:
    with open_report(context.settings, scope, context.clock) as found:
        yield from _written(context, found, form)


def _written(context: WebContext, found: Report, form: str) -> Iterator[str]:
    if form == "csv":
        return csv_pieces(found)
    if form == "json":
        return json_pieces(found)
    began_at = found.outage.began_at if found.outage else ""
    return page_pieces(found, Closings(context.settings.node.data).last(began_at))


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."
