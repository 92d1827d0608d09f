"""Original instances of a study or a series as a ZIP, written while it is sent."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from isal import isal_zlib

from dicom_node.errors import BadDataset
from dicom_node.index import InstanceRecord
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, read_head
from web import words
from web.context import WebContext, current
from web.errors import NotFound
from web.multipart import CHUNK_BYTES, file_chunks
from web.zip_stream import ZipWriter, zip_length

blueprint = Blueprint("export", __name__)

README: Final = "README.TXT"
README_BYTES: Final = 16_384
"""The README has always this length, so that the length of the ZIP is known before it is made."""
MOST_NAMED: Final = 100
"""Instances that are not in the ZIP beyond so many are counted, not named."""

_FOLDER: Final = "DICOM"
_IN_PLACE: Final = "ERROR"
"""Where a text stands in place of a file that turns out damaged; as long as the other's name."""


@dataclass(frozen=True, slots=True)
class ZipFile:
    """One instance in a ZIP: its place below the folder, and its size in bytes."""

    record: InstanceRecord
    place: str
    size_bytes: int


@dataclass(slots=True)
class Export:
    """What a ZIP holds and what it does not; `left_out` grows while it is written.

    `left_out` names instances by their UID, each with the reason; in place of `replaced` ones
    stands a text. `others` are further versions of a UID.
    """

    files: list[ZipFile] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    others: int = 0
    replaced: int = 0

    @property
    def length(self) -> int:
        """Bytes of the whole ZIP."""
        sizes = [(f"{_FOLDER}/{file.place}", file.size_bytes) for file in self.files]
        return zip_length([*sizes, (README, README_BYTES)])


@blueprint.get("/studies/<uid:study>/export.zip")
@blueprint.get("/studies/<uid:study>/series/<uid:series>/export.zip")
def export(study: str, series: str = "") -> ResponseReturnValue:
    """Answer with the instances of a study or series as they were received, as a ZIP."""
    context = current()
    records = context.index.instances(study, series or None)
    if not records:
        raise NotFound("This node holds nothing under that study and series.")
    planned = planned_export(records)
    what = "series" if series else "study"
    headers = {
        "Content-Length": str(planned.length),
        "Content-Disposition": f'attachment; filename="lifeboat-{what}.zip"',
    }
    chunks = zipped(planned, context, context.clock())
    return Response(chunks, headers=headers, mimetype="application/zip")


def planned_export(records: Sequence[InstanceRecord]) -> Export:
    """Return what will be in a ZIP: every instance, in all its versions, that can be read.

    Parameters
    ----------
    records : sequence of InstanceRecord
        By series.

    Returns
    -------
    Export
    """
    planned = Export()
    folders: dict[str, int] = {}
    for number, record in enumerate(records, start=1):
        folder = folders.setdefault(record.series_instance_uid, len(folders) + 1)
        reason, size_bytes = _looked_at(record)
        if reason:
            planned.left_out.append((record.sop_instance_uid, reason))
        else:
            place = f"SE{folder:06d}/IM{number:06d}"
            planned.files.append(ZipFile(record, place, size_bytes))
        planned.others += record.version > 1
    return planned


def _looked_at(record: InstanceRecord) -> tuple[str, int]:
    """Return why an instance cannot be in a ZIP, "" when it can, and its file's size."""
    if record.damaged_at:
        return "its file was found damaged on disk", 0
    try:
        return "", record.path.stat().st_size
    except OSError:
        return "its file is not in the store", 0


def zipped(planned: Export, context: WebContext, now: datetime) -> Iterator[bytes]:
    """Write a ZIP; every file is compared with its digest before it is sent.

    Parameters
    ----------
    planned : Export
        What to send.
    context : WebContext
        Names the node.
    now : datetime
        The time now.

    Yields
    ------
    bytes
    """
    writer = ZipWriter(now.astimezone())
    for file in planned.files:
        crc32 = checked(file)
        if crc32 is None:
            reason = "its file was found damaged when it was read"
            planned.left_out.append((file.record.sop_instance_uid, reason))
            planned.replaced += 1
            words_instead = instead_of(file)
            sum32 = isal_zlib.crc32(words_instead)
            name = f"{_IN_PLACE}/{file.place}"
            yield from writer.entry(name, len(words_instead), sum32, (words_instead,))
        else:
            chunks = file_chunks(file.record.path)
            yield from writer.entry(f"{_FOLDER}/{file.place}", file.size_bytes, crc32, chunks)
    text = readme(planned, context, now)
    yield from writer.entry(README, len(text), isal_zlib.crc32(text), (text,))
    yield from writer.end()


def checked(file: ZipFile) -> int | None:
    """Read a file whole and return its CRC-32; None when it is not what was stored.

    Parameters
    ----------
    file : ZipFile
        The file; its data set must have the digest it was stored with.

    Returns
    -------
    int or None
    """
    digest = hashlib.sha256()
    crc32 = length = 0
    try:
        with file.record.path.open("rb") as opened:
            head = opened.read(MAXIMUM_HEAD_BYTES)
            start = read_head(head).dataset_offset
            opened.seek(0)
            while chunk := opened.read(CHUNK_BYTES):
                crc32 = isal_zlib.crc32(chunk, crc32)
                digest.update(chunk[max(start - length, 0) :])
                length += len(chunk)
    except (OSError, BadDataset):
        return None
    is_same = not file.record.digest or digest.hexdigest() == file.record.digest
    return crc32 if is_same and length == file.size_bytes else None


def instead_of(file: ZipFile) -> bytes:
    """Return what stands in the ZIP in place of a damaged file; of the same length.

    Parameters
    ----------
    file : ZipFile
        The damaged file.

    Returns
    -------
    bytes
    """
    text = b"This image is damaged on the node and is not in this ZIP. Tell IT.\r\n"
    return text[: file.size_bytes].ljust(file.size_bytes)


def readme(planned: Export, context: WebContext, now: datetime) -> bytes:
    """Return the README: what is in the ZIP, what is not, and what it is fit for.

    Parameters
    ----------
    planned : Export
        After all files were written.
    context : WebContext
        Names the node.
    now : datetime
        The time now.

    Returns
    -------
    bytes
        `README_BYTES` of them, spaces at the end.
    """
    lines = list(_readme_lines(planned, context, now))
    text = "\r\n".join(lines).encode("ascii", "replace") + b"\r\n"
    return text[:README_BYTES].ljust(README_BYTES)


def _readme_lines(planned: Export, context: WebContext, now: datetime) -> Iterator[str]:
    missing = len(planned.left_out)
    at = now.astimezone()
    held = len(planned.files) - planned.replaced
    yield f"DICOM objects from the Lifeboat node {context.settings.node.name[:64]}"
    yield f"Written {at:%Y-%m-%d %H:%M:%S %z}"
    yield ""
    yield f"In the folder {_FOLDER}: {words.counted(held, 'object')}, each exactly as stored."
    if planned.others:
        yield f"{planned.others} of them came with a UID that another object here has too."
    yield from _left_out_lines(planned.left_out) if missing else ("Nothing was left out.",)
    yield ""
    yield "This node keeps a fallback copy: the PACS may hold more, priors or corrected data."
    yield "There is no DICOMDIR: open the folder with a viewer, or send it to a PACS."


def _left_out_lines(left_out: Sequence[tuple[str, str]]) -> Iterable[str]:
    yield ""
    yield f"NOT COMPLETE: {words.counted(len(left_out), 'object')} could not be read."
    for uid, reason in left_out[:MOST_NAMED]:
        yield f"  {uid}: {reason}"
    if len(left_out) > MOST_NAMED:
        yield f"  and {len(left_out) - MOST_NAMED} more"
