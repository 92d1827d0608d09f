"""What the viewer says about a frame, in words made from the same object as its pixels."""

import re
from datetime import date
from typing import Any, Final

from dicom_node.correction import Correction
from viewer.decode import Instance
from viewer.frame_info import frame_info
from web import words
from web.corrected import apply_correction

_SIDES: Final = {"L": "Left", "R": "Right", "B": "Both sides"}
_NAMED_SIDE: Final = {
    "L": re.compile(r"\b(left|lt|links|gauche)\b", re.IGNORECASE),
    "R": re.compile(r"\b(right|rt|rechts|droite)\b", re.IGNORECASE),
}
"""Words of descriptions that name a side; single letters mean too many other things."""


def frame_answer(
    instance: Instance, frame_number: int, today: date, correction: Correction | None
) -> dict[str, Any]:
    """Return a frame's info with `display`: the words around its picture.

    Parameters
    ----------
    instance : Instance
        The instance.
    frame_number : int
        1-based.
    today : date
        The day ages are counted on.
    correction : Correction, optional
        The one in force for its study.

    Returns
    -------
    dict
        As `viewer.frame_info.frame_info`, with `display` and `correction` added.

    Raises
    ------
    viewer.errors.NoSuchFrame
        The instance has no such frame.
    """
    info = apply_correction(frame_info(instance, frame_number), correction)
    return info | {"display": frame_words(info, today)}


def frame_words(info: dict[str, Any], today: date) -> dict[str, str]:
    """Return the texts of banner and corners.

    Parameters
    ----------
    info : dict
        As `viewer.frame_info.frame_info` returns it.
    today : date
        The day ages are counted on.

    Returns
    -------
    dict
    """
    patient, study = info["patient"], info["study"]
    label, number = words.patient_number(patient["patient_id"])
    when = (words.calendar_date(study["study_date"]), words.clock_time(study["study_time"]))
    return {
        "name": words.person_name(patient["patient_name"]),
        "born": words.born(patient["patient_birth_date"], today),
        "sex": words.sex(patient["patient_sex"]),
        "patient_id_label": label,
        "patient_id": number,
        "study_description": study["study_description"].strip() or "No description",
        "study_when": " ".join(filter(None, when)),
        "accession": study["accession_number"].strip() or words.NOT_KNOWN,
        "series": series_words(info["series"]),
        "place": place_words(info),
        "side_conflict": side_conflict(info["series"]),
        "fidelity": fidelity_words(info["lossy"]),
        "preview": preview_words(info["lossy"]),
        "corrected": (info.get("correction") or {}).get("was", ""),
    }


def series_words(series: dict[str, Any]) -> str:
    """Return "Series 3 · CT · Head axial · Left".

    Parameters
    ----------
    series : dict
        The series part of a frame's info.

    Returns
    -------
    str
    """
    number = series["series_number"]
    side = _SIDES.get(series["laterality"], "")
    parts = (
        "" if number is None else f"Series {number}",
        series["modality"],
        series["series_description"].strip(),
        side,
    )
    return " · ".join(filter(None, parts))


def side_conflict(series: dict[str, Any]) -> str:
    """Say when a description names the other side than the header does, else "".

    Parameters
    ----------
    series : dict
        The series part of a frame's info.

    Returns
    -------
    str
    """
    header = series["laterality"]
    named = {
        side
        for side, pattern in _NAMED_SIDE.items()
        if pattern.search(series["series_description"])
    }
    if header not in ("L", "R") or named in (set(), {header}):
        return ""
    told = " and ".join(sorted(_SIDES[side].lower() for side in named))
    return f"Side in doubt: the header says {_SIDES[header].lower()}, the description {told}"


def place_words(info: dict[str, Any]) -> str:
    """Return slice thickness and place, as far as they are known.

    Parameters
    ----------
    info : dict
        As `viewer.frame_info.frame_info` returns it.

    Returns
    -------
    str
    """
    parts = []
    if info["slice_thickness"] is not None:
        parts.append(f"Slice {round(info['slice_thickness'], 2):g} mm")
    if info["slice_position"] is not None:
        parts.append(f"at {info['slice_position']:.1f} mm")
    return " ".join(parts)


def preview_words(lossy: dict[str, Any]) -> str:
    """Say that a preview is one, and whether its source had lost something before.

    Parameters
    ----------
    lossy : dict
        The lossy part of a frame's info.

    Returns
    -------
    str
    """
    return f"Preview · {fidelity_words(lossy)}" if lossy["is_lossy"] else "Preview, compressed"


def fidelity_words(lossy: dict[str, Any]) -> str:
    """Say whether the source was compressed with loss; what is drawn is never compressed again.

    Parameters
    ----------
    lossy : dict
        The lossy part of a frame's info.

    Returns
    -------
    str
    """
    if not lossy["is_lossy"]:
        return "Values as received"
    ratio = f" {lossy['ratio']:g}:1" if lossy["ratio"] else ""
    method = f" {lossy['method']}" if lossy["method"] else ""
    return f"Source was lossy{ratio}{method}"
