"""Asking who a study may be of: other studies of the PACS, and what the worklist has ordered."""

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from dicom_node.courier import Courier
from dicom_node.errors import NodeError
from dicom_node.identity import Identity, Kind, differences
from dicom_node.kept_identity import find_identity
from dicom_node.setting_tables import PacsSettings
from dicom_node.study_search import FoundStudy, StudyKeys
from dicom_node.worklist_search import ScheduledStep, WorklistKeys
from web import words
from web.context import WebContext
from web.reconcile_answers import candidate_row, ordered_row

ASK_TIMEOUT_S: Final = 8.0
"""How long a peer may say nothing, seconds."""
QUESTION_TIMEOUT_S: Final = 20.0
"""How long a person waits for all peers together, however many answers they still send, seconds."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What one peer is asked: `ask` does so with a courier, `name` is what it is called."""

    peer: PacsSettings
    name: str
    ask: Callable[[Courier], Row]


@dataclass(slots=True)
class _Asked:
    """A question under way, with the courier that is ended when it takes too long."""

    question: Question
    courier: Courier
    answer: Future[Row] = field(default_factory=Future)


def ask_all(
    context: WebContext, questions: Sequence[Question], patience_s: float | None = None
) -> list[Row]:
    """Ask all peers at the same time, and keep nobody waiting for long.

    A peer that sends one answer after the other without an end is cut off like one that is silent.

    Parameters
    ----------
    context : WebContext
        Settings.
    questions : sequence of Question
    patience_s : float, optional
        For all of it, seconds; `QUESTION_TIMEOUT_S` when not given.

    Returns
    -------
    list of dict
        One for each question, in their order.
    """
    if not questions:
        return []
    patience_s = QUESTION_TIMEOUT_S if patience_s is None else patience_s
    deadline = time.monotonic() + patience_s
    pool = ThreadPoolExecutor(len(questions), thread_name_prefix="ask")
    asked = [_Asked(one, _quick_courier(context, one.peer)) for one in questions]
    try:
        for one in asked:
            one.answer = pool.submit(one.question.ask, one.courier)
        wait_for([one.answer for one in asked], max(0.0, deadline - time.monotonic()))
        return [_answer_of(one, patience_s) for one in asked]
    finally:
        for one in asked:
            with contextlib.suppress(AttributeError, OSError):  # its thread ends it as well
                one.courier.close()
        pool.shutdown(wait=False, cancel_futures=True)


def _quick_courier(context: WebContext, peer: PacsSettings) -> Courier:
    quick = replace(peer, answer_timeout_s=ASK_TIMEOUT_S, connect_timeout_s=ASK_TIMEOUT_S / 2)
    return Courier(quick, context.settings.dicom.ae_title)


def _answer_of(one: _Asked, patience_s: float) -> Row:
    why = f"it was not done within {patience_s:.0f} seconds"
    if one.answer.done():
        try:
            return one.answer.result()
        except NodeError as error:
            why = str(error)
    return {"name": one.question.name, "said": f"It could not be asked: {why}.", "rows": []}


def pacs_question(context: WebContext, pacs: PacsSettings, study: str, ours: Identity) -> Question:
    """Return the question to a PACS for the same patient and time, and for this very study."""
    return Question(pacs, pacs.name, lambda it: ask_pacs(it, context, pacs, study, ours))


def worklist_question(context: WebContext, study: str, ours: Identity) -> Question:
    """Return the question to the modality worklist for what was ordered."""
    name = f"Worklist ({context.settings.worklist.ae_title})"
    peer = context.settings.worklist.peer
    return Question(peer, name, lambda it: ask_worklist(it, context, name, study, ours))


def ask_pacs(
    courier: Courier, context: WebContext, pacs: PacsSettings, study: str, ours: Identity
) -> Row:
    """Ask one PACS.

    Parameters
    ----------
    courier : Courier
        To that PACS.
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
        `name`, `rows`, and in `said` what it holds of this very study.

    Raises
    ------
    PeerUnreachable, PeerRefused
    """
    there = courier.find_study(study)
    found = find_candidates(courier, context, study, ours)
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
    sought = _Sought.of(context, study, ours)
    questions = {
        "same patient ID": StudyKeys(patient_id=plain(ours.patient_id)),
        "same name and birth date": StudyKeys(
            patient_name=plain(ours.patient_name), patient_birth_date=ours.patient_birth_date
        ),
        "same hour": StudyKeys(study_date=sought.day, study_time=hour_around(sought.time)),
    }
    found: dict[FoundStudy, list[str]] = {}
    for why, keys in questions.items():
        if len(list(filter(None, asdict(keys).values()))) < (1 if "ID" in why else 2):
            continue  # it would match everybody
        for one in courier.find_studies(keys) or []:
            if one.study_instance_uid != study:
                said = sought.said(why, one.identity, one.study_date, one.study_time)
                found.setdefault(one, []).append(said)
    return list(found.items())


@dataclass(frozen=True, slots=True)
class _Sought:
    """What is looked for: an answer may say something else than what was asked for."""

    ours: Identity
    day: str
    time: str

    @classmethod
    def of(cls, context: WebContext, study: str, ours: Identity) -> "_Sought":
        record = context.index.study_as_received(study)
        return cls(ours, *((record.study_date, record.study_time) if record else ("", "")))

    def said(self, why: str, identity: Identity, day: str, time: str) -> str:
        """Return in what an answer is the same, or that it is not what was asked for."""
        is_so = {
            "same patient ID": self._has_same(identity, "patient_id"),
            "same name": self._has_same(identity, "patient_name"),
            "same name and birth date": self._has_same(identity, "patient_name")
            and self._has_same(identity, "patient_birth_date"),
            "same hour": day == self.day and is_within(time, hour_around(self.time)),
        }
        return why if is_so[why] else f"not the {why}, though asked for it"

    def _has_same(self, identity: Identity, name: str) -> bool:
        """Tell whether a value is known and the same; a name may be in other capitals."""
        kinds = {item.kind for item in differences(self.ours, identity, (name,))}
        may_be_spelt = {Kind.SPELLING} if name == "patient_name" else set()
        return bool(getattr(identity, name).strip()) and kinds <= may_be_spelt


def plain(text: str) -> str:
    """Return a value to look for, with nothing in it that would be taken for a pattern."""
    return "".join("?" if character in "*?\\" else character for character in text.strip())


def hour_around(time: str) -> str:
    """Return the TM range from an hour before to an hour after, within the day; "" if unknown."""
    if len(time) < 4 or not time[:4].isdigit():
        return ""
    hour, minute = int(time[:2]), time[2:4]
    return f"{max(0, hour - 1):02}{minute}00-{min(23, hour + 1):02}{minute}59"


def is_within(time: str, range_of_times: str) -> bool:
    """Tell whether a TM value is within a range of two."""
    first, _, last = range_of_times.partition("-")
    return len(time) >= 4 and bool(last) and first[:4] <= time[:4] <= last[:4]


def ask_worklist(
    courier: Courier, context: WebContext, name: str, study: str, ours: Identity
) -> Row:
    """Ask the modality worklist for what was ordered for the same patient and time.

    Parameters
    ----------
    courier : Courier
        To the worklist.
    context : WebContext
        Readers.
    name : str
        What the worklist is called.
    study : str
        UID of our study.
    ours : Identity
        Of our study.

    Returns
    -------
    dict
        As `ask_pacs`.

    Raises
    ------
    PeerUnreachable, PeerRefused
    """
    found = find_ordered(courier.find_scheduled, context, study, ours)
    if found is None:
        return {"name": name, "said": "It offers no worklist, or refused the query.", "rows": []}
    rows = [
        ordered_row(ours, one, why, is_of_study=one.study_instance_uid == study)
        for one, why in found
    ]
    number = words.counted(len(rows), "scheduled step")
    said = f"Asked for the same patient and hour, it named {number}."
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
    sought = _Sought.of(context, study, ours)
    questions = {
        "same patient ID": WorklistKeys(patient_id=plain(ours.patient_id)),
        "same name": WorklistKeys(patient_name=plain(ours.patient_name)),
        "same hour": WorklistKeys(start_date=sought.day, start_time=hour_around(sought.time)),
    }
    found: dict[ScheduledStep, list[str]] = {}
    for why, keys in questions.items():
        if len(list(filter(None, asdict(keys).values()))) < (2 if "hour" in why else 1):
            continue  # it would match everybody
        answers = ask(keys)
        if answers is None:
            return None
        for one in answers:
            said = sought.said(why, one.identity, one.start_date, one.start_time)
            found.setdefault(one, []).append(said)
    return list(found.items())
