"""The content of a structured report as plain nested data: headings, texts, codes, numbers."""

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from viewer.families import KEY_OBJECTS, REPORT, family_of
from viewer.graphic_annotations import lines
from viewer.header import items, text
from viewer.references import Reference, references_in

MAX_CONTENT_DEPTH: Final = 24
"""Content items nested deeper than this are left out."""

MAX_CONTENT_ITEMS: Final = 5_000
"""Content items beyond so many in one report are left out."""

MAX_OBSERVERS: Final = 20
"""Verifying observers beyond so many are left out."""

_KEYWORD_OF_VALUE_TYPE: Final = {
    "TEXT": "TextValue",
    "DATETIME": "DateTime",
    "DATE": "Date",
    "TIME": "Time",
    "PNAME": "PersonName",
    "UIDREF": "UID",
    "SCOORD": "GraphicType",
    "SCOORD3D": "GraphicType",
    "TCOORD": "TemporalRangeType",
}
_NO_UNIT: Final = "1"
"""UCUM for a number without unit."""


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One content item (PS3.3 C.17.3) and those below it.

    Parameters
    ----------
    relationship_type : str
        To the item above it (0040,A010), for example `CONTAINS`, `HAS PROPERTIES`.
    value_type : str
        (0040,A040); '' for an item that only points to another one of this report.
    name : str
        Code Meaning of the concept; '' when it has none.
    name_code : str
        Code Value of the concept.
    value : str
        The text, the meaning of the code, the number as written, or the date, time, name, UID or
        shape as DICOM writes it; '' for containers and references.
    unit : str
        Of a number: UCUM; '' when it has none.
    references : tuple of Reference
        Images, waveforms and other instances it refers to.
    items : tuple of ContentItem
        Below it, in the report's order.
    """

    relationship_type: str
    value_type: str
    name: str
    name_code: str
    value: str
    unit: str
    references: tuple[Reference, ...]
    items: tuple["ContentItem", ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """Who verified a report, for whom and when (0040,A073), as DICOM writes it."""

    name: str
    organization: str
    date_time: str


@dataclass(frozen=True, slots=True)
class StructuredReport:
    """A structured report or key object selection (PS3.3 A.35).

    Parameters
    ----------
    sop_instance_uid : str
        (0008,0018).
    title : str
        Concept of the root, for example `X-Ray Radiation Dose Report`.
    completion_flag, verification_flag : str
        `COMPLETE` or `PARTIAL` (0040,A491); `VERIFIED` or `UNVERIFIED` (0040,A493); '' when absent.
    verifications : tuple of Verification
        Who verified it.
    content_date, content_time : str
        (0008,0023), (0008,0033).
    items : tuple of ContentItem
        Below the root.
    is_cut : bool
        Whether something was left out because it is too much or nested too deep.
    """

    sop_instance_uid: str
    title: str
    completion_flag: str
    verification_flag: str
    verifications: tuple[Verification, ...]
    content_date: str
    content_time: str
    items: tuple[ContentItem, ...]
    is_cut: bool


def structured_report_of(header: Dataset) -> StructuredReport | None:
    """Read a structured report.

    Parameters
    ----------
    header : pydicom.Dataset
        Any object's header.

    Returns
    -------
    StructuredReport or None
        None when it is no report and no key object selection.
    """
    if family_of(text(header, "SOPClassUID"), "") not in (REPORT, KEY_OBJECTS):
        return None
    reading = _Reading()
    return StructuredReport(
        sop_instance_uid=text(header, "SOPInstanceUID"),
        title=_meaning(header, "ConceptNameCodeSequence"),
        completion_flag=text(header, "CompletionFlag").upper(),
        verification_flag=text(header, "VerificationFlag").upper(),
        verifications=_verifications(header),
        content_date=text(header, "ContentDate"),
        content_time=text(header, "ContentTime"),
        items=reading.items_below(header, 1),
        is_cut=reading.is_cut,
    )


class _Reading:
    """Reads content items and counts them, so that no report takes long."""

    def __init__(self) -> None:
        self._left = MAX_CONTENT_ITEMS
        self.is_cut = False

    def items_below(self, dataset: Dataset, depth: int) -> tuple[ContentItem, ...]:
        contents = items(dataset, "ContentSequence")
        if depth > MAX_CONTENT_DEPTH:
            self.is_cut = self.is_cut or bool(contents)
            return ()
        found = []
        for content in contents:
            if not self._left:
                self.is_cut = True
                break
            self._left -= 1
            found.append(self._item(content, depth))
        return tuple(found)

    def _item(self, content: Dataset, depth: int) -> ContentItem:
        value_type = text(content, "ValueType").upper()
        value, unit = _value(content, value_type)
        return ContentItem(
            relationship_type=text(content, "RelationshipType").upper(),
            value_type=value_type,
            name=_meaning(content, "ConceptNameCodeSequence"),
            name_code=_code(content, "ConceptNameCodeSequence"),
            value=value,
            unit=unit,
            references=tuple(references_in(content, "ReferencedSOPSequence")),
            items=self.items_below(content, depth + 1),
        )


def _value(content: Dataset, value_type: str) -> tuple[str, str]:
    """Return an item's value and its unit."""
    if value_type == "NUM":
        return _number(content)
    if value_type == "CODE":
        return _meaning(content, "ConceptCodeSequence"), ""
    keyword = _KEYWORD_OF_VALUE_TYPE.get(value_type)
    return (lines(content, keyword) if keyword else ""), ""


def _number(content: Dataset) -> tuple[str, str]:
    """Return a number as written; where there is none, why (PS3.3 C.18.1)."""
    measured = items(content, "MeasuredValueSequence")[:1]
    if not measured or not text(measured[0], "NumericValue"):
        return _meaning(content, "NumericValueQualifierCodeSequence") or "no value", ""
    unit = _code(measured[0], "MeasurementUnitsCodeSequence")
    if unit.startswith("{"):  # UCUM's braces hold a remark, its meaning says it better
        unit = _meaning(measured[0], "MeasurementUnitsCodeSequence")
    return text(measured[0], "NumericValue"), "" if unit == _NO_UNIT else unit


def _code(dataset: Dataset, keyword: str) -> str:
    codes = items(dataset, keyword)[:1]
    keywords = ("CodeValue", "LongCodeValue", "URNCodeValue")
    found = (text(code, keyword) for code in codes for keyword in keywords)
    return next(filter(None, found), "")


def _meaning(dataset: Dataset, keyword: str) -> str:
    codes = items(dataset, keyword)[:1]
    return next((text(code, "CodeMeaning") for code in codes), "") or _code(dataset, keyword)


def _verifications(header: Dataset) -> tuple[Verification, ...]:
    return tuple(
        Verification(
            name=text(observer, "VerifyingObserverName"),
            organization=text(observer, "VerifyingOrganization"),
            date_time=text(observer, "VerificationDateTime"),
        )
        for observer in items(header, "VerifyingObserverSequence")[:MAX_OBSERVERS]
    )
