"""The report of what became of every instance as CSV, JSON and text, written as it is read."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from io import StringIO
from typing import Any, Final

from dicom_node.closing import Closing, closing_words
from dicom_node.delivery_report import (
    NO_LIST,
    InstanceLine,
    Report,
    StudyLines,
    Tally,
    Totals,
    standing_at,
)
from dicom_node.identity_decisions import MEANING_WORDS, Decision, IdentityDecision

BYTE_ORDER_MARK: Final = "\ufeff"
"""Begins the CSV file: without it, spreadsheet programs take UTF-8 for something else."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_RECEIVED: Final = (
    "series_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "size_bytes",
    "received_at",
    "calling_ae_title",
    "damaged_at",
)
_DELIVERED: Final = (
    "state",
    "queued_at",
    "sent_at",
    "sent_transfer_syntax_uid",
    "stored_at",
    "last_status",
    "proven_at",
    "proof",
    "verified_at",
    "identity_state",
    "correction_id",
    "sent_study_instance_uid",
    "sent_series_instance_uid",
    "sent_sop_instance_uid",
    "sent_digest",
    "attempts",
    "first_failed_at",
    "last_error",
)
COLUMNS: Final = (
    "study_instance_uid",
    "study_date",
    "accession_number",
    "sop_instance_uid",
    "sha256",
    *_RECEIVED,
    "destination",
    "standing",
    *_DELIVERED,
)


def csv_pieces(report: Report) -> Iterator[str]:
    """Return the report as CSV (RFC 4180): a row for each instance at each destination.

    Parameters
    ----------
    report : Report

    Yields
    ------
    str
        No cell is taken for a formula by a spreadsheet program.
    """
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    yield BYTE_ORDER_MARK + _taken(buffer)
    for study in report.studies():
        for line in study.lines:
            for row in rows_of(report, study, line):
                writer.writerow([harmless(row[name]) for name in COLUMNS])
        yield _taken(buffer)


def harmless(value: object) -> object:
    """Return a cell that no spreadsheet program takes for a formula.

    Examples
    --------
    >>> harmless("=1+1"), harmless("CT 1"), harmless(-1)
    ("'=1+1", 'CT 1', -1)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def rows_of(report: Report, study: StudyLines, line: InstanceLine) -> list[dict[str, Any]]:
    """Return a row for each destination of an instance, or one without any.

    Parameters
    ----------
    report : Report
    study : StudyLines
    line : InstanceLine

    Returns
    -------
    list of dict
        Each with `COLUMNS`; '' where nothing is known.
    """
    received = line.received or {}
    common = {
        "study_instance_uid": study.study_instance_uid,
        "study_date": study.study_date,
        "accession_number": study.accession_number,
        "sop_instance_uid": line.sop_instance_uid,
        "sha256": line.digest,
        **{name: received.get(name, "") for name in _RECEIVED},
    }
    names = [*report.destinations, *sorted(set(line.deliveries) - set(report.destinations))]
    return [
        common | {"destination": name} | _delivered(line.deliveries.get(name))
        for name in names or [""]
    ]


def _delivered(item: Mapping[str, Any] | None) -> dict[str, Any]:
    found = {name: (item[name] if item is not None else "") for name in _DELIVERED}
    status = found["last_status"]
    found["last_status"] = f"{status:04X}" if isinstance(status, int) else ""
    return found | {"standing": standing_at(item).value}


def json_pieces(report: Report) -> Iterator[str]:
    """Return the report as JSON; `totals` come last, because they are counted on the way.

    Parameters
    ----------
    report : Report

    Yields
    ------
    str
    """
    head = json.dumps(head_of(report), indent=1)
    yield head[: head.rindex("\n}")] + ',\n "studies": ['
    between = "\n"
    for study in report.studies():
        rows = [row for line in study.lines for row in rows_of(report, study, line)]
        yield between + json.dumps(study_of(study) | {"instances": rows})
        between = ",\n"
    yield '],\n "totals": ' + json.dumps(totals_of(report.totals), indent=1) + "\n}\n"


def text_pieces(report: Report, closing: Closing | None) -> Iterator[str]:
    """Return the sums of the report for a terminal.

    Parameters
    ----------
    report : Report
    closing : Closing or None
        The last signature for its outage.

    Yields
    ------
    str
    """
    for study in report.studies():
        if study.tally.open or report.study_instance_uid:
            yield f"{study.study_instance_uid}: {_sum(study.tally)}\n"
        if words := _identity_words(study):
            yield f"{study.study_instance_uid}: {words}\n"
        for decision in study.decisions:
            yield f"{study.study_instance_uid}: {decision_words(decision)}\n"
        for one in study.reissues:
            yield f"{study.study_instance_uid}: {one.destination}: {one.words}\n"
    totals = report.totals
    yield f"{totals.studies} studies: {_sum(totals.tally)}\n"
    for name, tally in totals.at.items():
        yield f"  {name}: {_sum(tally)}\n"
    found = totals_of(totals)
    yield from (f"  does not add up: {fault}\n" for fault in totals.faults)
    yield f"  oldest image some PACS still lacks: {totals.unsent_since or 'none'}\n"
    yield f"  studies under another identity at a PACS: {totals.identity_differences}\n"
    yield f"  other identities a person accepted: {totals.identities_accepted}\n"
    yield f"  reissued under new UIDs: {totals.reissues}, open: {totals.reissues_open}\n"
    yield f"  studies whose identity was not verified: {totals.studies_not_verified}\n"
    yield f"  named by a scanner and never arrived: {found['missing']}\n"
    yield f"  not stored as an image (quarantine): {report.quarantined}\n"
    if words := closing_words(report, closing):
        yield f"  outage: {words}\n"


def _identity_words(study: StudyLines) -> str:
    if study.identity_differences:
        return "under another identity at a PACS"
    return "" if study.is_identity_verified else "proven, its identity not verified"


def decision_words(one: IdentityDecision) -> str:
    """Say who decided what about the identity a PACS keeps a study under, without naming patients.

    Parameters
    ----------
    one : IdentityDecision

    Returns
    -------
    str
    """
    differs = ", ".join(name.replace("_", " ") for name in one.attributes)
    said = MEANING_WORDS.get(one.meaning, one.meaning)
    what = "acceptance undone" if one.decision == Decision.UNDONE else f"accepted, {said}"
    return f"other {differs} at {one.destination}: {what}, by {one.by} at {one.at}: {one.reason}"


def _sum(tally: Tally) -> str:
    parts = f"{tally.proven} proven + {tally.waiting} waiting"
    return f"{tally.received} received = {parts} + {tally.needs_a_person} in need of a person"


def head_of(report: Report) -> dict[str, Any]:
    """Return what a report is on and when it was written."""
    return {
        "node": report.node_name,
        "written_at": report.written_at,
        "study_instance_uid": report.study_instance_uid,
        "outage": asdict(report.outage) if report.outage else None,
        "mode_bands": [asdict(band) for band in report.bands],
        "destinations": report.destinations,
        "quarantined": report.quarantined,
    }


def study_of(study: StudyLines) -> dict[str, Any]:
    """Return the counts of one study."""
    return {
        "study_instance_uid": study.study_instance_uid,
        "study_date": study.study_date,
        "accession_number": study.accession_number,
        "modalities_in_study": study.modalities,
        "received": study.tally.received,
        **asdict(study.tally),
        "at": {name: asdict(tally) for name, tally in study.at.items()},
        "first_received_at": study.first_received_at,
        "last_received_at": study.last_received_at,
        "last_proven_at": study.last_proven_at,
        "unsent_since": study.unsent_since,
        "identity_differences": study.identity_differences,
        "is_identity_verified": study.is_identity_verified,
        "identities_accepted": study.identities_accepted,
        "reissues": [asdict(one) for one in study.reissues],
        "identity_decisions": [_decision_of(one) for one in study.decisions],
        "corrected": study.corrected,
        "missing": NO_LIST if study.missing is None else study.missing,
    }


def _decision_of(one: IdentityDecision) -> dict[str, Any]:
    names = ("destination", "decision", "meaning", "kept", "attributes", "at", "by", "reason")
    return {name: getattr(one, name) for name in names}


def totals_of(totals: Totals) -> dict[str, Any]:
    """Return the counts of a whole report; `adds_up` tells whether both ways of counting agree."""
    is_silent = totals.studies_without_list == totals.studies
    return {
        "studies": totals.studies,
        "received": totals.tally.received,
        **asdict(totals.tally),
        "at": {name: asdict(tally) for name, tally in totals.at.items()},
        "unsent_since": totals.unsent_since,
        "identity_differences": totals.identity_differences,
        "identities_accepted": totals.identities_accepted,
        "reissues": totals.reissues,
        "reissues_open": totals.reissues_open,
        "studies_not_verified": totals.studies_not_verified,
        "studies_without_list": totals.studies_without_list,
        "missing": NO_LIST if is_silent else totals.missing,
        "adds_up": not totals.faults,
        "faults": totals.faults,
        "is_closable": totals.is_closable,
    }


def _taken(buffer: StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
