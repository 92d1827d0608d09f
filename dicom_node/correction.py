"""A correction of the identity of one study: what is changed, by whom, why, and to what it applies.

The stored files never change. A correction is applied to what is shown and to what is sent.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from dicom_node.errors import BadCorrection
from dicom_node.identity import Identity, differences, name_groups

CORRECTABLE: Final = (
    "patient_name",
    "patient_id",
    "issuer_of_patient_id",
    "patient_birth_date",
    "patient_sex",
    "accession_number",
    "study_description",
)
"""What a person may correct."""
OF_THE_PATIENT: Final = frozenset(
    (
        "patient_name",
        "patient_id",
        "issuer_of_patient_id",
        "patient_birth_date",
        "patient_sex",
    )
)
"""Changing one of these says that the images are of somebody else than they were taken for."""
LONGEST_REASON: Final = 200
LONGEST_NAME: Final = 64
_MOST_CHARACTERS: Final = {
    "patient_id": 64,
    "issuer_of_patient_id": 64,
    "accession_number": 16,
    "study_description": 64,
}
"""By the value representation: LO 64, SH 16 (PS3.5 section 6.2)."""
_NEVER_EMPTY: Final = frozenset(("patient_name", "patient_id"))
_SEXES: Final = ("", "M", "F", "O")
_NAMES: Final = {
    "patient_name": "the name",
    "patient_id": "the patient ID",
    "issuer_of_patient_id": "the issuer of the patient ID",
    "patient_birth_date": "the birth date",
    "patient_sex": "the sex",
    "accession_number": "the accession number",
    "study_description": "the study description",
}


class CorrectionState(StrEnum):
    """How far a correction has come."""

    DRAFT = "draft"
    """Previewed; nothing is shown or sent with it."""
    ACTIVE = "active"
    """What is shown and sent is corrected."""
    UNDONE = "undone"
    """Taken back before anything was sent with it."""


class Source(StrEnum):
    """Where the corrected values come from."""

    TYPED = "typed"
    """A person wrote them."""
    CANDIDATE = "candidate"
    """A person chose what the PACS or the worklist holds."""
    MERGE = "merge"
    """Several temporary patients are one."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One correction of one study. Times are ISO 8601 in UTC, '' when never.

    `values` holds only what is changed, by attribute name. `identities` are those its images named
    when it was previewed: an image that names anybody else is not covered. `merge_id` is shared by
    the corrections of one merge, '' otherwise.
    """

    correction_id: str
    study_instance_uid: str
    values: Mapping[str, str]
    identities: tuple[Identity, ...]
    source: Source = Source.TYPED
    merge_id: str = ""
    state: CorrectionState = CorrectionState.DRAFT
    at: str = ""
    by: str = ""
    reason: str = ""

    @property
    def is_of_the_patient(self) -> bool:
        """Whether it says that the images are of somebody else than they were taken for."""
        return not OF_THE_PATIENT.isdisjoint(self.values)

    @property
    def moves_to_another_patient(self) -> bool:
        """Whether an archive files it under another patient than before: ID or issuer change."""
        return not {"patient_id", "issuer_of_patient_id"}.isdisjoint(self.values)

    def of(self, identity: Identity) -> Identity:
        """Return an identity as it is with this correction."""
        return replace(identity, **dict(self.values))

    def covers(self, identity: Identity) -> bool:
        """Tell whether an image of this identity was meant, or says already what is right.

        The study description is left aside: scanners write several within one study.
        """
        meant = [*self.identities, *map(self.of, self.identities)]
        relevant = [name for name in CORRECTABLE if name != "study_description"]
        return any(not differences(identity, one, relevant) for one in meant)


def checked_values(
    identities: Sequence[Identity], wanted: Mapping[str, str], today: date
) -> dict[str, str]:
    """Return what a correction changes, after looking at every value.

    Parameters
    ----------
    identities : sequence of Identity
        Those the images of the study name.
    wanted : mapping
        Attribute name to the value that is right; what is absent stays as it is.
    today : date
        No patient is born after it.

    Returns
    -------
    dict
        Only what differs from at least one of the identities.

    Raises
    ------
    BadCorrection
        A value cannot be written as DICOM wants it, or nothing would change.
    """
    values = {name: _checked(name, text, today) for name, text in wanted.items()}
    changed = {
        name: text
        for name, text in values.items()
        if any(getattr(one, name).strip() != text for one in identities)
    }
    if not changed:
        raise BadCorrection("Nothing would change: the images say this already.")
    return changed


def _checked(attribute: str, value: str, today: date) -> str:
    if attribute not in CORRECTABLE:
        raise BadCorrection(f"Only {', '.join(CORRECTABLE)} can be corrected.")
    text = value.strip()
    if not text.isprintable() or "\\" in text:
        raise BadCorrection(f"Write {_NAMES[attribute]} on one line and without a backslash.")
    if attribute in _NEVER_EMPTY and not text.strip("^= "):
        raise BadCorrection(f"Give {_NAMES[attribute]}: a correction cannot take it away.")
    if attribute == "patient_name":
        return _checked_name(text)
    if attribute == "patient_birth_date":
        return _checked_date(text, today)
    if attribute == "patient_sex" and text not in _SEXES:
        raise BadCorrection("Write the sex as M, F or O, or leave it empty.")
    if len(text) > _MOST_CHARACTERS.get(attribute, 64):
        raise BadCorrection(
            f"Shorten {_NAMES[attribute]} to at most {_MOST_CHARACTERS[attribute]} characters."
        )
    return text


def _checked_name(text: str) -> str:
    groups = text.split("=")
    if len(groups) > 3 or any(len(one) > LONGEST_NAME or one.count("^") > 4 for one in groups):
        raise BadCorrection(
            "Write the name as FAMILY^Given^Middle^Prefix^Suffix, at most 64 characters."
        )
    return "=".join(name_groups(text)).rstrip("=")


def _checked_date(text: str, today: date) -> str:
    digits = text.replace("-", "")
    if not digits:
        return ""
    try:
        if not re.fullmatch(r"[0-9]{8}", digits):
            raise ValueError
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError as exc:
        raise BadCorrection("Write the birth date as YYYY-MM-DD.") from exc
    if day > today:
        raise BadCorrection("The birth date lies in the future.")
    return digits


def check_who_and_why(by: str, reason: str) -> tuple[str, str]:
    """Return who decides and why, without the spaces around.

    Parameters
    ----------
    by, reason : str
        As they were typed.

    Returns
    -------
    tuple of str and str

    Raises
    ------
    BadCorrection
        One is missing or too long.
    """
    by, reason = by.strip(), reason.strip()
    if not by or not reason:
        raise BadCorrection("Give your name and the reason: they are kept with the correction.")
    if len(by) > LONGEST_NAME or len(reason) > LONGEST_REASON:
        raise BadCorrection(
            f"Your name has at most {LONGEST_NAME} characters, the reason {LONGEST_REASON}."
        )
    if not (by + reason).isprintable():
        raise BadCorrection("Write your name and the reason on one line each.")
    return by, reason
