"""What the page of the return to the PACS says: values of the ledger, and the same in words."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from dicom_node.closing import Closings
from dicom_node.ledger import DestinationState, LedgerEvent, StudyDelivery
from dicom_node.mode_state import PacsState, read_mode
from dicom_node.outages import outages
from dicom_node.quarantine import FOLDER, QuarantineEntry, list_quarantine
from dicom_node.reissue import reissues_of
from web import words
from web.context import WebContext
from web.door import door_answer
from web.drain import MOST_REFUSED, bands_of, drain_answer, outage_row, refused_row
from web.mode import mode_answer, mode_change_row
from web.studies import delivery_of_counts, destination_chip

MOST_STUDIES: Final = 100
QUICKLY_COUNTED: Final = 100_000
"""Deliveries whose images are counted in a third of a second."""
STATES: Final = {
    "queued": "Waiting",
    "sending": "Sending",
    "stored": "Stored",
    "proven": "Proven",
    "held": "Held",
    "attention": "Attention",
}
"""States of the ledger in the words of the page, in the order they are shown."""
_PROOFS: Final = {"commitment": "storage commitment", "c-find": "query (C-FIND)"}
_CONDITIONS: Final = {
    "unreachable": "Unreachable",
    "refusing": "Refuses",
    "frozen": "Frozen",
    "cannot-store": "Cannot store",
    "transiently-full": "Full for now",
}
"""What is the matter with a PACS, in a word."""
_DOORS: Final = {"c-store": "sent", "inbox": "inbox"}


def sync_answer(context: WebContext) -> dict[str, Any]:
    """Return destinations, studies, events, quarantine and refusals, as values and as words.

    Parameters
    ----------
    context : WebContext
        Settings and readers.

    Returns
    -------
    dict
        Each row has a `key` that names it.
    """
    now = context.clock()
    destinations = context.ledger.destinations()
    data = context.settings.node.data
    state = read_mode(data, context.clock)
    bands = bands_of(context)
    closings = Closings(data)
    refused = context.ledger.refused_studies(limit=MOST_REFUSED)
    reissued = {
        (one.study_instance_uid, one.destination): one.words for one in reissues_of(context.ledger)
    }
    studies = context.ledger.studies(limit=MOST_STUDIES)
    return {
        "mode": mode_answer(context),
        "mode_changes": [mode_change_row(one) for one in context.ledger.mode_changes()],
        "summary": summary(destinations, count_images(context, destinations), now),
        "destinations": [
            destination_row(place, now, state.pacs.get(place.name))
            | drain_answer(context, place, bands)
            for place in destinations
        ],
        "refused": [refused_row(context, one) for one in refused],
        "outages": [
            outage_row(one, closings.last(one.began_at)) for one in reversed(outages(bands))
        ],
        "studies": [
            study_row(context, one, reissued.get((one.study_instance_uid, one.destination), ""))
            for one in studies
        ],
        "events": [event_row(event) for event in context.ledger.events(limit=100)],
        "quarantine": [
            quarantine_row(entry) for entry in list_quarantine(context.settings.node.data / FOLDER)
        ],
        **door_answer(context),
        "now": context.now_text(),
    }


def summary(destinations: list[DestinationState], images: int, now: datetime) -> str:
    """Return in one line how much is still to be returned.

    Parameters
    ----------
    destinations : list of DestinationState
        All of them.
    images : int
        How many images they are owed, each counted once.
    now : datetime
        The time now, UTC.

    Returns
    -------
    str
        With several PACS each image is as many deliveries, and both numbers are said.
    """
    total = sum(sum(place.counts.values()) for place in destinations)
    proven = sum(place.counts.get("proven", 0) for place in destinations)
    if not total:
        return "Nothing to return yet."
    deliveries, all_images = words.counted(total, "delivery"), words.counted(images, "image")
    is_one = len(destinations) == 1
    places = f" to {len(destinations)} PACS"
    if proven == total:
        of_all = "" if is_one else f": {deliveries}{places}"
        return f"All {all_images} returned and proven{of_all}."
    oldest = min(filter(None, (place.oldest_unproven_at for place in destinations)), default="")
    waits = f" The oldest has waited {words.elapsed(seconds_since(oldest, now))}." if oldest else ""
    if is_one:
        return f"{proven} of {all_images} returned and proven.{waits}"
    return f"{all_images}: {proven} of {deliveries}{places} proven.{waits}"


def count_images(context: WebContext, destinations: list[DestinationState]) -> int:
    """Return how many images are owed, each counted once for however many PACS.

    Of several PACS it is counted when something was added, of a long ledger once a minute.

    Parameters
    ----------
    context : WebContext
        Reads the ledger.
    destinations : list of DestinationState
        All of them.

    Returns
    -------
    int
    """
    totals = tuple((place.name, sum(place.counts.values())) for place in destinations)
    if len(totals) < 2:
        return sum(total for _, total in totals)
    is_long = sum(total for _, total in totals) > QUICKLY_COUNTED
    moment = int(context.clock().timestamp() // 60) if is_long else totals
    key = ("images owed", moment)
    return int(context.kept(key, lambda: str(context.ledger.count_images()).encode()))


def destination_row(
    place: DestinationState, now: datetime, pacs: PacsState | None = None
) -> dict[str, Any]:
    """Return one destination.

    Parameters
    ----------
    place : DestinationState
        The destination.
    now : datetime
        The time now, UTC.
    pacs : PacsState, optional
        How the last probe found it.

    Returns
    -------
    dict
    """
    chip = destination_chip(place)
    words_of_state = {"reachable": "Reachable", "unreachable": "Unreachable"}
    condition = pacs.condition if pacs and place.is_reachable is not None else ""
    return asdict(place) | {
        "key": place.name,
        "state": "attention" if place.is_reachable and condition in _CONDITIONS else chip.state,
        "words": _CONDITIONS.get(condition) or words_of_state.get(chip.state, "Not tried yet"),
        "condition": condition,
        "mode": pacs.mode.value if pacs else "normal",
        "address": f"{place.ae_title} at {place.host}:{place.port}",
        "since": _since(place, now, pacs.unproven if pacs else ""),
    }


def _since(place: DestinationState, now: datetime, unproven: str) -> str:
    parts = []
    if place.changed_at:
        parts.append(
            f"Since {words.moment(place.changed_at)}, "
            f"{words.elapsed(seconds_since(place.changed_at, now))} now"
        )
    if place.detail:
        parts.append(place.detail[:1].upper() + place.detail[1:])
    if unproven:
        parts.append(f"Still to be proven since the outage: {unproven}")
    return ". ".join(parts)


def study_row(context: WebContext, one: StudyDelivery, reissued: str = "") -> dict[str, Any]:
    """Return how far one study is at one destination.

    Parameters
    ----------
    context : WebContext
        Knows the study's own values.
    one : StudyDelivery
        The delivery.
    reissued : str
        What is to be said of its reissue to that destination, "" when there is none.

    Returns
    -------
    dict
    """
    study = context.index.study(one.study_instance_uid)
    chip = delivery_of_counts(one.counts, 0)
    return asdict(one) | {
        "key": f"{one.study_instance_uid} {one.destination}",
        "name": words.person_name(study.patient_name) if study else words.NOT_KNOWN,
        "what": _what(study) if study else "",
        "state": chip.state,
        "words": chip.words,
        "queued": words.moment(one.queued_at),
        "stored": words.moment(one.stored_at),
        "proven": words.moment(one.proven_at),
        "proof": ", ".join(_PROOFS.get(proof, proof) for proof in one.proofs),
        "last_error": "; ".join(filter(None, (reissued, one.last_error))),
    }


def _what(study: Any) -> str:
    kinds = " ".join(study.modalities_in_study)
    return " · ".join(filter(None, (kinds, study.study_description.strip())))


def event_row(event: LedgerEvent) -> dict[str, Any]:
    """Return one event.

    Parameters
    ----------
    event : LedgerEvent
        The event.

    Returns
    -------
    dict
    """
    return asdict(event) | {
        "key": str(event.event_id),
        "when": words.moment(event.at),
        "kind_words": event.kind.replace("_", " ").replace("-", " ").capitalize(),
    }


def quarantine_row(entry: QuarantineEntry) -> dict[str, Any]:
    """Return one thing that could not be stored.

    Parameters
    ----------
    entry : QuarantineEntry
        The entry.

    Returns
    -------
    dict
    """
    door = _DOORS.get(entry.door, entry.door)
    return asdict(entry) | {
        "key": entry.name,
        "when": words.moment(entry.received_at),
        "source": " by ".join(filter(None, (door, entry.calling_ae_title))),
        "size": words.size(entry.size_bytes),
    }


def blank_rows() -> dict[str, dict[str, Any]]:
    """Return empty rows; the script fills copies of them.

    Returns
    -------
    dict
    """
    empty_destination = DestinationState("", "", "", 0, None, "", "", "", {}, "")
    nothing = {"key": "", "name": "", "state": "waiting", "words": ""}
    return {
        "destination": asdict(empty_destination) | nothing,
        "refused": nothing,
        "outage": nothing,
        "study": nothing,
        "event": nothing,
        "mode_change": nothing | {"mode": "normal"},
        "quarantine": nothing,
        "door": nothing,
        "refusal": nothing,
    }


def seconds_since(moment: str, now: datetime) -> float:
    """Return how long ago a moment was.

    Parameters
    ----------
    moment : str
        ISO 8601.
    now : datetime
        The time now, UTC.

    Returns
    -------
    float
        Seconds.
    """
    return (now - datetime.fromisoformat(moment)).total_seconds()
