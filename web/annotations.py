"""What was laid over images afterwards or apart: presentation states, key objects, overlays."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from dicom_node.index import InstanceRecord
from viewer.errors import ViewerError
from viewer.families import KEY_OBJECTS, PRESENTATION_STATE, family_of
from viewer.key_objects import key_objects_of
from viewer.overlays import overlay_plane, overlays_of
from viewer.presentation_state import presentation_info, presentation_state_of
from web import answers
from web.context import WebContext, current
from web.errors import NotFound

blueprint = Blueprint("annotations", __name__, url_prefix="/api/v1")

MOST_OBJECTS: Final = 500
"""Presentation states and key objects of one study that are read; `is_more` says of others."""

_FRAME: Final = (
    "/studies/<uid:study>/series/<uid:series>/instances/<uid:instance>/frames/<int:frame_number>"
)


@blueprint.get("/studies/<uid:study>/presentation-states")
def presentation_states(study: str) -> ResponseReturnValue:
    """Answer with a study's presentation states and key objects, and what they refer to."""
    context = current()
    if context.index.study(study) is None:
        raise NotFound("This node does not hold that study.")
    records = [record for record in context.index.instances(study) if is_annotation(record)]
    answer = jsonify(
        annotation_answers(context, records[:MOST_OBJECTS])
        | {"is_more": len(records) > MOST_OBJECTS}
    )
    answer.headers["Cache-Control"] = answers.ASK_AGAIN
    return answer


def is_annotation(record: InstanceRecord) -> bool:
    """Return whether an instance is a presentation state or a key object selection.

    Parameters
    ----------
    record : InstanceRecord
        The instance.

    Returns
    -------
    bool
    """
    family = family_of(record.sop_class_uid, record.transfer_syntax_uid)
    return family in (PRESENTATION_STATE, KEY_OBJECTS)


def annotation_answers(context: WebContext, records: Iterable[InstanceRecord]) -> dict[str, Any]:
    """Return the content of presentation states and key objects; damaged ones by their UID only.

    Parameters
    ----------
    context : WebContext
        Opens the instances.
    records : iterable of InstanceRecord
        The instances.

    Returns
    -------
    dict
        `presentation_states` and `key_objects` as `viewer` describes them, each with
        `series_instance_uid`; `unreadable` with `sop_instance_uid` and `reason`.
    """
    states, marked, unreadable = [], [], []
    for record in records:
        where = {"series_instance_uid": record.series_instance_uid}
        try:
            header = context.open(record).header
            state, key_objects = presentation_state_of(header), key_objects_of(header)
        except ViewerError as error:
            reason = {"code": error.code, "message": str(error)}
            unreadable.append({"sop_instance_uid": record.sop_instance_uid, "reason": reason})
            continue
        if state is not None:
            states.append(presentation_info(state) | where)
        if key_objects is not None:
            marked.append(asdict(key_objects) | where)
    return {"presentation_states": states, "key_objects": marked, "unreadable": unreadable}


@blueprint.get(f"{_FRAME}/overlays/<group>")
def overlay(
    study: str, series: str, instance: str, frame_number: int, group: str
) -> ResponseReturnValue:
    """Answer with one overlay as it lies on a frame: a bit for each pixel, the lowest bit first."""
    context = current()
    record = context.record(study, series, instance)
    opened = context.open(record)
    overlays = (one for one in overlays_of(opened.header) if f"{one.group:04X}" == group)
    found = next(overlays, None)
    opened.frame_format(frame_number)
    plane = None if found is None else overlay_plane(opened, found, frame_number)
    if plane is None:
        raise NotFound("This frame has no such overlay.")
    body = np.packbits(plane, bitorder="little").tobytes()
    answer = Response(body, mimetype="application/octet-stream")
    answer.headers["X-Frame"] = f"{record.sop_instance_uid}#{frame_number}"
    return answers.of_instance(answer, record)
