"""Read the header of a Part 10 file without its pixel data, and single values from it."""

import io
import math
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from viewer.errors import UnreadableFile, ViewerError
from viewer.header_entries import HeaderWalk

MAX_INFLATED_BYTES: Final = 256 * 1024 * 1024
"""A deflated data set that grows past this many bytes is refused."""

MAX_HEADER_ELEMENT_BYTES: Final = 64 * 1024 * 1024
"""Header elements longer than this many bytes are skipped and read as absent."""

MAX_HEADER_ENTRIES: Final = 200_000
"""A header of more elements and items together, on all levels, is refused."""

MAX_VALUES_BYTES: Final = 65_536
"""Elements of numbers or texts longer than this count as absent: each value costs microseconds."""
MAX_SEQUENCE_DEPTH: Final = 64
"""A header with more sequences within one another is refused."""

PIXEL_KEYWORDS: Final = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}

_Read = TypeVar("_Read")

_PREAMBLE_BYTES: Final = 128
_INFLATE_STEP_BYTES: Final = 16 * 1024 * 1024
_UNDEFINED_LENGTH: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixel data lie.

    Parameters
    ----------
    keyword : str
        `PixelData` (7FE0,0010), `FloatPixelData` or `DoubleFloatPixelData`.
    vr : str or None
        Value representation as written, None in implicit VR.
    offset : int
        First byte of the value; counted in the file, or in the inflated data set when deflated.
    length : int or None
        Bytes of the value; None = undefined length, that is encapsulated.
    """

    keyword: str
    vr: str | None
    offset: int
    length: int | None


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The data set up to its pixel data, and where those begin.

    Parameters
    ----------
    dataset : pydicom.Dataset
        All elements before the pixel data.
    transfer_syntax_uid : str
        As in the file meta information (0002,0010); when absent, the one the bytes show.
    pixel_element : PixelElement or None
        None when the object has no pixel data.
    source_bytes : int
        Size of the file, or of the inflated data set when deflated.
    """

    dataset: Dataset
    transfer_syntax_uid: str
    pixel_element: PixelElement | None
    source_bytes: int


class _StopAtPixels:
    """Callback for pydicom's reader: stops at the pixel data and remembers where they lie."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.found: PixelElement | None = None

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        keyword = PIXEL_KEYWORDS.get(int(tag))
        if keyword is None:
            return False
        defined = None if length == _UNDEFINED_LENGTH else length
        self.found = PixelElement(keyword, vr, self._stream.tell(), defined)
        return True


def read_file_header(path: Path) -> FileHeader:
    """Read everything before the pixel data.

    Parameters
    ----------
    path : Path
        A DICOM Part 10 file.

    Returns
    -------
    FileHeader
        Header and place of the pixel data.

    Raises
    ------
    UnreadableFile
        When there is no such file, it is not DICOM, or its header cannot be parsed or is larger
        than `MAX_HEADER_ENTRIES` and `MAX_SEQUENCE_DEPTH` allow.
    """
    return _guarded(lambda: _read_part10(path))


def inflate_file(path: Path) -> bytes:
    """Inflate the data set of a deflated Part 10 file.

    Raises
    ------
    UnreadableFile
        When it cannot be inflated, or grows past `MAX_INFLATED_BYTES`.
    """

    def read() -> bytes:
        with path.open("rb") as stream:
            _read_meta(stream)
            return _inflate(stream.read())

    return _guarded(read)


def _guarded(read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except ViewerError:
        raise
    except OSError as error:
        message = "The file could not be read from the store. Tell the IT team."
        raise UnreadableFile(message) from error
    except Exception as error:  # parse boundary: pydicom raises many types
        message = "The header of this object is damaged. The bytes are kept as received."
        raise UnreadableFile(message) from error


def _read_part10(path: Path) -> FileHeader:
    with path.open("rb") as stream:
        meta = _read_meta(stream)
        transfer_syntax_uid = text(meta, "TransferSyntaxUID") or _guess_syntax(stream)
        if transfer_syntax_uid == DeflatedExplicitVRLittleEndian:
            return _read_body(io.BytesIO(_inflate(stream.read())), transfer_syntax_uid)
        return _read_body(stream, transfer_syntax_uid)


def _read_meta(stream: BinaryIO) -> Dataset:
    stream.seek(_PREAMBLE_BYTES)
    if stream.read(4) != b"DICM":
        raise UnreadableFile("This is not a DICOM file. Ask the sender for the original object.")
    return read_dataset(
        stream, is_implicit_VR=False, is_little_endian=True, stop_when=_is_after_meta
    )


def _is_after_meta(tag: int, vr: str | None, length: int) -> bool:
    return int(tag) >> 16 != 0x0002


def _guess_syntax(stream: BinaryIO) -> str:
    start = stream.tell()
    value_representation = stream.read(6)[4:6]
    stream.seek(start)
    is_explicit = value_representation.isalpha() and value_representation.isupper()
    return ExplicitVRLittleEndian if is_explicit else ImplicitVRLittleEndian


def _read_body(stream: BinaryIO, transfer_syntax_uid: str) -> FileHeader:
    is_implicit_vr = transfer_syntax_uid == ImplicitVRLittleEndian
    is_little_endian = transfer_syntax_uid != ExplicitVRBigEndian
    _check_size(stream, is_implicit_vr=is_implicit_vr, is_little_endian=is_little_endian)
    stop = _StopAtPixels(stream)
    dataset = read_dataset(
        stream,
        is_implicit_VR=is_implicit_vr,
        is_little_endian=is_little_endian,
        stop_when=stop,
        defer_size=MAX_HEADER_ELEMENT_BYTES,
    )
    return FileHeader(dataset, transfer_syntax_uid, stop.found, stream.seek(0, io.SEEK_END))


def _check_size(stream: BinaryIO, *, is_implicit_vr: bool, is_little_endian: bool) -> None:
    """Refuse what would keep the reader, and whoever waits behind it, busy for long."""
    start = stream.tell()
    walk = HeaderWalk(
        stream,
        is_implicit_vr=is_implicit_vr,
        is_little_endian=is_little_endian,
        stop_tags=PIXEL_KEYWORDS,
    )
    if not walk.stays_within(MAX_HEADER_ENTRIES, MAX_SEQUENCE_DEPTH):
        raise UnreadableFile(
            "The header of this object is larger or deeper than the viewer reads. "
            "Open it on the PACS."
        )
    stream.seek(start)


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = io.BytesIO()  # grows in place: at its limit, half the memory of one large answer
    part = inflater.decompress(deflated, _INFLATE_STEP_BYTES)
    while part and inflated.tell() <= MAX_INFLATED_BYTES:
        inflated.write(part)
        part = inflater.decompress(inflater.unconsumed_tail, _INFLATE_STEP_BYTES)
    if inflated.tell() > MAX_INFLATED_BYTES:
        raise UnreadableFile(
            "This deflated object grows beyond the viewer's limit. Open it on the PACS."
        )
    return inflated.getvalue()


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return an element's value, or None when it is absent or its text is not valid."""
    try:
        return dataset.get(keyword)
    except Exception:  # noqa: BLE001 - parse boundary: pydicom converts on access and raises many types
        return None


def text(dataset: Dataset, keyword: str) -> str:
    """Return an element as text without control characters, '' when absent or invalid.

    Several values are joined by a backslash, as in the file.
    """
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    joined = "\\".join(str(part) for part in as_list(value))
    return "".join(letter for letter in joined if letter.isprintable()).strip()


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return all values of an element as texts, () when absent, invalid or far too long."""
    if _is_too_long(dataset, keyword):
        return ()
    return tuple(str(part).strip() for part in as_list(value_of(dataset, keyword)))


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Return all values as finite numbers; () when absent or far too long, or any is not one."""
    if _is_too_long(dataset, keyword):
        return ()
    with suppress(TypeError, ValueError, OverflowError):
        found = tuple(float(part) for part in as_list(value_of(dataset, keyword)))
        if all(math.isfinite(part) for part in found):
            return found
    return ()


def _is_too_long(dataset: Dataset, keyword: str) -> bool:
    """Tell whether reading an element's values would take longer than anyone waits."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in dataset:
        return False
    raw: Any = dataset.get_item(tag)  # not yet converted, which is what takes long
    return isinstance(raw, RawDataElement) and len(raw.value or b"") > MAX_VALUES_BYTES


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value as a finite number, None when there is none."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def integer(dataset: Dataset, keyword: str) -> int | None:
    """Return the first value as an integer, None when absent or not a whole number."""
    found = number(dataset, keyword)
    return int(found) if found is not None and found == int(found) else None


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence, [] when absent or not a sequence."""
    return [item for item in as_list(value_of(dataset, keyword)) if isinstance(item, Dataset)]


def as_list(value: Any) -> list[Any]:
    """Return a single or multiple element value as a list, without empty values."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [part for part in value if part is not None and part != ""]
    return [] if value is None or value in ("", b"") else [value]


def functional_group(dataset: Dataset, frame_index: int, keyword: str) -> Dataset | None:
    """Return the first item of a functional group that applies to one frame.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Header of an enhanced multi-frame object; any other gives None.
    frame_index : int
        0-based.
    keyword : str
        The group's sequence, for example `PixelMeasuresSequence`.

    Notes
    -----
    PS3.3 C.7.6.16: per-frame groups (5200,9230) come before shared ones (5200,9229).
    """
    per_frame = _item(dataset, "PerFrameFunctionalGroupsSequence", frame_index)
    shared = _item(dataset, "SharedFunctionalGroupsSequence", 0)
    for groups in (per_frame, shared):
        found = None if groups is None else _item(groups, keyword, 0)
        if found is not None:
            return found
    return None


def _item(dataset: Dataset, keyword: str, index: int) -> Dataset | None:
    """Return one item of a sequence without looking at the others, of which there may be many."""
    sequence = value_of(dataset, keyword)
    is_there = isinstance(sequence, Sequence) and 0 <= index < len(sequence)
    item = sequence[index] if is_there else None
    return item if isinstance(item, Dataset) else None
