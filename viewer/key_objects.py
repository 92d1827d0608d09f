"""Key object selections: which instances somebody marked, and why."""

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from viewer.graphic_annotations import lines
from viewer.header import items, text
from viewer.references import MAX_REFERENCES, Reference, references_in

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"

_DESCRIPTION: Final = "113012"
_MODIFIER: Final = "113011"


@dataclass(frozen=True, slots=True)
class KeyObjects:
    """A Key Object Selection Document (PS3.3 A.35.4).

    Parameters
    ----------
    sop_instance_uid : str
        The document.
    title, title_code : str
        Why they were marked, for example `Of Interest` and `113000`.
    modifiers : tuple of str
        Further reasons (PS3.16 TID 2010, Document Title Modifier).
    description : str
        Free text (Key Object Description).
    content_date, content_time : str
        (0008,0023), (0008,0033).
    references : tuple of Reference
        What is marked, in the document's order.
    """

    sop_instance_uid: str
    title: str
    title_code: str
    modifiers: tuple[str, ...]
    description: str
    content_date: str
    content_time: str
    references: tuple[Reference, ...]


def key_objects_of(header: Dataset) -> KeyObjects | None:
    """Read a key object selection.

    Parameters
    ----------
    header : pydicom.Dataset
        Any object's header.

    Returns
    -------
    KeyObjects or None
        None when it is no key object selection.

    Notes
    -----
    PS3.16 TID 2010: all content lies on the first level below the title.
    """
    if text(header, "SOPClassUID") != KEY_OBJECT_SELECTION:
        return None
    contents = items(header, "ContentSequence")[:MAX_REFERENCES]
    codes = items(header, "ConceptNameCodeSequence")[:1] or [Dataset()]
    references = (references_in(item, "ReferencedSOPSequence") for item in contents)
    return KeyObjects(
        sop_instance_uid=text(header, "SOPInstanceUID"),
        title=text(codes[0], "CodeMeaning"),
        title_code=text(codes[0], "CodeValue"),
        modifiers=tuple(filter(None, (_modifier(item) for item in contents))),
        description="\n".join(filter(None, (_description(item) for item in contents))),
        content_date=text(header, "ContentDate"),
        content_time=text(header, "ContentTime"),
        references=tuple(one for found in references for one in found)[:MAX_REFERENCES],
    )


def _concept(item: Dataset) -> str:
    names = items(item, "ConceptNameCodeSequence")
    return text(names[0], "CodeValue") if names else ""


def _modifier(item: Dataset) -> str:
    codes = items(item, "ConceptCodeSequence")
    return text(codes[0], "CodeMeaning") if codes and _concept(item) == _MODIFIER else ""


def _description(item: Dataset) -> str:
    return lines(item, "TextValue") if _concept(item) == _DESCRIPTION else ""
