"""The elements of an instance, to look through: as a page that needs no script, and as JSON."""

from dataclasses import asdict

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue

from viewer.element_list import element_list
from web import answers
from web.context import current
from web.display import frame_answer
from web.documents import INSTANCE, instance_address
from web.pages import shared

blueprint = Blueprint("tags", __name__)


@blueprint.get(f"{INSTANCE}/tags")
def tags(study: str, series: str, instance: str) -> ResponseReturnValue:
    """Show all elements of an instance."""
    context = current()
    record = context.record(study, series, instance)
    opened = context.open(record)
    return render_template(
        "tags.html",
        page="tags",
        **shared(context),
        record=record,
        address=instance_address(record),
        display=frame_answer(opened, 1, context.clock().date(), context.corrections.active(study))[
            "display"
        ],
        listed=element_list(opened),
    )


@blueprint.get(f"/api/v1{INSTANCE}/tags")
def tags_json(study: str, series: str, instance: str) -> ResponseReturnValue:
    """Answer with all elements of an instance: tag, name, VR, value as text, items."""
    context = current()
    record = context.record(study, series, instance)
    listed = asdict(element_list(context.open(record)))
    return answers.of_instance(jsonify(listed), record, variant="tags")
