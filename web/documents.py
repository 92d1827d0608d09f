"""What is not a grey picture: reports, PDF, waveforms, video; as pages that need no script."""

from dataclasses import asdict
from functools import partial
from typing import Any, Final

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from dicom_node.index import InstanceRecord
from viewer.decode import Instance
from viewer.encapsulated import (
    MP4,
    PDF,
    EncapsulatedDocument,
    Video,
    encapsulated_document_of,
    video_of,
)
from viewer.errors import ViewerError
from viewer.families import WAVEFORM, family_of, is_video
from viewer.header import text
from viewer.references import Reference
from viewer.structured_report import StructuredReport, structured_report_of
from viewer.waveform_trace import MM_PER_SECOND, PAGE_S, UNITS_PER_MM, trace_of
from viewer.waveforms import MultiplexGroup, annotations_of, waveforms_of
from web import answers, words
from web.answers import KEPT, entity_tag
from web.byte_ranges import ranged
from web.context import WebContext, current
from web.display import frame_answer
from web.errors import BadParameter, NotFound
from web.pages import shared
from web.report_blocks import BlockWriter, Picture, date_time_words
from web.studies import study_words

blueprint = Blueprint("documents", __name__)
blueprint.add_app_template_filter(words.person_name, "person_name")
blueprint.add_app_template_filter(date_time_words, "date_time")

INSTANCE: Final = "/studies/<uid:study>/series/<uid:series>/instances/<uid:instance>"

SANDBOX: Final = (
    "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Of foreign bytes: a browser's own reader shows them; nothing in them runs or asks for more."""
LEFT_MM: Final = 35
"""Room for the label and the calibration pulse in front of a trace; whole 5 mm squares."""


@blueprint.get(f"{INSTANCE}/document")
def document(study: str, series: str, instance: str) -> ResponseReturnValue:
    """Show what an instance holds, as a page to read and to print."""
    context = current()
    record = context.record(study, series, instance)
    return render_template(
        "document.html",
        page="document",
        **shared(context),
        record=record,
        address=instance_address(record),
        printed=words.moment(context.now_text()),
        **document_answer(context, record),
    )


def instance_address(record: InstanceRecord) -> str:
    """Return the path of an instance below `/`, `/api/v1` and `/dicom-web`.

    Parameters
    ----------
    record : InstanceRecord

    Returns
    -------
    str
    """
    return (
        f"/studies/{record.study_instance_uid}/series/{record.series_instance_uid}"
        f"/instances/{record.sop_instance_uid}"
    )


def document_answer(context: WebContext, record: InstanceRecord) -> dict[str, Any]:
    """Return what the page of an instance shows.

    Parameters
    ----------
    context : WebContext
        Opens the instance.
    record : InstanceRecord
        The instance.

    Returns
    -------
    dict
        `kind` (`report`, `document`, `video`, `waveform`, `image` or `none`), `display` with the
        identity, `reason` in words when there is nothing to show, and what the kind needs.
    """
    try:
        opened = context.open(record)
    except ViewerError as error:
        found = context.index.study(record.study_instance_uid)
        identity = {} if found is None else study_words(found, context.clock().date())
        return {"kind": "none", "display": identity, "reason": str(error), "title": "Not readable"}
    display = frame_answer(
        opened, 1, context.clock().date(), context.corrections.active(record.study_instance_uid)
    )["display"]
    try:
        return {"display": display, "reason": ""} | content_answer(context, record, opened)
    except ViewerError as error:
        return {"kind": "none", "display": display, "reason": str(error), "title": "Not shown"}


def content_answer(context: WebContext, record: InstanceRecord, opened: Instance) -> dict[str, Any]:
    """Return the content of an instance by its kind, as told at `document_answer`.

    Parameters
    ----------
    context : WebContext
        Finds what a report refers to.
    record : InstanceRecord
        The instance.
    opened : Instance
        Its header.

    Returns
    -------
    dict

    Raises
    ------
    ViewerError
        It cannot be shown; the words say why.
    """
    if (report := structured_report_of(opened.header)) is not None:
        return report_answer(report, context, record)
    if (held := encapsulated_document_of(opened)) is not None:
        return held_answer("document", held, record) | {"title": held.title or held.name}
    if (video := video_of(opened)) is not None:
        return held_answer("video", video, record) | {"title": f"{video.coding} video"}
    if opened.family is WAVEFORM:
        return waveform_answer(opened)
    if opened.family is None:
        return {"kind": "image", "title": "Image"}
    return {"kind": "none", "title": "No picture", "reason": opened.family.sentence}


def report_answer(
    report: StructuredReport, context: WebContext, record: InstanceRecord
) -> dict[str, Any]:
    """Return what the page of a structured report shows.

    Parameters
    ----------
    report : StructuredReport
        The report.
    context : WebContext
        Finds the instances it refers to.
    record : InstanceRecord
        The report's own row in the index.

    Returns
    -------
    dict
    """
    held = {
        one.sop_instance_uid: one
        for one in reversed(context.index.instances(record.study_instance_uid))
    }
    writer = BlockWriter(partial(picture, held))
    return {
        "kind": "report",
        "title": report.title or "Report",
        "report": report,
        "states": report_states(report),
        "blocks": writer.blocks(report.items),
    }


def picture(held: dict[str, InstanceRecord], reference: Reference) -> Picture:
    """Return where an instance that a report refers to can be seen.

    Parameters
    ----------
    held : dict
        The study's instances by their UID.
    reference : Reference
        What the report refers to.

    Returns
    -------
    Picture
    """
    record = held.get(reference.sop_instance_uid)
    is_image = record is not None and bool(record.rows) and not is_video(record.transfer_syntax_uid)
    address = "" if record is None else instance_address(record)
    return Picture(reference.sop_instance_uid, reference.frame_numbers, address, is_image)


def report_states(report: StructuredReport) -> list[tuple[str, str]]:
    """Say how far a report can be relied on: each a state for the icon, and words.

    Parameters
    ----------
    report : StructuredReport

    Returns
    -------
    list of tuple
    """
    is_verified = report.verification_flag == "VERIFIED"
    states = {
        "COMPLETE": ("proven", "Complete"),
        "PARTIAL": ("waiting", "Partial: not complete"),
    }
    found = [states.get(report.completion_flag, ("waiting", "Not said whether complete"))]
    if report.verification_flag:
        found.append(("proven", "Verified") if is_verified else ("waiting", "Not verified"))
    if report.is_cut:
        found.append(("attention", "Too large: a part is not shown. Read it on the PACS."))
    return found


def held_answer(
    kind: str, held: EncapsulatedDocument | Video, record: InstanceRecord
) -> dict[str, Any]:
    """Return what the page of a document, model or video shows.

    Parameters
    ----------
    kind : str
        `document` or `video`.
    held : EncapsulatedDocument or Video
        What lies in the object.
    record : InstanceRecord
        Its row in the index.

    Returns
    -------
    dict
    """
    return {
        "kind": kind,
        "held": held,
        "is_pdf": held.media_type == PDF,
        "content": f"{instance_address(record)}/document/content?v={record.digest[:16]}",
        "size": words.size(held.stream.length),
    }


def waveform_answer(opened: Instance) -> dict[str, Any]:
    """Return what the page of a waveform shows: the group and seconds that the address names.

    Parameters
    ----------
    opened : Instance
        The waveform.

    Returns
    -------
    dict

    Raises
    ------
    BadParameter
        There is no such group or second.
    """
    groups = waveforms_of(opened.header, opened.transfer_syntax_uid)
    chosen = whole_number("group", 1, len(groups))
    group = groups[chosen - 1]
    pages = min(max(1, -int(-group.duration_s // PAGE_S)), 10**9)
    page = whole_number("page", 1, pages)
    return {
        "kind": "waveform",
        "title": group_title(group, chosen),
        "groups": [group_title(one, n) for n, one in enumerate(groups, start=1)],
        "group": group,
        "chosen": chosen,
        "trace": trace_of(group, (page - 1) * PAGE_S),
        "page_number": page,
        "pages": pages,
        "left_mm": LEFT_MM,
        "units": UNITS_PER_MM,
        "mm_per_second": MM_PER_SECOND,
        "filters": sorted({one.filters for one in group.channels if one.filters}),
        "annotations": annotations_of(opened.header),
        "recorded": date_time_words(text(opened.header, "AcquisitionDateTime")),
    }


def group_title(group: MultiplexGroup, number: int) -> str:
    """Return what a multiplex group is called: "Rhythm · 12 channels · 10 s".

    Parameters
    ----------
    group : MultiplexGroup
    number : int
        1-based.

    Returns
    -------
    str
    """
    name = group.label.capitalize() or f"Recording {number}"
    derived = " (derived)" if group.originality == "DERIVED" else ""
    channels = words.counted(len(group.channels), "channel")
    return f"{name}{derived} · {channels} · {group.duration_s:.3g} s"


def whole_number(name: str, default: int, largest: int) -> int:
    """Return a parameter of the address that counts from 1.

    Parameters
    ----------
    name : str
        The parameter.
    default, largest : int
        Its value when absent, and its largest.

    Returns
    -------
    int

    Raises
    ------
    BadParameter
        It is no whole number from 1 to the largest.
    """
    given = request.args.get(name, str(default))
    is_number = given.isascii() and given.isdecimal() and len(given) <= 10
    if not is_number or not 1 <= int(given) <= largest:
        raise BadParameter(f"{name} must be a whole number from 1 to {largest}.")
    return int(given)


@blueprint.get(f"{INSTANCE}/document/content")
def content(study: str, series: str, instance: str) -> ResponseReturnValue:
    """Answer with the document or video inside an instance, or with a range of it."""
    context = current()
    record = context.record(study, series, instance)
    opened = context.open(record)
    held = encapsulated_document_of(opened) or video_of(opened)
    if held is None:
        raise NotFound("This instance holds no document and no video.")
    answers.cache_rule(record, request.args.get("v", ""))  # an old address means other bytes
    answer = ranged(held.stream, held.media_type, f'"{entity_tag(record, "content")}"')
    is_shown = held.media_type in (PDF, MP4) and "save" not in request.args
    kind = "inline" if is_shown else "attachment"
    answer.headers["Content-Disposition"] = f'{kind}; filename="document.{held.extension}"'
    answer.headers["Content-Security-Policy"] = SANDBOX
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"  # our own page shows it in a frame
    answer.headers["Cache-Control"] = KEPT if request.args.get("v") else answers.ASK_AGAIN
    return answer


@blueprint.get(f"/api/v1{INSTANCE}/document")
def document_json(study: str, series: str, instance: str) -> ResponseReturnValue:
    """Answer with a report's content, or with what a document, video or waveform is."""
    context = current()
    record = context.record(study, series, instance)
    opened = context.open(record)
    return answers.of_instance(jsonify(facts_of(opened)), record, variant="document-json")


def facts_of(opened: Instance) -> dict[str, Any]:
    """Return what an instance holds as JSON: `kind`, and what belongs to it.

    Parameters
    ----------
    opened : Instance
        Any object.

    Returns
    -------
    dict

    Raises
    ------
    ViewerError
        It says it holds something that is damaged or absent.
    """
    if (report := structured_report_of(opened.header)) is not None:
        return {"kind": "report", "report": asdict(report)}
    if (held := encapsulated_document_of(opened)) is not None:
        return {"kind": "document", "document": _without_stream(held, ("name", "title"))}
    if (video := video_of(opened)) is not None:
        return {"kind": "video", "video": _without_stream(video, ("coding", "container"))}
    if opened.family is WAVEFORM:
        groups = waveforms_of(opened.header, opened.transfer_syntax_uid)
        return {"kind": "waveform", "groups": [group_facts(group) for group in groups]}
    return {"kind": "image" if opened.family is None else opened.family.name}


def _without_stream(held: EncapsulatedDocument | Video, names: tuple[str, ...]) -> dict[str, Any]:
    facts = {name: getattr(held, name) for name in (*names, "media_type")}
    return facts | {"size_bytes": held.stream.length}


def group_facts(group: MultiplexGroup) -> dict[str, Any]:
    """Return what a multiplex group is, without its samples.

    Parameters
    ----------
    group : MultiplexGroup

    Returns
    -------
    dict
    """
    names = ("label", "originality", "sampling_frequency", "time_offset_s", "number_of_samples")
    facts = {name: getattr(group, name) for name in names}
    return facts | {"channels": [asdict(channel) for channel in group.channels]}


def may_hold_document(record: InstanceRecord) -> bool:
    """Return whether the page of an instance shows more than a picture.

    Parameters
    ----------
    record : InstanceRecord

    Returns
    -------
    bool
    """
    return family_of(record.sop_class_uid, record.transfer_syntax_uid) is not None
