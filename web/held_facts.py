"""What the index says of a study's images beyond its row: completeness, sides, senders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final, TypeVar

from dicom_node.index import ImageCount, IndexReader, SeriesRecord, StudyRecord
from web.completeness import HeldSeries, held_series

MOST_KEPT: Final = 5000
_SIDES: Final = frozenset("LRB")
_BY_SERIES: Final = attrgetter("series_instance_uid")
_Row = TypeVar("_Row", ImageCount, SeriesRecord)


@dataclass(frozen=True, slots=True)
class HeldFacts:
    """Of one study: its series, the sides its images name (L, R, B), senders and stations."""

    series: tuple[HeldSeries, ...] = ()
    sides: frozenset[str] = frozenset()
    calling_ae_titles: tuple[str, ...] = ()
    station_names: tuple[str, ...] = ()


class HeldFactsCache:
    """Facts of studies, asked anew when a study has changed.

    Parameters
    ----------
    index : IndexReader
        Where they come from.
    """

    def __init__(self, index: IndexReader) -> None:
        self._index = index
        self._kept: dict[str, tuple[tuple[int, str], HeldFacts]] = {}

    def of(self, studies: Sequence[StudyRecord]) -> dict[str, HeldFacts]:
        """Return the facts of each study."""
        kept = self._kept
        found = {
            study.study_instance_uid: kept[study.study_instance_uid][1]
            for study in studies
            if kept.get(study.study_instance_uid, ("",))[0] == _mark(study)
        }
        asked = [study for study in studies if study.study_instance_uid not in found]
        if not asked:
            return found
        made = facts_of(self._index, [study.study_instance_uid for study in asked])
        if len(kept) > MOST_KEPT:
            self._kept = {}
        for study in asked:
            uid = study.study_instance_uid
            found[uid] = made.get(uid, HeldFacts())
            self._kept[uid] = (_mark(study), found[uid])
        return found


def _mark(study: StudyRecord) -> tuple[int, str]:
    return study.number_of_study_related_instances, study.last_received_at


def facts_of(index: IndexReader, study_instance_uids: Sequence[str]) -> dict[str, HeldFacts]:
    """Ask the index for the facts of studies.

    Parameters
    ----------
    index : IndexReader
        Where they come from.
    study_instance_uids : sequence of str
        The studies.

    Returns
    -------
    dict
        By Study Instance UID; a study that is not held is not there.
    """
    series = _grouped(index.series_of(study_instance_uids))
    counts = _grouped(index.image_counts(study_instance_uids))
    return {uid: held_facts(series.get(uid, []), counts[uid]) for uid in counts}


def _grouped(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    found: dict[str, list[_Row]] = {}
    for row in rows:
        found.setdefault(row.study_instance_uid, []).append(row)
    return found


def held_facts(series: Sequence[SeriesRecord], counts: Sequence[ImageCount]) -> HeldFacts:
    """Sum up one study.

    Parameters
    ----------
    series : sequence of SeriesRecord
        Its series.
    counts : sequence of ImageCount
        Its images.

    Returns
    -------
    HeldFacts
    """
    ordered = sorted(counts, key=_BY_SERIES)
    named = {one.laterality.upper() for one in series}
    named |= {one.image_laterality.upper() for one in counts}
    return HeldFacts(
        series=tuple(held_series(group) for _, group in groupby(ordered, _BY_SERIES)),
        sides=frozenset(named & _SIDES),
        calling_ae_titles=_each_once(one.calling_ae_title for one in counts),
        station_names=_each_once(one.station_name for one in series),
    )


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({text.strip() for text in texts} - {""}))


def sender(facts: HeldFacts, names: Mapping[str, str]) -> str:
    """Return where the images came from, as people call it.

    Parameters
    ----------
    facts : HeldFacts
        Of the study.
    names : mapping
        AE title to the name the settings give it.

    Returns
    -------
    str
        The names of the senders; of one the settings do not know, the station the images name, or
        else its AE title; "" where images came in another way and name no station.
    """
    known = [names[title] for title in facts.calling_ae_titles if title in names]
    unknown = [title for title in facts.calling_ae_titles if title not in names]
    if not known and facts.station_names:
        return ", ".join(facts.station_names)
    return ", ".join(known + unknown)
