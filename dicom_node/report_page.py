"""The report as a page that stands alone: to be read, printed and kept."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from dicom_node.closing import Closing, closing_words
from dicom_node.delivery_report import NO_LIST, InstanceLine, Report, StudyLines, Tally, Totals
from dicom_node.report_files import decision_words, rows_of

STYLE: Final = """
body { font: 11pt/1.45 system-ui, "Liberation Sans", Arial, sans-serif; color: #111;
  background: #fff; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }
h1 { font-size: 20pt; margin: 0; } h2 { font-size: 14pt; margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .sum { font-size: 16pt; font-weight: 600; margin: 1rem 0 .2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 10pt; }
th, td { border: 1px solid #999; padding: .3rem .5rem; text-align: left; vertical-align: top; }
th { background: #eee; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.uid { font-family: "Liberation Mono", monospace; font-size: 8pt; overflow-wrap: anywhere; }
.open { font-weight: 600; } .sign { margin-top: 3rem; display: flex; gap: 3rem; }
.sign span { flex: 1; border-top: 1px solid #111; padding-top: .2rem; }
@media print { body { margin: 0; max-width: none; } thead { display: table-header-group; }
  tr { break-inside: avoid; } }
"""
STYLE_HASH: Final = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""Names the style to a Content-Security-Policy."""


def page_pieces(report: Report, closing: Closing | None = None) -> Iterator[str]:
    """Return the report as HTML.

    Parameters
    ----------
    report : Report
        On one study, its instances are listed, too.
    closing : Closing or None
        The last signature for its outage.

    Yields
    ------
    str
    """
    tables: list[str] = []
    decided: list[tuple[str, str]] = []
    for study in report.studies():
        tables.append(_study_row(report, study))
        uid = study.study_instance_uid
        decided += [(uid, decision_words(one)) for one in study.decisions]
        decided += [(uid, f"{one.destination}: {one.words}") for one in study.reissues]
        if report.study_instance_uid:
            tables.append("</tbody></table></div>" + _instances(report, study))
    totals = report.totals
    yield (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Return to PACS: report</title><style>{STYLE}</style></head><body>"
        f"<h1>Return to PACS: report</h1><p>{escape(_subject(report))}</p>"
        f"<p>Node {escape(report.node_name)}, written {escape(report.written_at)} (UTC). "
        f"No patient is named: studies are known by their UID and accession number.</p>"
    )
    yield _summary(report, totals)
    if words := closing_words(report, closing):
        yield f'<p class="open">Outage: {escape(words)}</p>'
    yield _destinations(totals) + _bands(report)
    heads = ("Study", "Date", "Accession", "Modality", "First received", "Received")
    more = ("Proven", "Waiting", "Needs a person", "Last proven", "Identity", "Never arrived")
    yield f"<h2>Studies</h2>{_table_head([*heads, *more])}"
    yield from tables
    if not report.study_instance_uid or not tables:
        yield "</tbody></table></div>"
    yield _decisions(decided)
    yield '<p class="sign"><span>Name</span><span>Date</span><span>Signature</span></p>'
    yield "</body></html>\n"


def _subject(report: Report) -> str:
    if report.study_instance_uid:
        return f"One study: {report.study_instance_uid}"
    if report.outage:
        until = report.outage.ended_at or "now, it lasts"
        kind = report.outage.kind.capitalize()
        return f"{kind} {report.outage.number}, from {report.outage.began_at} until {until} (UTC)"
    return "Everything this node has received"


def _summary(report: Report, totals: Totals) -> str:
    tally = totals.tally
    words = (
        f"{tally.received} received = {tally.proven} proven + {tally.waiting} waiting "
        f"+ {tally.needs_a_person} in need of a person"
    )
    is_silent = totals.studies_without_list == totals.studies
    missing = NO_LIST if is_silent else f"{totals.missing} images"
    some = f" ({totals.studies_without_list} studies without a list)"
    is_part = bool(report.outage or report.study_instance_uid)
    counted = "Each instance is counted once, and the same number at every PACS."
    if not is_part:
        counted = "The sum equals the ledger, counted another way."
    faults = totals.faults or [counted]
    lines = [
        *faults,
        f"Oldest image some PACS still lacks: {totals.unsent_since or 'none'}",
        f"Named by a scanner and never arrived: {missing}"
        + (some if totals.studies_without_list and not is_silent else ""),
        f"Studies under another identity at a PACS: {totals.identity_differences}; accepted by a "
        f"person: {totals.identities_accepted}; proven, but their identity not verified: "
        f"{totals.studies_not_verified}",
        f"Reissued under new UIDs: {totals.reissues}; the old images not rejected yet: "
        f"{totals.reissues_open}",
        f"Arrived and not stored as an image (quarantine): {report.quarantined}",
    ]
    if not report.destinations:
        lines.append("No PACS is configured: nothing can be proven.")
    return f'<p class="sum">{words}</p>' + "".join(f"<p>{escape(line)}</p>" for line in lines)


def _destinations(totals: Totals) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{_numbers(tally)}</tr>" for name, tally in totals.at.items()
    )
    heads = _table_head(["PACS", "Received", "Proven", "Waiting", "Needs a person"])
    return f"<h2>PACS</h2>{heads}{rows}</tbody></table></div>" if rows else ""


def _numbers(tally: Tally) -> str:
    counts = (tally.received, tally.proven, tally.waiting, tally.needs_a_person)
    return "".join(f'<td class="n">{number}</td>' for number in counts)


def _bands(report: Report) -> str:
    rows = "".join(
        f"<tr>{_cells((band.mode, band.began_at, band.ended_at, band.by, band.reason))}</tr>"
        for band in report.bands
    )
    heads = _table_head(["Mode", "From", "Until", "By", "Why"])
    return f"<h2>Mode</h2>{heads}{rows}</tbody></table></div>" if rows else ""


def _study_row(report: Report, study: StudyLines) -> str:
    identity = _identity_words(study)
    after = (
        study.last_proven_at,
        identity + (f", {study.corrected} corrected" if study.corrected else ""),
        NO_LIST if study.missing is None else str(study.missing),
    )
    before = (study.study_date, study.accession_number, study.modalities, study.first_received_at)
    uid = f'<td class="uid">{escape(study.study_instance_uid)}</td>'
    return f"<tr>{uid}{_cells(before)}{_numbers(study.tally)}{_cells(after)}</tr>\n"


def _identity_words(study: StudyLines) -> str:
    if study.identity_differences:
        return f"{study.identity_differences} differ"
    if not (study.is_identity_verified and study.tally.proven):
        return "not verified"
    return f"{study.identities_accepted} accepted" if study.identities_accepted else "same"


def _decisions(decided: Sequence[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><td class="uid">{escape(uid)}</td>{_cells((words,))}</tr>' for uid, words in decided
    )
    heads = _table_head(["Study", "Decision"])
    title = "Decisions about other identities"
    return f"<h2>{title}</h2>{heads}{rows}</tbody></table></div>" if rows else ""


def _instances(report: Report, study: StudyLines) -> str:
    names = ("sop_instance_uid", "received_at", "destination", "standing", "sent_at", "stored_at")
    more = ("last_status", "proven_at", "proof", "verified_at", "identity_state", "correction_id")
    columns = (*names, *more, "sha256", "last_error")
    heads = _table_head([name.replace("_", " ") for name in columns])
    rows = "".join(_instance_rows(report, study, line, columns) for line in study.lines)
    return f"<h2>Instances</h2>{heads}{rows}</tbody></table></div>"


def _instance_rows(
    report: Report, study: StudyLines, line: InstanceLine, columns: Sequence[str]
) -> str:
    return "".join(
        f"<tr>{_cells([str(row[name]) for name in columns])}</tr>\n"
        for row in rows_of(report, study, line)
    )


def _cells(texts: Sequence[str]) -> str:
    return "".join(f"<td>{escape(text)}</td>" for text in texts)


def _table_head(names: Sequence[str]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in names)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>'
