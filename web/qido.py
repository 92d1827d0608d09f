"""Searching by the rules of QIDO-RS (PS3.18 section 10.6): parameters, matching, attributes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

from dicom_node.index import IndexReader, InstanceRecord, SeriesRecord, StudyRecord
from dicom_node.study_query import StudyQuery
from web.answers import check_date_range
from web.errors import BadParameter
from web.wildcards import matches_wildcards

MOST_RESULTS: Final = 1000
"""Results of one answer; a Warning header tells when there are more (PS3.18 section 8.3.4.4)."""
_BATCH: Final = 200

STUDY_KEYS: Final = {
    "StudyInstanceUID": "study_instance_uid",
    "StudyDate": "study_date",
    "StudyTime": "study_time",
    "AccessionNumber": "accession_number",
    "ModalitiesInStudy": "modalities_in_study",
    "ReferringPhysicianName": "referring_physician_name",
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "IssuerOfPatientID": "issuer_of_patient_id",
    "PatientBirthDate": "patient_birth_date",
    "PatientSex": "patient_sex",
    "StudyID": "study_id",
    "StudyDescription": "study_description",
    "NumberOfStudyRelatedSeries": "number_of_study_related_series",
    "NumberOfStudyRelatedInstances": "number_of_study_related_instances",
}
SERIES_KEYS: Final = {
    "Modality": "modality",
    "SeriesInstanceUID": "series_instance_uid",
    "SeriesNumber": "series_number",
    "SeriesDescription": "series_description",
    "BodyPartExamined": "body_part_examined",
    "Laterality": "laterality",
    "NumberOfSeriesRelatedInstances": "number_of_series_related_instances",
}
INSTANCE_KEYS: Final = {
    "SOPClassUID": "sop_class_uid",
    "SOPInstanceUID": "sop_instance_uid",
    "InstanceNumber": "instance_number",
    "Rows": "rows",
    "Columns": "columns",
    "BitsAllocated": "bits_allocated",
    "NumberOfFrames": "number_of_frames",
    "PhotometricInterpretation": "photometric_interpretation",
    "AvailableTransferSyntaxUID": "transfer_syntax_uid",
}
_BY_INDEX: Final = ("study_date", "accession_number", "patient_name", "patient_id")
_CONTROL: Final = ("limit", "offset", "includefield", "fuzzymatching")
_Keys = dict[str, str]


@dataclass(frozen=True, slots=True)
class Search:
    """What a client looks for: keyword to wanted value on each level, and which page of it."""

    study: _Keys = field(default_factory=dict)
    series: _Keys = field(default_factory=dict)
    instance: _Keys = field(default_factory=dict)
    limit: int = MOST_RESULTS
    offset: int = 0
    is_fuzzy: bool = False


def read_search(parameters: Mapping[str, str]) -> Search:
    """Return the search a query string asks for.

    Parameters
    ----------
    parameters : mapping
        Keywords or tags (eight hexadecimal digits) to values, and the control parameters.

    Returns
    -------
    Search

    Raises
    ------
    BadParameter
        An attribute that is not matched on here (leaving it out would find too much), or a value
        of the wrong form.
    """
    levels: tuple[_Keys, _Keys, _Keys] = ({}, {}, {})
    for name, value in parameters.items():
        if name not in _CONTROL and value:
            _place(levels, keyword_of(name), value)
    return Search(
        *levels,
        limit=min(_count(parameters.get("limit", str(MOST_RESULTS)), "limit"), MOST_RESULTS),
        offset=_count(parameters.get("offset", "0"), "offset"),
        is_fuzzy=parameters.get("fuzzymatching", "").lower() == "true",
    )


def _place(levels: tuple[_Keys, _Keys, _Keys], keyword: str, value: str) -> None:
    for keys, level in zip((STUDY_KEYS, SERIES_KEYS, INSTANCE_KEYS), levels, strict=True):
        if keyword in keys:
            if dictionary_VR(keyword) == "DA":
                check_date_range(value, keyword)
            level[keyword] = value
            return
    raise BadParameter(
        "This node does not search by one of the attributes asked for. It searches by "
        f"{', '.join([*STUDY_KEYS, *SERIES_KEYS, *INSTANCE_KEYS])}."
    )


def keyword_of(name: str) -> str:
    """Return the keyword of an attribute named by keyword or by tag.

    Parameters
    ----------
    name : str
        As in `PatientID` or `00100020`.

    Returns
    -------
    str
        "" for an unknown tag; a name that is no tag is returned as it is.
    """
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return keyword_for_tag(int(name, 16))
    return name


def _count(text: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadParameter(f"{name} must be a whole number, not negative.")
    return int(text)


def find_studies(index: IndexReader, search: Search) -> Iterator[StudyRecord]:
    """Find studies, newest first, as many as the caller takes.

    Parameters
    ----------
    index : IndexReader
        What the node holds.
    search : Search
        Only its study level counts.

    Yields
    ------
    StudyRecord
    """
    query = _index_query(search.study)
    offset = 0
    while True:
        batch = index.search_studies(StudyQuery(**query, limit=_BATCH, offset=offset))
        yield from (study for study in batch if matches(study, search.study, STUDY_KEYS))
        if len(batch) < _BATCH:
            return
        offset += _BATCH


def _index_query(wanted: _Keys) -> dict[str, Any]:
    """Leave to the index what it matches exactly as the standard says; the rest is matched here."""
    found = {STUDY_KEYS[name]: value for name, value in wanted.items()}
    query: dict[str, Any] = {name: found[name] for name in _BY_INDEX if name in found}
    if uid := found.get("study_instance_uid"):
        query["study_instance_uid"] = uid.replace(",", "\\")
    modality = found.get("modalities_in_study", "")
    if modality and not re.search(r"[,\\]", modality):
        query["modality"] = modality
    return query


def find_series(index: IndexReader, search: Search) -> Iterator[tuple[StudyRecord, SeriesRecord]]:
    """Find series of the studies found.

    Parameters
    ----------
    index : IndexReader
        What the node holds.
    search : Search
        Its study and series levels count.

    Yields
    ------
    tuple of StudyRecord and SeriesRecord
    """
    for study in find_studies(index, search):
        for series in index.series(study.study_instance_uid):
            if matches(series, search.series, SERIES_KEYS):
                yield study, series


def find_instances(
    index: IndexReader, search: Search
) -> Iterator[tuple[StudyRecord, SeriesRecord, InstanceRecord]]:
    """Find instances of the series found; of several versions of one UID, the first.

    Parameters
    ----------
    index : IndexReader
        What the node holds.
    search : Search
        All of its levels count.

    Yields
    ------
    tuple of StudyRecord, SeriesRecord and InstanceRecord
    """
    for study, series in find_series(index, search):
        uids = (study.study_instance_uid, series.series_instance_uid)
        for instance in index.instances(*uids):
            if instance.version == 1 and matches(instance, search.instance, INSTANCE_KEYS):
                yield study, series, instance


def matches(record: object, wanted: _Keys, keys: Mapping[str, str]) -> bool:
    """Return whether a record has all wanted values (PS3.4 section C.2.2.2).

    Parameters
    ----------
    record : StudyRecord, SeriesRecord or InstanceRecord
        The record.
    wanted : dict
        Keyword to value.
    keys : mapping
        Keyword to name of the record's field.

    Returns
    -------
    bool
    """
    for keyword, value in wanted.items():
        if keys[keyword] in _BY_INDEX:
            continue  # the index has matched it already
        if not _matches_one(getattr(record, keys[keyword]), value, dictionary_VR(keyword)):
            return False
    return True


def _matches_one(held: Any, wanted: str, vr: str) -> bool:
    if isinstance(held, tuple):
        return any(_matches_one(one, wanted, vr) for one in held)
    if vr in ("DA", "TM") and "-" in wanted:
        first, _, last = wanted.partition("-")
        return (
            bool(held) and (first <= held[: len(first)]) and (not last or held[: len(last)] <= last)
        )
    separator = r"[,\\]" if vr in ("UI", "CS") else r"\\"
    return any(_matches_text(str(held), one, vr) for one in re.split(separator, wanted))


def _matches_text(held: str, wanted: str, vr: str) -> bool:
    if vr in ("PN", "LO", "SH", "CS"):
        return matches_wildcards(held.upper(), wanted.upper())
    return matches_wildcards(held, wanted)


def attributes(record: object, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return a record in the DICOM JSON model (PS3.18 Annex F).

    Parameters
    ----------
    record : StudyRecord, SeriesRecord or InstanceRecord
        The record.
    keys : mapping
        Keyword to name of the record's field.

    Returns
    -------
    dict
        Tag to `vr` and `Value`.
    """
    found: dict[str, Any] = {}
    for keyword, name in keys.items():
        found |= element(keyword, getattr(record, name))
    return found


def element(keyword: str, value: Any) -> dict[str, Any]:
    """Return one element in the DICOM JSON model.

    Parameters
    ----------
    keyword : str
        Its keyword.
    value : object
        Text, number, or a tuple of them; empty gives an element without value.

    Returns
    -------
    dict
        One tag to `vr` and `Value`.
    """
    vr = dictionary_VR(keyword)
    values = value if isinstance(value, tuple) else (value,)
    shown = [_json_value(one, vr) for one in values if one not in ("", None)]
    content = {"vr": vr, "Value": shown} if shown else {"vr": vr}
    return {f"{tag_for_keyword(keyword):08X}": content}


def _json_value(value: Any, vr: str) -> Any:
    if vr != "PN":
        return value
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), str(value).split("="), strict=False)
    return {name: text for name, text in groups if text}
