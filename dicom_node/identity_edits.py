"""The elements a correction writes into a data set, encoded as that data set is encoded.

Beside the corrected elements there is the record of the change (PS3.3 C.12.1): what stood there
in Original Attributes Sequence (0400,0561), who changed it and why in Contributing Equipment
Sequence (0018,A001).
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, BinaryIO, Final

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import data_element_generator
from pydicom.filewriter import write_data_element
from pydicom.tag import Tag
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR

from dicom_node.correction import Correction, Source
from dicom_node.errors import BadDataset
from dicom_node.identity import Identity
from dicom_node.reissued_uids import OF_INSTANCE, rewrite

KEYWORDS: Final = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "issuer_of_patient_id": "IssuerOfPatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_description": "StudyDescription",
}
UTF_8: Final = "ISO_IR 192"
NO_UIDS: Final[Mapping[str, str]] = MappingProxyType({})
_CHARACTER_SET: Final = 0x00080005
_ORIGINAL_ATTRIBUTES: Final = 0x04000561
_CONTRIBUTING_EQUIPMENT: Final = 0x0018A001
_FIRST_PIXELS: Final = 0x7FE00008
_SAFE_CHARACTER_SETS: Final = frozenset(
    f"ISO_IR {n}" for n in (100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 166, 192)
) | {"GB18030", "GBK"}
"""Those of one encoding for all characters; into any other only ASCII is written."""
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"

Span = tuple[int, int, int]
"""Tag of a top-level element, where it begins and where it ends in the data set, bytes."""


class Encoding:
    """How a data set is encoded: VRs, byte order, character set.

    Parameters
    ----------
    is_implicit, is_little : bool
        Of its transfer syntax.
    """

    def __init__(self, *, is_implicit: bool, is_little: bool) -> None:
        self.is_implicit = is_implicit
        self.is_little = is_little

    def read(self, file: BinaryIO, last_tag: int) -> tuple[Dataset, list[Span]]:
        """Read top-level elements from where a file stands.

        Parameters
        ----------
        file : binary file
        last_tag : int
            What follows it is not read.

        Returns
        -------
        Dataset and list of (int, int, int)
            The elements, and the place of each.

        Raises
        ------
        BadDataset
            They are not in ascending order.
        """
        found: dict[Any, RawDataElement | DataElement] = {}
        spans: list[Span] = []
        begin = file.tell()
        for element in data_element_generator(
            file, self.is_implicit, self.is_little, lambda tag, vr, length: tag > last_tag
        ):
            if spans and element.tag <= spans[-1][0]:
                raise BadDataset("its elements are not in ascending order")
            spans.append((int(element.tag), begin, file.tell()))
            begin = file.tell()
            found[element.tag] = element
        ds = Dataset(found)
        ds.set_original_encoding(
            self.is_implicit, self.is_little, convert_encodings(ds.get("SpecificCharacterSet"))
        )
        return ds, spans

    def write(self, element: DataElement, character_set: str | list[str] | None) -> bytes:
        """Encode one element."""
        buffer = DicomBytesIO()
        buffer.is_implicit_VR, buffer.is_little_endian = self.is_implicit, self.is_little
        write_data_element(buffer, element, convert_encodings(character_set))
        return buffer.getvalue()


def edits(
    file: BinaryIO,
    encoding: Encoding,
    correction: Correction,
    before: Identity,
    *,
    modified_by: str,
    came_from: str,
    uids: Mapping[str, str] = NO_UIDS,
) -> tuple[dict[int, bytes], list[Span]]:
    """Return what a correction writes into a data set.

    Parameters
    ----------
    file : binary file
        Stands at the beginning of the data set.
    encoding : Encoding
        Of the data set.
    correction : Correction
    before : Identity
        What the data set says, wherever it stands.
    modified_by : str
        Name of this node, for Modifying System (0400,0563).
    came_from : str
        Who sent the instance, for Source of Previous Values (0400,0564).
    uids : mapping
        Old to new, where it is sent under new UIDs: whatever names an old one is rewritten.

    Returns
    -------
    dict and list of (int, int, int)
        Encoded element by tag, and the place of each element of the data set up to where the last
        of them belongs. What is in neither stays byte for byte.

    Raises
    ------
    BadDataset
        The new values need another character set, and the texts of the data set cannot be brought
        into it without loss; or its elements are in no order.
    """
    begin = file.tell()
    ds, spans = encoding.read(file, _FIRST_PIXELS - 1 if uids else _ORIGINAL_ATTRIBUTES)
    character_set = ds.get("SpecificCharacterSet")
    new: dict[int, bytes] = {}
    texts = [*correction.values.values(), correction.by, correction.reason, modified_by]
    if not _fits(texts, character_set):
        file.seek(begin)
        ds, spans = encoding.read(file, _FIRST_PIXELS - 1)
        character_set = UTF_8
        new = _in_utf_8(ds, encoding)
    if any(getattr(before, name) and KEYWORDS[name] not in ds for name in correction.values):
        raise BadDataset("one of its elements stands behind those that follow it")
    corrected = list(_corrected(ds, correction, modified_by, came_from, uids))
    changed = [ds[tag] for tag in rewrite(ds, uids)] if uids else []
    for element in changed + corrected:
        new[int(element.tag)] = encoding.write(element, character_set)
    return new, spans


def _fits(texts: Iterable[str], character_set: Any) -> bool:
    """Tell whether all of a text can be written in a character set."""
    foreign = [text for text in texts if not text.isascii()]
    if not foreign:
        return True
    if str(character_set) not in _SAFE_CHARACTER_SETS:
        return False
    (codec,) = convert_encodings(character_set)
    try:
        return all(text.encode(codec).decode(codec) == text for text in foreign)
    except UnicodeError:
        return False


def _in_utf_8(ds: Dataset, encoding: Encoding) -> dict[int, bytes]:
    """Encode anew every text that is not plain ASCII, however deep it lies."""
    ds.decode()
    named = DataElement(_CHARACTER_SET, "CS", UTF_8)
    changed = [element for element in ds if _has_foreign_text(element)]
    return {
        int(element.tag): encoding.write(element, UTF_8)
        for element in [named, *changed]
        if element.tag != _CHARACTER_SET or element is named
    }


def _has_foreign_text(element: DataElement) -> bool:
    if element.VR == "SQ":
        # an item with a character set of its own keeps it
        return any(
            _has_foreign_text(inner)
            for item in element.value
            if _CHARACTER_SET not in item
            for inner in item
        )
    if element.VR not in CUSTOMIZABLE_CHARSET_VR:
        return False
    text = str(element.value)
    if _UNREADABLE in text:
        raise BadDataset("one of its texts is not in the character set it names")
    return not text.isascii()


def _corrected(
    ds: Dataset,
    correction: Correction,
    modified_by: str,
    came_from: str,
    uids: Mapping[str, str],
) -> Iterator[DataElement]:
    """Make the corrected elements, and the two that tell of the correction."""
    for name, text in correction.values.items():
        keyword = KEYWORDS[name]
        yield DataElement(Tag(keyword), dictionary_VR(keyword), text)
    keywords = [KEYWORDS[name] for name in correction.values]
    keywords += [keyword for keyword in OF_INSTANCE.values() if ds.get(keyword) in uids]
    original = _original(ds, keywords, correction, modified_by, came_from)
    yield _extended(ds, _ORIGINAL_ATTRIBUTES, original)
    yield _extended(ds, _CONTRIBUTING_EQUIPMENT, _contribution(correction, modified_by))


def _extended(ds: Dataset, tag: int, item: Dataset) -> DataElement:
    before = list(ds[tag].value or ()) if tag in ds else []
    return DataElement(tag, "SQ", [*before, item])


def _original(
    ds: Dataset, keywords: Iterable[str], correction: Correction, modified_by: str, came_from: str
) -> Dataset:
    modified = Dataset()
    for keyword in keywords:
        setattr(modified, keyword, ds.get(keyword, ""))
    item = Dataset()
    item.SourceOfPreviousValues = came_from[:64]
    item.AttributeModificationDateTime = _date_time(correction.at)
    item.ModifyingSystem = modified_by[:64]
    item.ReasonForTheAttributeModification = (
        "CORRECT" if correction.source is Source.TYPED else "COERCE"
    )
    item.ModifiedAttributesSequence = [modified]
    return item


def _contribution(correction: Correction, modified_by: str) -> Dataset:
    """Say who corrected it and why, as PS3.3 C.12.1 has it for equipment that changes an object."""
    purpose = Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = "109103", "DCM"
    purpose.CodeMeaning = "Modifying Equipment"
    item = Dataset()
    item.Manufacturer = "Lifeboat"
    item.StationName = modified_by[:16]
    item.OperatorsName = correction.by.replace("^", " ").replace("=", " ")
    item.ContributionDateTime = _date_time(correction.at)
    item.ContributionDescription = correction.reason.replace("\\", "/")
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _date_time(moment: str) -> str:
    """Return an ISO 8601 time as a DT value."""
    return datetime.fromisoformat(moment).strftime("%Y%m%d%H%M%S.%f%z")
