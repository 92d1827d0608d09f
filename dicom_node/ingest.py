"""The one door: everything that arrives passes here, whichever way it came."""

import logging
from dataclasses import dataclass

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.errors import IdentityMismatch, NodeError, UnsafeUid
from dicom_node.filing import Arrived, file_under, index_entry
from dicom_node.header import (
    UID_LENGTH,
    Header,
    ReadHeader,
    check_uid,
    is_valid_uid,
    read_header,
)
from dicom_node.incoming import storage_error
from dicom_node.index_queue import IndexQueue
from dicom_node.journal import JournalUnavailable
from dicom_node.part10 import build_head
from dicom_node.placement import Placement
from dicom_node.quarantine import Quarantine
from dicom_node.storage import InstanceStore, StoredInstance

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something came from.

    `door` is `c-store` or `inbox`. The UIDs are those the C-STORE command names, (0000,0002) and
    (0000,1000); `abstract_syntax` is that of its presentation context; '' where the door has none.
    """

    door: str
    calling_ae_title: str
    peer: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    abstract_syntax: str = ""


class Ingest:
    """Takes data sets in: checks, stores, indexes; what cannot be stored goes to quarantine.

    Parameters
    ----------
    store : InstanceStore
    quarantine : Quarantine
    index_queue : IndexQueue
        Receives what has its file.
    clock : Clock
    read : ReadHeader
        Reads what arrives, e.g. `HeaderReader.read`.
    placement : Placement, optional
        Makes instances durable sooner than their files are; None = each waits for its own file.
    """

    def __init__(
        self,
        store: InstanceStore,
        quarantine: Quarantine,
        index_queue: IndexQueue,
        clock: Clock = utc_now,
        read: ReadHeader = read_header,
        placement: Placement | None = None,
    ) -> None:
        self._store = store
        self._placement = placement
        self._quarantine = quarantine
        self._index_queue = index_queue
        self._clock = clock
        self._read_header = read

    def accept(
        self, dataset: bytes | memoryview, transfer_syntax_uid: str, origin: Origin
    ) -> StoredInstance | None:
        """Take one instance in.

        Parameters
        ----------
        dataset : bytes-like
            The encoded data set, exactly as received.
        transfer_syntax_uid : str
            How it is encoded.
        origin : Origin

        Returns
        -------
        StoredInstance or None
            It is durable: the sender may be told so. None while it has no file of its own yet.

        Raises
        ------
        BadDataset, UnsafeUid, IdentityMismatch
            The bytes are in quarantine with the reason.
        StorageFull, StorageFailed
            Nothing was kept; the sender must keep its copy.
        """
        header = self.check(dataset, transfer_syntax_uid, origin)
        return self._keep(dataset, transfer_syntax_uid, origin, header)

    def check(
        self, dataset: bytes | memoryview, transfer_syntax_uid: str, origin: Origin
    ) -> Header:
        """Read the header of a data set and check its identity.

        Raises
        ------
        BadDataset, UnsafeUid, IdentityMismatch
            The bytes are in quarantine with the reason.
        """
        try:
            header = self._read_header(dataset, transfer_syntax_uid)
            _check_identity(header, origin)
        except NodeError as error:
            self.refuse(dataset, transfer_syntax_uid, origin, error)
            raise
        return header

    def begin_large(self, transfer_syntax_uid: str, origin: Origin) -> "LargeInstance":
        """Begin to take in an instance that is too large for the memory.

        Raises
        ------
        StorageFull, StorageFailed
            It has no place.
        """
        return LargeInstance(self, self._store, transfer_syntax_uid, origin, stamp(self._clock()))

    def enter(self, arrived: Arrived, stored: StoredInstance) -> None:
        """Have an instance indexed that has its file."""
        self._index_queue.put(index_entry(arrived, stored), stored.pending)

    def refuse(
        self,
        data: bytes | memoryview,
        transfer_syntax_uid: str,
        origin: Origin,
        error: NodeError,
    ) -> None:
        """Put raw bytes into quarantine, with the reason.

        Raises
        ------
        StorageFull, StorageFailed
            There is no room even for that.
        """
        self._store.check_room()
        try:
            self._quarantine.keep(
                data,
                now=self._clock(),
                code=error.code,
                reason=str(error),
                calling_ae_title=origin.calling_ae_title,
                door=origin.door,
                transfer_syntax_uid=transfer_syntax_uid,
            )
        except OSError as exc:
            raise storage_error(exc) from exc
        facts = {"door": origin.door, "ae_title": origin.calling_ae_title, "bytes": len(data)}
        _log.warning("instance_quarantined", extra=facts | {"error_code": error.code})

    def _keep(
        self,
        dataset: bytes | memoryview,
        transfer_syntax_uid: str,
        origin: Origin,
        header: Header,
    ) -> StoredInstance | None:
        received_at = stamp(self._clock())
        head = build_head(
            header.text("sop_class_uid"),
            header.text("sop_instance_uid"),
            transfer_syntax_uid,
            source_ae_title=origin.calling_ae_title,
            received_at=received_at,
        )
        arrived = Arrived(header, transfer_syntax_uid, received_at, origin.calling_ae_title)
        if self._is_in_journal(arrived, head, dataset):
            return None
        stored = self._store.store(head, (dataset,), **file_under(header))
        # a duplicate too: its first arrival may have failed between store and index
        self.enter(arrived, stored)
        return stored

    def _is_in_journal(self, arrived: Arrived, head: bytes, dataset: bytes | memoryview) -> bool:
        """Put an instance into the journal; False when it must have a file of its own at once."""
        # the journal must be readable at the next start without a worker process
        if self._placement is None or arrived.header.is_odd:
            return False
        self._store.check_room(self._placement.backlog_bytes, self._placement.backlog_files)
        try:
            self._placement.add(arrived, head, dataset)
        except JournalUnavailable:
            return False
        except OSError as exc:
            raise storage_error(exc) from exc
        return True


class LargeInstance:
    """An instance that is written to its file while it arrives.

    Parameters
    ----------
    ingest : Ingest
    store : InstanceStore
    transfer_syntax_uid : str
    origin : Origin
        With the UIDs of its command, which its data set must repeat.
    received_at : str
        ISO 8601 time in UTC.

    Raises
    ------
    StorageFull, StorageFailed
        It has no place.
    """

    def __init__(
        self,
        ingest: Ingest,
        store: InstanceStore,
        transfer_syntax_uid: str,
        origin: Origin,
        received_at: str,
    ) -> None:
        self.origin = origin
        self._ingest = ingest
        self._store = store
        self._transfer_syntax_uid = transfer_syntax_uid
        self._received_at = received_at
        head = build_head(
            origin.sop_class_uid[:UID_LENGTH],
            origin.sop_instance_uid[:UID_LENGTH],
            transfer_syntax_uid,
            source_ae_title=origin.calling_ae_title,
            received_at=received_at,
        )
        self._head_bytes = len(head)
        self._incoming = store.begin(head)

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the data set.

        Raises
        ------
        StorageFull, StorageFailed
            The disk does not take them.
        """
        self._store.write(self._incoming, data)

    def finish(self) -> None:
        """Take the instance in.

        Raises
        ------
        NodeError
            As `Ingest.accept`.
        """
        try:
            self._finish()
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was written, unless it is taken in."""
        self._incoming.discard()

    def _finish(self) -> None:
        dataset = self._incoming.content()[self._head_bytes :]
        header = self._ingest.check(dataset, self._transfer_syntax_uid, self.origin)
        stored = self._store.finish(self._incoming, **file_under(header))
        arrived = Arrived(
            header, self._transfer_syntax_uid, self._received_at, self.origin.calling_ae_title
        )
        self._ingest.enter(arrived, stored)


def _check_identity(header: Header, origin: Origin) -> None:
    check_uid(header.text("sop_class_uid"), "SOP Class UID")
    sop_instance_uid = check_uid(header.text("sop_instance_uid"), "SOP Instance UID")
    for keyword, name in (
        ("study_instance_uid", "Study Instance UID"),
        ("series_instance_uid", "Series Instance UID"),
    ):
        uid = header.text(keyword)
        if uid and not is_valid_uid(uid):
            raise UnsafeUid(f"{name} is not a UID of digits and dots")
    if origin.abstract_syntax and not origin.sop_instance_uid:
        raise UnsafeUid("the C-STORE command names no SOP Instance UID")
    if origin.abstract_syntax and origin.abstract_syntax != header.text("sop_class_uid"):
        raise IdentityMismatch("the data set has another SOP Class UID than its context")
    if origin.sop_instance_uid and origin.sop_instance_uid != sop_instance_uid:
        raise IdentityMismatch("the data set has another SOP Instance UID than its C-STORE command")
    if origin.sop_class_uid and origin.sop_class_uid != header.text("sop_class_uid"):
        raise IdentityMismatch("the data set has another SOP Class UID than its C-STORE command")
