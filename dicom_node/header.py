"""Bounded reader of the few elements we index, straight from the received bytes.

It walks the whole data set once to be sure that it is complete, keeps only what the index needs,
and never recurses, inflates without a cap or builds objects for what it skips. What is plain at the
start, nearly everything in nearly every instance, is taken in one short loop; all else goes to a
walker that knows every encoding.
"""

import math
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.errors import BadDataset, BeyondLimits, UnsafeUid

MAXIMUM_ELEMENTS: Final = 1_000_000
MAXIMUM_DEPTH: Final = 64
MAXIMUM_VALUE_BYTES: Final = 4096
INFLATE_CAP_BYTES: Final = 512 * 1024**2
INFLATED_HEADER_BYTES: Final = 8 * 1024**2

TEXT_ELEMENTS: Final[dict[int, str]] = {
    0x00080005: "specific_character_set",
    0x00080008: "image_type",
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x00080020: "study_date",
    0x00080030: "study_time",
    0x00080032: "acquisition_time",
    0x00080050: "accession_number",
    0x00080060: "modality",
    0x00080090: "referring_physician_name",
    0x00081010: "station_name",
    0x00081030: "study_description",
    0x0008103E: "series_description",
    0x00100010: "patient_name",
    0x00100020: "patient_id",
    0x00100021: "issuer_of_patient_id",
    0x00100030: "patient_birth_date",
    0x00100040: "patient_sex",
    0x00180015: "body_part_examined",
    0x00180050: "slice_thickness",
    0x00180081: "echo_time",
    0x00180086: "echo_numbers",
    0x00181060: "trigger_time",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
    0x00200010: "study_id",
    0x00200011: "series_number",
    0x00200012: "acquisition_number",
    0x00200013: "instance_number",
    0x00200032: "image_position_patient",
    0x00200037: "image_orientation_patient",
    0x00200052: "frame_of_reference_uid",
    0x00200060: "laterality",
    0x00200062: "image_laterality",
    0x00200100: "temporal_position_identifier",
    0x00201002: "images_in_acquisition",
    0x00280004: "photometric_interpretation",
    0x00280008: "number_of_frames",
    0x00280030: "pixel_spacing",
}
"""Elements kept as text."""

NUMBER_ELEMENTS: Final[dict[int, str]] = {
    0x00280010: "rows",
    0x00280011: "columns",
    0x00280100: "bits_allocated",
}
"""Elements kept as unsigned short numbers (VR US)."""

DECIMAL_ELEMENTS: Final[dict[int, str]] = {0x00189087: "diffusion_b_value"}
"""Elements kept as double precision numbers (VR FD)."""

INDEXED: Final = frozenset((*TEXT_ELEMENTS, *NUMBER_ELEMENTS, *DECIMAL_ELEMENTS))
"""The tags of all of them."""

_LAST_INDEXED: Final = max(NUMBER_ELEMENTS)
_DOUBLE_BYTES: Final = 8
_PIXEL_DATA: Final = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
_UNDEFINED: Final = 0xFFFFFFFF
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_BLANK_VRS: Final = frozenset((b"  ", b"\0\0"))  # written by some scanners, with a short length
_WINDOW_BYTES: Final = 32 * 1024
_PLAIN_WINDOWS: Final = 256
_ANY_HEAD: Final = struct.Struct("<LHHL")
"""Tag, VR, the length of a short VR, and where the length of a long one stands."""
_STORED_SHORT_VRS: Final = frozenset(int.from_bytes(vr, "little") for vr in _SHORT_VRS)
_STORED_LONG_VRS: Final = frozenset(int.from_bytes(vr, "little") for vr in _LONG_VRS)
_STORED_TAGS: Final = {(tag & 0xFFFF) << 16 | tag >> 16: tag for tag in (*INDEXED, *_PIXEL_DATA)}
"""What matters in the short loop, by the numbers their stored bytes make."""
_BYTE_ORDERS: Final[dict[str, Literal["little", "big"]]] = {"<": "little", ">": "big"}
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
UID_LENGTH: Final = 64
_DELIMITERS: Final = set(map(ord, "\n\f\r\t^=\\"))


@dataclass(frozen=True, slots=True)
class Header:
    """The indexed elements of one data set.

    `values` maps DICOM keywords in snake case to text; what is absent is absent. `numbers` holds
    Rows, Columns and BitsAllocated, `decimals` the finite values of Diffusion b-value. `is_odd`
    tells that only the lenient reader understood it.
    """

    values: dict[str, str]
    numbers: dict[str, int]
    decimals: dict[str, float] = field(default_factory=dict)
    is_odd: bool = False

    def text(self, keyword: str) -> str:
        """Return an element's text, '' when absent."""
        return self.values.get(keyword, "")

    def integer(self, keyword: str) -> int | None:
        """Return an element as a whole number, None when it is absent or not one."""
        if keyword in self.numbers:
            return self.numbers[keyword]
        text = self.values.get(keyword)
        if not text:
            return None
        try:
            number = int(float(text))
        except (ValueError, OverflowError):
            return None
        return number if abs(number) < 2**31 else None


def is_valid_uid(uid: str) -> bool:
    """Tell whether a UID is only digits and dots, at most 64 characters (PS3.5 section 9.1).

    Leading zeros are tolerated: scanners write them, and they are safe in a path.
    """
    return len(uid) <= UID_LENGTH and _UID.fullmatch(uid) is not None


def check_uid(uid: str, keyword: str) -> str:
    """Return the UID, or raise UnsafeUid naming the element and never its value."""
    if not is_valid_uid(uid):
        raise UnsafeUid(f"{keyword} is missing or is not a UID of digits and dots")
    return uid


@dataclass(frozen=True, slots=True)
class EncodedDataset:
    """A data set and how its bytes are to be read.

    `order` is `<` or `>`, as in `struct`. `is_whole` is False where `data` is only the start of
    what a deflated data set holds; that it is complete was checked while inflating.
    """

    data: memoryview
    order: Literal["<", ">"]
    is_explicit: bool
    is_whole: bool = True


def open_dataset(dataset: bytes | memoryview, transfer_syntax_uid: str) -> EncodedDataset:
    """Say how a data set is to be read, and inflate a deflated one.

    Parameters
    ----------
    dataset : bytes-like
        An encoded data set without file meta information.
    transfer_syntax_uid : str
        How it is encoded; an unknown one is taken as Explicit VR Little Endian, as PS3.5 A.4
        demands of every encapsulated syntax.

    Raises
    ------
    BadDataset
        It cannot be inflated.
    """
    if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
        inflated, is_whole = _inflate(dataset)
        return EncodedDataset(memoryview(inflated), "<", is_explicit=True, is_whole=is_whole)
    order: Literal["<", ">"] = ">" if transfer_syntax_uid == ExplicitVRBigEndian else "<"
    explicit = transfer_syntax_uid != ImplicitVRLittleEndian
    return EncodedDataset(memoryview(dataset), order, is_explicit=explicit)


def read_header(dataset: bytes | memoryview, transfer_syntax_uid: str) -> Header:
    """Read what we index and check that the data set is whole.

    Parameters
    ----------
    dataset, transfer_syntax_uid
        As `open_dataset`.

    Returns
    -------
    Header

    Raises
    ------
    BadDataset
        It is cut off, nested too deeply, or cannot be understood.
    """
    encoded = open_dataset(dataset, transfer_syntax_uid)
    found: dict[int, bytes] = {}
    offset = 0
    if encoded.is_explicit and encoded.order == "<":
        for _ in range(_PLAIN_WINDOWS):
            reached = take_plain_elements(encoded.data, found, offset)
            if reached == offset:
                break
            offset = reached
    return finish_header(encoded, found, offset)


ReadHeader = Callable[[bytes | memoryview, str], Header]
"""Reads a header as `read_header` does, or better."""


def take_plain_elements(data: memoryview, found: dict[int, bytes], offset: int) -> int:
    """Take the plain elements at the start of a window of Explicit VR Little Endian.

    Plain is what has a known VR and a defined length; what we index must lie within the window.

    Parameters
    ----------
    data : memoryview
    found : dict
        Receives tag and value of those we index, and of small pixel data.
    offset : int
        Where the window begins, and an element.

    Returns
    -------
    int
        The offset of the first element that is not plain, or not in the window.
    """
    # each line of this loop is paid for sixty times an instance: the window is one small copy,
    # tag and VR stay the numbers their bytes make, and both kinds of head are read in one call
    window = bytes(data[offset : offset + _WINDOW_BYTES])
    short, long, known = _STORED_SHORT_VRS, _STORED_LONG_VRS, _STORED_TAGS
    unpack = _ANY_HEAD.unpack_from
    here, last = 0, len(window) - _ANY_HEAD.size
    end = min(len(data) - offset, _UNDEFINED - 1)
    while here <= last:
        stored_tag, vr, length, long_length = unpack(window, here)
        if vr in short:
            value = here + 8
        elif vr in long:
            value, length = here + 12, long_length
        else:
            break
        behind = value + length
        if behind > end:
            break
        if stored_tag in known:
            tag = known[stored_tag]
            if length > MAXIMUM_VALUE_BYTES or behind > len(window) or tag in found:
                break
            found[tag] = window[value:behind]
        here = behind
    return offset + here


def finish_header(encoded: EncodedDataset, found: dict[int, bytes], offset: int) -> Header:
    """Walk the rest of a data set and return its header.

    Parameters
    ----------
    encoded : EncodedDataset
    found : dict
        What was found before the offset.
    offset : int
        Where an element starts, or the end.

    Raises
    ------
    BadDataset
        The rest is cut off, nested too deeply, or cannot be understood.
    """
    _Walker(encoded, offset).walk(found)
    if found.keys() <= _PIXEL_DATA:
        raise BadDataset("the data set holds none of the elements that identify an instance")
    return _decode(found, encoded.order)


def _inflate(dataset: bytes | memoryview) -> tuple[bytes, bool]:
    """Return the inflated start of a deflated data set, and whether that is all of it."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    kept, total, data = bytearray(), 0, bytes(dataset)
    try:
        while not inflater.eof:
            chunk = inflater.decompress(data, 1 << 20)
            if not chunk and not inflater.eof:
                raise BadDataset("the deflated data set is cut off")
            total += len(chunk)
            if total > INFLATE_CAP_BYTES:
                raise BeyondLimits("the deflated data set inflates beyond the accepted size")
            kept += chunk[: max(0, INFLATED_HEADER_BYTES - len(kept))]
            data = inflater.unconsumed_tail
    except zlib.error as exc:
        raise BadDataset("the deflated data set cannot be inflated") from exc
    return bytes(kept), total == len(kept)


class _Walker:
    """One pass over an encoded data set from an offset on."""

    def __init__(self, encoded: EncodedDataset, offset: int) -> None:
        self.data = encoded.data
        self.is_explicit = encoded.is_explicit
        self.is_whole = encoded.is_whole
        self.position = offset
        self.elements = 0
        self.explicit_head = struct.Struct(encoded.order + "HH2sH")
        self.implicit_head = struct.Struct(encoded.order + "HHL")
        self.uint32 = struct.Struct(encoded.order + "L")

    def walk(self, found: dict[int, bytes]) -> None:
        has_pixels, end = not found.keys().isdisjoint(_PIXEL_DATA), len(self.data)
        try:
            while end - self.position >= 8:
                tag, vr, length = self._element(self.is_explicit)
                if tag in INDEXED:
                    self._keep(found, tag, length)
                self._skip_value(length, is_explicit=self.is_explicit and vr != b"UN")
                has_pixels |= tag in _PIXEL_DATA
            if end != self.position and any(self.data[self.position :]):
                raise BadDataset("the data set ends inside an element")
        except (BadDataset, struct.error) as exc:
            # what follows complete pixels, or lies past the part of a deflated set we kept,
            # cannot make the instance incomplete
            if has_pixels or (not self.is_whole and self._is_past_index(found)):
                return
            if isinstance(exc, BadDataset):
                raise
            raise BadDataset("the data set ends inside an element") from exc

    @staticmethod
    def _is_past_index(found: dict[int, bytes]) -> bool:
        return bool(found) and max(found) >= _LAST_INDEXED

    def _keep(self, found: dict[int, bytes], tag: int, length: int) -> None:
        if length != _UNDEFINED and tag not in found:
            stop = min(self.position + min(length, MAXIMUM_VALUE_BYTES), len(self.data))
            found[tag] = bytes(self.data[self.position : stop])

    def _element(self, is_explicit: bool) -> tuple[int, bytes, int]:
        """Read one element's head: (tag, VR, value length); the position moves behind it."""
        self.elements += 1
        if self.elements > MAXIMUM_ELEMENTS:
            raise BeyondLimits("the data set holds more elements than we accept")
        if not is_explicit:
            group, element, length = self.implicit_head.unpack_from(self.data, self.position)
            self.position += 8
            return group << 16 | element, b"", length
        group, element, vr, length = self.explicit_head.unpack_from(self.data, self.position)
        self.position += 8
        if group == 0xFFFE:  # items have no VR: their length is 32 bits in its place
            (length,) = self.uint32.unpack_from(self.data, self.position - 4)
        elif vr in _LONG_VRS:
            (length,) = self.uint32.unpack_from(self.data, self.position)
            self.position += 4
        elif vr not in _SHORT_VRS and vr not in _BLANK_VRS:
            raise BadDataset("the data set holds an element whose value representation is unknown")
        return group << 16 | element, vr, length

    def _skip_value(self, length: int, *, is_explicit: bool = True) -> None:
        if length == _UNDEFINED:
            self._skip_sequence(is_explicit)
        elif length > len(self.data) - self.position:
            raise BadDataset("the data set is cut off: an element is longer than what arrived")
        else:
            self.position += length

    def _skip_sequence(self, is_explicit: bool) -> None:
        """Move behind a sequence of undefined length and all that is nested in it.

        An unknown element (VR UN) of undefined length is encoded implicit (PS3.5 6.2.2).
        """
        # one entry a level: (inside an item?, are its elements explicit?)
        levels = [(False, is_explicit)]
        while levels:
            if len(levels) > 2 * MAXIMUM_DEPTH:
                raise BeyondLimits("the data set nests sequences too deeply")
            in_item, is_explicit = levels[-1]
            tag, vr, length = self._element(is_explicit)
            if tag in (_SEQUENCE_END, _ITEM_END):
                levels.pop()
            elif length != _UNDEFINED:
                self._skip_value(length)
            elif tag == _ITEM:
                levels.append((True, is_explicit))
            elif in_item:
                levels.append((False, is_explicit and vr != b"UN"))
            else:
                raise BadDataset("the data set holds a sequence that is not closed")


def _decode(found: dict[int, bytes], order: Literal["<", ">"]) -> Header:
    texts = [(keyword, found[tag]) for tag, keyword in TEXT_ELEMENTS.items() if tag in found]
    together = b"".join([value for _, value in texts])
    if together.isascii() and b"\x1b" not in together:  # nearly always, and quicker all at once
        values = {keyword: str(value, "ascii").strip(" \0") for keyword, value in texts}
    else:
        character_set = found.get(0x00080005, b"").decode("ascii", "replace")
        values = {keyword: _text(value, character_set) for keyword, value in texts}
    numbers = {
        keyword: int.from_bytes(found[tag][:2], _BYTE_ORDERS[order])
        for tag, keyword in NUMBER_ELEMENTS.items()
        if len(found.get(tag, b"")) >= 2
    }
    return Header(values, numbers, _decimals(found, order))


def _decimals(found: dict[int, bytes], order: Literal["<", ">"]) -> dict[str, float]:
    decimals = {}
    for tag, keyword in DECIMAL_ELEMENTS.items():
        value = found.get(tag, b"")
        if len(value) >= _DOUBLE_BYTES:
            (number,) = struct.unpack_from(order + "d", value)
            if math.isfinite(number):
                decimals[keyword] = number
    return decimals


def _text(value: bytes, character_set: str) -> str:
    """Decode a value; what cannot be decoded becomes replacement characters (PS3.5 6.1)."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii").strip(" \0")
    terms = [term.strip() for term in character_set.split("\\")]
    try:
        text = decode_bytes(value, convert_encodings(terms), _DELIMITERS)
    except (LookupError, UnicodeError, ValueError):
        text = value.decode("utf-8", "replace")
    # some encodings yield halves of characters, which no database takes
    return text.encode("utf-8", "replace").decode("utf-8").strip(" \0")
