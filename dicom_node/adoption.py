"""What the delivering process takes over from the receiving one: instances, conflicts, answers."""

import random
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from dicom_node.blame import Blame
from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.held_reasons import TWO_CONTENTS
from dicom_node.index import CommitmentReport, IndexReader
from dicom_node.ledger_commitments import LedgerCommitments
from dicom_node.ledger_writer import Ledger
from dicom_node.setting_tables import SyncSettings
from dicom_node.settings import Settings

READ_LIMIT: Final = 2000


class Adopter:
    """Reads what receive wrote: new instances, conflicts, answers of the PACS.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    index : IndexReader
    clock : Clock
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, index: IndexReader, clock: Clock = utc_now
    ) -> None:
        self._data = settings.node.data
        self._sync = settings.sync
        self._destinations = [pacs.name for pacs in settings.pacs]
        self._ledger = ledger
        self._index = index
        self._clock = clock

    def step(self) -> bool:
        """Enter in the ledger whatever is new; return whether there is more."""
        generation = self._index.generation()
        if not generation:
            return False
        # a rebuilt index counts anew, and a new destination is owed everything;
        # what the ledger knows already is left as it is
        self._restart_if_changed("generation", generation, ("instance_id", "report_id"))
        destinations = " ".join(sorted(self._destinations))
        self._restart_if_changed("destinations", destinations, ("instance_id",))
        self._adopt_reports()
        return self._adopt_instances()

    def _restart_if_changed(self, key: str, value: str, positions: Sequence[str]) -> None:
        if self._ledger.mark(key) != value:
            for position in positions:
                self._ledger.set_mark(position, "0")
            self._ledger.set_mark(key, value)

    def _adopt_instances(self) -> bool:
        last = int(self._ledger.mark("instance_id") or 0)
        records = self._index.instances_after(last, READ_LIMIT)
        if not records:
            return False
        self._ledger.enqueue(
            records,
            self._destinations,
            data=self._data,
            now=stamp(self._clock()),
            marks={"instance_id": str(records[-1].instance_id)},
        )
        conflicts = {record.sop_instance_uid for record in records if record.is_conflict}
        if conflicts:
            self._ledger.hold(conflicts, TWO_CONTENTS)
        return len(records) == READ_LIMIT

    def _adopt_reports(self) -> None:
        last = int(self._ledger.mark("report_id") or 0)
        reports = self._index.commitment_reports_after(last)
        record_reports(self._ledger, reports, self._sync, self._clock())
        if reports:
            self._ledger.set_mark("report_id", str(reports[-1].report_id))


def record_reports(
    ledger: Ledger, reports: Iterable[CommitmentReport], sync: SyncSettings, now: datetime
) -> None:
    """Enter what a PACS said about instances we asked it to commit.

    Parameters
    ----------
    ledger : Ledger
    reports : iterable of CommitmentReport
    sync : SyncSettings
    now : datetime
    """
    blame, commitments = Blame(sync, random.random), LedgerCommitments(ledger)
    for report in reports:
        if report.failure_reason is None:
            at = report.received_at or stamp(now)
            commitments.record_committed(report.transaction_uid, report.sop_instance_uid, at)
            continue
        for item in commitments.awaiting(report.transaction_uid, report.sop_instance_uid):
            values = blame.after_failed_commitment(item, report.failure_reason, now)
            commitments.record_not_committed(item, values)
