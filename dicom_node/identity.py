"""Who a study is of and what it was ordered as, and how two such identities differ."""

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final, Self


class Kind(StrEnum):
    """How two values of one attribute differ."""

    DIFFERENT = "different"
    """Both are known, and they say different things."""
    MISSING = "missing"
    """One is known, the other empty."""
    SPELLING = "spelling"
    """The same but for capitals, accents or spaces between words."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The attributes that tell whose study this is; each as DICOM writes it, '' when unknown.

    `patient_name` (0010,0010), `patient_id` (0010,0020), `issuer_of_patient_id` (0010,0021),
    `patient_birth_date` (0010,0030), `patient_sex` (0010,0040), `accession_number` (0008,0050),
    `study_description` (0008,1030).
    """

    patient_name: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    accession_number: str = ""
    study_description: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Take an identity out of values by attribute name; what they lack is unknown.

        Parameters
        ----------
        values : mapping
            A row of the index, an answer to a query, or anything else that uses our names.

        Returns
        -------
        Identity
        """
        return cls(**{name: str(values.get(name) or "") for name in ATTRIBUTES})


ATTRIBUTES: Final = tuple(field.name for field in fields(Identity))
"""The names of an identity's attributes, in the order they are shown."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute in which two identities differ, with both values as they are."""

    attribute: str
    ours: str
    theirs: str
    kind: Kind


def differences(
    ours: Identity, theirs: Identity, attributes: Collection[str] = ATTRIBUTES
) -> tuple[Difference, ...]:
    """Compare two identities attribute by attribute.

    Person names are compared by component groups (PS3.5 section 6.2.1): trailing carets and
    spaces say nothing, and a group that only one of them writes is no difference when another
    group is written by both. Everything else is compared without the spaces around it.

    Parameters
    ----------
    ours, theirs : Identity
        Empty values are unknown.
    attributes : collection of str
        Which to compare: of a peer that returned only some attributes, the others say nothing.

    Returns
    -------
    tuple of Difference
        In the order of `ATTRIBUTES`; empty when nothing differs.
    """
    found = []
    for name in ATTRIBUTES:
        pair = getattr(ours, name), getattr(theirs, name)
        kind = _kind(name, *pair) if name in attributes else None
        if kind is not None:
            found.append(Difference(name, *pair, kind))
    return tuple(found)


def _kind(attribute: str, ours: str, theirs: str) -> Kind | None:
    if attribute == "patient_name":
        return _kind_of_names(name_groups(ours), name_groups(theirs))
    return _kind_of_texts(ours.strip(), theirs.strip())


def _kind_of_texts(ours: str, theirs: str) -> Kind | None:
    if ours == theirs:
        return None
    if not ours or not theirs:
        return Kind.MISSING
    return Kind.SPELLING if _folded(ours) == _folded(theirs) else Kind.DIFFERENT


def name_groups(patient_name: str) -> tuple[str, ...]:
    """Part a PN value into its component groups, without what is empty at the end of each.

    Parameters
    ----------
    patient_name : str
        Alphabetic=ideographic=phonetic, each family^given^middle^prefix^suffix.

    Returns
    -------
    tuple of str
        Three groups, '' where there is none.

    Examples
    --------
    >>> name_groups("DOE^JANE^^^=")
    ('DOE^JANE', '', '')
    """
    groups = [_bare_group(group) for group in patient_name.split("=")]
    return tuple((groups + [""] * 3)[:3])


def _bare_group(group: str) -> str:
    return "^".join(part.strip() for part in group.split("^")).rstrip("^")


def _kind_of_names(ours: tuple[str, ...], theirs: tuple[str, ...]) -> Kind | None:
    if not any(ours) or not any(theirs):
        return Kind.MISSING if any(ours) or any(theirs) else None
    shared = [pair for pair in zip(ours, theirs, strict=True) if all(pair)]
    if not shared:
        return Kind.DIFFERENT  # written in different scripts: nothing shows that they are one
    kinds = {_kind_of_texts(*pair) for pair in shared}
    return next((kind for kind in (Kind.DIFFERENT, Kind.SPELLING) if kind in kinds), None)


def _folded(text: str) -> str:
    """Return a text without capitals, accents and repeated spaces."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(mark for mark in plain if not unicodedata.combining(mark)).split())
