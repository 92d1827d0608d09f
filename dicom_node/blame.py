"""Who is to blame when an instance is not delivered, the instance or the PACS, and what follows.

What only an instance can be the reason for counts as one of its tries, which are spread over a
day; after the last a person must look. What the whole PACS can be the reason for (no room, no
answer) counts only where it took other instances since: an archive that is down for weeks turns
nothing into a person's work. Nothing is ever dropped.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from dicom_node.clock import stamp
from dicom_node.commitment_reasons import Way, reason_of
from dicom_node.ledger import Attempt, Delivery, State
from dicom_node.retry import object_wait_s, retry_delay_s
from dicom_node.setting_tables import SyncSettings
from dicom_node.shipment import Outcome, Receipt

_NEVER_LEFT: Final = (Outcome.NOT_COVERED, Outcome.NO_CONTEXT, Outcome.UNREADABLE)
"""After these no PACS has the instance: it may still be corrected."""


class Blame:
    """The rules of one destination.

    Parameters
    ----------
    sync : SyncSettings
    jitter : callable
        Returns a number in [0, 1).
    """

    def __init__(self, sync: SyncSettings, jitter: Callable[[], float]) -> None:
        self._sync = sync
        self._jitter = jitter

    def after_sending(
        self,
        receipt: Receipt,
        item: Delivery,
        now: datetime,
        has_stored_since: Callable[[str], bool],
    ) -> Attempt:
        """Say what one try to send makes of a delivery.

        Parameters
        ----------
        receipt : Receipt
        item : Delivery
            As it was before this try.
        now : datetime
        has_stored_since : callable
            Tells whether the PACS stored any instance after a moment, ISO 8601 in UTC.
        """
        if receipt.outcome is Outcome.STORED:
            return Attempt(
                receipt.delivery_id,
                State.STORED,
                "",
                receipt.status,
                "",
                stored_at=stamp(now),
                counts=False,
            )
        if receipt.outcome is Outcome.NOT_SENT:
            return _as_it_was(item)
        attempt = self._after_failure(receipt, item, now, has_stored_since)
        if receipt.outcome in _NEVER_LEFT:
            return attempt._replace(sent_at=item.sent_at, status=item.last_status)
        return attempt

    def _after_failure(
        self,
        receipt: Receipt,
        item: Delivery,
        now: datetime,
        has_stored_since: Callable[[str], bool],
    ) -> Attempt:
        if receipt.outcome is Outcome.NOT_COVERED:
            return Attempt(receipt.delivery_id, State.HELD, receipt.comment, None, "", counts=False)
        counts = _is_to_blame(receipt, item, has_stored_since)
        is_final = counts and item.attempts >= len(self._sync.object_waits_s)
        wait_s = self._wait_s(item) if counts else self._short_wait_s()
        return Attempt(
            receipt.delivery_id,
            State.ATTENTION if is_final else State.QUEUED,
            refusal_words(receipt),
            receipt.status,
            stamp(now + timedelta(seconds=wait_s)),
            counts=counts,
            failed_at=stamp(now),
        )

    def after_loss(self, item: Delivery, words: str, now: datetime) -> dict[str, Any]:
        """Say what follows when the PACS does not have what it took; the first time at once.

        Returns
        -------
        dict
            Columns of its delivery.
        """
        if not item.first_failed_at:
            return self._columns(item, State.QUEUED, 0, words, now, self._short_wait_s())
        is_final = item.attempts >= len(self._sync.object_waits_s)
        state = State.ATTENTION if is_final else State.QUEUED
        return self._columns(item, state, 1, words, now, self._wait_s(item))

    def after_failed_commitment(self, item: Delivery, code: int, now: datetime) -> dict[str, Any]:
        """Say what follows when a PACS would not commit an instance.

        Parameters
        ----------
        item : Delivery
        code : int
            (0008,1197).
        now : datetime

        Returns
        -------
        dict
            Columns of its delivery.
        """
        reason = reason_of(code)
        words = f"{reason.words} ({code:04X})"
        if reason.way is Way.SEND_AGAIN:
            columns = self.after_loss(item, words, now)
        elif reason.way is Way.PERSON:
            columns = self._columns(item, State.ATTENTION, 1, words, now, 0.0)
        elif reason.way is Way.ASK_AGAIN:
            is_final = item.attempts >= len(self._sync.object_waits_s)
            state = State.ATTENTION if is_final else State.STORED
            columns = self._columns(item, state, 1, words, now, self._wait_s(item))
        else:
            wait_s = 0.0 if reason.way is Way.ASK_BY_QUERY else self._short_wait_s()
            columns = self._columns(item, State.STORED, 0, words, now, wait_s)
        return columns | {"last_status": code, "transaction_uid": ""}

    def _columns(
        self, item: Delivery, state: State, tries: int, words: str, now: datetime, wait_s: float
    ) -> dict[str, Any]:
        return {
            "state": state,
            "attempts": item.attempts + tries,
            "last_error": words,
            "first_failed_at": item.first_failed_at or stamp(now),
            "next_attempt_at": stamp(now + timedelta(seconds=wait_s)),
        }

    def _wait_s(self, item: Delivery) -> float:
        return object_wait_s(item.attempts, self._sync, self._jitter())

    def _short_wait_s(self) -> float:
        return retry_delay_s(0, self._sync, self._jitter())


def _as_it_was(item: Delivery) -> Attempt:
    """Undo that a delivery was taken to be sent."""
    return Attempt(
        item.delivery_id,
        State.QUEUED,
        item.last_error,
        item.last_status,
        item.next_attempt_at,
        counts=False,
        sent_at=item.sent_at,
    )


def _is_to_blame(receipt: Receipt, item: Delivery, has_stored_since: Callable[[str], bool]) -> bool:
    """Tell whether a failure counts as one of the tries of the instance."""
    if receipt.outcome is Outcome.UNKNOWN:
        # a line breaks now and then: the first time the PACS is asked, and sent it again, at once
        return bool(item.first_failed_at) and has_stored_since(item.first_failed_at)
    if receipt.is_out_of_resources:
        return bool(item.sent_at) and has_stored_since(item.sent_at)
    return True


def refusal_words(receipt: Receipt) -> str:
    """Say for people why an instance was not stored.

    Parameters
    ----------
    receipt : Receipt
    """
    if receipt.outcome is Outcome.NO_CONTEXT:
        return receipt.comment or "the PACS does not accept this SOP class in this transfer syntax"
    if receipt.outcome is Outcome.UNREADABLE:
        return "our file is damaged or cannot be read"
    if receipt.outcome is Outcome.UNKNOWN:
        return "the PACS did not answer, asking what it has"
    return f"the PACS refused it: {receipt.status or 0:04X}"
