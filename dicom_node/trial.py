"""Trying a PACS that is back with a test image, where the site allows it, and having it vouch."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from pydicom.uid import generate_uid

from dicom_node.clock import Clock, utc_now
from dicom_node.errors import NodeError
from dicom_node.index import CommitmentReport, IndexReader
from dicom_node.mode_order import ModeOrders
from dicom_node.outage_mode import Mode, PacsMode, Proof
from dicom_node.pacs import CommitmentAnswer
from dicom_node.setting_tables import PacsSettings
from dicom_node.settings import Settings
from dicom_node.trial_object import TrialObject, make_trial_object

ANSWER_WAIT_S: Final = 60.0
"""How long its commitment may stay unanswered before it is asked again, seconds."""


class Archive(Protocol):
    """What a trial asks of a PACS; see `Pacs`."""

    def request_commitment(
        self, transaction_uid: str, instances: list[tuple[str, str]], /
    ) -> CommitmentAnswer:
        """Ask for storage commitment."""

    def held_instances(self, study: str, series: str, /) -> set[str] | None:
        """Ask what a series holds."""


class Trial:
    """The trial of one PACS: one test image at a time, until one is vouched for.

    Parameters
    ----------
    pacs : PacsSettings
    our_ae_title : str
    archive : Archive
    is_allowed : callable
        Tells whether it may be given a test image now.
    reports_of : callable
        Returns the answers that came for a Transaction UID so far.
    clock : Clock
    monotonic : callable
        For waiting, seconds.
    """

    def __init__(
        self,
        pacs: PacsSettings,
        our_ae_title: str,
        archive: Archive,
        is_allowed: Callable[[], bool],
        reports_of: Callable[[str], list[CommitmentReport]],
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pacs = pacs
        self._our_ae_title = our_ae_title
        self._archive = archive
        self._is_allowed = is_allowed
        self._reports_of = reports_of
        self._clock = clock
        self._monotonic = monotonic
        self._stored: TrialObject | None = None
        self._transaction_uid = ""
        self._ask_at = 0.0

    def next_object(self, standing: PacsMode) -> TrialObject | None:
        """Return the test image the next probe is to store, None when none is wanted."""
        if standing.mode is not Mode.RECOVERING:
            self._stored = None
            return None
        if Proof.STORE in standing.proofs or not self._is_allowed():
            return None
        self._stored, self._transaction_uid = None, ""
        return make_trial_object(self._our_ae_title, str(generate_uid(prefix=None)), self._clock())

    def note_stored(self, item: TrialObject) -> None:
        """Remember that the PACS took a test image; it is to vouch for it now."""
        self._stored, self._ask_at = item, self._monotonic()

    def is_proven(self) -> bool:
        """Tell whether the PACS vouches for the test image it took; asks it when it is time.

        Raises
        ------
        NodeError
            It cannot be asked now.
        """
        if self._stored is None:
            return False
        if self._transaction_uid and self._is_committed(self._reports_of(self._transaction_uid)):
            return True
        if self._monotonic() < self._ask_at:
            return False
        has_waited = bool(self._transaction_uid)
        self._ask_at = self._monotonic() + ANSWER_WAIT_S
        is_supported = False
        if self._pacs.proof != "c-find":
            self._transaction_uid = str(generate_uid(prefix=None))
            is_supported, is_committed = self._request(self._stored)
            if is_committed:
                return True
        if self._pacs.proof == "commitment" or (is_supported and not has_waited):
            return False
        held = self._archive.held_instances(
            self._stored.study_instance_uid, self._stored.series_instance_uid
        )
        return self._stored.sop_instance_uid in (held or ())

    def _request(self, item: TrialObject) -> tuple[bool, bool]:
        """Ask for commitment; return whether it is offered, and whether it was given at once."""
        try:
            answer = self._archive.request_commitment(
                self._transaction_uid, [(item.sop_class_uid, item.sop_instance_uid)]
            )
        except NodeError:
            if self._pacs.proof == "commitment":
                raise
            return False, False
        return answer.is_supported, self._is_committed(answer.reports)

    def _is_committed(self, reports: tuple[CommitmentReport, ...] | list[CommitmentReport]) -> bool:
        return self._stored is not None and any(
            report.transaction_uid == self._transaction_uid
            and report.sop_instance_uid == self._stored.sop_instance_uid
            and report.failure_reason is None
            for report in reports
        )


def new_trial(
    pacs: PacsSettings,
    settings: Settings,
    archive: Archive,
    orders: ModeOrders,
    index: IndexReader,
    clock: Clock = utc_now,
    monotonic: Callable[[], float] = time.monotonic,
) -> Trial:
    """Return the trial of one PACS, allowed by its settings or for a while by a person."""
    return Trial(
        pacs,
        settings.dicom.ae_title,
        archive,
        lambda: pacs.trial_store or orders.is_trial_allowed(),
        index.commitment_reports_of,
        clock,
        monotonic,
    )
