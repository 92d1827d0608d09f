"""What pages and DICOMweb say of a study whose identity was corrected, always with a mark."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from dicom_node.correction import Correction
from dicom_node.correction_desk import CorrectionReader
from dicom_node.identity import Identity
from dicom_node.index import IndexReader, StudyRecord
from dicom_node.index_tables import fold_text
from dicom_node.study_query import StudyQuery
from web import words
from web.wildcards import matches_wildcards


class CorrectedIndex(IndexReader):
    """The index with corrections applied: studies are found and shown as what they are.

    Parameters
    ----------
    path : Path
        The index's file.
    corrections : CorrectionReader
        Those in force.
    """

    def __init__(self, path: Path, corrections: CorrectionReader) -> None:
        super().__init__(path)
        self._corrections = corrections

    def study_as_received(self, study_instance_uid: str) -> StudyRecord | None:
        """Return one study as its images name it, None when unknown."""
        return super().study(study_instance_uid)

    def study(self, study_instance_uid: str) -> StudyRecord | None:
        """Return one study as it is shown, None when unknown."""
        found = super().study(study_instance_uid)
        return found and corrected_study(found, self._corrections.active(study_instance_uid))

    def search_studies(self, query: StudyQuery) -> list[StudyRecord]:
        """Find studies by what they are shown as, newest first."""
        active = {one.study_instance_uid: one for one in self._corrections.all_active()}
        if not active:
            return super().search_studies(query)
        end = query.offset + query.limit
        found = super().search_studies(replace(query, offset=0, limit=end + len(active)))
        plain = [one for one in found if one.study_instance_uid not in active]
        shown = [one for one in map(self.study, active) if one is not None]
        everything = plain + [one for one in shown if is_match(one, query)]
        everything.sort(key=lambda one: one.study_instance_uid)
        everything.sort(key=_newness, reverse=True)
        return everything[query.offset : end]

    def patient_ids_here(self, patient_ids: Sequence[str], without: Sequence[str] = ()) -> set[str]:
        """Return which of these Patient IDs any study is shown under."""
        corrected = self._corrected()
        hidden = [*without, *(one.study_instance_uid for one in corrected)]
        return super().patient_ids_here(patient_ids, hidden) | {
            one.patient_id for one in corrected if one.patient_id in patient_ids
        }

    def namesakes(
        self, found: Sequence[StudyRecord], without: Sequence[str] = ()
    ) -> list[tuple[str, str, str]]:
        """Return everyone a study is shown of who may be taken for one of these patients."""
        corrected = self._corrected()
        hidden = [*without, *(one.study_instance_uid for one in corrected)]
        return super().namesakes(found, hidden) + [
            (one.patient_name, one.patient_birth_date, one.patient_id) for one in corrected
        ]

    def _corrected(self) -> list[StudyRecord]:
        """Return the studies a correction is in force for, as they are shown."""
        active = self._corrections.all_active()
        shown = (self.study(one.study_instance_uid) for one in active)
        return [one for one in shown if one is not None]


def _newness(study: StudyRecord) -> tuple[str, str, str]:
    return study.study_date, study.study_time, study.last_received_at


def corrected_study(study: StudyRecord, correction: Correction | None) -> StudyRecord:
    """Return a study as it is shown.

    Parameters
    ----------
    study : StudyRecord
        As received.
    correction : Correction, optional
        The one in force.

    Returns
    -------
    StudyRecord
    """
    if correction is None or not correction.covers(Identity.of(asdict(study))):
        return study
    values: dict[str, Any] = dict(correction.values)
    return replace(study, **values)


def is_match(study: StudyRecord, query: StudyQuery) -> bool:
    """Tell whether a study is what a query looks for, as the index would.

    Parameters
    ----------
    study : StudyRecord
    query : StudyQuery

    Returns
    -------
    bool
    """
    text = fold_text(study.patient_name, study.patient_id, study.accession_number)
    name = fold_text(study.patient_name)
    return (
        all(word in text for word in fold_text(query.text).split())
        and _is(name, fold_text(query.patient_name))
        and _is(study.patient_id, query.patient_id)
        and _is(study.accession_number, query.accession_number)
        and _is(study.study_instance_uid, query.study_instance_uid)
        and (not query.modality or query.modality.upper() in study.modalities_in_study)
        and _is_in_range(study.study_date, query.study_date)
    )


def _is_in_range(value: str, wanted: str) -> bool:
    first, dash, last = wanted.partition("-")
    if not dash:
        return not wanted or value == wanted
    return bool(value) and first <= value and (not last or value <= last)


def _is(value: str, wanted: str) -> bool:
    if "\\" in wanted:
        return value in wanted.split("\\")
    return not wanted or matches_wildcards(value, wanted)


def apply_correction(info: dict[str, Any], correction: Correction | None) -> dict[str, Any]:
    """Return what is said around a frame, corrected where its own identity was meant.

    Parameters
    ----------
    info : dict
        As `viewer.frame_info.frame_info` returns it.
    correction : Correction, optional
        The one in force for the frame's study.

    Returns
    -------
    dict
        With `correction`: None, or the `correction_id` and in `was` what the file says. An image
        that names somebody the correction was not made for stays as it is.
    """
    if correction is None or not correction.covers(_identity(info, correction)):
        return info | {"correction": None}
    parts = {
        part: {name: correction.values.get(name, text) for name, text in info[part].items()}
        for part in ("patient", "study")
    }
    was = correction_words(correction, info["patient"] | info["study"])
    return info | parts | {"correction": {"correction_id": correction.correction_id, "was": was}}


def _identity(info: dict[str, Any], correction: Correction) -> Identity:
    """Take the identity out of a frame's info; it tells nothing of the issuer."""
    issuers = [one.issuer_of_patient_id for one in correction.identities]
    texts = info["patient"] | info["study"]
    return Identity.of(texts | {"issuer_of_patient_id": issuers[0]})


def correction_words(correction: Correction | None, received: Mapping[str, Any]) -> str:
    """Say in words that an identity was corrected, and from what.

    Parameters
    ----------
    correction : Correction or None
        The one in force.
    received : mapping
        The values as the images have them, by attribute name.

    Returns
    -------
    str
        "" when nothing was corrected.
    """
    if correction is None:
        return ""
    parts = [_was(name, str(received.get(name, ""))) for name in correction.values]
    return f"Corrected (was {', '.join(parts)})"


def mark_of(correction: Correction | None) -> str:
    """Return the mark of a study whose identity was corrected, "" for any other."""
    if correction is None:
        return ""
    return correction_words(correction, asdict(correction.identities[0]))


def _was(attribute: str, value: str) -> str:
    if attribute == "patient_name":
        return words.person_name(value)
    if attribute == "patient_birth_date":
        return f"born {words.calendar_date(value)}"
    shown = value.strip() or "none"
    return f"{WORDS.get(attribute, attribute)} {shown}"


WORDS: Final = {
    "patient_id": "ID",
    "issuer_of_patient_id": "issuer",
    "patient_sex": "sex",
    "accession_number": "accession",
    "study_description": "description",
}
