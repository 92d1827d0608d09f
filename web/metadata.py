"""Instances without bulk data in the DICOM JSON model (PS3.18 Annex F)."""

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydicom import DataElement, Dataset

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
        return of_header(context.open(record).header)
    except ViewerError:
        uids = {
            "StudyInstanceUID": "study_instance_uid",
            "SeriesInstanceUID": "series_instance_uid",
        }
        return qido.attributes(record, uids | qido.INSTANCE_KEYS)


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
