"""Looking again at what a PACS vouched for: under which identity, and whether it still has it."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from dicom_node.clock import Clock, stamp
from dicom_node.courier import Courier
from dicom_node.errors import NodeError
from dicom_node.identity import Identity
from dicom_node.kept_identity import Finding, Kept, find_identity
from dicom_node.ledger import Delivery
from dicom_node.ledger_proofs import LedgerProofs
from dicom_node.ledger_writer import Ledger
from dicom_node.pacs import Pacs
from dicom_node.prover import by_series
from dicom_node.setting_tables import SyncSettings
from dicom_node.study_answer import StudyAnswer

_log = logging.getLogger(__name__)

AVOIDED_FOR: Final = timedelta(minutes=30)
"""How long a study that could not be asked about lets the others go first."""
ASKED_AT_ONCE: Final = 200
"""Instances a list left out that are asked for by their UIDs in one conversation."""
_NEVER_S: Final = 40 * 365 * 86400.0
"""Only what a person orders to be looked at again is older."""

IdentityOf = Callable[[str], Identity | None]
"""Returns the identity a study is sent with, None when it is not known."""


class Verifier:
    """Verifies at one PACS, one study in a step.

    Parameters
    ----------
    destination : str
    sync : SyncSettings
    ledger : Ledger
    courier : Courier
    identity_of : callable
        Takes a Study Instance UID.
    clock : Clock
    """

    def __init__(
        self,
        destination: str,
        sync: SyncSettings,
        ledger: Ledger,
        courier: Courier | Pacs,
        identity_of: IdentityOf,
        clock: Clock,
    ) -> None:
        self._destination = destination
        self._interval_s = sync.reverify_interval_s
        self._ledger = ledger
        self._proofs = LedgerProofs(ledger, destination)
        self._courier = courier
        self._identity_of = identity_of
        self._clock = clock
        self._failed_at: dict[str, datetime] = {}

    def step(self) -> bool:
        """Ask for the identity of a study that was proven since it was last asked for."""
        study_uid = self._proofs.next_unverified(self._avoided())
        if study_uid is None:
            return False
        with self._avoiding_after_failure(study_uid):
            answers = self._courier.find_study(self._there(study_uid))
        self._compare(study_uid, answers)
        return True

    def step_again(self) -> bool:
        """Ask whether the study that was looked at longest ago is still there, if it is time."""
        age = timedelta(seconds=self._interval_s or _NEVER_S)
        moment = stamp(self._clock() - age)
        study_uid = self._proofs.next_verified_before(moment, self._avoided())
        if study_uid is None:
            return False
        with self._avoiding_after_failure(study_uid):
            answers = self._courier.find_study(self._there(study_uid))
            missing = self._missing(study_uid, answers)
        self._doubt(missing)
        self._compare(study_uid, answers)
        return True

    @contextmanager
    def _avoiding_after_failure(self, study_uid: str) -> Iterator[None]:
        """Ask about others first after a failure: it may be this one that cannot be asked about."""
        try:
            yield
        except NodeError:
            self._failed_at[study_uid] = self._clock()
            raise

    def _avoided(self) -> Collection[str]:
        now = self._clock()
        self._failed_at = {
            study_uid: at
            for study_uid, at in self._failed_at.items()
            if at <= now < at + AVOIDED_FOR
        }
        return self._failed_at

    def _there(self, study_uid: str) -> str:
        """Return the Study Instance UID it has there: another one when it was reissued."""
        there = {item.there.study_instance_uid for item in self._proofs.proven(study_uid)}
        return next(iter(there - {study_uid}), study_uid)

    def _missing(self, study_uid: str, answers: Sequence[StudyAnswer] | None) -> list[Delivery]:
        """Return what it no longer lists, instance by instance.

        A count says too little: one that was lost and one of somebody else that was gained leave
        it as it was.
        """
        if answers is None:
            return []
        missing: list[Delivery] = []
        for series, of_series in by_series(self._proofs.proven(study_uid)).items():
            held = self._courier.held_instances(*series)
            if held is not None:
                unlisted = [i for i in of_series if i.there.sop_instance_uid not in held]
                # a study it does not list at all is no list that was cut short
                missing += self._not_found(series, unlisted) if answers else unlisted
        return missing

    def _not_found(self, series: tuple[str, str], unlisted: Sequence[Delivery]) -> list[Delivery]:
        """Return what it does not find either when asked for just that.

        Some cut a list short and end it with success.
        """
        not_found: list[Delivery] = []
        for start in range(0, len(unlisted), ASKED_AT_ONCE):
            some = unlisted[start : start + ASKED_AT_ONCE]
            wanted = [item.there.sop_instance_uid for item in some]
            held = self._courier.held_among(*series, wanted)
            if held is not None:
                not_found += [i for i in some if i.there.sop_instance_uid not in held]
        return not_found

    def _doubt(self, missing: Sequence[Delivery]) -> None:
        if not missing:
            return
        self._proofs.doubt([item.delivery_id for item in missing])
        words = f"it no longer lists {len(missing)} instances it vouched for: asking, then sending"
        self._tell("instances_missing", words)

    def _compare(self, study_uid: str, answers: Sequence[StudyAnswer] | None) -> None:
        now = stamp(self._clock())
        finding, is_news = self._proofs.record_finding(
            study_uid, self._finding(study_uid, answers), now
        )
        if is_news and finding.state == "differs":
            self._tell("identity_differs", finding.words)

    def _finding(self, study_uid: str, answers: Sequence[StudyAnswer] | None) -> Finding:
        ours = self._identity_of(study_uid)
        if ours is None:
            return Finding(Kept.UNREAD)
        sent = [item.sent_at for item in self._proofs.proven(study_uid)]
        return find_identity(ours, answers, was_there_before=not any(sent))

    def _tell(self, event: str, words: str) -> None:
        self._ledger.record_event(event, self._destination, words, stamp(self._clock()))
        _log.warning(event, extra={"destination": self._destination})
