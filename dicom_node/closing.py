"""Signing that an outage is over: only when nothing is open, and seen when that changes."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from dicom_node.clock import Clock, stamp, utc_now
from dicom_node.delivery_report import Report
from dicom_node.durable_file import append_json_line
from dicom_node.errors import BadSettings, StorageFailed
from dicom_node.unknown_switch import AUDIT_FILE

FILE: Final = "outages-closed.jsonl"
LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Closing:
    """Who signed for which outage, when, and for how many instances; times are ISO 8601 in UTC.

    An outage is known by when it began. `quarantined` is what was not stored at that time;
    `accepted` are the studies in it that a PACS may keep under another identity, None in a
    signature of a time when that was not written down.
    """

    outage_began_at: str
    signed_at: str
    signed_by: str
    received: int
    quarantined: int
    accepted: Sequence[str] | None = None

    def is_with(self, study_instance_uid: str) -> bool:
        """Tell whether it was signed with an accepted identity of a study, or may have been."""
        return self.accepted is None or study_instance_uid in self.accepted


class Closings:
    """The signatures of one data folder: a file that only grows.

    Any process may sign, so this is no table: each database has one writer.

    Parameters
    ----------
    data : Path
        The data folder.
    clock : Clock
    """

    def __init__(self, data: Path, clock: Clock = utc_now) -> None:
        self._path = data / FILE
        self._audit = data / AUDIT_FILE
        self._clock = clock

    def sign(self, report: Report, name: str) -> Closing:
        """Sign that an outage is closed.

        Parameters
        ----------
        report : Report
            On that outage, read to its end.
        name : str
            Of the person who answers for it.

        Returns
        -------
        Closing

        Raises
        ------
        BadSettings
            Something is open, or nobody signs.
        StorageFailed
            It cannot be put on record, so nothing is signed.
        """
        if report.outage is None or not report.outage.ended_at:
            raise BadSettings("the outage lasts: it can be closed when the PACS is back to normal")
        if not name.strip():
            raise BadSettings("sign with your name")
        if open_words(report) or not report.totals.is_closable:
            raise BadSettings(f"this outage cannot be closed: {open_words(report)}")
        closing = Closing(
            report.outage.began_at,
            stamp(self._clock()),
            name.strip()[:LONGEST_NAME],
            report.totals.tally.received,
            report.quarantined,
            report.totals.accepted,
        )
        try:
            append_json_line(self._audit, {"event": "outage_closed", **asdict(closing)})
            append_json_line(self._path, asdict(closing))
        except OSError as exc:
            raise StorageFailed(f"it cannot be written to {self._path.parent}") from exc
        return closing

    def last(self, outage_began_at: str) -> Closing | None:
        """Return the last signature for an outage, None when nobody signed."""
        of_it = [one for one in self._all() if one.outage_began_at == outage_began_at]
        return of_it[-1] if of_it else None

    def first_with(self, study_instance_uid: str, moment: str) -> Closing | None:
        """Return the first signature given with an accepted identity of a study.

        Parameters
        ----------
        study_instance_uid : str
        moment : str
            When it was accepted, ISO 8601 in UTC: signatures before had nothing of it.
        """
        later = (one for one in self._all() if one.signed_at >= moment)
        return next((one for one in later if one.is_with(study_instance_uid)), None)

    def _all(self) -> Iterator[Closing]:
        for line in _lines(self._path):
            # what a crash cut off was never confirmed
            with contextlib.suppress(ValueError, TypeError):
                yield Closing(**json.loads(line))


def closing_words(report: Report, closing: Closing | None) -> str:
    """Return how the outage of a report stands: open, closed by whom, or open again.

    Parameters
    ----------
    report : Report
        Read to its end.
    closing : Closing or None
        The last signature.
    """
    if report.outage is None:
        return ""
    if closing is None:
        return f"Open: {open_words(report)}." if open_words(report) else "Ready to be closed."
    signed = f"closed by {closing.signed_by} at {closing.signed_at}"
    later = report.totals.tally.received - closing.received
    if open_words(report):
        return f"Open again: {open_words(report)}. It was {signed}."
    if later:
        return f"Open again: {later} images arrived after it was {signed}. They are all proven."
    return signed[0].upper() + signed[1:] + "."


def open_words(report: Report) -> str:
    """Return what is open, '' when nothing is."""
    totals = report.totals
    parts = [
        (totals.tally.waiting, "waiting"),
        (totals.tally.needs_a_person, "in need of a person"),
        (
            totals.identity_differences,
            "studies under another identity at the PACS, to be corrected there",
        ),
        (totals.reissues_open, "studies reissued, the old images not rejected yet"),
        (totals.missing, "named by a scanner and never received"),
    ]
    found = [f"{number} {words}" for number, words in parts if number]
    lasts = report.outage is not None and not report.outage.ended_at
    is_evidence = report.outage is None or not report.index_fault
    faults = [*totals.faults, *([] if is_evidence else [report.index_fault])]
    return ", ".join([*found, *faults, *(["it has not ended"] if lasts else [])])


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()
    except OSError:
        return []
