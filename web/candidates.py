"""Asking who a study may be of: other studies of the PACS, and what the worklist has ordered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any, Final

from dicom_node.courier import Courier
from dicom_node.errors import NodeError
from dicom_node.identity import Identity
from dicom_node.kept_identity import find_identity
from dicom_node.setting_tables import PacsSettings
from dicom_node.study_search import FoundStudy, StudyKeys
from dicom_node.worklist_search import ScheduledStep, WorklistKeys
from web import words
from web.context import WebContext
from web.reconcile_answers import candidate_row, ordered_row

ASK_TIMEOUT_S: Final = 8.0
"""How long a person waits for one answer of a peer, seconds."""


@contextmanager
def quick_courier(context: WebContext, peer: PacsSettings) -> Iterator[Courier]:
    """Open a courier that keeps nobody waiting for long, and end it after.

    Parameters
    ----------
    context : WebContext
        Settings.
    peer : PacsSettings
        Whom to ask.

    Yields
    ------
    Courier
    """
    quick = replace(peer, answer_timeout_s=ASK_TIMEOUT_S, connect_timeout_s=ASK_TIMEOUT_S / 2)
    courier = Courier(quick, context.settings.dicom.ae_title)
    try:
        yield courier
    finally:
        courier.close()


def ask_pacs(context: WebContext, pacs: PacsSettings, study: str, ours: Identity) -> dict[str, Any]:
    """Ask one PACS, in a child process that is ended when it takes too long.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    pacs : PacsSettings
        The PACS.
    study : str
        UID of our study.
    ours : Identity
        Of our study.

    Returns
    -------
    dict
        `name`, `rows`, and in `said` what it holds of this very study, or why it did not answer.
    """
    try:
        with quick_courier(context, pacs) as courier:
            there = courier.find_study(study)
            found = find_candidates(courier, context, study, ours)
    except NodeError as error:
        return {"name": pacs.name, "said": f"It could not be asked: {error}.", "rows": []}
    active = context.corrections.active(study)
    finding = find_identity(active.of(ours) if active else ours, there, was_there_before=True)
    said = {
        "unlisted": "It holds nothing of this study yet: correct it before it is sent.",
        "same": "It holds this study already, under the same identity.",
    }.get(finding.kept.value, finding.words[:1].upper() + finding.words[1:] + ".")
    rows = [candidate_row(ours, one, why) for one, why in found]
    return {"name": pacs.name, "said": said, "rows": rows}


def find_candidates(
    courier: Courier, context: WebContext, study: str, ours: Identity
) -> list[tuple[FoundStudy, list[str]]]:
    """Return other studies the PACS holds of what may be the same patient, each with the reasons.

    Raises
    ------
    PeerUnreachable, PeerRefused
    """
    record = context.index.study_as_received(study)
    day, time = (record.study_date, record.study_time) if record else ("", "")
    questions = {
        "same patient ID": StudyKeys(patient_id=plain(ours.patient_id)),
        "same name and birth date": StudyKeys(
            patient_name=plain(ours.patient_name), patient_birth_date=ours.patient_birth_date
        ),
        "same hour": StudyKeys(study_date=day, study_time=hour_around(time)),
    }
    found: dict[str, tuple[FoundStudy, list[str]]] = {}
    for why, keys in questions.items():
        if len(list(filter(None, asdict(keys).values()))) < (1 if "ID" in why else 2):
            continue  # it would match everybody
        for one in courier.find_studies(keys) or []:
            if one.study_instance_uid != study:
                found.setdefault(one.study_instance_uid, (one, []))[1].append(why)
    return list(found.values())


def plain(text: str) -> str:
    """Return a value to look for, with nothing in it that would be taken for a pattern."""
    return "".join("?" if character in "*?\\" else character for character in text.strip())


def hour_around(time: str) -> str:
    """Return the TM range from an hour before to an hour after, within the day; "" if unknown."""
    if len(time) < 4 or not time[:4].isdigit():
        return ""
    hour, minute = int(time[:2]), time[2:4]
    return f"{max(0, hour - 1):02}{minute}00-{min(23, hour + 1):02}{minute}59"


def ask_worklist(context: WebContext, study: str, ours: Identity) -> dict[str, Any]:
    """Ask the modality worklist for what was ordered for the same patient and time.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    study : str
        UID of our study.
    ours : Identity
        Of our study.

    Returns
    -------
    dict
        As `ask_pacs`.
    """
    name = f"Worklist ({context.settings.worklist.ae_title})"
    try:
        with quick_courier(context, context.settings.worklist.peer) as courier:
            found = find_ordered(courier.find_scheduled, context, study, ours)
    except NodeError as error:
        return {"name": name, "said": f"It could not be asked: {error}.", "rows": []}
    if found is None:
        return {"name": name, "said": "It offers no worklist, or refused the query.", "rows": []}
    rows = [
        ordered_row(ours, one, why, is_of_study=one.study_instance_uid == study)
        for one, why in found
    ]
    said = f"{words.counted(len(rows), 'scheduled step')} of the same patient or hour."
    return {"name": name, "said": said, "rows": rows}


def find_ordered(
    ask: Callable[[WorklistKeys], list[ScheduledStep] | None],
    context: WebContext,
    study: str,
    ours: Identity,
) -> list[tuple[ScheduledStep, list[str]]] | None:
    """Return the scheduled steps of what may be the same patient, each with the reasons.

    Returns
    -------
    list, or None
        None where there is no worklist.

    Raises
    ------
    PeerUnreachable, PeerRefused
    """
    record = context.index.study_as_received(study)
    day, time = (record.study_date, record.study_time) if record else ("", "")
    questions = {
        "same patient ID": WorklistKeys(patient_id=plain(ours.patient_id)),
        "same name": WorklistKeys(patient_name=plain(ours.patient_name)),
        "same hour": WorklistKeys(start_date=day, start_time=hour_around(time)),
    }
    found: dict[ScheduledStep, list[str]] = {}
    for why, keys in questions.items():
        if len(list(filter(None, asdict(keys).values()))) < (2 if "hour" in why else 1):
            continue  # it would match everybody
        answers = ask(keys)
        if answers is None:
            return None
        for one in answers:
            found.setdefault(one, []).append(why)
    return list(found.items())
