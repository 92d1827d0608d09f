"""The node's errors: few kinds, each with a stable code, and what each means to a DICOM peer."""

from collections.abc import Sequence
from typing import ClassVar, Final


class NodeError(Exception):
    """Base of everything the node raises on purpose.

    A message holds no patient data, no path and no foreign error text: it may be shown to anyone.
    """

    code: ClassVar[str] = "node-error"


class BadSettings(NodeError):
    """A setting is unknown, of the wrong type, or cannot work on this machine."""

    code = "bad-settings"


class BadDataset(NodeError):
    """The bytes are not a data set we can understand."""

    code = "bad-dataset"


class BeyondLimits(BadDataset):
    """The data set nests, counts or inflates beyond what is read for anyone."""

    code = "beyond-limits"


class UnsafeUid(NodeError):
    """A UID is missing or holds anything but digits and dots, or more than 64 of them."""

    code = "unsafe-uid"


class IdentityMismatch(NodeError):
    """The C-STORE command names another SOP class or instance than the data set it carries."""

    code = "identity-mismatch"


class StorageFull(NodeError):
    """The store is within its reserve of free bytes or inodes."""

    code = "storage-full"


class StorageFailed(NodeError):
    """The disk refused a write, so nothing was acknowledged."""

    code = "storage-failed"


class DatabaseFailed(NodeError):
    """The index or the ledger cannot be read or written."""

    code = "database-failed"


class StoreInUse(NodeError):
    """Another process already writes this data folder."""

    code = "store-in-use"


class BadCorrection(NodeError):
    """A correction of an identity cannot be made with these values."""

    code = "bad-correction"


class CorrectionRefused(NodeError):
    """A correction, or taking one back, would do harm as things stand now."""

    code = "correction-refused"


class ReissueRefused(CorrectionRefused):
    """A study cannot be sent under new UIDs, or that cannot be taken back any more."""

    code = "reissue-refused"


class PeerUnreachable(NodeError):
    """No association with the peer: no route, no answer, or it closed on us."""

    code = "peer-unreachable"


class ConversationLost(PeerUnreachable):
    """The peer hung or broke off in the middle: perhaps because of what it was being sent.

    Parameters
    ----------
    message : str
    in_hand : sequence of int
        The deliveries that were begun and not ended.
    """

    code = "conversation-lost"

    def __init__(self, message: str = "", in_hand: Sequence[int] = ()) -> None:
        super().__init__(message)
        self.in_hand = tuple(in_hand)


class PeerRefused(NodeError):
    """The peer answered and said no."""

    code = "peer-refused"


DIMSE_STATUS: Final[dict[type[NodeError], int]] = {
    NodeError: 0x0110,
    BadSettings: 0x0110,
    BadDataset: 0xC000,
    BeyondLimits: 0xC000,
    UnsafeUid: 0xA900,
    IdentityMismatch: 0xA900,
    StorageFull: 0xA700,
    StorageFailed: 0xA700,
    DatabaseFailed: 0xA700,
    StoreInUse: 0xA700,
    BadCorrection: 0x0110,
    CorrectionRefused: 0x0110,
    ReissueRefused: 0x0110,
    ConversationLost: 0x0110,
    PeerUnreachable: 0x0110,
    PeerRefused: 0x0110,
}
"""C-STORE status per kind of error (PS3.4 B.2.3, PS3.7 C)."""


def dimse_status(error: NodeError) -> int:
    """Return the C-STORE status for an error.

    Parameters
    ----------
    error : NodeError
        What went wrong.

    Returns
    -------
    int
        The status, e.g. 0xA700 (out of resources).
    """
    return DIMSE_STATUS[type(error)]
