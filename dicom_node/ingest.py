"""The one door: everything that arrives passes here, whichever way it came."""

import hashlib
import logging
from dataclasses import dataclass
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.errors import IdentityMismatch, NodeError, UnsafeUid
from dicom_node.header import Header, ReadHeader, check_uid, is_valid_uid, read_header
from dicom_node.index_queue import IndexQueue
from dicom_node.index_writer import IndexedInstance
from dicom_node.part10 import build_head
from dicom_node.quarantine import Quarantine
from dicom_node.storage import InstanceStore, StoredInstance, storage_error

_log = logging.getLogger(__name__)

_OWN_UID_ROOT: Final = "2.25."


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something came from.

    `door` is `c-store` or `inbox`. The UIDs are those the C-STORE command names, (0000,0002) and
    (0000,1000); '' where the door has no command.
    """

    door: str
    calling_ae_title: str
    peer: str = ""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""


class Ingest:
    """Takes data sets in: checks, stores, indexes; what cannot be stored goes to quarantine.

    Parameters
    ----------
    store : InstanceStore
    quarantine : Quarantine
    index_queue : IndexQueue
        Receives what is durable.
    clock : Clock
    read : ReadHeader
        Reads what arrives, e.g. `HeaderReader.read`.
    """

    def __init__(
        self,
        store: InstanceStore,
        quarantine: Quarantine,
        index_queue: IndexQueue,
        clock: Clock = utc_now,
        read: ReadHeader = read_header,
    ) -> None:
        self._store = store
        self._quarantine = quarantine
        self._index_queue = index_queue
        self._clock = clock
        self._read_header = read

    def accept(
        self, dataset: bytes | memoryview, transfer_syntax_uid: str, origin: Origin
    ) -> StoredInstance:
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
        StoredInstance
            It is durable: the sender may be told so.

        Raises
        ------
        BadDataset, UnsafeUid, IdentityMismatch
            The bytes are in quarantine with the reason.
        StorageFull, StorageFailed
            Nothing was kept; the sender must keep its copy.
        """
        try:
            header = self._read_header(dataset, transfer_syntax_uid)
            _check_identity(header, origin)
        except NodeError as error:
            self.refuse(dataset, transfer_syntax_uid, origin, error)
            raise
        return self._keep(dataset, transfer_syntax_uid, origin, header)

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
    ) -> StoredInstance:
        received_at = stamp(self._clock())
        head = build_head(
            header.text("sop_class_uid"),
            header.text("sop_instance_uid"),
            transfer_syntax_uid,
            source_ae_title=origin.calling_ae_title,
            received_at=received_at,
        )
        uids = file_under(header)
        stored = self._store.store(head, (dataset,), **uids)
        # a duplicate too: its first arrival may have failed between store and index
        entry = index_entry(
            header, stored, transfer_syntax_uid, received_at, origin.calling_ae_title
        )
        self._index_queue.put(entry, stored.pending)
        return stored


def file_under(header: Header) -> dict[str, str]:
    """Return the three UIDs an instance is filed and indexed under.

    An instance without a study or a series gets ones of its own, made from its SOP Instance UID:
    it is kept and visible, and never mixed with another one that lacks them too.
    """
    sop_instance_uid = header.text("sop_instance_uid")
    study = header.text("study_instance_uid") or _own_uid("study", sop_instance_uid)
    return {
        "study_instance_uid": study,
        "series_instance_uid": header.text("series_instance_uid")
        or _own_uid("series", sop_instance_uid),
        "sop_instance_uid": sop_instance_uid,
    }


def index_entry(
    header: Header,
    stored: StoredInstance,
    transfer_syntax_uid: str,
    received_at: str,
    calling_ae_title: str,
) -> IndexedInstance:
    """Return what the index keeps of one stored instance."""
    values: dict[str, object] = dict(header.values)
    values |= header.numbers
    for keyword in ("series_number", "instance_number"):
        values[keyword] = header.integer(keyword)
    values["number_of_frames"] = max(1, header.integer("number_of_frames") or 1)
    return IndexedInstance(
        path=stored.path,
        **file_under(header),
        sop_class_uid=header.text("sop_class_uid"),
        transfer_syntax_uid=transfer_syntax_uid,
        size_bytes=stored.size_bytes,
        digest=stored.digest,
        received_at=received_at,
        calling_ae_title=calling_ae_title,
        version=stored.version,
        values=values,
    )


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
    if origin.sop_instance_uid and origin.sop_instance_uid != sop_instance_uid:
        raise IdentityMismatch("the data set has another SOP Instance UID than its C-STORE command")
    if origin.sop_class_uid and origin.sop_class_uid != header.text("sop_class_uid"):
        raise IdentityMismatch("the data set has another SOP Class UID than its C-STORE command")


def _own_uid(purpose: str, sop_instance_uid: str) -> str:
    digest = hashlib.sha256(f"{purpose} of {sop_instance_uid}".encode()).digest()
    return _OWN_UID_ROOT + str(int.from_bytes(digest[:16], "big"))
