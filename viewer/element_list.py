"""All elements of an object as text to look through: bounded, whatever they hold."""

from dataclasses import dataclass
from typing import Any, Final

from pydicom.datadict import dictionary_description, private_dictionary_description
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from viewer.decode import Instance

MAX_LISTED: Final = 5_000
"""Elements and items beyond so many are left out."""

MAX_LISTED_DEPTH: Final = 16
"""Sequences within so many others are named, but not opened."""

LONGEST_VALUE: Final = 1_024
"""A value is cut after so many characters."""

LONGEST_READ_BYTES: Final = 65_536
"""A longer value is not read: its length is told."""

_LONGEST_BINARY_BYTES: Final = 32
_BINARY: Final = frozenset(("OB", "OW", "OD", "OF", "OL", "OV", "UN"))
_PIXEL_TAGS: Final = {
    "PixelData": "(7FE0,0010)",
    "FloatPixelData": "(7FE0,0008)",
    "DoubleFloatPixelData": "(7FE0,0009)",
}


@dataclass(frozen=True, slots=True)
class ListedElement:
    """One element as text.

    Parameters
    ----------
    tag : str
        As in `(0010,0010)`.
    name : str
        From the dictionary; of a private element, its creator and its name where it is known.
    vr : str
        Value representation.
    value : str
        As text: several values joined by a backslash, cut when long; '' for a sequence.
    items : tuple
        Of a sequence: its items, each a tuple of `ListedElement`.
    """

    tag: str
    name: str
    vr: str
    value: str
    items: tuple[tuple["ListedElement", ...], ...] = ()


@dataclass(frozen=True, slots=True)
class ElementList:
    """The elements of an object; `is_cut` tells that not all are listed."""

    elements: tuple[ListedElement, ...]
    is_cut: bool


def element_list(instance: Instance) -> ElementList:
    """List the elements of an object, its transfer syntax first and its pixels last.

    Parameters
    ----------
    instance : Instance
        Any object.

    Returns
    -------
    ElementList
    """
    listing = _Listing()
    syntax = instance.transfer_syntax_uid
    first = ListedElement("(0002,0010)", "Transfer Syntax UID", "UI", _uid_words(syntax))
    elements = (first, *listing.of(instance.header, 1), *_pixels(instance))
    return ElementList(elements, listing.is_cut)


def _pixels(instance: Instance) -> tuple[ListedElement, ...]:
    found = instance.file_header.pixel_element
    if found is None:
        return ()
    length = "compressed" if found.length is None else f"{found.length} bytes"
    tag = _PIXEL_TAGS[found.keyword]
    return (ListedElement(tag, found.keyword, found.vr or "", length),)


class _Listing:
    """Goes through data sets and counts, so that no object takes long."""

    def __init__(self) -> None:
        self._left = MAX_LISTED
        self.is_cut = False

    def of(self, dataset: Dataset, depth: int) -> tuple[ListedElement, ...]:
        found = []
        for tag, raw in sorted(dataset.items(), key=lambda entry: entry[0]):
            if not self._left:
                self.is_cut = True
                break
            self._left -= 1
            found.append(self._listed(dataset, tag, raw, depth))
        return tuple(found)

    def _listed(self, dataset: Dataset, tag: BaseTag, raw: Any, depth: int) -> ListedElement:
        written = f"({tag.group:04X},{tag.element:04X})"
        if isinstance(raw, RawDataElement) and _is_long(raw):
            return ListedElement(written, _name(tag, ""), raw.VR or "", f"{raw.length} bytes")
        try:
            element = dataset[tag]
            name = _name(tag, str(element.private_creator or "") if tag.is_private else "")
            if element.VR == "SQ":
                return ListedElement(written, name, "SQ", "", self._items(element, depth))
            return ListedElement(written, name, str(element.VR), _value(element))
        except Exception:  # noqa: BLE001 - parse boundary: pydicom converts on access and raises many types
            return ListedElement(written, _name(tag, ""), "", "cannot be read")

    def _items(self, element: DataElement, depth: int) -> tuple[tuple[ListedElement, ...], ...]:
        found = []
        for item in element.value:
            if not self._left or depth > MAX_LISTED_DEPTH:
                self.is_cut = True
                break
            self._left -= 1
            found.append(self.of(item, depth + 1))
        return tuple(found)


def _is_long(raw: RawDataElement) -> bool:
    """Return whether a value is not worth reading; sequences are read item by item anyway."""
    return raw.VR != "SQ" and (raw.value is None or len(raw.value) > LONGEST_READ_BYTES)


def _name(tag: BaseTag, creator: str) -> str:
    try:
        if tag.is_private:
            known = private_dictionary_description(tag, creator) if creator else ""
            return " · ".join(filter(None, ("Private", _plain(creator), known.strip("[]"))))
        return dictionary_description(tag)
    except KeyError:
        return " · ".join(
            filter(None, ("Private" if tag.is_private else "Unknown", _plain(creator)))
        )


def _value(element: DataElement) -> str:
    value = element.value
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        return _binary(bytes(value))
    if element.VR == "UI":
        parts = [value] if isinstance(value, str) else value
        return _cut("\\".join(_uid_words(str(part)) for part in parts))
    is_many = not isinstance(value, str) and hasattr(value, "__iter__") and element.VR != "PN"
    return _cut("\\".join(map(str, value)) if is_many else str(value))


def _binary(value: bytes) -> str:
    if len(value) > _LONGEST_BINARY_BYTES:
        return f"{len(value)} bytes"
    return value.hex(" ").upper()


def _uid_words(uid: str) -> str:
    """Return a UID with its name where the standard gives it one."""
    plain = _plain(uid)
    name = UID(plain).name
    return plain if name == plain else f"{plain} = {name}"


def _cut(text: str) -> str:
    plain = _plain(text[: LONGEST_VALUE + 1])
    return plain if len(plain) <= LONGEST_VALUE else f"{plain[:LONGEST_VALUE]}… ({len(text)})"


def _plain(text: str) -> str:
    """Return a text without control characters and marks that turn its direction."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")
