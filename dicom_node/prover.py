"""Having proven what a PACS took: storage commitment, or its own list where it offers none."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from pydicom.uid import generate_uid

from dicom_node.adoption import record_reports
from dicom_node.blame import Blame
from dicom_node.clock import Clock, stamp
from dicom_node.commitment_reasons import CLASS_NOT_SUPPORTED, REASONS
from dicom_node.courier import Courier
from dicom_node.errors import NodeError, PeerRefused, PeerUnreachable
from dicom_node.ledger import Delivery, State
from dicom_node.ledger_commitments import LedgerCommitments
from dicom_node.ledger_proofs import LedgerProofs
from dicom_node.ledger_writer import Ledger
from dicom_node.pacs import Pacs
from dicom_node.retry import longest_wait_s
from dicom_node.setting_tables import PacsSettings, SyncSettings

PROOF_LIMIT: Final = 500
ASKED_AGAIN_AFTER_S: Final = 60.0
"""How long a PACS that was away may still answer what it was asked before, seconds."""
_ASKED_AGAIN_SHARE: Final = 4
"""It is asked again at most so many times while one answer may be waited for."""
_COMMITMENT_ONLY: Final = "commitment"
_QUERY_ONLY: Final = "c-find"


class Prover:
    """Proof from one PACS.

    Parameters
    ----------
    pacs : PacsSettings
    sync : SyncSettings
    ledger : Ledger
    courier : Courier
    jitter : callable
        Returns a number in [0, 1).
    clock : Clock
    """

    def __init__(
        self,
        pacs: PacsSettings,
        sync: SyncSettings,
        ledger: Ledger,
        courier: Courier | Pacs,
        jitter: Callable[[], float],
        clock: Clock,
    ) -> None:
        self._pacs = pacs
        self._sync = sync
        self._ledger = ledger
        self._commitments = LedgerCommitments(ledger)
        self._proofs = LedgerProofs(ledger, pacs.name)
        self._courier = courier
        self._blame = Blame(sync, jitter)
        self._clock = clock
        self._back_at: datetime | None = None
        self._failed_at: datetime | None = None
        self._asked_again_at: datetime | None = None
        self._to_repeat: deque[str] = deque()
        self._has_commitment = pacs.proof != _QUERY_ONLY

    def hope(self) -> None:
        """Believe again that it offers storage commitment: it was away, or was mended."""
        self._has_commitment = self._pacs.proof != _QUERY_ONLY
        self._failed_at = None
        self._back_at = self._clock()

    def step(self) -> bool:
        """Ask for the proof of what has none; return whether anything was asked for."""
        self._note_what_it_may_have_forgotten()
        self._try_again_where_a_line_broke()
        overdue = self._after(-self._pacs.commitment_wait_s)
        for transaction_uid in self._commitments.unanswered_commitments(self._pacs.name, overdue):
            self._commitments.withdraw_commitment(
                transaction_uid, "the commitment was not answered"
            )
            self._has_commitment = self._pacs.proof == _COMMITMENT_ONLY
        self._repeat_one()
        latest = self._after(longest_wait_s(self._sync))
        batch = self._ledger.unproven(self._pacs.name, self._now(), latest, PROOF_LIMIT)
        self._ask([item for item in batch if item.last_status != CLASS_NOT_SUPPORTED])
        self._ask_of_classes_never_committed(
            [item for item in batch if item.last_status == CLASS_NOT_SUPPORTED]
        )
        return bool(batch)

    def _note_what_it_may_have_forgotten(self) -> None:
        """Let be asked again what was asked before it went away: it may have been killed.

        Once for each time it comes back, a while after, and never in quick succession: one that
        comes and goes is not to be flooded with requests. What it answers after all still counts.
        """
        if self._back_at is None or not self._may_ask_again(self._clock()):
            return
        before, self._back_at = stamp(self._back_at), None
        self._to_repeat = deque(self._commitments.unanswered_commitments(self._pacs.name, before))
        if self._to_repeat:
            self._asked_again_at = self._clock()

    def _repeat_one(self) -> None:
        """Ask once more for what one request named.

        It is waited for since the first one still: a PACS that never answers, and comes and goes,
        would be waited for without end.
        """
        if not self._to_repeat or not self._has_commitment:
            return
        transaction_uid = self._to_repeat[0]
        batch = self._commitments.awaited(transaction_uid)
        self._has_commitment = not batch or self._request_commitment(batch, is_repeated=True)
        if not self._has_commitment:
            self._commitments.withdraw_commitment(
                transaction_uid, "the commitment was not answered"
            )
        self._to_repeat.popleft()

    def _try_again_where_a_line_broke(self) -> None:
        """Believe again that it offers storage commitment, a while after a request came to nothing.

        One rejected association is no reason to be content with its list for good.
        """
        if self._failed_at is None:
            return
        if not _is_within(self._clock(), self._failed_at, self._sync.retry_max_s):
            self._has_commitment, self._failed_at = True, None

    def _may_ask_again(self, now: datetime) -> bool:
        wait_s = self._pacs.commitment_wait_s / _ASKED_AGAIN_SHARE
        if self._asked_again_at is not None and _is_within(now, self._asked_again_at, wait_s):
            return False
        after_s = min(ASKED_AGAIN_AFTER_S, wait_s)
        return self._back_at is not None and not _is_within(now, self._back_at, after_s)

    def _now(self) -> str:
        return stamp(self._clock())

    def _after(self, seconds: float) -> str:
        return stamp(self._clock() + timedelta(seconds=seconds))

    def _ask(self, batch: Sequence[Delivery]) -> None:
        if batch and self._has_commitment:
            self._has_commitment = self._request_commitment(batch)
        if batch and not self._has_commitment and self._pacs.proof != _COMMITMENT_ONLY:
            self._prove_by_query(batch)

    def _ask_of_classes_never_committed(self, batch: Sequence[Delivery]) -> None:
        if self._pacs.proof != _COMMITMENT_ONLY:
            self._prove_by_query(batch)
            return
        self._ledger.update(
            [item.delivery_id for item in batch],
            expected=State.STORED,
            state=State.ATTENTION,
            last_error=f"{REASONS[CLASS_NOT_SUPPORTED].words}, and pacs.proof wants nothing else",
        )

    def _request_commitment(self, batch: Sequence[Delivery], *, is_repeated: bool = False) -> bool:
        """Ask for commitment; return whether the PACS offers it."""
        transaction_uid = str(generate_uid(prefix=None))
        # written down first: the answer may come before the request returns
        self._commitments.record_commitment_request(
            transaction_uid, self._pacs.name, batch, self._now(), is_repeated=is_repeated
        )
        try:
            answer = self._courier.request_commitment(
                transaction_uid,
                [(item.sop_class_uid, item.there.sop_instance_uid) for item in batch],
            )
        except NodeError as error:
            self._commitments.withdraw_commitment(transaction_uid, str(error))
            if self._pacs.proof == _COMMITMENT_ONLY:
                raise
            self._failed_at = self._clock()
            return False
        if not answer.is_supported:
            self._commitments.withdraw_commitment(
                transaction_uid, "it offers no storage commitment"
            )
            if self._pacs.proof == _COMMITMENT_ONLY:
                raise PeerRefused("it offers no storage commitment")
        record_reports(self._ledger, answer.reports, self._sync, self._clock())
        return answer.is_supported

    def _prove_by_query(self, batch: Sequence[Delivery]) -> None:
        for of_series in by_series(batch).values():
            held = self._held(of_series[0])
            if held is None:
                # it offers no query either: stored is all that can be said for now
                self._ledger.update(
                    [item.delivery_id for item in of_series],
                    expected=State.STORED,
                    next_attempt_at=self._after(self._sync.retry_max_s),
                    last_error="the PACS can neither commit nor be asked what it holds",
                )
                continue
            there = [item.delivery_id for item in of_series if item.there.sop_instance_uid in held]
            self._ledger.update(
                there,
                expected=State.STORED,
                state=State.PROVEN,
                proven_at=self._now(),
                proof="c-find",
                last_error="",
            )
            for item in of_series:
                if item.there.sop_instance_uid not in held:
                    self._ask_again(item)

    def _held(self, one: Delivery) -> set[str] | None:
        """Ask what it holds of a series; a study it cannot be asked about holds up no other."""
        try:
            return self._courier.held_instances(*one.there[:2])
        except (PeerRefused, PeerUnreachable) as error:
            until, latest = (
                self._after(self._sync.retry_max_s),
                self._after(longest_wait_s(self._sync)),
            )
            waits = (self._now(), until, latest)
            self._proofs.postpone(one.study_instance_uid, State.STORED, *waits, str(error))
            raise

    def _ask_again(self, item: Delivery) -> None:
        """Wait for an instance the PACS took but does not list; ask, then send it again."""
        words = "the PACS took it but does not list it"
        columns = self._blame.after_loss(item, words, self._clock())
        self._ledger.update([item.delivery_id], expected=State.STORED, **columns)


def _is_within(now: datetime, since: datetime, seconds: float) -> bool:
    """Tell whether so little time has passed; a clock that was put back hinders nothing."""
    return timedelta(0) <= now - since < timedelta(seconds=seconds)


def by_series(batch: Sequence[Delivery]) -> dict[tuple[str, str], list[Delivery]]:
    """Return deliveries by study and series at the destination, in their order.

    Parameters
    ----------
    batch : sequence of Delivery
    """
    series: dict[tuple[str, str], list[Delivery]] = {}
    for item in batch:
        series.setdefault(item.there[:2], []).append(item)
    return series
