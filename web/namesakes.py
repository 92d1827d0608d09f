"""Patients who are easily taken for one another: same name, or same surname and birth date."""

from collections.abc import Iterable
from functools import lru_cache

from dicom_node.index import StudyRecord
from dicom_node.index_tables import fold_text
from web.theatre_list import same_id

SAME_NAME = "Another patient has the same name"
SAME_SURNAME = "Another patient has the same surname and birth date"
_Person = tuple[str, str, str]


class Namesakes:
    """Who is held under which name and birth date.

    Parameters
    ----------
    people : iterable of tuple of str
        Patient's Name, birth date and Patient ID of everyone who may be taken for another.
    """

    def __init__(self, people: Iterable[_Person]) -> None:
        self._of_name: dict[str, set[str]] = {}
        self._of_surname: dict[tuple[str, str], set[str]] = {}
        for name, born, patient_id in people:
            identity = same_id(patient_id)
            whole, family = folded(name)
            self._of_name.setdefault(whole, set()).add(identity)
            self._of_surname.setdefault((family, born), set()).add(identity)

    def of(self, study: StudyRecord) -> str:
        """Return in words whom else a study's patient may be taken for; "" when nobody."""
        name, family = folded(study.patient_name)
        if name and len(self._of_name.get(name, ())) > 1:
            return SAME_NAME
        key = (family, study.patient_birth_date)
        if all(key) and len(self._of_surname.get(key, ())) > 1:
            return SAME_SURNAME
        return ""


@lru_cache(maxsize=8192)
def folded(name: str) -> tuple[str, str]:
    """Return a PN value folded for comparing, and its family name alone.

    Parameters
    ----------
    name : str
        Its first group that holds anything gives the family name.

    Returns
    -------
    tuple of str
    """
    group = next((group for group in name.split("=") if group.strip("^ ")), "")
    return fold_text(name), fold_text(group.partition("^")[0])
