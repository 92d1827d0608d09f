"""One instance on its way to a PACS, and what became of it."""

from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from dicom_node.corrected_copy import CopyOrder


class Outcome(StrEnum):
    """What became of one instance that was to be sent."""

    STORED = "stored"
    """The PACS answered success or a warning for this very instance."""
    REFUSED = "refused"
    """It answered with a failure status."""
    NO_CONTEXT = "no-context"
    """It does not accept this SOP class in this transfer syntax."""
    UNKNOWN = "unknown"
    """No answer came: it may or may not have it."""
    NOT_SENT = "not-sent"
    """The association ended before it was this instance's turn."""
    UNREADABLE = "unreadable"
    """Our own file cannot be read."""
    NOT_COVERED = "not-covered"
    """A correction is in force that does not fit this instance; a person must look."""


class Shipment(NamedTuple):
    """One instance to send; `digest` is that of its data set, '' if unknown.

    `file` is its absolute path, as text: a thousand `Path` take long to go through a pipe. With a
    `copy_order`, a corrected copy of the file is sent.
    """

    delivery_id: int
    file: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    digest: str = ""
    copy_order: CopyOrder | None = None

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return Path(self.file)

    @property
    def context(self) -> tuple[str, str]:
        """What must be agreed to send it: SOP class and transfer syntax."""
        return self.sop_class_uid, self.transfer_syntax_uid


class Receipt(NamedTuple):
    """What became of one shipment; `status` is (0000,0900), None without an answer.

    `sent_digest` is that of the data set of a copy that was made on the way, '' without one.
    """

    delivery_id: int
    outcome: Outcome
    status: int | None = None
    comment: str = ""
    sent_digest: str = ""

    @property
    def is_out_of_resources(self) -> bool:
        """Whether the PACS has no room now (A7xx): it is to blame, not the instance."""
        return self.status is not None and self.status >> 8 == 0xA7
