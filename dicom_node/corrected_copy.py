"""A copy of one stored file with a correction applied, made to be sent and gone afterwards.

The copy has the same SOP Instance UID, so a correction is for before the first send; after it, the
copy goes under new UIDs, and what names the old ones is rewritten (`reissued_uids`). Only the
elements that change are written anew; all others, the pixels among them, are copied as they are,
block by block. The same file and the same correction always make the same bytes.
"""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_node.correction import Correction
from dicom_node.errors import BadDataset
from dicom_node.header import INFLATE_CAP_BYTES
from dicom_node.held_reasons import ANOTHER_PATIENT, NOT_REWRITTEN, READS_OTHERWISE
from dicom_node.identity import Identity, differences
from dicom_node.identity_edits import Encoding, Span, edits
from dicom_node.part10 import MAXIMUM_HEAD_BYTES, FileHead, build_head, digest_offset, read_head
from dicom_node.reissued_uids import OF_INSTANCE
from dicom_node.stored_identity import header_of

FOLDER: Final = "outgoing"
BLOCK_BYTES: Final = 1 << 19
_RETIRED_LENGTHS: Final = frozenset((0x00080000, 0x00100000, 0x00180000, 0x04000000))
"""Group lengths of the groups that change; retired long ago, and wrong afterwards."""
_UNREADABLE: Final = (
    BadDataset,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    RecursionError,
    struct.error,
    zlib.error,
)
"""What reading and writing elements that nobody should have written may raise."""


class NotCovered(Exception):
    """The correction cannot be applied to this instance as it was meant: a person must look.

    The message holds no patient data.
    """


@dataclass(frozen=True, slots=True)
class CopyOrder:
    """What is to be corrected on the way out; `folder` is where the copy may be.

    `uids` are old and new ones, where the instances are sent once more under new UIDs.
    """

    correction: Correction
    folder: Path
    modifying_system: str
    uids: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def corrected_copy(
    path: Path, digest: str, order: CopyOrder, on_progress: Callable[[], None] = lambda: None
) -> Iterator[tuple[Path, str]]:
    """Have a corrected copy of a stored file for as long as it is needed.

    Parameters
    ----------
    path : Path
        The stored file; it is only read.
    digest : str
        Of its data set, '' when unknown.
    order : CopyOrder
    on_progress : callable
        Called after each block, however long the whole takes.

    Yields
    ------
    Path and str
        The copy, and the digest of its data set.

    Raises
    ------
    NotCovered
        The instance names a patient the correction was not made for, or the corrected copy could
        not be read back as it should be.
    BadDataset
        The stored file is not what was stored.
    OSError
        The disk failed or is full.
    """
    order.folder.mkdir(exist_ok=True)
    target = order.folder / f"{os.getpid()}-{os.urandom(8).hex()}.dcm"
    try:
        yield target, _make(path, digest, target, order, on_progress)
    finally:
        target.unlink(missing_ok=True)


def sweep(folder: Path, process_id: int | None = None) -> None:
    """Remove copies that a process left behind which is no more.

    Parameters
    ----------
    folder : Path
        `FOLDER` of the data folder.
    process_id : int, optional
        Of the one that made them; None for all, and then none may be sending.
    """
    for left in folder.glob("*.dcm" if process_id is None else f"{process_id}-*.dcm"):
        left.unlink(missing_ok=True)


def _make(
    path: Path, digest: str, target: Path, order: CopyOrder, on_progress: Callable[[], None]
) -> str:
    with path.open("rb") as source:
        head = read_head(source.read(MAXIMUM_HEAD_BYTES))
        source.seek(head.dataset_offset)
        _check(source, head, digest, on_progress)
        header = header_of(source, head)
        before = Identity.of(header)
        if not order.correction.covers(before):
            raise NotCovered(ANOTHER_PATIENT)
        try:
            copy_digest = _write(source, head, target, order, before, on_progress)
        except _UNREADABLE as exc:
            raise NotCovered(NOT_REWRITTEN) from exc
    with target.open("rb") as copy:
        found = header_of(copy, read_head(copy.read(MAXIMUM_HEAD_BYTES)))
    has_its_uids = _uids(found) == [order.uids.get(uid, uid) for uid in _uids(header)]
    if not has_its_uids or differences(Identity.of(found), order.correction.of(before)):
        raise NotCovered(READS_OTHERWISE)
    return copy_digest


def _uids(header: Mapping[str, str]) -> list[str]:
    return [header.get(name, "") for name in OF_INSTANCE]


def _check(source: BinaryIO, head: FileHead, digest: str, on_progress: Callable[[], None]) -> None:
    """Tell whether the data set is what was stored."""
    if not digest:
        return
    counted = hashlib.sha256()
    for block in iter(lambda: source.read(BLOCK_BYTES), b""):
        counted.update(block)
        on_progress()
    source.seek(head.dataset_offset)
    if counted.hexdigest() != digest:
        raise BadDataset("the file is not what was stored")


def _write(
    source: BinaryIO,
    head: FileHead,
    target: Path,
    order: CopyOrder,
    before: Identity,
    on_progress: Callable[[], None],
) -> str:
    syntax = head.transfer_syntax_uid
    is_deflated = syntax == DeflatedExplicitVRLittleEndian
    dataset = _inflated(source) if is_deflated else source
    begin = dataset.tell()
    new, spans = edits(
        dataset,
        Encoding(
            is_implicit=syntax == ImplicitVRLittleEndian, is_little=syntax != ExplicitVRBigEndian
        ),
        order.correction,
        before,
        modified_by=order.modifying_system,
        came_from=head.source_ae_title,
        uids=order.uids,
    )
    parts = _parts(dataset, begin, new, spans)
    uid = order.uids.get(head.sop_instance_uid, head.sop_instance_uid)
    head = head._replace(sop_instance_uid=uid)
    return _write_file(target, head, _deflated(parts) if is_deflated else parts, on_progress)


def _write_file(
    target: Path, head: FileHead, parts: Iterator[bytes], on_progress: Callable[[], None]
) -> str:
    start = build_head(
        head.sop_class_uid,
        head.sop_instance_uid,
        head.transfer_syntax_uid,
        source_ae_title=head.source_ae_title,
        received_at=head.received_at or "unknown",
    )
    counted = hashlib.sha256()
    with target.open("xb") as file:
        file.write(start)
        for part in parts:
            counted.update(part)
            file.write(part)
            on_progress()
        file.seek(digest_offset(start))
        file.write(counted.hexdigest().encode("ascii"))
    return counted.hexdigest()


def _parts(
    dataset: BinaryIO, begin: int, new: dict[int, bytes], spans: list[Span]
) -> Iterator[bytes]:
    """Yield the data set with the new elements in their places."""
    waiting = sorted(new)
    end = begin
    for tag, first, end in spans:  # where the last of them ends, the rest begins
        while waiting and waiting[0] < tag:
            yield new[waiting.pop(0)]
        if waiting and waiting[0] == tag:
            yield new[waiting.pop(0)]
        elif tag not in _RETIRED_LENGTHS:
            yield from _blocks(dataset, first, end)
    yield from (new[tag] for tag in waiting)
    yield from _blocks(dataset, end, None)


def _blocks(dataset: BinaryIO, begin: int, end: int | None) -> Iterator[bytes]:
    dataset.seek(begin)
    while end is None or begin < end:
        block = dataset.read(BLOCK_BYTES if end is None else min(BLOCK_BYTES, end - begin))
        if not block:
            return
        begin += len(block)
        yield block


def _inflated(source: BinaryIO) -> BinaryIO:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflate.decompress(source.read(), INFLATE_CAP_BYTES)
    if inflate.unconsumed_tail:
        raise BadDataset("it inflates beyond what is read")
    return io.BytesIO(data)


def _deflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for part in parts:
        packed = deflate.compress(part)
        size += len(packed)
        yield packed
    packed = deflate.flush()
    yield packed + b"\0" * ((size + len(packed)) % 2)  # PS3.5 A.5: padded to an even length
