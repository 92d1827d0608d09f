"""Documents, models and videos inside an object: what they are and where their bytes lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from viewer.decode import Instance
from viewer.errors import UnsupportedDocument
from viewer.families import VIDEO
from viewer.frames import Fragment, Source, read_range, scan_fragments
from viewer.header import inflate_file, integer, text

PIECE_BYTES: Final = 256 * 1024
"""A stream is read in pieces of at most so many bytes."""

PDF: Final = "application/pdf"
MP4: Final = "video/mp4"
OCTETS: Final = "application/octet-stream"

_DOCUMENT: Final = 0x00420011
_START_BYTES: Final = 1024
_TRANSPORT_PACKET_BYTES: Final = 188
_TRANSPORT_SYNC: Final = b"\x47"
_START_CODE: Final = b"\x00\x00\x01"
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1.104."
_DOCUMENTS: Final = {
    f"{_STORAGE}1": ("PDF document", PDF, "pdf"),
    f"{_STORAGE}2": ("CDA document (HL7 text)", OCTETS, "xml"),
    f"{_STORAGE}3": ("3D model (STL)", OCTETS, "stl"),
    f"{_STORAGE}4": ("3D model (OBJ)", OCTETS, "obj"),
    f"{_STORAGE}5": ("3D model material (MTL)", OCTETS, "mtl"),
}
_CODINGS: Final = (
    (("100", "101"), "MPEG-2"),
    (("102", "103", "104", "105", "106"), "H.264"),
    (("107", "108"), "H.265"),
)


@dataclass(frozen=True, slots=True)
class ByteStream:
    """Bytes that lie in one or several pieces of a stored object, read when they are wanted.

    Parameters
    ----------
    source : Path or bytes
        The file, or its inflated data set.
    fragments : tuple of Fragment
        The pieces, in order.
    """

    source: Source
    fragments: tuple[Fragment, ...]

    @property
    def length(self) -> int:
        """Bytes in all."""
        return sum(fragment.length for fragment in self.fragments)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """Read a range.

        Parameters
        ----------
        start, stop : int
            First byte, and the one after the last; within 0 to `length`.

        Yields
        ------
        bytes

        Raises
        ------
        viewer.errors.ViewerError
            The file ends before, or cannot be read.
        """
        begin = 0
        for fragment in self.fragments:
            first, last = max(start - begin, 0), min(stop - begin, fragment.length)
            for offset in range(first, last, PIECE_BYTES):
                size = min(PIECE_BYTES, last - offset)
                yield read_range(self.source, fragment.offset + offset, size)
            begin += fragment.length

    def start_bytes(self) -> bytes:
        """Return the first bytes, which tell what it is."""
        return b"".join(self.read(0, min(self.length, _START_BYTES)))


@dataclass(frozen=True, slots=True)
class EncapsulatedDocument:
    """A document or model inside an object (PS3.3 A.45, A.85).

    Parameters
    ----------
    name : str
        What it is, in words.
    title : str
        Document Title (0042,0010), '' when absent.
    media_type : str
        To serve it as: PDF, or bytes a browser only saves.
    extension : str
        For a file name.
    stream : ByteStream
        Its bytes, without padding.
    """

    name: str
    title: str
    media_type: str
    extension: str
    stream: ByteStream


@dataclass(frozen=True, slots=True)
class Video:
    """A video stream inside an object (PS3.5 8.2.5 to 8.2.9).

    Parameters
    ----------
    coding : str
        `MPEG-2`, `H.264` or `H.265`.
    container : str
        `MP4`, `transport stream`, `program stream`, `bare stream`, or '' when unknown.
    media_type : str
        To serve it as.
    extension : str
        For a file name.
    stream : ByteStream
        Its bytes.
    """

    coding: str
    container: str
    media_type: str
    extension: str
    stream: ByteStream

    @property
    def may_play(self) -> bool:
        """Whether browsers exist that play it: MP4 with H.264 nearly all, with H.265 some."""
        return self.media_type == MP4 and self.coding != "MPEG-2"


def encapsulated_document_of(instance: Instance) -> EncapsulatedDocument | None:
    """Return the document inside an object.

    Parameters
    ----------
    instance : Instance
        Any object.

    Returns
    -------
    EncapsulatedDocument or None
        None when it is of no class of documents.

    Raises
    ------
    UnsupportedDocument
        It holds none, or something else than its class says.
    """
    kind = _DOCUMENTS.get(text(instance.header, "SOPClassUID"))
    if kind is None:
        return None
    name, media_type, extension = kind
    stream = _document_stream(instance)
    if media_type == PDF and not stream.start_bytes().lstrip().startswith(b"%PDF-"):
        raise UnsupportedDocument(
            "This object says it holds a PDF, but its bytes are something else. They are not"
            " opened here; the object is kept as received."
        )
    return EncapsulatedDocument(
        name, text(instance.header, "DocumentTitle"), media_type, extension, stream
    )


def _document_stream(instance: Instance) -> ByteStream:
    place = _place(instance.header)
    if place is None:
        raise UnsupportedDocument("This object holds no document. Ask the sender for it again.")
    if place.offset + place.length > instance.file_header.source_bytes:
        raise UnsupportedDocument(
            "The document in this object is cut off. Send it again from the source."
        )
    is_deflated = instance.transfer_syntax_uid == DeflatedExplicitVRLittleEndian
    source: Source = inflate_file(instance.path) if is_deflated else instance.path
    return ByteStream(source, (place,))


def _place(header: Dataset) -> Fragment | None:
    """Return where the document's bytes lie: long elements are not read with the header."""
    # as it was read: asking for the element itself would want a long one, which was skipped
    element: Any = next((found for tag, found in header.items() if tag == _DOCUMENT), None)
    if element is None:
        return None
    raw = getattr(element, "value_tell", None)
    offset = element.file_tell if raw is None else raw
    length = getattr(element, "length", None) or len(element.value or b"")
    # the element has an even length; the document may be a byte shorter (0042,0015)
    stated = integer(header, "EncapsulatedDocumentLength")
    if stated is not None and length - 1 <= stated <= length:
        length = stated
    return Fragment(offset, length) if length and offset else None


def video_of(instance: Instance) -> Video | None:
    """Return the video inside an object.

    Parameters
    ----------
    instance : Instance
        Any object.

    Returns
    -------
    Video or None
        None when it is no video.

    Raises
    ------
    UnsupportedDocument
        It holds no stream.
    viewer.errors.ViewerError
        Its fragments cannot be followed.
    """
    if instance.family is not VIDEO:
        return None
    element = instance.file_header.pixel_element
    fragments = () if element is None else scan_fragments(instance.path, element).fragments
    stream = ByteStream(instance.path, fragments)
    if not stream.length:
        raise UnsupportedDocument("This object holds no video. Send it again from the source.")
    container, media_type, extension = _container(stream.start_bytes())
    return Video(_coding(instance.transfer_syntax_uid), container, media_type, extension, stream)


def _coding(transfer_syntax_uid: str) -> str:
    number = transfer_syntax_uid.removeprefix("1.2.840.10008.1.2.4.").partition(".")[0]
    return next(name for numbers, name in _CODINGS if number in numbers)


def _container(start: bytes) -> tuple[str, str, str]:
    """Tell a stream's container by its first bytes, its media type and file extension."""
    if start[4:8] == b"ftyp":
        return "MP4", MP4, "mp4"
    packets = {start[at : at + 1] for at in (0, _TRANSPORT_PACKET_BYTES)}
    if packets == {_TRANSPORT_SYNC}:
        return "transport stream", "video/mp2t", "ts"
    if start.startswith(_START_CODE + b"\xba"):
        return "program stream", "video/mpeg", "mpg"
    if start.startswith((_START_CODE, b"\x00" + _START_CODE)):
        return "bare stream", OCTETS, "bin"
    return "", OCTETS, "bin"
