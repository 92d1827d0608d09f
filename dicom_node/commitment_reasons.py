"""Why a PACS would not commit an instance, and the way out of each (PS3.3 C.14.1.1)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Way(StrEnum):
    """What is done about an instance that was not committed."""

    ASK_AGAIN = "ask again"
    """A try that counts: after the last a person must look."""
    ASK_LATER = "ask later"
    """The PACS is busy: the instance is not to blame, however often it says so."""
    SEND_AGAIN = "send again"
    """It has it no more, or never had it."""
    ASK_BY_QUERY = "ask by query"
    """Storage commitment is not for this kind of object: what it lists is the proof."""
    PERSON = "a person"
    """Neither asking nor sending again can help."""


@dataclass(frozen=True, slots=True)
class CommitmentReason:
    """One Failure Reason (0008,1197): the way out, and what is said to people."""

    code: int
    way: Way
    words: str


PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
CLASS_CONFLICT: Final = 0x0119
CLASS_NOT_SUPPORTED: Final = 0x0122
DUPLICATE_TRANSACTION: Final = 0x0131
NO_RESOURCES: Final = 0x0213

REASONS: Final = {
    reason.code: reason
    for reason in (
        CommitmentReason(
            PROCESSING_FAILURE, Way.ASK_AGAIN, "the PACS failed while it looked whether it has it"
        ),
        CommitmentReason(
            NO_SUCH_INSTANCE,
            Way.SEND_AGAIN,
            "the PACS took it but says that it has no such instance",
        ),
        CommitmentReason(
            CLASS_CONFLICT,
            Way.PERSON,
            "the PACS holds another kind of object under the same SOP Instance UID",
        ),
        CommitmentReason(
            CLASS_NOT_SUPPORTED, Way.ASK_BY_QUERY, "the PACS commits no objects of this SOP class"
        ),
        CommitmentReason(
            DUPLICATE_TRANSACTION, Way.ASK_LATER, "the PACS took our request for an older one"
        ),
        CommitmentReason(NO_RESOURCES, Way.ASK_LATER, "the PACS has no resources to commit it now"),
    )
}


def reason_of(code: int) -> CommitmentReason:
    """Return what follows a Failure Reason; one the standard does not list is asked again.

    Parameters
    ----------
    code : int
        (0008,1197).
    """
    return REASONS.get(code) or CommitmentReason(
        code, Way.ASK_AGAIN, "the PACS would not commit it, for a reason of its own"
    )
