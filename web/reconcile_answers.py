"""What the pages of reconciliation say: findings, identities side by side, and decisions."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

from dicom_node.accepting import NOT_KNOWN, Compared, OtherIdentity
from dicom_node.correction import Correction, CorrectionState
from dicom_node.correction_desk import Step
from dicom_node.errors import NodeError
from dicom_node.held_reasons import KEEPS_OLD, SPLITS
from dicom_node.identity import ATTRIBUTES, Identity, Kind, differences
from dicom_node.identity_decisions import (
    MEANING_WORDS,
    IdentityDecision,
    Meaning,
    decided_of,
    read_answers,
    read_differences,
)
from dicom_node.index import InstanceRecord, StudyRecord
from dicom_node.kept_identity import WORDS as KEPT_WORDS
from dicom_node.kept_identity import Kept
from dicom_node.ledger import KeptIdentity, LedgerReader
from dicom_node.reconciling import distinct
from dicom_node.stored_identity import identity_of_file
from dicom_node.study_query import StudyQuery
from dicom_node.study_search import FoundStudy
from dicom_node.worklist_search import ScheduledStep
from web import words
from web.context import WebContext
from web.wildcards import matches_wildcards

MOST_LISTED: Final = 200
MOST_LOOKED_AT: Final = 20_000
LABELS: Final = {
    "patient_name": "Name",
    "patient_id": "Patient ID",
    "issuer_of_patient_id": "Issuer of the ID",
    "patient_birth_date": "Born",
    "patient_sex": "Sex",
    "accession_number": "Accession",
    "study_description": "Description",
}
KIND_WORDS: Final = {
    Kind.DIFFERENT: "different",
    Kind.MISSING: "missing",
    Kind.SPELLING: "other spelling",
}
MEANINGS: Final = {
    Meaning.SAME_PERSON.value: "Both name the same person",
    Meaning.PACS_IS_RIGHT.value: "The PACS is right: these images came with a wrong identity",
}
CHANGED: Final = "has something else since"
STATE_WORDS: Final = {
    CorrectionState.DRAFT: "Preview, not in force",
    CorrectionState.ACTIVE: "In force",
    CorrectionState.UNDONE: "Undone",
}


def shown_value(attribute: str, value: str) -> str:
    """Return one value of an identity as people read it; the name in full, with its carets gone."""
    if not value.strip():
        return "–"
    if attribute == "patient_name":
        return words.person_name(value)
    if attribute == "patient_birth_date":
        return words.calendar_date(value)
    return words.sex(value) if attribute == "patient_sex" else value.strip()


def side_by_side(left: Identity, right: Identity) -> list[dict[str, str]]:
    """Return two identities line by line, each line saying in a word how they differ.

    Parameters
    ----------
    left, right : Identity

    Returns
    -------
    list of dict
        `label`, `left`, `right`, and `kind` with its `words`, both "" where they agree.
    """
    kinds = {item.attribute: item.kind for item in differences(left, right)}
    return [
        {
            "attribute": name,
            "label": LABELS[name],
            "left": shown_value(name, getattr(left, name)),
            "right": shown_value(name, getattr(right, name)),
            "kind": kinds[name].value if name in kinds else "",
            "words": KIND_WORDS[kinds[name]] if name in kinds else "same",
        }
        for name in ATTRIBUTES
    ]


def findings(context: WebContext, study: StudyRecord) -> list[str]:
    """Say why a study is still to be reconciled.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    study : StudyRecord
        As it is shown.

    Returns
    -------
    list of str
        Empty when nothing is known against it.
    """
    found = []
    number = study.patient_id.strip().upper()
    if not number:
        found.append("No patient ID")
    elif any(matches_wildcards(number, one.upper()) for one in temporary_ids(context)):
        found.append("Temporary patient ID")
    if not study.accession_number.strip():
        found.append("No accession number")
    if study.has_patient_conflict:
        found.append("Its images name different patients")
    return found


def temporary_ids(context: WebContext) -> tuple[str, ...]:
    """Return the patterns of patient IDs that are only for the time of an outage."""
    return context.settings.sync.temporary_ids


def work_list(context: WebContext) -> list[dict[str, Any]]:
    """Return the studies that are still to be reconciled, newest first.

    Parameters
    ----------
    context : WebContext
        Settings and readers.

    Returns
    -------
    list of dict
    """
    kept: dict[str, list[str]] = {}
    for one in context.ledger.identity_differences():
        if one.state == Kept.ACCEPTED:
            continue
        kept.setdefault(one.study_instance_uid, []).append(kept_words(one))
    rows = []
    for study in context.index.search_studies(StudyQuery(limit=MOST_LOOKED_AT)):
        why = findings(context, study) + kept.get(study.study_instance_uid, [])
        if why:
            rows.append(study_row(study, why))
    return rows


def study_row(study: StudyRecord, why: Sequence[str]) -> dict[str, Any]:
    """Return one study in words, with what is to be said of it."""
    kinds = " ".join(study.modalities_in_study)
    return {
        "study_instance_uid": study.study_instance_uid,
        "name": words.person_name(study.patient_name),
        "patient_id": study.patient_id or "–",
        "born": words.calendar_date(study.patient_birth_date),
        "accession": study.accession_number or "–",
        "when": " ".join(
            filter(
                None, (words.calendar_date(study.study_date), words.clock_time(study.study_time))
            )
        ),
        "what": " · ".join(filter(None, (kinds, study.study_description.strip()))),
        "images": words.counted(study.number_of_study_related_instances, "image"),
        "why": why,
    }


def kept_words(one: KeptIdentity) -> str:
    """Say how a PACS keeps a study otherwise than it was sent, and the way out."""
    names = ", ".join(
        f"{_label(item.attribute)} there {shown_value(item.attribute, item.theirs)}"
        for item in read_differences(one.differences)
    )
    said = next((text for kept, text in KEPT_WORDS.items() if kept == one.state), one.state)
    return f"{one.destination}: {said}" + (f" ({names})" if names else "")


def other_identity_row(one: OtherIdentity, ours: Identity) -> dict[str, Any]:
    """Return a study as a PACS keeps it beside ours, to be decided on.

    Parameters
    ----------
    one : OtherIdentity
    ours : Identity
        The one the study is sent with.

    Returns
    -------
    dict
    """
    pending = one.pending
    return {
        "destination": one.kept.destination,
        "found": words.moment(one.kept.found_at),
        "said": KEPT_WORDS[Kept(one.kept.state)],
        "code": one.code,
        "tables": [list(map(_other_line, table)) for table in one.compared(ours)],
        "not_known": "" if one.answers else NOT_KNOWN,
        "id_to_type": one.id_to_type,
        "pending": f"{pending.by} accepted this at {words.moment(pending.at)}" if pending else "",
    }


def _other_line(one: Compared) -> dict[str, str]:
    name = one.attribute
    values = {"left": shown_value(name, one.ours), "right": shown_value(name, one.theirs)}
    return {"attribute": name, "label": LABELS[name], "kind": one.kind, "words": one.words} | values


def acceptance_row(one: IdentityDecision, *, is_still_so: bool = True) -> dict[str, Any]:
    """Return what was accepted of a study, by whom and why, and whether the PACS still has that."""
    changed = "" if is_still_so else f" ({one.destination} {CHANGED})"
    return {
        "study_instance_uid": one.study_instance_uid,
        "destination": one.destination,
        "what": (_listed_words(one) or _theirs_words(one)) + changed,
        "meaning": MEANING_WORDS.get(one.meaning, one.meaning),
        "when": words.moment(one.at),
        "by": one.by,
        "reason": one.reason,
    }


def _theirs_words(one: IdentityDecision) -> str:
    differing = read_differences(one.differences)
    if differing:
        return _named((item.attribute, item.theirs) for item in differing)
    return _listed_words(one)


def _listed_words(one: IdentityDecision) -> str:
    """Return all that the PACS returned of each patient when it was accepted."""
    return " and ".join(
        _named((name, value) for name, value in asdict(answer.identity).items() if value)
        for answer in read_answers(one.differences)
    )


def _named(values: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{_label(name)} {shown_value(name, value)}" for name, value in values)


def accepted_marks(ledger: LedgerReader, study_instance_uids: Sequence[str]) -> dict[str, str]:
    """Return the mark of each study that a PACS may keep under another identity.

    It stays until the decision is undone: that images came with a wrong identity is so whatever
    the PACS has by now.

    Parameters
    ----------
    ledger : LedgerReader
    study_instance_uids : sequence of str
        The studies asked about.

    Returns
    -------
    dict
        By Study Instance UID.
    """
    found: dict[str, str] = {}
    for one, is_still_so in decided_of(ledger, study_instance_uids):
        said = f"{one.destination} has {_theirs_words(one)}"
        if one.meaning == Meaning.PACS_IS_RIGHT:
            mark = f"Wrong identity: {said}, and that is right ({one.by})"
        else:
            mark = f"{said}: the same person ({one.by})"
        if not is_still_so:
            mark += f", and {one.destination} {CHANGED}"
        found[one.study_instance_uid] = " · ".join(
            filter(None, (found.get(one.study_instance_uid), mark))
        )
    return found


def _label(attribute: str) -> str:
    """Return what an attribute is called within a sentence."""
    label = LABELS[attribute]
    return label[:1].lower() + label[1:]


def held_words(context: WebContext, study_instance_uid: str) -> list[str]:
    """Say what is held back because of a correction."""
    errors: dict[tuple[str, str], int] = {}
    for item in context.ledger.deliveries(study_instance_uid):
        if item.correction_id and item.state == "held":
            key = (item.destination, item.last_error)
            errors[key] = errors.get(key, 0) + 1
    return [
        f"{name}: {words.counted(count, 'image')} held back: {error}"
        + (
            ". Undo the correction to send them as they are, or mend the study in the PACS "
            "and try again on the page Return to PACS."
            if error in (SPLITS, KEEPS_OLD)
            else ""
        )
        for (name, error), count in errors.items()
    ]


def stored_identities(
    records: Iterable[InstanceRecord],
) -> tuple[tuple[Identity, ...], dict[Identity, int], int]:
    """Read whose the images of a study are, from the files themselves.

    Parameters
    ----------
    records : iterable of InstanceRecord
        All of its instances.

    Returns
    -------
    tuple of Identity, dict and int
        Each identity once, how many images name it, and how many cannot be read.
    """
    counts: dict[Identity, int] = {}
    unreadable = 0
    for record in records:
        try:
            identity = identity_of_file(record.path)
        except (OSError, ValueError, NodeError):  # ValueError: an empty file cannot be mapped
            unreadable += 1
        else:
            counts[identity] = counts.get(identity, 0) + 1
    return distinct(counts), counts, unreadable


def candidate_row(ours: Identity, found: FoundStudy, why: Sequence[str]) -> dict[str, Any]:
    """Return a study of the PACS beside ours."""
    return {
        "why": ", ".join(why),
        "when": " ".join(
            filter(
                None, (words.calendar_date(found.study_date), words.clock_time(found.study_time))
            )
        ),
        "what": " ".join((found.modalities_in_study, found.identity.study_description)).strip(),
        "images": found.number_of_study_related_instances,
        "lines": side_by_side(ours, found.identity),
        "identity": asdict(found.identity),
    }


def ordered_row(
    ours: Identity, found: ScheduledStep, why: Sequence[str], *, is_of_study: bool
) -> dict[str, Any]:
    """Return a scheduled step of the worklist beside ours.

    Parameters
    ----------
    ours : Identity
    found : ScheduledStep
    why : sequence of str
        What is the same.
    is_of_study : bool
        Whether the order names the Study Instance UID of these images.

    Returns
    -------
    dict
        As `candidate_row`; what was ordered is part of it.
    """
    order = [f"order {found.requested_procedure_id}"] if found.requested_procedure_id else []
    station = [f"for {found.station_ae_title}"] if found.station_ae_title else []
    same = ["this very study"] if is_of_study else []
    planned = map(words.calendar_date, filter(None, [found.start_date]))
    return {
        "why": ", ".join([*same, *why, *order, *station]),
        "when": " ".join([*planned, words.clock_time(found.start_time)]).strip(),
        "what": " ".join((found.modality, found.step_description)).strip(),
        "images": "",
        "lines": side_by_side(ours, found.identity),
        "identity": asdict(found.identity),
        "is_order": True,
    }


def correction_row(correction: Correction, steps: Sequence[Step] = ()) -> dict[str, Any]:
    """Return one correction in words, with what was decided about it."""
    before = correction.identities[0]
    return {
        "correction_id": correction.correction_id,
        "study_instance_uid": correction.study_instance_uid,
        "state": correction.state.value,
        "words": STATE_WORDS[correction.state],
        "changes": [
            f"{LABELS[name]}: {shown_value(name, getattr(before, name))} → "
            f"{shown_value(name, text)}"
            for name, text in correction.values.items()
        ],
        "steps": [
            {
                "when": words.moment(step.at),
                "what": STATE_WORDS[CorrectionState(step.state)],
                "by": step.by,
                "reason": step.reason,
            }
            for step in steps
        ],
    }
