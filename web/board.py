"""What the board says of studies: each row made from one record and what is known beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from flask import Flask, current_app

from dicom_node.index import StudyRecord
from dicom_node.study_query import StudyQuery
from web import words
from web.completeness import Completeness, completeness_of
from web.confirmations import Confirmation, Confirmations
from web.context import WebContext
from web.corrected import mark_of
from web.held_facts import HeldFacts, HeldFactsCache, sender
from web.namesakes import Namesakes
from web.reconcile_answers import accepted_marks
from web.studies import conflict, delivery, received, side_conflict, side_words, study_words
from web.theatre_list import Operation, TheatreList, TheatreListFile, same_id

EXTENSION: Final = "lifeboat.board"
ALL_THEATRES: Final = "*"
_VALUES: Final = tuple(field.name for field in fields(StudyRecord))
_NHS_DIGITS: Final = 10


class Board:
    """What stands beside the index: confirmations, the theatre list, facts already summed up.

    Parameters
    ----------
    context : WebContext
        Settings and readers.
    """

    def __init__(self, context: WebContext) -> None:
        settings = context.settings
        self._context = context
        self._confirmations = Confirmations(settings.node.data)
        self._facts = HeldFactsCache(context.index)
        self._senders = {one.ae_title: one.name for one in settings.modalities}
        listed = settings.web.theatre_list
        self.theatre_file = TheatreListFile(Path(listed).expanduser() if listed else None)

    def answers(self, studies: Sequence[StudyRecord]) -> list[dict[str, Any]]:
        """Return studies as JSON with their words and states.

        Parameters
        ----------
        studies : sequence of StudyRecord
            The studies.

        Returns
        -------
        list of dict
            The indexed values, and `display` with the words people read, `received`,
            `completeness` and `delivery`, each with the state and its words.
        """
        uids = [study.study_instance_uid for study in studies]
        facts = self._facts.of(studies)
        confirmed = self._confirmations.of(uids)
        counts = self._context.ledger.counts_of(uids)
        accepted = accepted_marks(self._context.ledger, uids)
        namesakes = Namesakes(self._context.index.namesakes(studies))
        operations = self.theatre_file.current().of_patient
        now = self._context.clock()
        return [
            {name: getattr(study, name) for name in _VALUES}
            | {
                "display": self._words(study, facts[uid], operations, namesakes, now)
                | {"conflict": self._conflict(study, accepted.get(uid, ""))},
                "completeness": completeness_answer(study, facts[uid], confirmed.get(uid)),
            }
            | self._states(study, counts.get(uid, {}), now)
            for uid, study in zip(uids, studies, strict=True)
        ]

    def _words(
        self,
        study: StudyRecord,
        facts: HeldFacts,
        operations: Mapping[str, tuple[Operation, ...]],
        namesakes: Namesakes,
        now: datetime,
    ) -> dict[str, str]:
        listed = operations.get(same_id(study.patient_id), ())
        return study_words(study, now.date()) | {
            "side": side_words(facts.sides),
            "source": sender(facts, self._senders),
            "similar": namesakes.of(study),
            "operation": "; ".join(operation_words(one) for one in listed),
            "side_conflict": side_conflict(facts.sides, {one.side for one in listed}),
        }

    def _conflict(self, study: StudyRecord, accepted: str) -> str:
        """Say what contradicts itself in a study, and that its identity was corrected."""
        correction = self._context.corrections.active(study.study_instance_uid)
        return " · ".join(filter(None, (mark_of(correction), accepted, conflict(study))))

    def _states(
        self, study: StudyRecord, counts: Mapping[str, Mapping[str, int]], now: datetime
    ) -> dict[str, dict[str, str]]:
        settings = self._context.settings
        arriving = received(study.last_received_at, now, settings.web.quiet_after_s)
        returned = delivery(
            counts, study.number_of_study_related_instances, has_pacs=bool(settings.pacs)
        )
        return {
            "received": {"state": arriving.state, "words": arriving.words},
            "delivery": {"state": returned.state, "words": returned.words},
        }

    def theatre_answer(self, theatre: str) -> dict[str, Any]:
        """Return what the theatre list says beside the studies.

        Parameters
        ----------
        theatre : str
            The theatre looked for, `*` for all, "" for none.

        Returns
        -------
        dict
            `is_wanted`, `theatres`, `errors`, `words`, and `without_images`: operations of
            patients of whom nothing is here.
        """
        listed = self.theatre_file.current()
        operations = operations_of(listed, theatre)
        # asked of all that is held: what is listed on the page is narrowed and cut
        forms = {form for one in operations for form in id_forms(one.patient_id)} - {""}
        held = self._context.index.patient_ids_here(sorted(forms)) if forms else set()
        here = {same_id(patient_id) for patient_id in held}
        missing = [one for one in operations if same_id(one.patient_id) not in here]
        return {
            "is_wanted": self.theatre_file.is_wanted,
            "theatres": listed.theatres,
            "errors": [f"Theatre list: {error}" for error in listed.errors],
            "words": f"Theatre list of {words.moment(listed.as_of)}" if listed.as_of else "",
            "without_images": [
                f"{operation_words(one)} · Patient ID {one.patient_id}" for one in missing
            ],
        }


def install(app: Flask, context: WebContext) -> None:
    """Put the board beside an application's context.

    Parameters
    ----------
    app : Flask
        The application.
    context : WebContext
        Its context.
    """
    app.extensions[EXTENSION] = Board(context)


def current_board() -> Board:
    """Return the board of the application that answers now.

    Returns
    -------
    Board
    """
    return board_of(current_app)


def board_of(app: Flask) -> Board:
    """Return the board of an application.

    Parameters
    ----------
    app : Flask
        Where it is installed.

    Returns
    -------
    Board
    """
    board = app.extensions[EXTENSION]
    assert isinstance(board, Board)
    return board


def completeness_answer(
    study: StudyRecord, facts: HeldFacts, confirmation: Confirmation | None
) -> dict[str, Any]:
    """Return what is known of a study's completeness as JSON.

    Parameters
    ----------
    study : StudyRecord
        The study.
    facts : HeldFacts
        Of its images.
    confirmation : Confirmation or None
        The last one that nobody took back.

    Returns
    -------
    dict
        `state`, `words`, `basis`, and `confirmed_at`, "" unless somebody confirmed.
    """
    found: Completeness = completeness_of(
        facts.series,
        confirmation,
        study.number_of_study_related_instances,
        study.last_received_at,
    )
    return {
        "state": found.state,
        "words": found.words,
        "basis": found.basis,
        "confirmed_at": "" if confirmation is None else words.moment(confirmation.confirmed_at),
    }


def operation_words(one: Operation) -> str:
    """Return an operation as "10:30 · Theatre 3 · Hip replacement · Left".

    Parameters
    ----------
    one : Operation
        A line of the theatre list.

    Returns
    -------
    str
    """
    side = {"L": "Left", "R": "Right", "B": "Both sides"}.get(one.side, "")
    return " · ".join(filter(None, (one.time, one.theatre, one.procedure, side)))


def operations_of(listed: TheatreList, theatre: str) -> list[Operation]:
    """Return the operations of one theatre.

    Parameters
    ----------
    listed : TheatreList
        The list.
    theatre : str
        Its name, `*` for all, "" for none.

    Returns
    -------
    list of Operation
    """
    if theatre == ALL_THEATRES:
        return list(listed.operations)
    return [one for one in listed.operations if theatre and one.theatre == theatre]


def listed_query(query: StudyQuery, operations: Iterable[Operation]) -> StudyQuery:
    """Narrow a query to the patients of some operations.

    Parameters
    ----------
    query : StudyQuery
        The query.
    operations : iterable of Operation
        Lines of the theatre list; at least one.

    Returns
    -------
    StudyQuery
    """
    written = sorted({form for one in operations for form in id_forms(one.patient_id)} - {""})
    # the last one twice: always a list of several, so that no ID is taken for a pattern
    return StudyQuery(
        text=query.text,
        modality=query.modality,
        study_date=query.study_date,
        patient_id="\\".join(written + written[-1:]),
        limit=query.limit,
        offset=query.offset,
    )


def id_forms(patient_id: str) -> set[str]:
    """Return how a Patient ID may be written in images: as listed, without spaces, grouped.

    Parameters
    ----------
    patient_id : str
        As the list has it; a backslash cannot be part of one (PS3.5 section 6.2).

    Returns
    -------
    set of str
    """
    plain = patient_id.replace("\\", "")
    digits = same_id(plain)
    forms = {plain, digits, digits.lower()}
    if len(digits) == _NHS_DIGITS and digits.isdigit():
        forms.add(f"{digits[:3]} {digits[3:6]} {digits[6:]}")
    return forms
