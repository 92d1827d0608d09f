"""Under which identity a PACS keeps a study, compared with ours: three ways to differ, and more.

Success and commitment say nothing of it: most archives keep the identity they had when the same
UID comes again, and one that takes a changed Patient ID lists one study under two patients.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from dicom_node.identity import Difference, Identity, Kind, differences
from dicom_node.study_answer import StudyAnswer


class Kept(StrEnum):
    """How a PACS keeps a study."""

    SAME = "same"
    """Under our identity."""
    KEPT = "kept"
    """It kept another identity than the one we sent."""
    SPLIT = "split"
    """It lists it under more than one patient."""
    THERE_BEFORE = "there-before"
    """It had it before anything was sent, under another identity."""
    UNLISTED = "unlisted"
    """It vouches for it, but does not list it."""
    UNANSWERED = "unanswered"
    """It cannot be asked."""
    UNREAD = "unread"
    """Ours cannot be read, so there was nothing to compare."""
    ACCEPTED = "accepted"
    """Under another identity, and a person said that it may stay so."""


NOT_SEEN: Final = (Kept.UNLISTED, Kept.UNANSWERED, Kept.UNREAD)
"""Where no identity was seen or compared: that is no word on what the PACS showed before."""

WORDS: Final = {
    Kept.KEPT: "the PACS kept the old identity: sending again changes nothing; ask its "
    "administrator to correct or reject it there, reissue it, or accept it as it is",
    Kept.SPLIT: "the PACS lists this study under more than one patient: ask its administrator to "
    "correct or reject it there under the wrong one, reissue it, or accept it as it is",
    Kept.THERE_BEFORE: "the PACS had this study before, under another identity; a person must say "
    "which is right",
    Kept.UNLISTED: "the PACS vouches for this study but does not list it: its identity is not "
    "verified",
    Kept.ACCEPTED: "the PACS keeps this study under another identity, and a person accepted that",
    Kept.UNANSWERED: "the PACS cannot be asked under which identity it keeps this study: it is not "
    "verified",
    Kept.UNREAD: "our own identity of this study cannot be read: it is not verified",
}
"""What is said to people, with the way out."""

COMPARED: Final = (
    "patient_name",
    "patient_id",
    "issuer_of_patient_id",
    "patient_birth_date",
    "patient_sex",
    "accession_number",
)
"""The attributes that are compared, in the order they are shown."""
_MUST_BE_ANSWERED: Final = ("patient_name", "patient_id", "accession_number")
"""Required keys of a study (PS3.4 Table C.6-5): empty there means that there is nothing."""
_IDENTIFYING: Final = ("patient_name", "patient_id")


@dataclass(frozen=True, slots=True)
class Finding:
    """How a PACS keeps one study, and in which attributes that differs from ours.

    `answers` are all values of the identity that it returned, also where ours is unknown: each
    patient it lists once, in an order of their own.
    """

    kept: Kept
    found: tuple[Difference, ...] = ()
    answers: tuple[StudyAnswer, ...] = ()

    @property
    def state(self) -> str:
        """For the ledger: `same`, `accepted`, `differs`, or '' where nothing is known."""
        if self.kept in NOT_SEEN:
            return ""
        return str(self.kept) if self.kept in (Kept.SAME, Kept.ACCEPTED) else "differs"

    @property
    def words(self) -> str:
        """For people, without naming anyone."""
        names = ", ".join(item.attribute for item in self.found)
        return WORDS.get(self.kept, "") + (f" (differs: {names})" if names else "")


def find_identity(
    ours: Identity, answers: Sequence[StudyAnswer] | None, *, was_there_before: bool
) -> Finding:
    """Compare our identity of a study with the one it is kept under.

    Parameters
    ----------
    ours : Identity
        The one it was sent with.
    answers : sequence of StudyAnswer, or None
        The matches of a query for this study; None when it could not be asked.
    was_there_before : bool
        The PACS had all of it before it was sent anything.

    Returns
    -------
    Finding
    """
    if answers is None:
        return Finding(Kept.UNANSWERED)
    if not answers:
        return Finding(Kept.UNLISTED)
    seen = tuple(sorted({_as_seen(answer) for answer in answers}, key=_in_order))
    found = tuple({item: None for answer in seen for item in _that_count(ours, answer)})
    if len({(a.identity.patient_id, a.identity.issuer_of_patient_id) for a in seen}) > 1:
        return Finding(Kept.SPLIT, found, seen)
    if not found:
        return Finding(Kept.SAME)
    return Finding(Kept.THERE_BEFORE if was_there_before else Kept.KEPT, found, seen)


def _as_seen(answer: StudyAnswer) -> StudyAnswer:
    """Return what an answer says of whose the study is; the description says nothing of that."""
    returned = answer.returned & set(COMPARED)
    values = {name: getattr(answer.identity, name).strip() for name in returned}
    return StudyAnswer(Identity.of(values), returned)


def _in_order(answer: StudyAnswer) -> tuple[str, ...]:
    return (*asdict(answer.identity).values(), *sorted(answer.returned))


def _that_count(ours: Identity, answer: StudyAnswer) -> list[Difference]:
    found = differences(ours, answer.identity, answer.returned)
    return [item for item in found if _counts(item)]


def _counts(item: Difference) -> bool:
    """Tell whether a difference is one: a key it need not support may come back empty."""
    if item.kind is Kind.SPELLING:
        return False
    if item.kind is Kind.DIFFERENT:
        return True
    if not item.theirs:
        return item.attribute in _MUST_BE_ANSWERED
    return item.attribute in _IDENTIFYING  # more than we know: what a reconciled archive adds
