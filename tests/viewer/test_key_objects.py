"""A key object selection says what was marked and why."""

from typing import Any

import pytest
from pydicom.dataset import Dataset

from viewer.key_objects import KEY_OBJECT_SELECTION, key_objects_of
from viewer.references import Reference


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def code(value: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def selection(**elements: Any) -> Dataset:
    frames = item(ReferencedSOPInstanceUID="1.2.5", ReferencedFrameNumber=[3, 7])
    contents = [
        item(
            RelationshipType="HAS CONCEPT MOD",
            ConceptNameCodeSequence=[code("113011", "Document Title Modifier")],
            ConceptCodeSequence=[code("111207", "Image artifact(s)")],
        ),
        item(
            ValueType="TEXT",
            ConceptNameCodeSequence=[code("113012", "Key Object Description")],
            TextValue="Look at\r\nthe hilum",
        ),
        item(ValueType="TEXT", TextValue="of no concept"),
        item(ValueType="IMAGE", ReferencedSOPSequence=[item(ReferencedSOPInstanceUID="1.2.4")]),
        item(ValueType="IMAGE", ReferencedSOPSequence=[frames]),
        item(ValueType="IMAGE", ReferencedSOPSequence=[item()]),
    ]
    return item(
        **{
            "SOPClassUID": KEY_OBJECT_SELECTION,
            "SOPInstanceUID": "1.2.9",
            "ConceptNameCodeSequence": [code("113000", "Of Interest")],
            "ContentDate": "20260102",
            "ContentSequence": contents,
        }
        | elements
    )


def test_title_text_and_marked_instances_are_read() -> None:
    found = key_objects_of(selection())
    assert found is not None
    assert (found.title, found.title_code) == ("Of Interest", "113000")
    assert found.modifiers == ("Image artifact(s)",)
    assert found.description == "Look at\nthe hilum"
    assert found.references == (Reference("1.2.4"), Reference("1.2.5", (3, 7)))
    assert found.content_date == "20260102"
    assert found.references[1].includes("1.2.5", 7)
    assert not found.references[1].includes("1.2.5", 4)


@pytest.mark.parametrize("damage", [{"ContentSequence": []}, {"ConceptNameCodeSequence": []}])
def test_a_damaged_selection_is_read_as_far_as_it_goes(damage: dict[str, Any]) -> None:
    assert key_objects_of(selection(**damage)) is not None


def test_other_objects_are_no_selections() -> None:
    assert key_objects_of(Dataset()) is None
    assert key_objects_of(selection(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33")) is None
