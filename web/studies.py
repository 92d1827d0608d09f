"""What pages and the JSON API say about a study: its values, and the same in words."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from dicom_node.index import SeriesRecord, StudyRecord
from dicom_node.ledger import DestinationState
from web import words

STATES: Final = ("queued", "sending", "stored", "proven", "held", "attention")
"""States of a delivery, as the ledger names them."""


_URGENCY: Final = ("attention", "waiting", "sending", "stored", "proven", "none")


@dataclass(frozen=True, slots=True)
class Chip:
    """A state by icon and word: `state` picks the icon, `words` are shown beside it."""

    state: str
    words: str


@lru_cache(maxsize=2048)  # a board asks for the same hundreds of them every second and a half
def study_words(study: StudyRecord, today: date) -> dict[str, str]:
    """Return the texts of a study's row, all made from one record.

    Parameters
    ----------
    study : StudyRecord
        The study.
    today : date
        The day ages are counted on.

    Returns
    -------
    dict
        Keys are the names of the fields in the page. It is kept: do not change it.
    """
    label, number = words.patient_number(study.patient_id)
    return {
        "name": words.person_name(study.patient_name),
        "born": words.born(study.patient_birth_date, today),
        "sex": words.sex(study.patient_sex),
        "patient_id_label": label,
        "patient_id": number,
        "modalities": " ".join(study.modalities_in_study) or "?",
        "what": study.study_description.strip() or "No description",
        "accession": study.accession_number.strip() or words.NOT_KNOWN,
        "study_date": words.calendar_date(study.study_date),
        "study_time": words.clock_time(study.study_time),
        "instances": str(study.number_of_study_related_instances),
        "unit": words.counted(study.number_of_study_related_instances, "image").split()[1],
        "series": words.counted(study.number_of_study_related_series, "series"),
        "held": (
            f"{words.counted(study.number_of_study_related_series, 'series')}, "
            f"{words.counted(study.number_of_study_related_instances, 'image')} here"
        ),
        "conflict": conflict(study),
    }


def conflict(study: StudyRecord) -> str:
    """Return in words what is damaged or contradicts itself in a study, or "".

    Parameters
    ----------
    study : StudyRecord
        The study.

    Returns
    -------
    str
    """
    found = []
    if study.has_patient_conflict:
        found.append("Images name different patients")
    if study.number_of_damaged_instances:
        found.append(f"{words.counted(study.number_of_damaged_instances, 'file')} damaged on disk")
    if study.number_of_conflicts:
        found.append(f"{words.counted(study.number_of_conflicts, 'image')} in 2 versions")
    return " · ".join(found)


def received(last_received_at: str, now: datetime, quiet_after_s: float) -> Chip:
    """Say whether a study is still arriving. It never says "complete": nothing here proves that.

    Parameters
    ----------
    last_received_at : str
        ISO 8601, UTC.
    now : datetime
        The time now, UTC.
    quiet_after_s : float
        Seconds of silence after which the study counts as quiet.

    Returns
    -------
    Chip
        State `receiving` or `quiet`.
    """
    if not last_received_at:
        return Chip("quiet", "No images")
    silence_s = (now - datetime.fromisoformat(last_received_at)).total_seconds()
    if silence_s < quiet_after_s:
        return Chip("receiving", f"Receiving · last {words.elapsed(silence_s)} ago")
    return Chip("quiet", f"No new images for {words.elapsed(silence_s)}")


def side_words(sides: Collection[str]) -> str:
    """Return in words which sides of the body the images of a study name.

    Parameters
    ----------
    sides : collection of str
        Laterality (0020,0060) and Image Laterality (0020,0062): L, R, B.

    Returns
    -------
    str
        "" where they name none.
    """
    if "B" in sides or {"L", "R"} <= set(sides):
        return "Left and right"
    return {"L": "Left", "R": "Right"}.get("".join(sides), "")


def side_conflict(sides: Collection[str], listed: Collection[str]) -> str:
    """Say in words when the theatre list and the images name different sides; "" when not.

    Parameters
    ----------
    sides : collection of str
        What the images name.
    listed : collection of str
        What the list says of the patient's operations: L, R, B, "".

    Returns
    -------
    str
    """
    [image_side] = sides if len(sides) == 1 else [""]
    wanted = set(listed) - {""}
    if image_side not in ("L", "R") or not wanted or wanted & {image_side, "B"}:
        return ""
    said = {"L": "left", "R": "right"}
    other = said["R" if image_side == "L" else "L"]
    return f"Side: the list says {other}, the images say {said[image_side]}"


def delivery(counts: Mapping[str, Mapping[str, int]], held: int, *, has_pacs: bool) -> Chip:
    """Say how far the return of a study to the PACS has come; of several PACS, the one behind.

    Parameters
    ----------
    counts : mapping
        Instances in each state, by destination.
    held : int
        Instances of the study this node holds.
    has_pacs : bool
        Whether any destination is configured.

    Returns
    -------
    Chip
        State `none`, `waiting`, `sending`, `stored`, `proven` or `attention`.
    """
    all_of_it = [(name, delivery_of_counts(places, held)) for name, places in counts.items()]
    if not all_of_it:
        return Chip("waiting", "Waiting for PACS") if has_pacs else Chip("none", "No PACS set up")
    name, chip = min(all_of_it, key=lambda item: _URGENCY.index(item[1].state))
    return chip if len(all_of_it) == 1 else Chip(chip.state, f"{name}: {chip.words}")


def delivery_of_counts(counts: Mapping[str, int], held: int) -> Chip:
    """Say how far one destination is, from the number of instances in each state.

    Parameters
    ----------
    counts : mapping
        State to number of instances.
    held : int
        Instances of the study this node holds; more than are listed means some are not yet queued.

    Returns
    -------
    Chip
    """
    number = {state: counts.get(state, 0) for state in STATES}
    total = max(held, sum(number.values()))
    stuck = number["held"] + number["attention"]
    if stuck:
        return Chip("attention", f"{stuck} of {total} need attention")
    if total and number["proven"] == total:
        return Chip("proven", f"Proven {total} of {total}")
    arrived = number["stored"] + number["proven"]
    if total and arrived == total:
        return Chip("stored", f"Stored {total} · proven {number['proven']} of {total}")
    if number["sending"] or arrived:
        return Chip("sending", f"Stored {arrived} of {total}")
    return Chip("waiting", f"Waiting for PACS · 0 of {total}")


def destination_chip(destination: DestinationState) -> Chip:
    """Say whether a PACS can be reached.

    Parameters
    ----------
    destination : DestinationState
        The destination as the delivery process last saw it.

    Returns
    -------
    Chip
        State `reachable`, `unreachable` or `waiting` (not tried yet).
    """
    if destination.is_reachable is None:
        return Chip("waiting", f"{destination.name} not tried yet")
    if destination.is_reachable:
        return Chip("reachable", f"{destination.name} reachable")
    return Chip("unreachable", f"{destination.name} unreachable")


def series_title(series: SeriesRecord) -> str:
    """Return what a series is called in the viewer's strip.

    Parameters
    ----------
    series : SeriesRecord
        The series.

    Returns
    -------
    str
    """
    return series.series_description.strip() or series.body_part_examined.strip() or "No name"
