"""Answer C-FIND requests of the Study Root from a list of headers (PS3.4 C.6.2, C.2.2.2)."""

import re
from collections.abc import Callable, Iterable, Sequence

from pydicom import Dataset
from pydicom.dataelem import DataElement

LEVELS = ("STUDY", "SERIES", "IMAGE")
UNIQUE_KEYS = {
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_NOT_KEYS = ("QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC")
_RANGE_VRS = ("DA", "TM", "DT")
_WILDCARD_VRS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")


class BadIdentifier(ValueError):
    """The identifier breaks a rule of the Study Root; the message says which."""


def find(headers: Iterable[Dataset], identifier: Dataset, ae_title: str) -> list[Dataset]:
    """Return the answers to a C-FIND request.

    Parameters
    ----------
    headers : iterable of Dataset
        One per instance held.
    identifier : Dataset
        The request: (0008,0052) STUDY, SERIES or IMAGE, the keys to match, and empty elements for
        what shall be returned.
    ae_title : str
        Put into (0008,0054) of each answer.

    Returns
    -------
    list of Dataset
        One per matching study, series or instance, holding the elements asked for.

    Raises
    ------
    BadIdentifier
        If the level is unknown or the unique key of a level above has not exactly one value
        (PS3.4 C.4.1.2.2.1; relational queries are not negotiated).
    """
    level = str(identifier.get("QueryRetrieveLevel", ""))
    _check(identifier, level)
    answers = []
    for group in _groups(headers, UNIQUE_KEYS[level]):
        entity = _entity(group, level)
        if all(matches(key, entity.get(key.tag)) for key in _keys(identifier)):
            answers.append(_answer(entity, identifier, level, ae_title))
    return answers


def matches(key: DataElement, held: DataElement | None) -> bool:
    """Whether one element satisfies one matching key.

    Parameters
    ----------
    key : DataElement
        From the request; an empty one matches everything (universal matching).
    held : DataElement or None
        From what is held; None when it is absent.

    Returns
    -------
    bool
        True when at least one value of `held` matches.
    """
    if key.VR == "SQ" or not _texts(key):
        return True
    if held is None:
        return False
    values = _texts(held)
    return any(_test_of(key)(value) for value in values)


def _test_of(key: DataElement) -> Callable[[str], bool]:
    wanted = _texts(key)
    if key.VR == "UI":
        return lambda value: value in wanted
    text = wanted[0]
    if key.VR in _RANGE_VRS and "-" in text:
        first, last = text.split("-", 1)
        return lambda value: (not first or value >= first) and (not last or value <= last)
    if key.VR in _WILDCARD_VRS:
        flags = re.IGNORECASE if key.VR == "PN" else 0
        pattern = re.compile(_as_regex(text, is_name=key.VR == "PN"), flags)
        return lambda value: pattern.fullmatch(value) is not None
    if key.VR == "IS":
        return lambda value: int(value) == int(text)
    return lambda value: value == text


def _as_regex(text: str, *, is_name: bool) -> str:
    """Translate a key with `*` and `?`; a name also matches with trailing empty parts."""
    body = "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in text)
    return body + r"[\^=]*" if is_name else body


def _texts(element: DataElement) -> list[str]:
    value = element.value
    values = [value] if element.VM <= 1 else list(value)
    return [str(item).strip(" \0") for item in values if item is not None and str(item).strip()]


def _check(identifier: Dataset, level: str) -> None:
    if level not in LEVELS:
        raise BadIdentifier("Query/Retrieve Level must be STUDY, SERIES or IMAGE")
    for above in LEVELS[: LEVELS.index(level)]:
        keyword = UNIQUE_KEYS[above]
        if keyword not in identifier or len(_texts(identifier[keyword])) != 1:
            raise BadIdentifier(f"{keyword} needs exactly one value at level {level}")


def _keys(identifier: Dataset) -> list[DataElement]:
    return [element for element in identifier if element.keyword not in _NOT_KEYS]


def _groups(headers: Iterable[Dataset], keyword: str) -> list[list[Dataset]]:
    groups: dict[str, list[Dataset]] = {}
    for header in headers:
        groups.setdefault(str(header.get(keyword, "")), []).append(header)
    return list(groups.values())


def _entity(group: Sequence[Dataset], level: str) -> Dataset:
    """Describe one study, series or instance: its first header, and what is counted."""
    entity = Dataset()
    entity.update(group[0])
    if level == "STUDY":
        entity.ModalitiesInStudy = _distinct(group, "Modality")
        entity.SOPClassesInStudy = _distinct(group, "SOPClassUID")
        entity.NumberOfStudyRelatedSeries = len(_distinct(group, "SeriesInstanceUID"))
        entity.NumberOfStudyRelatedInstances = len(group)
    if level == "SERIES":
        entity.NumberOfSeriesRelatedInstances = len(group)
    return entity


def _distinct(group: Sequence[Dataset], keyword: str) -> list[str]:
    return sorted({str(header.get(keyword, "")) for header in group} - {""})


def _answer(entity: Dataset, identifier: Dataset, level: str, ae_title: str) -> Dataset:
    answer = Dataset()
    for key in _keys(identifier):
        held = entity.get(key.tag)
        answer[key.tag] = held if held is not None else DataElement(key.tag, key.VR, None)
    if "SpecificCharacterSet" in entity:
        answer.SpecificCharacterSet = entity.SpecificCharacterSet
    answer.QueryRetrieveLevel = level
    answer.RetrieveAETitle = ae_title
    if "InstanceAvailability" in identifier:
        answer.InstanceAvailability = "ONLINE"
    return answer
