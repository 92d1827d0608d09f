"""The first picture of a frame: its info and a small JPEG in one answer, so they are one."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from flask import Blueprint
from flask.typing import ResponseReturnValue

from dicom_node.correction import Correction
from dicom_node.index import InstanceRecord
from viewer.errors import NoSuchFrame, ViewerError
from web import answers, api, rendered
from web.answers import InstanceAnswer
from web.context import WebContext, current
from web.pixel_values import OCTETS
from web.rendered import DEFAULT_QUALITY, Rendering

blueprint = Blueprint("preview", __name__, url_prefix="/api/v1")

PREVIEW_PX: Final = 1024
"""Longest side of a preview: one size for all screens, so that it is made once and kept."""
_HOW: Final = Rendering("image/jpeg", None, (PREVIEW_PX, PREVIEW_PX), DEFAULT_QUALITY)
_FRAME: Final = (
    "/studies/<uid:study>/series/<uid:series>/instances/<uid:instance>/frames/<int:frame_number>"
)


@dataclass(frozen=True, slots=True)
class Preview:
    """A frame's info and its JPEG; b"" when there is none, and the info says why."""

    info: dict[str, Any]
    jpeg: bytes


@blueprint.get(f"{_FRAME}/preview")
def preview(study: str, series: str, instance: str, frame_number: int) -> ResponseReturnValue:
    """Answer with a frame's info as JSON, `X-Info-Length` bytes of it, and then its JPEG."""
    context = current()
    record = context.record(study, series, instance)
    correction = api.asked_correction(context, study)
    unchanged = answers.held(record, (_variant(correction),))
    today = context.clock().date()
    return unchanged or answers.given(
        preview_answer(context, record, frame_number, today, correction)
    )


def preview_address(record: InstanceRecord, frame_number: int, correction_id: str) -> str:
    """Return the address of a preview, as static/js/previews.js makes it.

    Parameters
    ----------
    record : InstanceRecord
        The instance.
    frame_number : int
        1-based.
    correction_id : str
        Of the correction in force for its study, "" for none.

    Returns
    -------
    str
    """
    corrected = f"&correction={correction_id}" if correction_id else ""
    return (
        f"/api/v1/studies/{record.study_instance_uid}/series/{record.series_instance_uid}"
        f"/instances/{record.sop_instance_uid}/frames/{frame_number}"
        f"/preview?v={answers.asked_version(record)}{corrected}"
    )


def _variant(correction: Correction | None) -> str:
    return "-".join(filter(None, ("preview", api.id_of(correction))))


def preview_answer(
    context: WebContext,
    record: InstanceRecord,
    frame_number: int,
    today: date,
    correction: Correction | None,
) -> InstanceAnswer:
    """Return a frame's info and its preview.

    Parameters
    ----------
    context : WebContext
        Opens the instance and keeps what was rendered.
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
    InstanceAnswer
        The info as JSON, and then the JPEG.

    Raises
    ------
    viewer.errors.NoSuchFrame
        As `preview_of`.
    """
    made = preview_of(context, record, frame_number, today, correction)
    info = json.dumps(made.info, separators=(",", ":")).encode()
    headers = (
        ("X-Frame", f"{record.sop_instance_uid}#{frame_number}"),
        ("X-Info-Length", str(len(info))),
    )
    size = len(info) + len(made.jpeg)
    chunks = (info, made.jpeg)
    return InstanceAnswer(record, OCTETS, chunks, size, _variant(correction), headers)


def preview_of(
    context: WebContext,
    record: InstanceRecord,
    frame_number: int,
    today: date,
    correction: Correction | None,
) -> Preview:
    """Return a frame's info and its preview, made from one object.

    Parameters
    ----------
    context, record, frame_number, today, correction
        As `preview_answer`.

    Returns
    -------
    Preview
        The info says `kind` `none` with its `reason` when there is no picture.

    Raises
    ------
    viewer.errors.NoSuchFrame
        The instance has no such frame.
    """
    facts = api.frame_facts(context, record, frame_number, today, correction)
    jpeg, reason = _jpeg(context, record, frame_number, facts)
    return Preview(facts | reason, jpeg)


def _jpeg(
    context: WebContext, record: InstanceRecord, frame_number: int, facts: dict[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    """Return the JPEG, and what must be said instead when there is none."""
    if facts["kind"] == "none":
        return b"", {}
    try:
        answer = rendered.picture(context, record, frame_number, _HOW)
    except NoSuchFrame:
        raise
    except ViewerError as error:
        return b"", {"kind": "none", "reason": {"code": error.code, "message": str(error)}}
    return b"".join(answer.chunks), {}
