"""Instances without bulk data in the DICOM JSON model (PS3.18 Annex F)."""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydicom import DataElement, Dataset

from dicom_node.correction import Correction
from dicom_node.identity import Identity
from dicom_node.identity_edits import KEYWORDS
from dicom_node.index import InstanceRecord
from viewer.errors import ViewerError
from web import qido
from web.context import WebContext

LARGEST_VALUE_BYTES: Final = 1024
"""Binary values above this are bulk data and left out; no address offers them."""
_BINARY: Final = ("OB", "OW", "OD", "OF", "OL", "OV", "UN")


def written(context: WebContext, records: Iterable[InstanceRecord]) -> Iterator[bytes]:
    """Write a JSON array with one object per instance, one at a time.

    Parameters
    ----------
    context : WebContext
        Opens the instances.
    records : iterable of InstanceRecord
        The instances.

    Yields
    ------
    bytes
    """
    separator = b"["
    for record in records:
        yield separator + json.dumps(of_record(context, record)).encode()
        separator = b","
    yield b"]"


def of_record(context: WebContext, record: InstanceRecord) -> dict[str, Any]:
    """Return an instance's elements; what the index knows where the viewer cannot read the file.

    An identity that was corrected is given as it is, with the former one beside it as in what is
    sent (PS3.3 C.12.1).

    Parameters
    ----------
    context : WebContext
        Opens the instance.
    record : InstanceRecord
        The instance.

    Returns
    -------
    dict
    """
    try:
        header = context.open(record).header
        correction = context.corrections.active(record.study_instance_uid)
        return of_header(header) | corrected_elements(header, correction)
    except ViewerError:
        uids = {
            "StudyInstanceUID": "study_instance_uid",
            "SeriesInstanceUID": "series_instance_uid",
        }
        return qido.attributes(record, uids | qido.INSTANCE_KEYS)


def corrected_elements(header: Dataset, correction: Correction | None) -> dict[str, Any]:
    """Return the elements a correction changes, and the record of what stood there.

    Parameters
    ----------
    header : Dataset
        As stored.
    correction : Correction, optional
        The one in force for its study.

    Returns
    -------
    dict
        Empty when there is none, or it was not made for this instance.
    """
    identity = Identity.of({name: header.get(word) for name, word in KEYWORDS.items()})
    if correction is None or not correction.covers(identity):
        return {}
    former: dict[str, Any] = {}
    found: dict[str, Any] = {}
    for name, text in correction.values.items():
        former |= qido.element(KEYWORDS[name], getattr(identity, name))
        found |= qido.element(KEYWORDS[name], text)
    original = qido.element("ReasonForTheAttributeModification", "CORRECT") | {
        "04000550": {"vr": "SQ", "Value": [former]}
    }
    return found | {"04000561": {"vr": "SQ", "Value": [original]}}


def of_header(header: Dataset) -> dict[str, Any]:
    """Return a data set in the DICOM JSON model.

    Parameters
    ----------
    header : Dataset
        Without pixel data.

    Returns
    -------
    dict
        Values JSON cannot express (not a number, infinite) are null.
    """
    found: dict[str, Any] = without_bulk(header).to_json_dict(suppress_invalid_tags=True)
    return {tag: _finite(content) for tag, content in found.items()}


def without_bulk(header: Dataset) -> Dataset:
    """Return a data set without large binary values, on every level.

    Parameters
    ----------
    header : Dataset
        The data set; it is not changed.

    Returns
    -------
    Dataset
    """
    # handed over as a whole: adding one by one takes a quarter of the time of the answer
    return Dataset({element.tag: _kept(element) for element in header if not _is_bulk(element)})


def _is_bulk(element: DataElement) -> bool:
    return element.VR in _BINARY and len(element.value or b"") > LARGEST_VALUE_BYTES


def _kept(element: DataElement) -> DataElement:
    if element.VR != "SQ":
        return element
    return DataElement(element.tag, "SQ", [without_bulk(item) for item in element.value])


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list) else value
