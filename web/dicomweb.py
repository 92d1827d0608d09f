"""DICOMweb (PS3.18): searching and retrieving, at /dicom-web.

Instances leave as the bytes that were received: nothing is re-encoded. A client that asks for
another transfer syntax is told 406.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from dicom_node.index import InstanceRecord, SeriesRecord, StudyRecord
from viewer.decode import Instance
from web import answers, frames, metadata, qido
from web.accept import Accepted, accepted_forms
from web.answers import InstanceAnswer
from web.context import WebContext, current
from web.errors import NotAcceptable, NotFound
from web.multipart import Part, file_chunks, total_bytes, written

blueprint = Blueprint("dicomweb", __name__, url_prefix="/dicom-web")

JSON_TYPES: Final = ("application/dicom+json", "application/json")
_STUDY: Final = "/studies/<uid:study>"
_SERIES: Final = f"{_STUDY}/series/<uid:series>"
_INSTANCE: Final = f"{_SERIES}/instances/<uid:instance>"
_Found = TypeVar("_Found")


@blueprint.get("/studies")
def search_studies() -> ResponseReturnValue:
    """Search studies."""
    search = qido.read_search(request.args)
    return found_answer(qido.find_studies(current().index, search), study_attributes, search)


@blueprint.get("/series")
@blueprint.get(f"{_STUDY}/series")
def search_series(study: str = "") -> ResponseReturnValue:
    """Search series, of one study or of all."""
    search = qido.read_search(within(study=study))
    return found_answer(
        qido.find_series(current().index, search), lambda found: series_attributes(*found), search
    )


@blueprint.get("/instances")
@blueprint.get(f"{_STUDY}/instances")
@blueprint.get(f"{_SERIES}/instances")
def search_instances(study: str = "", series: str = "") -> ResponseReturnValue:
    """Search instances, of one series, of one study or of all."""
    search = qido.read_search(within(study=study, series=series))
    return found_answer(
        qido.find_instances(current().index, search),
        lambda found: instance_attributes(*found),
        search,
    )


def within(*, study: str = "", series: str = "") -> dict[str, str]:
    """Return the parameters of a search with the UIDs its address names.

    Parameters
    ----------
    study, series : str
        The UIDs, "" when the address names none.

    Returns
    -------
    dict
    """
    named = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
    return request.args.to_dict() | {key: uid for key, uid in named.items() if uid}


def found_answer(
    found: Iterator[_Found], describe: Callable[[_Found], dict[str, Any]], search: qido.Search
) -> ResponseReturnValue:
    """Answer a search: 200 with what was found, 204 when nothing was (PS3.18 10.6.3).

    Parameters
    ----------
    found : iterator
        All there is, lazily.
    describe : callable
        Returns the attributes of one.
    search : Search
        Names the page wanted.

    Returns
    -------
    Response
    """
    if not any(form.takes(kind) for form in accept_header() for kind in JSON_TYPES):
        raise NotAcceptable("A search is answered as application/dicom+json.")
    page = list(islice(found, search.offset, search.offset + search.limit + 1))
    if not page or search.limit == 0:
        return Response(status=204)
    answer = jsonify([describe(one) for one in page[: search.limit]])
    answer.mimetype = JSON_TYPES[0]
    if len(page) > search.limit:
        answer.headers.add("Warning", '299 lifeboat "There are more results; ask with offset."')
    if search.is_fuzzy:
        answer.headers.add("Warning", '299 lifeboat "Only literal matching has been performed."')
    return answer


def accept_header() -> list[Accepted]:
    """Return what the client accepts, best first.

    Returns
    -------
    list of Accepted
    """
    return accepted_forms(request.headers.get("Accept", ""), request.args.getlist("accept"))


def base_url() -> str:
    """Return the address of the DICOMweb service as the client knows it."""
    return f"{request.host_url}dicom-web"


def study_attributes(study: StudyRecord) -> dict[str, Any]:
    """Return a study as a search answers it (PS3.18 Table 10.6.3-3).

    Parameters
    ----------
    study : StudyRecord
        The study.

    Returns
    -------
    dict
    """
    url = f"{base_url()}/studies/{study.study_instance_uid}"
    return (
        qido.element("SpecificCharacterSet", "ISO_IR 192")
        | qido.element("InstanceAvailability", "ONLINE")
        | qido.element("RetrieveURL", url)
        | qido.attributes(study, qido.STUDY_KEYS)
    )


def series_attributes(study: StudyRecord, series: SeriesRecord) -> dict[str, Any]:
    """Return a series as a search answers it, with its study.

    Parameters
    ----------
    study : StudyRecord
        The study.
    series : SeriesRecord
        The series.

    Returns
    -------
    dict
    """
    url = f"{base_url()}/studies/{study.study_instance_uid}/series/{series.series_instance_uid}"
    return (
        study_attributes(study)
        | qido.attributes(series, qido.SERIES_KEYS)
        | qido.element("RetrieveURL", url)
    )


def instance_attributes(
    study: StudyRecord, series: SeriesRecord, instance: InstanceRecord
) -> dict[str, Any]:
    """Return an instance as a search answers it, with its series and study.

    Parameters
    ----------
    study : StudyRecord
        The study.
    series : SeriesRecord
        The series.
    instance : InstanceRecord
        The instance.

    Returns
    -------
    dict
    """
    return (
        series_attributes(study, series)
        | qido.attributes(instance, qido.INSTANCE_KEYS)
        | qido.element("RetrieveURL", instance_url(instance))
    )


def instance_url(record: InstanceRecord, base: str = "") -> str:
    """Return the address one instance is retrieved at.

    Parameters
    ----------
    record : InstanceRecord
        The instance.
    base : str
        The address of the DICOMweb service; "" for the one that was asked.

    Returns
    -------
    str
    """
    return (
        f"{base or base_url()}/studies/{record.study_instance_uid}"
        f"/series/{record.series_instance_uid}/instances/{record.sop_instance_uid}"
    )


@blueprint.get(_STUDY)
@blueprint.get(_SERIES)
@blueprint.get(_INSTANCE)
def retrieve(study: str, series: str = "", instance: str = "") -> ResponseReturnValue:
    """Retrieve instances as they were received."""
    records = records_of(current(), study, series, instance)
    forms = [form for form in accept_header() if gives_as_stored(form, records)]
    if instance and forms and forms[0].media_type == "application/dicom":
        part = as_stored(records[0])
        answer = Response(part.chunks, mimetype="application/dicom")
        answer.headers["Content-Length"] = str(part.size_bytes)
        return answers.of_instance(answer, records[0])
    if not forms:
        raise NotAcceptable(
            "Instances are given as multipart/related with application/dicom, in the transfer "
            "syntax they were received in. Ask with transfer-syntax=*."
        )
    return multipart_answer([as_stored(record) for record in records], "application/dicom")


def as_stored(record: InstanceRecord) -> Part:
    """Return an instance's file as a part; it is read when its turn comes.

    Parameters
    ----------
    record : InstanceRecord
        The instance.

    Returns
    -------
    Part

    Raises
    ------
    NotFound
        The file is away.
    """
    try:
        size_bytes = record.path.stat().st_size
    except OSError as error:
        raise NotFound("The file of an instance is not in the store. Tell the IT team.") from error
    content_type = f"application/dicom; transfer-syntax={record.transfer_syntax_uid}"
    return Part(content_type, instance_url(record), file_chunks(record.path), size_bytes)


def records_of(
    context: WebContext, study: str, series: str = "", instance: str = ""
) -> list[InstanceRecord]:
    """Return the instances an address means; of several versions of one UID, the first.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    study, series, instance : str
        UIDs; "" for all of them.

    Returns
    -------
    list of InstanceRecord
        Never empty.

    Raises
    ------
    NotFound
        There is none.
    """
    if instance:
        return [context.record(study, series, instance)]
    records = context.index.instances(study, series or None)
    first = [record for record in records if record.version == 1]
    if not first:
        raise NotFound("This node holds nothing under that study and series.")
    return first


def gives_as_stored(form: Accepted, records: Sequence[InstanceRecord]) -> bool:
    """Return whether instances as they are stored fit what a client accepts.

    Parameters
    ----------
    form : Accepted
        One accepted form.
    records : sequence of InstanceRecord
        The instances.

    Returns
    -------
    bool
    """
    kind = "application/dicom"
    if not (form.takes_parts(kind) or form.media_type == kind):
        return False
    syntax = form.transfer_syntax_uid
    return syntax in ("", "*") or all(record.transfer_syntax_uid == syntax for record in records)


def multipart_answer(parts: Iterable[Part], kind: str) -> Response:
    """Return an answer of many parts, written while it is sent.

    Parameters
    ----------
    parts : iterable of Part
        The parts; of a list the length is told beforehand.
    kind : str
        Their media type.

    Returns
    -------
    Response
    """
    boundary = secrets.token_hex(16)
    answer = Response(written(parts, boundary))
    total = total_bytes(parts, boundary) if isinstance(parts, list) else None
    if total is not None:
        answer.content_length = total
    answer.headers["Content-Type"] = multipart_type(kind, boundary)
    return answer


def multipart_type(kind: str, boundary: str) -> str:
    """Return the media type of an answer of many parts.

    Parameters
    ----------
    kind : str
        Media type of the parts.
    boundary : str
        What stands between them.

    Returns
    -------
    str
    """
    return f'multipart/related; type="{kind}"; boundary={boundary}'


@blueprint.get(f"{_STUDY}/metadata")
@blueprint.get(f"{_SERIES}/metadata")
@blueprint.get(f"{_INSTANCE}/metadata")
def retrieve_metadata(study: str, series: str = "", instance: str = "") -> ResponseReturnValue:
    """Retrieve the elements of instances without bulk data."""
    context = current()
    records = records_of(context, study, series, instance)
    if not any(form.takes(kind) for form in accept_header() for kind in JSON_TYPES):
        raise NotAcceptable("Metadata are given as application/dicom+json.")
    return Response(metadata.written(context, records), mimetype=JSON_TYPES[0])


@blueprint.get(f"{_INSTANCE}/frames/<frame_list>")
def retrieve_frames(study: str, series: str, instance: str, frame_list: str) -> ResponseReturnValue:
    """Retrieve frames, each as one part: as stored where the client takes it, else decoded."""
    context = current()
    record = context.record(study, series, instance)
    opened = context.open(record)
    numbers = frames.frame_numbers(frame_list, opened)
    form = frames.choose(opened.transfer_syntax_uid, tuple(accept_header()))
    if len(numbers) == 1:
        return answers.given(frame_answer(record, opened, numbers[0], form, base_url()))
    url = instance_url(record)
    parts = (form.part(opened, number, f"{url}/frames/{number}") for number in numbers)
    return multipart_answer(checked(parts), form.media_type)


def frame_answer(
    record: InstanceRecord,
    instance: Instance,
    frame_number: int,
    form: frames.FrameForm,
    base: str,
) -> InstanceAnswer:
    """Return one frame as the only part of an answer.

    Parameters
    ----------
    record : InstanceRecord
        The instance's row in the index.
    instance : Instance
        The same, opened.
    frame_number : int
        1-based.
    form : FrameForm
        How it is given.
    base : str
        The address of the DICOMweb service.

    Returns
    -------
    InstanceAnswer
    """
    boundary = secrets.token_hex(16)
    url = f"{instance_url(record, base)}/frames/{frame_number}"
    parts = (form.part(instance, frame_number, url),)
    kind = multipart_type(form.media_type, boundary)
    size_bytes = total_bytes(parts, boundary) or 0
    chunks = written(parts, boundary)
    return InstanceAnswer(record, kind, chunks, size_bytes, headers=(("Vary", "Accept"),))


def checked(parts: Iterable[Part]) -> Iterator[Part]:
    """Return parts with the first one already made, so that its failure can still be told.

    Parameters
    ----------
    parts : iterable of Part
        The parts.

    Returns
    -------
    iterator of Part
    """
    rest = iter(parts)
    first = list(islice(rest, 1))

    def both() -> Iterator[Part]:
        yield from first
        yield from rest

    return both()
