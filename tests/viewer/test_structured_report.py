"""A structured report becomes plain nested data, whatever it holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import uid
from pydicom.dataset import Dataset

from viewer.header import read_file_header
from viewer.structured_report import (
    MAX_CONTENT_DEPTH,
    MAX_CONTENT_ITEMS,
    ContentItem,
    StructuredReport,
    structured_report_of,
)


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def code(meaning: str, value: str = "1") -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator="99TEST", CodeMeaning=meaning)


def content(value_type: str, name: str, **elements: Any) -> Dataset:
    return item(ValueType=value_type, ConceptNameCodeSequence=[code(name)], **elements)


def measured(value: str, unit: str, meaning: str = "") -> list[Dataset]:
    return [item(NumericValue=value, MeasurementUnitsCodeSequence=[code(meaning or unit, unit)])]


def report(*contents: Dataset, **elements: Any) -> StructuredReport:
    ds = content("CONTAINER", "Findings", ContentSequence=list(contents), **elements)
    ds.SOPClassUID = uid.ComprehensiveSRStorage
    found = structured_report_of(ds)
    assert found is not None
    return found


def counted(items: tuple[ContentItem, ...]) -> int:
    return sum(1 + counted(one.items) for one in items)


def test_every_kind_of_value_is_read() -> None:
    found = report(
        content("TEXT", "Impression", TextValue="First line\r\nsecond <b>line</b>"),
        content("NUM", "Length", MeasuredValueSequence=measured("12.50", "mm")),
        content("NUM", "Ratio", MeasuredValueSequence=measured("2", "1")),
        content("NUM", "Counts", MeasuredValueSequence=measured("7", "{counts}", "counts")),
        content("CODE", "Side", ConceptCodeSequence=[code("Left")]),
        content("DATETIME", "When", DateTime="20260102030405"),
        content("PNAME", "Who", PersonName="DOE^JANE"),
        content("UIDREF", "What", UID="1.2.3"),
    )
    values = [(one.name, one.value, one.unit) for one in found.items]
    assert values == [
        ("Impression", "First line\nsecond <b>line</b>", ""),
        ("Length", "12.50", "mm"),
        ("Ratio", "2", ""),
        ("Counts", "7", "counts"),
        ("Side", "Left", ""),
        ("When", "20260102030405", ""),
        ("Who", "DOE^JANE", ""),
        ("What", "1.2.3", ""),
    ]


def test_a_number_that_is_missing_says_so() -> None:
    reason = [code("Not a number")]
    found = report(
        content("NUM", "Area"),
        content("NUM", "Area", NumericValueQualifierCodeSequence=reason),
    )
    assert [one.value for one in found.items] == ["no value", "Not a number"]


def test_references_name_the_image_and_its_frames() -> None:
    target = item(ReferencedSOPInstanceUID="1.2.5", ReferencedFrameNumber=[3, 7])
    found = report(content("IMAGE", "Key image", ReferencedSOPSequence=[target]))
    [reference] = found.items[0].references
    assert (reference.sop_instance_uid, reference.frame_numbers) == ("1.2.5", (3, 7))


def test_states_and_observers_are_told() -> None:
    observer = item(
        VerifyingObserverName="DOE^JANE",
        VerifyingOrganization="Ward 5",
        VerificationDateTime="20260102",
    )
    found = report(
        CompletionFlag="PARTIAL",
        VerificationFlag="VERIFIED",
        VerifyingObserverSequence=[observer],
    )
    assert (found.completion_flag, found.verification_flag) == ("PARTIAL", "VERIFIED")
    assert found.verifications[0].name == "DOE^JANE"
    assert not found.is_cut


def test_a_report_nested_too_deep_is_cut_and_says_so() -> None:
    deepest = content("TEXT", "End", TextValue="unreachable")
    for _ in range(MAX_CONTENT_DEPTH + 5):
        deepest = content("CONTAINER", "Level", ContentSequence=[deepest])
    found = report(deepest)
    assert found.is_cut
    assert counted(found.items) == MAX_CONTENT_DEPTH


def test_a_report_of_too_many_items_is_cut_and_says_so() -> None:
    many = [item(ValueType="TEXT", TextValue=str(n)) for n in range(200)]
    groups = [item(ValueType="CONTAINER", ContentSequence=many) for _ in range(40)]
    found = report(*groups)
    assert found.is_cut
    assert counted(found.items) == MAX_CONTENT_ITEMS


def test_what_is_no_report_is_none() -> None:
    assert structured_report_of(item(SOPClassUID=uid.CTImageStorage)) is None
    assert structured_report_of(Dataset()) is None


def test_nonsense_gives_an_empty_report() -> None:
    broken = item(
        SOPClassUID=uid.BasicTextSRStorage,
        ContentSequence=[Dataset(), item(ValueType="NUM", MeasuredValueSequence=[Dataset()])],
    )
    found = structured_report_of(broken)
    assert found is not None
    assert [one.value for one in found.items] == ["", "no value"]


@pytest.mark.parametrize(
    ("name", "title", "expected"),
    [
        ("test-SR.dcm", "Diagnosis", ("Diameter", "3", "cm")),
        ("reportsi.dcm", "Document Title", ("Report Text", "Enter text", "")),
    ],
)
def test_real_reports_are_read(
    testdata: Callable[[str], Path], name: str, title: str, expected: tuple[str, str, str]
) -> None:
    found = structured_report_of(read_file_header(testdata(name)).dataset)
    assert found is not None
    assert found.title == title

    def values(items: tuple[ContentItem, ...]) -> list[tuple[str, str, str]]:
        return [
            row for one in items for row in [(one.name, one.value, one.unit), *values(one.items)]
        ]

    assert expected in values(found.items)
